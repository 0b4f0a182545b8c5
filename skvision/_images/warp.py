"""Image transformations, composed as in Keras and sampled as in scipy.ndimage.

For fill modes that are discontinuous at the border, coordinates are computed in float64
and in scipy's order of operations, so that points exactly on the border fall on the
same side of it. For the others float32 is accurate enough, and takes half the time.
"""

import numpy as np

FILL_MODES = ("nearest", "constant", "reflect", "wrap")

# Pixels sampled per block, so that intermediate results stay in the CPU's cache and
# memory does not grow with the image.
_BLOCK_PIXELS = 2**15

# Integers up to here, such as pixel indices, are exact in float32.
_MAX_EXACT_FLOAT32 = 2**24

# Floats whose maximum is lower are not taken for grey levels. Values scaled to 0 to 1
# can exceed 1 a little, where an image was resized or brightened.
_DARKEST = 2

_EXPECTED = (
    "images must be an array of shape (n_images, height, width, 3), uint8 or float "
    "with values from 0 to 255."
)


def check_batch(images):
    """Return images as a uint8 or float32 array (n_images, height, width, 3).

    Parameters
    ----------
    images : array-like
        The input to check.

    Returns
    -------
    images : ndarray of shape (n_images, height, width, 3), dtype uint8 or float32

    Raises
    ------
    ValueError
        If the input is anything else; the message explains how to convert it.
    """
    try:
        array = np.asarray(images)
    except ValueError as error:
        raise ValueError(f"{_EXPECTED} numpy cannot convert them: {error}") from error
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
    if 0 < array.max() < _DARKEST:
        raise ValueError(
            f"{_EXPECTED} Got floats up to {array.max()}, which appear to be scaled to "
            "0 to 1: pass 255 * images. If the images are as dark as that, pass them "
            "as uint8."
        )
    return array.astype(np.float32, copy=False)


def _hint(array):
    """Suggest how to convert what looks like images to a batch of RGB images."""
    if array.ndim == 3 and array.shape[2] == 3:
        return ": for a single image, pass images[np.newaxis]"
    if array.ndim == 3:
        return ": for grey images, pass np.stack([images] * 3, axis=-1)"
    if array.ndim == 4 and array.shape[3] == 1:
        return ": for grey images, pass np.repeat(images, 3, axis=3)"
    if array.ndim == 4 and array.shape[3] == 4:
        return ": drop the alpha channel, images[..., :3]"
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
        As in `sample_affine`.

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
        out = result[::vertical, ::horizontal]  # writing in reverse flips the result
        sample_affine(image, matrices[i], fill_mode, cval, out, scratch)
        _shift_channels(result, parameters["channel_shift_intensity"][i])
        _change_brightness(result, parameters["brightness"][i])
    return results


def affine_matrices(theta, tx, ty, shear, zx, zy, image_size):
    """Compose the maps from pixels of the result to points of the image.

    Parameters
    ----------
    theta, tx, ty, shear, zx, zy : ndarray of shape (n,)
        In degrees, pixels along the height, pixels along the width, degrees, and two
        factors.
    image_size : tuple of (int, int)
        Height and width of the images, in pixels.

    Returns
    -------
    matrices : ndarray of shape (n, 2, 3)
        The pixel (i, j) of result k is sampled at the point
        ``matrices[k] @ (i, j, 1)`` = (row, column) of image k.
    """
    height, width = image_size
    theta, shear = np.deg2rad(theta), np.deg2rad(shear)
    cos, sin = np.cos(theta), np.sin(theta)
    # As in Keras, on points (column, row). But there `tx` is along the width, although
    # drawn from `height_shift_range`, and the centre is that of the transposed image.
    matrix = _matrices([[cos, -sin, 0], [sin, cos, 0]])
    matrix = matrix @ _matrices([[1, 0, ty], [0, 1, tx]])
    matrix = matrix @ _matrices([[1, -np.sin(shear), 0], [0, np.cos(shear), 0]])
    matrix = matrix @ _matrices([[zx, 0, 0], [0, zy, 0]])
    x, y = width / 2 - 0.5, height / 2 - 0.5
    matrix = _matrices([[1, 0, x], [0, 1, y]]) @ matrix
    matrix = matrix @ _matrices([[1, 0, -x], [0, 1, -y]])
    return matrix[:, [1, 0]][:, :, [1, 0, 2]]  # on points (row, column)


def _matrices(rows):
    """Stack 3 x 3 matrices, given their first two rows as numbers or (n,) arrays."""
    rows = [*rows, [0, 0, 1]]
    entries = np.broadcast_arrays(*(np.atleast_1d(x) for row in rows for x in row))
    return np.stack(entries, axis=-1).astype(np.float64).reshape(-1, 3, 3)


