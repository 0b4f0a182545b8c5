"""Pictures for the report of `check_image_files`."""

import os
from collections import Counter

import numpy as np
from sklearn.utils import check_random_state

from skvision._images.resize import ImageSettings
from skvision._utils.optional import import_optional

# Longest side of the drawn images in pixels, and of their axes in inches.
_SIDE = 160
_INCHES = 1.6
_MAX_ROWS = 30


def plot_samples(part, n_images, random_state):
    """Draw `n_images` random images of each class of a part, and return the axes."""
    random_state = check_random_state(random_state)
    rows = []
    for label, n in (part.class_counts or {None: len(part)}).items():
        of_class = np.array([part.label(i) == label for i in range(len(part))])
        indices = np.flatnonzero(of_class & part.readable)
        indices = random_state.permutation(indices)[:n_images]
        title = "" if label is None else f"{label}\n{n} images"
        rows.append((title, [(part, i) for i in indices]))
    return _draw(rows, n_images)


def plot_problems(parts, findings, n_images):
    """Draw up to `n_images` images of each problem, and return the axes."""
    by_name = {part.name: part for part in parts}
    counts = Counter(f.problem for f in findings if f.index is not None)
    rows = {problem: [] for problem in counts}
    for finding in findings:
        part = by_name.get(finding.part)
        if part is not None and part.looks[finding.index].error is None:
            rows[finding.problem].append((part, finding.index))
    rows = [
        (f"{problem}\n{counts[problem]} images", row[:n_images])
        for problem, row in rows.items()
        if row
    ]
    return _draw(rows, n_images, with_origin=True)


def _draw(rows, n_cols, with_origin=False):
    """Draw rows of images, with a title at the left of each, and return the axes."""
    plt = import_optional(
        "matplotlib.pyplot",
        caller="ImageCheckReport.plot",
        requirement="scikit-vision[plot]",
    )
    rows = rows[:_MAX_ROWS]
    n_cols = max((len(images) for _, images in rows), default=0)
    if not n_cols:
        return np.array([], dtype=object)
    size = n_cols * _INCHES + 0.5, len(rows) * (_INCHES + 0.25)
    figure = plt.figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(len(rows), n_cols)
    axes = []
    for row, (title, images) in enumerate(rows):
        for column, (part, i) in enumerate(images):
            ax = figure.add_subplot(grid[row, column])
            _draw_image(ax, part, i, with_origin)
            if column == 0:
                ax.set_ylabel(_plain(title), fontsize="small")
            axes.append(ax)
    return np.array(axes, dtype=object)


def _draw_image(ax, part, i, with_origin):
    """Draw image `i` of a part, with its file name, and perhaps part and class."""
    ax.imshow(part.images.read(i, ImageSettings(None, max_side=_SIDE)))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    path = part.path(i)
    name = f"image {i}" if path is None else os.path.basename(path)
    name = name if len(name) <= 24 else f"{name[:11]}...{name[-10:]}"
    if with_origin:
        label = part.label(i)
        name += f"\n{part.name}" + (f", {label}" if label is not None else "")
    ax.set_title(_plain(name), fontsize="x-small")


def _plain(text):
    """Escape what matplotlib reads as a formula or cannot draw."""
    text = text.replace("$", r"\$")
    return text.encode("utf-8", "backslashreplace").decode()
