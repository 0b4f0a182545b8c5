"""Transformations of images as Keras composes them, sampled as scipy.ndimage does.

Where another value begins right behind the border, the arithmetic of places is in
float64 and in scipy's order, so that a place on the very border falls on the same side
of it as there. Elsewhere float32 does, in half the time.
"""

import numpy as np

FILL_MODES = ("nearest", "constant", "reflect", "wrap")

# Pixels sampled at a time: what is computed on the way then stays in the CPU's cache,
# and memory does not grow with the image.
_BLOCK = 2**15

# float32 holds whole numbers up to here, as the index of a pixel is one.
_LARGEST_WHOLE_FLOAT32 = 2**24

_EXPECTED = (
    "images must be an array of shape (n_images, height, width, 3), uint8 or float "
    "with values from 0 to 255."
)


def check_batch(images):
    """Return the images as uint8 or float32 array (n_images, height, width, 3).

    Parameters
    ----------
    images : array-like
        Whatever was given.

    Returns
    -------
    images : ndarray of shape (n_images, height, width, 3), dtype uint8 or float32

    Raises
    ------
    ValueError
        If it is anything else; the message says how to make a batch of it.
    """
    try:
        array = np.asarray(images)
    except ValueError as error:
        raise ValueError(f"{_EXPECTED} numpy makes no array of it: {error}") from error
    is_batch = array.ndim == 4 and array.shape[3] == 3 and array.size
    if not is_batch or (array.dtype != np.uint8 and array.dtype.kind != "f"):
        got = f"shape {array.shape} and dtype {array.dtype}{_hint(array)}"
        raise ValueError(f"{_EXPECTED} Got {got}.")
    if array.dtype == np.uint8:
        return array
    if not (array.min() >= 0 and array.max() <= 255):  # NaN compares False
        raise ValueError(
            f"{_EXPECTED} Got values from {array.min()} to {array.max()}: scale them "
            "after the transformation, not before."
        )
    return array.astype(np.float32, copy=False)


def _hint(array):
    """Say how to make a batch of colour images of what looks like images."""
    if array.ndim == 3 and array.shape[2] == 3:
        return ": for a single image, pass images[np.newaxis]"
    if array.ndim == 3:
        return ": for grey images, pass np.stack([images] * 3, axis=-1)"
    if array.ndim == 4 and array.shape[3] == 1:
        return ": for grey images, pass np.repeat(images, 3, axis=3)"
    if array.ndim == 4 and array.shape[3] == 4:
        return ": leave the transparency away, images[..., :3]"
    if array.ndim == 4 and array.dtype.kind in "iu" and array.itemsize > 1:
        return ': convert with images.astype("uint8")'
    return ""


def transform_images(images, parameters, fill_mode, cval):
    """Transform each image with its own parameters.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, 3), dtype uint8 or float32
        From `check_batch`.
    parameters : dict of str to ndarray of shape (n,)
        From `check_parameters`.
    fill_mode, cval
        Those of `sample_affine`.

    Returns
    -------
    images : ndarray of shape (n, height, width, 3), dtype float32
    """
    affine = {k: parameters[k] for k in ("theta", "tx", "ty", "shear", "zx", "zy")}
    matrices = affine_matrices(**affine, image_size=images.shape[1:3])
    results = np.empty(images.shape, dtype=np.float32)
    scratch = Scratch(images.shape[1:3], fill_mode)
    for i, (image, result) in enumerate(zip(images, results, strict=True)):
        vertical = -1 if parameters["flip_vertical"][i] else 1
        horizontal = -1 if parameters["flip_horizontal"][i] else 1
        out = result[::vertical, ::horizontal]  # writing backwards flips the result
        sample_affine(image, matrices[i], fill_mode, cval, out, scratch)
        _shift_channels(result, parameters["channel_shift_intensity"][i])
        _change_brightness(result, parameters["brightness"][i])
    return results


