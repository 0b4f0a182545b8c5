"""Drawing an image, with texts above and below it that are shortened to fit."""

import unicodedata
from bisect import bisect_right
from pathlib import PurePath

import numpy as np

# Font sizes in points: of titles, of file names, and the factor in the narrowest axes.
TITLE_SIZE, NAME_SIZE, _MIN_SCALE = 9, 7, 0.75
# Names are no formulas, and not in the language of TeX.
PLAIN = {"parse_math": False, "usetex": False}
# Width of axes, in points, below which the fonts get smaller.
_NARROW = 110


def image_names(images):
    """Return a short name for each image: of its file, or else its index."""
    paths = [images.path(i) for i in range(len(images))]
    names = [
        f"image {i}" if p is None else PurePath(p).name for i, p in enumerate(paths)
    ]
    if len(set(names)) < len(names):  # as in cats/1.jpg and dogs/1.jpg
        for i, path in enumerate(paths):
            if path is not None:
                names[i] = "/".join(PurePath(path).parts[-2:])
    return names


def class_line(label, proba=None, prefix=""):
    """Return a line of a title as (prefix, class name, suffix with its probability)."""
    known = proba is not None and not np.isnan(proba)
    return prefix, str(label) or "''", f" ({proba:.2f})" if known else ""


def draw_image(ax, image, im_kw, *, lines=(), name=None, **style):
    """Draw an image without ticks or frame, and return it.

    It is at the top of its axes, below the title. `lines`, `name` and `style` are those
    of `set_texts`.
    """
    # Not as in rcParams, which may be set for other kinds of images.
    style_of_photos = {"origin": "upper", "aspect": "equal"}
    artist = ax.imshow(image, **style_of_photos | (im_kw or {}))
    ax.set(xticks=[], yticks=[], anchor="N")
    ax.spines[:].set_visible(False)
    set_texts(ax, lines, name, **style)
    return artist


def set_texts(ax, lines, name, **style):
    """Set the title and the text below an image, shortened to the width of the axes.

    Parameters
    ----------
    ax : matplotlib Axes
    lines : list of tuple of (str, str, str)
        Prefix, name and suffix in each line of the title; only names are shortened.
    name : str or None
        Text below the image.
    **style
        Keyword arguments for the title.
    """
    # The place of the axes before it gets the shape of the image. Neighbors in a grid
    # have gaps of a fifth of their width.
    position = ax.get_position(original=True)
    figure_width = ax.figure.bbox.width
    width = min(1.05 * position.width * figure_width, figure_width)
    width *= 72 / ax.figure.dpi
    scale = min(1, max(_MIN_SCALE, width / _NARROW))
    style = {"fontsize": TITLE_SIZE * scale, **PLAIN} | style
    title = [fitted(*line, width, TITLE_SIZE * scale) for line in lines]
    ax.set_title("\n".join(title), **style)
    if name is not None:
        size = NAME_SIZE * scale
        text = fitted("", str(name), "", width, size)
        ax.set_xlabel(text, fontsize=size, color="dimgrey", **PLAIN)


def fitted(prefix, name, suffix, width, size):
    """Return a line in at most `width` points, without the middle of a longer name.

    `size` is that of the font, in points.
    """
    name = _printable(name)

    def line(n_left_out):
        n_kept = len(name) - n_left_out
        end = len(name) - n_kept // 2
        middle = "…" if n_left_out else ""
        return f"{prefix}{name[: n_kept - n_kept // 2]}{middle}{name[end:]}{suffix}"

    # The first candidate that is not too wide; at least two characters are kept.
    candidates = range(max(1, len(name) - 1))
    n = bisect_right(candidates, -width, key=lambda n: -_width(line(n), size))
    return line(min(n, candidates[-1]))


def _printable(name):
    """Return a name on one line, with characters that cannot be printed escaped."""
    name = unicodedata.normalize("NFC", name)
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in name
    )


def _width(text, size):
    """Return the width of a text in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
