"""What the displays share: matplotlib if it is there, axes, estimators, images."""

from numbers import Integral

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_scalar

from skvision._images.decode import own_size
from skvision._images.inputs import ImageArrays

# Longest side, in pixels, of an image that is read to be seen in a grid.
SIDE = 320
# Height of a line of a title in a grid, in inches.
_LINE = 0.17


def check_matplotlib(caller):
    """Raise ImportError, with the way on, if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} requires matplotlib, which cannot be imported ({error}). "
            'Install it with: pip install "scikit-vision[plot]"'
        ) from error


def last_step(estimator):
    """Return the classifier itself from within a fitted search or a pipeline."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def read_for_display(images, i):
    """Return image `i` as it is in its file, upright, at most `SIDE` pixels long."""
    data = images.read_bytes(i)
    is_array = isinstance(images, ImageArrays)
    size = images.images.shape[1:3] if is_array else own_size(data)
    scale = min(1, SIDE / max(size))
    size = tuple(max(1, round(scale * side)) for side in size)
    return images.decode(i, data, size, "bilinear")


def check_axes(ax, n):
    """Return array-like axes as an array, after counting them."""
    axes = np.ravel(np.asarray(ax, dtype=object))
    if len(axes) != n:
        raise ValueError(
            f"'ax' must hold one axes for each plot, {n} here, or be None. Got "
            f"{len(axes)} axes."
        )
    return axes


def grid_axes(ax, images, n_cols, *, width, n_lines):
    """Return one axes for each image, row by row.

    They are new ones in a new figure, or in the place of the single axes `ax`, or those
    given in `ax`. In a new figure they are `width` inches wide, and their titles have
    `n_lines` lines.
    """
    from matplotlib import pyplot as plt

    check_scalar(n_cols, "n_cols", Integral, min_val=1)
    if ax is not None and not isinstance(ax, plt.Axes):
        return check_axes(ax, len(images))
    n_cols = min(n_cols, len(images))
    n_rows = -(-len(images) // n_cols)
    if ax is None:
        height = width * _height_of_row(images) + _LINE * n_lines + 0.1
        size = (n_cols * width, n_rows * height)
        figure = plt.figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(n_rows, n_cols)
    elif ax.get_subplotspec() is None:
        raise ValueError(
            "'ax' must be made by subplots to be divided into a grid. Got one that has "
            "no place in a grid itself. Pass one axes for each image, or None."
        )
    else:
        figure = ax.figure
        grid = ax.get_subplotspec().subgridspec(n_rows, n_cols)
        ax.set_axis_off()
    cells = (divmod(i, n_cols) for i in range(len(images)))
    return np.array([figure.add_subplot(grid[cell]) for cell in cells], dtype=object)


def _height_of_row(images):
    """Return a height for all images, of width 1: a few tall ones are made narrower."""
    heights = [image.shape[0] / image.shape[1] for image in images]
    return min(max(heights), max(1, np.median(heights)), 2)


def draw_image(ax, image, im_kw):
    """Draw an image without ticks and frame, at the top of its axes; return it."""
    artist = ax.imshow(image, **(im_kw or {}))
    ax.set(xticks=[], yticks=[], anchor="N")
    ax.spines[:].set_visible(False)
    return artist
