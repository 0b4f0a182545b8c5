"""Parameters of random transformations: drawn from uniform numbers, and checked."""

from numbers import Integral, Real

import numpy as np

# Random numbers of one image, whatever the settings: switching one transformation on
# leaves the others as they were. A multiple of 4, which is Philox's step.
N_UNIFORMS = 12

# A transformation that changes nothing. NaN, and None, stand for "off".
_NEUTRAL = {
    **dict.fromkeys(("theta", "tx", "ty", "shear"), 0.0),
    **dict.fromkeys(("zx", "zy"), 1.0),
    "flip_horizontal": 0.0,
    "flip_vertical": 0.0,
    "channel_shift_intensity": np.nan,
    "brightness": np.nan,
}
_CAN_BE_OFF = ("channel_shift_intensity", "brightness")


def draw_parameters(settings, image_size, uniforms):
    """Turn uniform random numbers into parameters of transformations.

    Parameters
    ----------
    settings : dict
        The parameters of an `ImageAugmenter`.
    image_size : tuple of (int, int)
        Height and width of the images, in pixels.
    uniforms : ndarray of shape (n, N_UNIFORMS)
        Numbers from [0, 1); row i makes transformation i.

    Returns
    -------
    parameters : dict of str to ndarray of shape (n,)
        As `ImageAugmenter.draw` returns them.
    """
    rotation, shear = settings["rotation_range"], settings["shear_range"]
    zoom = _zoom_limits(settings["zoom_range"])
    height, width = image_size
    u = uniforms.T
    return {
        "theta": _between(-rotation, rotation, u[0]),
        "tx": _shifts("height_shift_range", settings, height, u[1], u[2]),
        "ty": _shifts("width_shift_range", settings, width, u[3], u[4]),
        "shear": _between(-shear, shear, u[5]),
        "zx": _between(*zoom, u[6]),
        "zy": _between(*zoom, u[7]),
        "flip_horizontal": (u[8] < 0.5) & bool(settings["horizontal_flip"]),
        "flip_vertical": (u[9] < 0.5) & bool(settings["vertical_flip"]),
        "channel_shift_intensity": _intensities(settings["channel_shift_range"], u[10]),
        "brightness": _brightness(settings["brightness_range"], u[11]),
    }


def indexed_uniforms(indices, seed, epoch):
    """Return the numbers that belong to (seed, epoch, index), for some indices.

    Parameters
    ----------
    indices : array-like of int of shape (n,)
        Positions of the images, 0 or more.
    seed, epoch : int
        From 0 to 2**64 - 1.

    Returns
    -------
    uniforms : ndarray of shape (n, N_UNIFORMS)

    Raises
    ------
    ValueError
        If `indices`, `seed` or `epoch` is something else.
    """
    indices = np.asarray(indices)
    is_valid = indices.ndim == 1 and indices.dtype.kind in "iu" and indices.size > 0
    if not is_valid or indices.min() < 0:
        raise ValueError(
            "indices must be a non-empty 1-D array-like of int, none of them negative. "
            f"Got {indices!r}."
        )
    for name, value in (("seed", seed), ("epoch", epoch)):
        if not (isinstance(value, Integral) and 0 <= value < 2**64):
            raise ValueError(
                f"{name} must be an int from 0 to 2**64 - 1. Got {value!r}."
            )
    first, last = int(indices.min()), int(indices.max())
    bits = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64))
    bits.advance(first * (N_UNIFORMS // 4))
    uniforms = np.random.Generator(bits).random((last - first + 1, N_UNIFORMS))
    return uniforms[indices - first]


def check_parameters(parameters, n_images):
    """Return the parameters as float arrays, completed; "off" is NaN.

    Parameters
    ----------
    parameters : dict of str to array-like of shape (n_images,), number or None
        As `ImageAugmenter.apply` takes them.
    n_images : int
        Number of images.

    Returns
    -------
    parameters : dict of str to ndarray of shape (n_images,), dtype float64

    Raises
    ------
    ValueError
        If a name, a length or a value is not valid.
    """
    unknown = sorted(set(parameters) - set(_NEUTRAL))
    if unknown:
        raise ValueError(
            f"parameters has the unknown keys {unknown}. Known are {list(_NEUTRAL)}."
        )
    return {
        name: _check_parameter(name, parameters.get(name, neutral), n_images)
        for name, neutral in _NEUTRAL.items()
    }


def _check_parameter(name, values, n_images):
    try:
        array = np.asarray(values, dtype=np.float64)  # makes NaN of None
    except (TypeError, ValueError) as error:
        raise ValueError(f"parameters[{name!r}] holds no numbers: {error}.") from error
    if array.shape not in ((), (n_images,)):
        raise ValueError(
            f"parameters[{name!r}] must be one number or have one for each of the "
            f"{n_images} images. Got an array of shape {array.shape}."
        )
    is_off = np.isnan(array) & (name in _CAN_BE_OFF)
    if not (np.isfinite(array) | is_off).all():
        raise ValueError(f"parameters[{name!r}] must be finite. Got {values!r}.")
    return np.broadcast_to(array, (n_images,))


def _between(low, high, uniform):
    return low + (high - low) * uniform


def _zoom_limits(zoom_range):
    if isinstance(zoom_range, Real):
        return 1 - zoom_range, 1 + zoom_range
    return _check_limits("zoom_range", zoom_range)


def _shifts(name, settings, size, uniform, sign):
    """Draw shifts, in pixels, along a side of `size` pixels."""
    value = settings[name]
    if isinstance(value, Real) and not isinstance(value, Integral):
        shifts = _between(-value, value, uniform)
    else:
        if isinstance(value, Integral):
            value = np.arange(max(1, value))
        value = _check_numbers(name, value)
        shifts = value[(uniform * len(value)).astype(np.intp)]
        shifts = np.where(sign < 0.5, -shifts, shifts)
    return shifts * size if np.abs(value).max() < 1 else shifts


def _intensities(largest, uniform):
    if largest == 0:
        return np.full(len(uniform), None)
    return _between(-largest, largest, uniform)


def _brightness(brightness_range, uniform):
    if brightness_range is None:
        return np.full(len(uniform), None)
    return _between(*_check_limits("brightness_range", brightness_range), uniform)


def _check_limits(name, values):
    """Return the pair (smallest, largest) of the setting `name`."""
    limits = _check_numbers(name, values)
    if len(limits) != 2 or not 0 <= limits[0] <= limits[1]:
        raise ValueError(
            f"The {name!r} parameter of ImageAugmenter must be a pair (smallest, "
            f"largest) of non-negative numbers in this order. Got {values!r} instead."
        )
    return limits


def _check_numbers(name, values):
    """Return the setting `name`, a list of finite numbers, as a float array."""
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _no_numbers(name, values) from error
    if numbers.ndim != 1 or not numbers.size or not np.isfinite(numbers).all():
        raise _no_numbers(name, values)
    return numbers


def _no_numbers(name, values):
    return ValueError(
        f"The {name!r} parameter of ImageAugmenter, if it is array-like, must be 1-D "
        f"and hold finite numbers. Got {values!r} instead."
    )
