"""Convolutions with 3 x 3 filters in fewer multiplications, for the training.

Winograd's algorithm F(3 x 3, 3 x 3) of Lavin and Gray, "Fast algorithms for
convolutional neural networks" (2016): maps are cut into tiles of 3 x 3 pixels, each
with its border of one pixel. Tiles (5 x 5) and filters (3 x 3) are evaluated at 25
points, multiplied there, and the products brought back to 3 x 3 pixels: 25
multiplications for 9 results, instead of 81. The products of all tiles at one point
are one product of matrices.

It rounds a little more coarsely (relative errors of 2e-6 instead of 1e-6), and a row's
last bits may depend on its place in the batch. Hence for the training only.
"""

import numpy as np

from skvision._nets.backend import compiled, tf

SIZE = 3  # of a tile, and of a filter
N_POINTS = 2 * SIZE - 1

# One dimension: with a tile t of 5 pixels and a filter f, the 3 pixels of the result
# are RESULT @ ((FILTER @ f) * (TILE @ t)). The points are 0, 1, -1, 1/2 and infinity.
FILTER = np.array([[1, 0, 0], [1, 1, 1], [1, -1, 1], [1, 1 / 2, 1 / 4], [0, 0, 1]])
RESULT = FILTER.T.copy()
RESULT[:, -1] = [0, 0, 1]
TILE = np.array(
    [
        [1, -2, -1, 2, 0],
        [0, -1 / 2, 1 / 2, 1, 0],
        [0, -1 / 6, 1 / 2, -1 / 3, 0],
        [0, 8 / 3, 0, -8 / 3, 0],
        [0, 1 / 2, -1, -1 / 2, 1],
    ]
)


def convolution(x, kernel):
    """Maps of the size of `x`, with zeros around it, and what the gradients need."""
    tiles, filters = _tiles(x), _filters(kernel)
    return _results(tf.matmul(tiles, filters), x.shape[:3]), (tiles, filters)


def gradients(kept, of_maps):
    """Gradients of the inputs and of the filters, from those of the maps."""
    tiles, filters = kept
    of_products = _gradients_of_results(of_maps)
    of_tiles = tf.matmul(of_products, filters, transpose_b=True)
    of_filters = tf.matmul(tiles, of_products, transpose_a=True)
    return _gradients_of_tiles(of_tiles, of_maps.shape[:3]), _of_kernel(of_filters)


@compiled
def _tiles(x):
    """Tiles at the points: (n, height, width, channels) to (25, tiles, channels)."""
    for axis in (1, 2):
        x = _pad(x, axis, 1, 1 + -x.shape[axis] % SIZE)
    rows = _combined(TILE, _cut(x, 1, N_POINTS))
    points = [p for row in rows for p in _combined(TILE, _cut(row, 2, N_POINTS))]
    return _flat(points)


@compiled
def _gradients_of_tiles(points, shape):
    rows = [_combined(TILE.T, row) for row in _square(points, shape)]
    rows = [_joined(row, 2) for row in rows]
    maps = _joined(_combined(TILE.T, rows), 1)
    return maps[:, 1 : shape[1] + 1, 1 : shape[2] + 1]


@compiled
def _results(points, shape):
    """Products at the points, (25, tiles, filters), to maps."""
    rows = [_combined(RESULT, row) for row in _square(points, shape)]
    rows = [_joined(row, 2) for row in rows]
    return _joined(_combined(RESULT, rows), 1)[:, : shape[1], : shape[2]]


@compiled
def _gradients_of_results(maps):
    for axis in (1, 2):
        maps = _pad(maps, axis, 0, -maps.shape[axis] % SIZE)
    rows = _combined(RESULT.T, _cut(maps, 1, SIZE))
    return _flat([p for row in rows for p in _combined(RESULT.T, _cut(row, 2, SIZE))])


@compiled
def _filters(kernel):
    """Filters at the points: (3, 3, channels, filters) to (25, channels, filters)."""
    rows = _combined(FILTER, tf.unstack(kernel))
    return tf.stack([p for row in rows for p in _combined(FILTER, tf.unstack(row))])


@compiled
def _of_kernel(points):
    rows = tf.unstack(tf.reshape(points, (N_POINTS, N_POINTS, *points.shape[1:])))
    rows = [tf.stack(_combined(FILTER.T, tf.unstack(row))) for row in rows]
    return tf.stack(_combined(FILTER.T, rows))


def _combined(matrix, arrays):
    """Linear combinations of `arrays`, one for each row of `matrix`."""
    return [
        sum(
            np.float32(factor) * a
            for factor, a in zip(row, arrays, strict=True)
            if factor
        )
        for row in matrix
    ]


def _cut(x, axis, length):
    """From each tile along `axis` its first pixel, its second and so on to `length`."""
    n_tiles = (x.shape[axis] - length) // SIZE + 1
    slices = [slice(None)] * x.shape.rank
    parts = []
    for i in range(length):
        slices[axis] = slice(i, i + SIZE * (n_tiles - 1) + 1, SIZE)
        parts.append(x[tuple(slices)])
    return parts


def _joined(parts, axis):
    """The opposite of `_cut`: what lies on one pixel is added."""
    if len(parts) > SIZE:  # the border lies on the next tile
        own, border = parts[:SIZE], parts[SIZE:]
        parts = [_pad(p, axis, 0, 1) for p in own]
        for i, p in enumerate(border):
            parts[i] += _pad(p, axis, 1, 0)
    joined = tf.stack(parts, axis=axis + 1)
    shape = list(parts[0].shape)
    shape[axis] *= SIZE
    return tf.reshape(joined, shape)


def _pad(x, axis, before, after):
    padding = [(0, 0)] * x.shape.rank
    padding[axis] = before, after
    return tf.pad(x, padding)


def _flat(points):
    stacked = tf.stack(points)
    return tf.reshape(stacked, (N_POINTS**2, -1, stacked.shape[-1]))


def _square(points, shape):
    """The 25 points in rows of 5, each an array (n, tiles down, tiles across, ...)."""
    n, height, width = shape
    tiles = n, -(-height // SIZE), -(-width // SIZE), points.shape[-1]
    points = [tf.reshape(p, tiles) for p in tf.unstack(points)]
    return [points[i : i + N_POINTS] for i in range(0, len(points), N_POINTS)]