def affine_matrices(theta, tx, ty, shear, zx, zy, image_size):
    """Compose the maps from a pixel of the result to its place in the image.

    Parameters
    ----------
    theta, tx, ty, shear, zx, zy : ndarray of shape (n,)
        As in Keras: degrees, pixels, pixels, degrees, factor, factor.
    image_size : tuple of (int, int)
        Height and width of the images, in pixels.

    Returns
    -------
    matrices : ndarray of shape (n, 2, 3)
        The pixel (i, j) of the result is taken from
        ``matrices[k] @ (i, j, 1)`` = (row, column) of image k.
    """
    height, width = image_size
    theta, shear = np.deg2rad(theta), np.deg2rad(shear)
    cos, sin = np.cos(theta), np.sin(theta)
    matrix = _matrices([[cos, -sin, 0], [sin, cos, 0]])
    matrix = matrix @ _matrices([[1, 0, tx], [0, 1, ty]])
    matrix = matrix @ _matrices([[1, -np.sin(shear), 0], [0, np.cos(shear), 0]])
    matrix = matrix @ _matrices([[zx, 0, 0], [0, zy, 0]])
    x, y = height / 2 - 0.5, width / 2 - 0.5
    matrix = _matrices([[1, 0, x], [0, 1, y]]) @ matrix
    matrix = matrix @ _matrices([[1, 0, -x], [0, 1, -y]])
    # Keras centres on (height, width) and swaps the axes afterwards. So the centre is
    # that of the transposed image, and `tx` counts columns: kept, to give its images.
    return matrix[:, [1, 0]][:, :, [1, 0, 2]]


def _matrices(rows):
    """Stack 3 x 3 matrices from their first two rows, numbers or arrays of (n,)."""
    rows = [*rows, [0, 0, 1]]
    entries = np.broadcast_arrays(*(np.atleast_1d(x) for row in rows for x in row))
    return np.stack(entries, axis=-1).astype(np.float64).reshape(-1, 3, 3)


def sample_affine(image, matrix, fill_mode, cval, out, scratch):
    """Sample an image with bilinear interpolation, as `scipy.ndimage` with order 1.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3)
        Pixels of any real type.
    matrix : ndarray of shape (2, 3)
        One of `affine_matrices`.
    fill_mode : {"nearest", "constant", "reflect", "wrap"}
        What lies beyond the border, in the sense of scipy's `mode`: "reflect" repeats
        the last pixel, "wrap" has a period of one pixel less than the side, "constant"
        begins right at the centre of the last pixel.
    cval : float
        Value beyond the border for "constant".
    out : ndarray of shape (height, width, 3), dtype float32
        Takes the result.
    scratch : Scratch
        For images of this size and this mode.
    """
    size = height, width = image.shape[:2]
    planes = scratch.padded_planes(image)
    for start in range(0, height, scratch.n_rows):
        block = out[start : start + scratch.n_rows]
        i = np.arange(start, start + len(block))[:, np.newaxis]
        coordinates = scratch.coordinates[:, : len(block)]
        for (a, b, shift), places in zip(matrix, coordinates, strict=True):
            rows = (shift + a * i).astype(places.dtype)
            columns = (b * np.arange(width)).astype(places.dtype)
            np.add(rows, columns, out=places)
        outside = _is_outside(coordinates, size) if fill_mode == "constant" else None
        for places, n in zip(coordinates, size, strict=True):
            _move_into_image(places, n, fill_mode)
        _sample(planes, scratch, block)
        if outside is not None:
            block[outside] = cval


