"""Drawing and validating the parameters of random transformations."""

from numbers import Integral, Real

import numpy as np

# Random numbers per image, whatever the settings, so that enabling one transformation
# does not change the others. A multiple of 4, the step of Philox.
N_UNIFORMS = 12

# Part of the key under which features of transformed images are stored. To be raised
# when the same settings and random numbers give other pixels.
TRANSFORMS_VERSION = 2

# The identity transformation. NaN and None mean "off".
_IDENTITY = {
    **dict.fromkeys(("theta", "tx", "ty", "shear"), 0.0),
    **dict.fromkeys(("zx", "zy"), 1.0),
    "flip_horizontal": 0.0,
    "flip_vertical": 0.0,
    "channel_shift_intensity": np.nan,
    "brightness": np.nan,
}
_OPTIONAL = ("channel_shift_intensity", "brightness")


def describe_augmenter(augmenter):
    """Return a text that is equal for augmenters that transform images alike."""
    params = augmenter.get_params()
    settings = {name: _plain(params[name]) for name in sorted(params)}
    kind = type(augmenter)
    return f"{kind.__module__}.{kind.__qualname__} v{TRANSFORMS_VERSION} {settings}"


def _plain(value):
    """Return NumPy's scalars and any sequences as Python's numbers and lists.

    The text of a long array would leave out numbers, and the negative of an unsigned
    number is not what it should be.
    """
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    is_sequence = hasattr(value, "__len__") and not isinstance(value, str)
    return [_plain(item) for item in value] if is_sequence else value


def draw_parameters(settings, image_size, uniforms):
    """Turn uniform random numbers into the parameters of transformations.

    Parameters
    ----------
    settings : dict
        The parameters of an `ImageAugmenter`.
    image_size : tuple of (int, int)
        Height and width of the images, in pixels.
    uniforms : ndarray of shape (n, N_UNIFORMS)
        Numbers in [0, 1); row i determines transformation i.

    Returns
    -------
    parameters : dict of str to ndarray of shape (n,)
        As `ImageAugmenter.draw` returns them.
    """
    rotation, shear = (
        _plain(settings[f"{name}_range"]) for name in ("rotation", "shear")
    )
    zoom = _zoom_limits(settings["zoom_range"])
    height, width = image_size
    u = uniforms.T
    return {
        "theta": _scale_uniform(-rotation, rotation, u[0]),
        "tx": _shifts("height_shift_range", settings, height, u[1], u[2]),
        "ty": _shifts("width_shift_range", settings, width, u[3], u[4]),
        "shear": _scale_uniform(-shear, shear, u[5]),
        "zx": _scale_uniform(*zoom, u[6]),
        "zy": _scale_uniform(*zoom, u[7]),
        "flip_horizontal": (u[8] < 0.5) & bool(settings["horizontal_flip"]),
        "flip_vertical": (u[9] < 0.5) & bool(settings["vertical_flip"]),
        "channel_shift_intensity": _channel_shifts(
            settings["channel_shift_range"], u[10]
        ),
        "brightness": _brightness(settings["brightness_range"], u[11]),
    }


def indexed_uniforms(indices, seed, epoch):
    """Return the random numbers of (seed, epoch, index), for the given indices.

    Parameters
    ----------
    indices : array-like of int of shape (n,)
        Indices of the images, 0 or more.
    seed, epoch : int
        From 0 to 2**64 - 1.

    Returns
    -------
    uniforms : ndarray of shape (n, N_UNIFORMS)

    Raises
    ------
    ValueError
        If `indices`, `seed` or `epoch` is invalid.
    """
    indices = np.asarray(indices)
    is_valid = indices.ndim == 1 and indices.dtype.kind in "iu" and indices.size > 0
    if not is_valid or indices.min() < 0:
        raise ValueError(
            "indices must be a non-empty 1-D array-like of non-negative ints. "
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
    """Return all parameters as float arrays, with NaN for "off".

    Parameters
    ----------
    parameters : dict of str to array-like of shape (n_images,), number or None
        As accepted by `ImageAugmenter.apply`.
    n_images : int
        Number of images.

    Returns
    -------
    parameters : dict of str to ndarray of shape (n_images,), dtype float64

    Raises
    ------
    ValueError
        If a name, a length or a value is invalid.
    """
    unknown = sorted(set(parameters) - set(_IDENTITY))
    if unknown:
        raise ValueError(
            f"parameters has unknown keys {unknown}. Valid keys: {list(_IDENTITY)}."
        )
    return {
        name: _check_parameter(name, parameters.get(name, default), n_images)
        for name, default in _IDENTITY.items()
    }


def _check_parameter(name, values, n_images):
    try:
        array = np.asarray(values, dtype=np.float64)  # converts None to NaN
    except (TypeError, ValueError) as error:
        raise ValueError(f"parameters[{name!r}] must be numeric: {error}.") from error
    if array.shape not in ((), (n_images,)):
        raise ValueError(
            f"parameters[{name!r}] must be one number, or one for each of the "
            f"{n_images} images. Got an array of shape {array.shape}."
        )
    is_off = np.isnan(array) & (name in _OPTIONAL)
    if not (np.isfinite(array) | is_off).all():
        raise ValueError(f"parameters[{name!r}] must be finite. Got {values!r}.")
    return np.broadcast_to(array, (n_images,))


def _scale_uniform(low, high, uniform):
    return low + (high - low) * uniform


def _zoom_limits(zoom_range):
    if isinstance(zoom_range, Real):
        return 1 - zoom_range, 1 + zoom_range
    return _check_limits("zoom_range", zoom_range)


def _shifts(name, settings, size, uniform, sign):
    """Draw shifts, in pixels, along an axis of `size` pixels."""
    value = settings[name]
    if isinstance(value, Real) and not isinstance(value, Integral):
        shifts = _scale_uniform(-value, value, uniform)
    else:
        if isinstance(value, Integral):
            value = np.arange(max(1, value))
        value = _check_numbers(name, value)
        shifts = value[(uniform * len(value)).astype(np.intp)]
        shifts = np.where(sign < 0.5, -shifts, shifts)
    return shifts * size if np.abs(value).max() < 1 else shifts


def _channel_shifts(largest, uniform):
    largest = _plain(largest)
    if largest == 0:
        return np.full(len(uniform), None)
    return _scale_uniform(-largest, largest, uniform)


def _brightness(brightness_range, uniform):
    if brightness_range is None:
        return np.full(len(uniform), None)
    return _scale_uniform(*_check_limits("brightness_range", brightness_range), uniform)


def _check_limits(name, values):
    """Return the setting `name` as a pair (minimum, maximum)."""
    limits = _check_numbers(name, values)
    if len(limits) != 2 or not 0 <= limits[0] <= limits[1]:
        raise ValueError(
            f"The {name!r} parameter of ImageAugmenter must be a pair (minimum, "
            "maximum) of non-negative numbers, with minimum <= maximum. "
            f"Got {values!r} instead."
        )
    return limits


def _check_numbers(name, values):
    """Return the setting `name` as a 1-D float array of finite numbers."""
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _array_like_error(name, values) from error
    if numbers.ndim != 1 or not numbers.size or not np.isfinite(numbers).all():
        raise _array_like_error(name, values)
    return numbers


def _array_like_error(name, values):
    return ValueError(
        f"The {name!r} parameter of ImageAugmenter, if array-like, must be 1-D and "
        f"contain only finite numbers. Got {values!r} instead."
    )
