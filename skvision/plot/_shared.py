"""Helpers shared by the displays."""

from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar

from skvision._images.resize import ImageSettings
from skvision._utils.optional import import_optional

# Maximum side, in pixels, of an image that is displayed in a grid.
MAX_SIDE = 320
# Width of an image in a grid, and height of a line of text, in inches.
WIDTH = 2.0
_LINE_HEIGHT = 0.17


def check_matplotlib(caller):
    """Raise an ImportError that explains how to install matplotlib if it is missing."""
    import_optional("matplotlib", caller=caller, requirement="scikit-vision[plot]")


def read_for_display(images, i, value_range=None):
    """Return image `i`, upright and with no side longer than `MAX_SIDE` pixels."""
    settings = ImageSettings(None, value_range=value_range, max_side=MAX_SIDE)
    return images.read(i, settings)


def read_as_seen(images, i, settings):
    """Return the part of image `i` that a network with these settings gets.

    It is displayed in its original aspect ratio, or with the bars that were added.
    """
    if settings.resize_mode == "stretch":
        return read_for_display(images, i, settings.value_range)
    scale = MAX_SIDE / max(settings.image_size)
    size = tuple(max(1, round(scale * side)) for side in settings.image_size)
    return images.read(i, replace(settings, image_size=size, interpolation="bilinear"))


def check_axes(ax, n):
    """Return `ax` as an array of `n` axes, or raise a ValueError."""
    axes = np.ravel(np.asarray(ax, dtype=object))
    if len(axes) != n or not all(hasattr(a, "get_subplotspec") for a in axes):
        kinds = ", ".join(sorted({type(a).__name__ for a in axes}))
        raise ValueError(
            f"'ax' must be None or have one axes per plot, {n} in total. Got "
            f"{len(axes)} axes of type {kinds}. Create them with "
            f"matplotlib.pyplot.subplots(1, {n})."
        )
    return axes


def grid_axes(ax, images, n_cols, *, width=WIDTH, n_lines):
    """Return one axes per image, row by row.

    They are created in a new figure if `ax` is None, or in place of a single axes `ax`;
    an array of axes is returned as it is. In a new figure each axes is `width` inches
    wide, with `n_lines` lines of text above and below the image.
    """
    from matplotlib import pyplot as plt

    check_scalar(n_cols, "n_cols", Integral, min_val=1)
    if ax is not None and not isinstance(ax, plt.Axes):
        return check_axes(ax, len(images))
    if ax is not None and len(images) == 1:
        return check_axes(ax, 1)
    n_cols = min(n_cols, len(images))
    n_rows = -(-len(images) // n_cols)
    if ax is None:
        height = width * _row_height(images) + _LINE_HEIGHT * n_lines + 0.1
        size = (n_cols * width, n_rows * height)
        figure = plt.figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(n_rows, n_cols, left=0, right=1)
    elif ax.get_subplotspec() is None:
        raise ValueError(
            "A single 'ax' must be created by subplots so that it can be divided into "
            "a grid. Got an axes outside any grid. Pass one axes per image, or None."
        )
    else:
        figure = ax.figure
        grid = ax.get_subplotspec().subgridspec(n_rows, n_cols)
        ax.set_axis_off()
    cells = (divmod(i, n_cols) for i in range(len(images)))
    return np.array([figure.add_subplot(grid[cell]) for cell in cells], dtype=object)


def _row_height(images):
    """Return the row height for images of width 1; a few tall ones get narrower."""
    heights = [image.shape[0] / image.shape[1] for image in images]
    return min(max(heights), max(1, np.median(heights)), 2)