class Scratch:
    """Memory for the steps between an image and its transformation.

    It is used again for each image: to ask the system for new memory takes longer than
    to fill it.

    Parameters
    ----------
    image_size : tuple of (int, int)
        Height and width of the images, in pixels.
    fill_mode : str
        That of `sample_affine`.
    """

    def __init__(self, image_size, fill_mode):
        height, width = image_size
        is_small = (height + 1) * (width + 1) <= _LARGEST_WHOLE_FLOAT32
        is_continuous = fill_mode in ("nearest", "reflect")
        dtype = np.float32 if is_small and is_continuous else np.float64
        self.n_rows = min(height, max(1, _BLOCK // width))
        block = (self.n_rows, width)
        self.coordinates = np.empty((2, *block), dtype)
        self.whole = np.empty((2, *block), dtype)
        self.index = np.empty(block, dtype=np.intp)
        self.fractions = np.empty((2, *block), dtype=np.float32)
        self.corners = np.empty((4, *block), dtype=np.float32)
        self._planes = np.empty((3, height + 1, width + 1), dtype=np.float32)

    def padded_planes(self, image):
        """Return the channels, one more pixel on the right and at the bottom.

        The four neighbours of a place are then at the same distances everywhere.
        """
        planes = self._planes
        planes[:, :-1, :-1] = image.transpose(2, 0, 1)
        planes[:, -1] = planes[:, -2]
        planes[:, :, -1] = planes[:, :, -2]
        return planes


def _sample(planes, scratch, out):
    """Interpolate every plane at `scratch.coordinates`, rows and columns."""
    n = len(out)
    coordinates, whole = scratch.coordinates[:, :n], scratch.whole[:, :n]
    fractions, index = scratch.fractions[:, :n], scratch.index[:n]
    np.floor(coordinates, out=whole)
    np.subtract(coordinates, whole, out=fractions, casting="same_kind")
    below, right = fractions
    top, left = whole
    stride = planes.shape[2]
    top *= stride
    np.add(top, left, out=index, casting="unsafe")
    for channel, plane in enumerate(planes.reshape(len(planes), -1)):
        corners = scratch.corners[:, :n]
        for shift, corner in zip((0, stride, 1, stride + 1), corners, strict=True):
            # No index is beyond the end: "wrap" is numpy's quickest way to take that
            # as read.
            plane[shift:].take(index, mode="wrap", out=corner)
        left_two, right_two = corners[:2], corners[2:]
        _interpolate(left_two, right_two, right, out=left_two)
        _interpolate(*left_two, below, out=out[..., channel])


def _interpolate(a, b, fraction, out):
    """Write ``a + (b - a) * fraction`` to `out`, and the product to `b`."""
    b -= a
    b *= fraction
    np.add(a, b, out=out)


def _move_into_image(c, n, fill_mode):
    """Replace the coordinates along one axis by those in [0, n - 1] they stand for."""
    if fill_mode == "reflect":
        c -= 2 * n * np.floor(c / (2 * n))
        np.minimum(c, 2 * n - 1 - c, out=c)
    elif fill_mode == "wrap":
        # On the seam itself scipy takes the last pixel to the left of the image and
        # the first one to the right.
        period = max(n - 1, 1)
        turns = np.where(c < 0, np.ceil(c / period) - 1, np.floor(c / period))
        np.subtract(c, period * turns, out=c, where=(c < 0) | (c > period))
    np.clip(c, 0, n - 1, out=c)


def _is_outside(coordinates, image_size):
    """Tell which places lie beyond the centres of the outermost pixels."""
    (rows, columns), (height, width) = coordinates, image_size
    outside = (rows < 0) | (rows > height - 1)
    return outside | (columns < 0) | (columns > width - 1)


def _shift_channels(image, intensity):
    """Add a number of grey levels in place, as Keras' `apply_channel_shift`."""
    if not np.isnan(intensity):
        np.clip(image + np.float32(intensity), image.min(), image.max(), out=image)


def _change_brightness(image, factor):
    """Multiply in place, with the cuts to whole grey levels of Pillow's Brightness."""
    if not np.isnan(factor):
        np.floor(image, out=image)
        image *= np.float32(factor)
        np.clip(image, 0, 255, out=image)
        np.floor(image, out=image)
