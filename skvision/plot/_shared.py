"""Helpers shared by the displays."""

import unicodedata
from numbers import Integral
from pathlib import PurePath

import numpy as np
from sklearn.utils import check_scalar

from skvision._images.decode import upright_size
from skvision._images.inputs import ImageArrays

# Maximum side, in pixels, of an image that is displayed in a grid.
MAX_SIDE = 320
# Width of an image in a grid, and height of a line of text, in inches.
WIDTH = 2.0
_LINE_HEIGHT = 0.17
# Longest class name and file name that do not overlap those of the next image.
_MAX_LABEL, _MAX_NAME = 14, 24


def check_matplotlib(caller):
    """Raise an ImportError that explains how to install matplotlib if it is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} requires matplotlib, which cannot be imported ({error}). "
            'Install it with: pip install "scikit-vision[plot]"'
        ) from error


def read_for_display(images, i):
    """Return image `i`, upright and with no side longer than `MAX_SIDE` pixels."""
    data = images.read_bytes(i)
    is_array = isinstance(images, ImageArrays)
    size = images.images.shape[1:3] if is_array else upright_size(data)
    scale = min(1, MAX_SIDE / max(size))
    size = tuple(max(1, round(scale * side)) for side in size)
    return images.decode(i, data, size, "bilinear")


def image_names(images):
    """Return a short name for each image: of its file, or else its index."""
    paths = getattr(images, "paths", None)
    if paths is None:
        return [f"image {i}" for i in range(len(images))]
    names = [PurePath(path).name for path in paths]
    if len(set(names)) < len(names):  # as in cats/1.jpg and dogs/1.jpg
        names = ["/".join(PurePath(path).parts[-2:]) for path in paths]
    return names


def label_text(label, proba=None):
    """Return a class name, shortened to fit above an image, and its probability."""
    label = shortened(label, _MAX_LABEL)
    known = proba is not None and not np.isnan(proba)
    return f"{label} ({proba:.2f})" if known else label


def shortened(text, width):
    """Return a text in at most `width` columns, without its middle if it is longer.

    Wide characters, such as Chinese ones, take two columns. Line breaks and other
    characters that cannot be printed are escaped.
    """
    text = unicodedata.normalize("NFC", str(text))
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )
    if _n_columns(text) <= width:
        return text
    start, end = text[: len(text) // 2], text[len(text) // 2 :]
    while _n_columns(start + end) > width - 1:
        if _n_columns(start) > _n_columns(end):
            start = start[:-1]
        else:
            end = end[1:]
    return f"{start}…{end}"


def _n_columns(text):
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


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
        grid = figure.add_gridspec(n_rows, n_cols)
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


def draw_image(ax, image, im_kw, *, title="", name=None, **title_style):
    """Draw an image at the top of its axes, without ticks or frame, and return it."""
    artist = ax.imshow(image, **(im_kw or {}))
    ax.set(xticks=[], yticks=[], anchor="N")
    ax.spines[:].set_visible(False)
    # A dollar sign in a name does not start a formula.
    ax.set_title(title, fontsize=9, parse_math=False, **title_style)
    if name is not None:
        text = shortened(name, _MAX_NAME)
        ax.set_xlabel(text, fontsize=7, color="dimgrey", parse_math=False)
    return artist
