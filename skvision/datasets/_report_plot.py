"""Pictures for the report of `check_image_files`."""

from collections import Counter
from itertools import islice

import numpy as np
from sklearn.utils import check_random_state

from skvision._images.drawing import (
    NAME_SIZE,
    PLAIN,
    draw_image,
    fitted,
    image_names,
)
from skvision._images.resize import ImageSettings
from skvision._utils.optional import import_optional

# Longest side of the drawn images in pixels, and of their axes in inches.
_SIDE = 160
_INCHES = 1.6
_MAX_ROWS = 30


def plot_samples(part, n_images, random_state):
    """Draw `n_images` random images of each class of a part, and return the axes."""
    random_state = check_random_state(random_state)
    counts = part.class_counts or {None: len(part)}
    rows = []
    for label, n in islice(counts.items(), _MAX_ROWS):
        of_class = np.array([part.label(i) == label for i in range(len(part))])
        indices = np.flatnonzero(of_class & part.readable)
        indices = random_state.permutation(indices)[:n_images]
        rows.append((label, n, [(part, i) for i in indices]))
    return _draw(rows, n_more=len(counts) - len(rows))


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
        (problem, counts[problem], row[:n_images])
        for problem, row in rows.items()
        if row
    ]
    return _draw(rows, with_origin=True)


def _draw(rows, *, n_more=0, with_origin=False):
    """Draw rows of images, with a title at the left of each, and return the axes.

    A row is (class or problem, number of images, some of them). Below the last is the
    number of classes that are not drawn.
    """
    plt = import_optional(
        "matplotlib.pyplot",
        caller="ImageCheckReport.plot",
        requirement="scikit-vision[plot]",
    )
    n_cols = max((len(images) for _, _, images in rows), default=0)
    if not n_cols:
        return np.array([], dtype=object)
    n_lines = 2 if with_origin else 1
    size = n_cols * _INCHES + 0.5, len(rows) * (_INCHES + 0.2 * n_lines)
    settings = ImageSettings(None, max_side=_SIDE)
    pixels = [[p.images.read(i, settings) for p, i in images] for *_, images in rows]
    figure = plt.figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(len(rows), n_cols)
    parts = {part.name: part for _, _, images in rows for part, _ in images}
    names = {name: image_names(part.images) for name, part in parts.items()}
    axes = []
    for row, (title, n, images) in enumerate(rows):
        for column, (part, i) in enumerate(images):
            ax = figure.add_subplot(grid[row, column])
            origin = [("", _origin(part, i), "")] if with_origin else []
            name = names[part.name][i]
            draw_image(ax, pixels[row][column], None, lines=origin, name=name)
            ax.set_anchor("C")  # and with it the label of the row
            if column == 0 and title is not None:
                title = fitted("", str(title), "", 72 * _INCHES, NAME_SIZE)
                text = f"{title}\n{n} image{'s' * (n != 1)}"
                ax.set_ylabel(text, fontsize=NAME_SIZE, **PLAIN)
            axes.append(ax)
    if n_more:
        figure.supxlabel(f"and {n_more} more classes", fontsize=NAME_SIZE)
    return np.array(axes, dtype=object)


def _origin(part, i):
    """Return the part and the class of an image, as one line."""
    label = part.label(i)
    return part.name if label is None else f"{part.name}, {label}"