def sample_affine(image, matrix, fill_mode, cval, out, scratch):
    """Sample an image with bilinear interpolation, like `scipy.ndimage` with order=1.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3)
        Pixels of any real type.
    matrix : ndarray of shape (2, 3)
        One of the matrices from `affine_matrices`.
    fill_mode : {"nearest", "constant", "reflect", "wrap"}
        How to extend the image beyond its border, as scipy's `mode`: "reflect" repeats
        the edge pixel, "wrap" has a period of one pixel less than the side, "constant"
        starts right at the centre of the edge pixel.
    cval : float
        Value beyond the border for "constant".
    out : ndarray of shape (height, width, 3), dtype float32
        Array for the result.
    scratch : Scratch
        Buffers for this image size and fill mode.
    """
    size = height, width = image.shape[:2]
    planes = scratch.padded_planes(image)
    for start in range(0, height, scratch.n_rows):
        block = out[start : start + scratch.n_rows]
        i = np.arange(start, start + len(block))[:, np.newaxis]
        coordinates = scratch.coordinates[:, : len(block)]
        for (a, b, shift), coordinate in zip(matrix, coordinates, strict=True):
            rows = (shift + a * i).astype(coordinate.dtype)
            columns = (b * np.arange(width)).astype(coordinate.dtype)
            np.add(rows, columns, out=coordinate)
        outside = _is_outside(coordinates, size) if fill_mode == "constant" else None
        for coordinate, n in zip(coordinates, size, strict=True):
            _apply_fill_mode(coordinate, n, fill_mode)
        _sample(planes, scratch, block)
        if outside is not None:
            block[outside] = cval


class Scratch:
    """Buffers for the intermediate results of `sample_affine`.

    They are reused for each image, since allocating new memory takes longer than
    filling it.

    Parameters
    ----------
    image_size : tuple of (int, int)
        Height and width of the images, in pixels.
    fill_mode : str
        As in `sample_affine`.
    """

    def __init__(self, image_size, fill_mode):
        height, width = image_size
        is_small = (height + 1) * (width + 1) <= _MAX_EXACT_FLOAT32
        is_continuous = fill_mode in ("nearest", "reflect")
        dtype = np.float32 if is_small and is_continuous else np.float64
        self.n_rows = min(height, max(1, _BLOCK_PIXELS // width))
        block = (self.n_rows, width)
        self.coordinates = np.empty((2, *block), dtype)
        self.floors = np.empty((2, *block), dtype)
        self.index = np.empty(block, dtype=np.intp)
        self.fractions = np.empty((2, *block), dtype=np.float32)
        self.corners = np.empty((4, *block), dtype=np.float32)
        self._planes = np.empty((3, height + 1, width + 1), dtype=np.float32)

    def padded_planes(self, image):
        """Return the channels, padded by one pixel on the right and at the bottom.

        The four neighbours of a point are then at the same index offsets everywhere.
        """
        planes = self._planes
        planes[:, :-1, :-1] = image.transpose(2, 0, 1)
        planes[:, -1] = planes[:, -2]
        planes[:, :, -1] = planes[:, :, -2]
        return planes


def _sample(planes, scratch, out):
    """Interpolate each plane at `scratch.coordinates` (rows and columns)."""
    n = len(out)
    coordinates, floors = scratch.coordinates[:, :n], scratch.floors[:, :n]
    fractions, index = scratch.fractions[:, :n], scratch.index[:n]
    np.floor(coordinates, out=floors)
    np.subtract(coordinates, floors, out=fractions, casting="same_kind")
    below, right = fractions
    top, left = floors
    stride = planes.shape[2]
    top *= stride
    np.add(top, left, out=index, casting="unsafe")
    for channel, plane in enumerate(planes.reshape(len(planes), -1)):
        corners = scratch.corners[:, :n]
        for shift, corner in zip((0, stride, 1, stride + 1), corners, strict=True):
            # All indices are valid, and "wrap" is numpy's fastest mode.
            plane[shift:].take(index, mode="wrap", out=corner)
        left_corners, right_corners = corners[:2], corners[2:]
        _interpolate(left_corners, right_corners, right, out=left_corners)
        _interpolate(*left_corners, below, out=out[..., channel])


def _interpolate(a, b, fraction, out):
    """Write ``a + (b - a) * fraction`` to `out`, overwriting `b`."""
    b -= a
    b *= fraction
    np.add(a, b, out=out)


def _apply_fill_mode(c, n, fill_mode):
    """Map the coordinates along one axis to [0, n - 1], in place."""
    if fill_mode == "reflect":
        c -= 2 * n * np.floor(c / (2 * n))
        np.minimum(c, 2 * n - 1 - c, out=c)
    elif fill_mode == "wrap":
        # Exactly on a seam, scipy uses the last pixel to the left of the image and the
        # first one to the right of it.
        period = max(n - 1, 1)
        turns = np.where(c < 0, np.ceil(c / period) - 1, np.floor(c / period))
        np.subtract(c, period * turns, out=c, where=(c < 0) | (c > period))
    np.clip(c, 0, n - 1, out=c)


def _is_outside(coordinates, image_size):
    """Return a mask of the points beyond the centres of the edge pixels."""
    (rows, columns), (height, width) = coordinates, image_size
    outside = (rows < 0) | (rows > height - 1)
    return outside | (columns < 0) | (columns > width - 1)


def _shift_channels(image, intensity):
    """Add a number of grey levels in place, like Keras' `apply_channel_shift`."""
    if not np.isnan(intensity):
        np.clip(image + np.float32(intensity), image.min(), image.max(), out=image)


def _change_brightness(image, factor):
    """Multiply in place, truncating to whole grey levels like Pillow's Brightness."""
    if not np.isnan(factor):
        np.floor(image, out=image)
        image *= np.float32(factor)
        np.clip(image, 0, 255, out=image)
        np.floor(image, out=image)
