"""The report of `check_image_files`: a summary, a table, and pictures."""

from collections import Counter
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_scalar

from skvision._images.hints import shortened
from skvision._utils.optional import import_optional
from skvision.datasets._duplicates import exact_groups
from skvision.datasets._report_plot import plot_problems, plot_samples

# In the order of the summary: what is wrong with each image or class.
PROBLEMS = {
    "unreadable": "cannot be read",
    "truncated": "the end of the file is missing",
    "duplicate in X_val": "same content in X and X_val, so its score is too high",
    "near-duplicate in X_val": "nearly the same in X and X_val",
    "duplicate in other class": "same content in several classes, one label is wrong",
    "near-duplicate in other class": "nearly the same in several classes",
    "duplicate": "same content within a class",
    "near-duplicate": "nearly the same within a class",
    "bit depth": "little of the range is used: set value_range to (black, white)",
    "blank": "a single colour, when reduced to 32 x 32 pixels",
    "small": "very few pixels",
    "large": "very many pixels, slow to decode",
    "aspect ratio": "very long or tall, distorted if stretched to a square",
    "several frames": "only the first frame or page of the file is read",
    "missing label": "the label is None or NaN",
    "class spelling": "differs from another class only in its spelling",
    "one class": "a classifier needs at least two",
    "class only in y": "does not occur in y_val",
    "class only in y_val": "does not occur in y",
    "few images": "too few to be in each of five folds",
    "imbalance": "rare beside the largest class",
}
# Lines below each problem, names in a line, and rows of the table of classes.
_MAX_LINES = 5
_MAX_CLASSES = 20


@dataclass
class Part:
    """`X` and `y`, or `X_val` and `y_val`, and what was seen of each image."""

    name: str
    images: Any
    labels: list | None
    looks: list = field(default_factory=list)

    def __len__(self):
        return len(self.images)

    @property
    def class_counts(self):
        """Number of images of each class, in the order of the classes."""
        counts = Counter(self.labels or [])
        counts.pop(None, None)
        try:
            return dict(sorted(counts.items()))
        except TypeError:  # numbers and strings
            return dict(sorted(counts.items(), key=lambda item: str(item[0])))

    @property
    def readable(self):
        """Whether each image can be read."""
        return np.array([look.error is None for look in self.looks])

    def path(self, i):
        """Return the path of image `i`, or None if it is not in a file."""
        return self.images.path(i)

    def label(self, i):
        """Return the class of image `i`, or None."""
        return None if self.labels is None else self.labels[i]

    def file_name(self, i):
        """Return how the report refers to image `i`."""
        path = self.path(i)
        return f"{self.name}[{i}]" if path is None else shortened(path)


class Finding(NamedTuple):
    """One row of `ImageCheckReport.to_frame`; without index it concerns a class."""

    problem: str
    part: str | None = None
    index: int | None = None
    path: str | None = None
    label: Any = None
    group: int | None = None
    detail: str = ""

    @classmethod
    def of_image(cls, problem, part, i, detail="", group=None):
        """Return a finding about image `i` of a part."""
        path, label = part.path(i), part.label(i)
        return cls(problem, part.name, i, path, label, group, detail)


class ImageCheckReport:
    """The result of :func:`check_image_files`.

    Printing it gives a summary that names some files for each problem.

    Parameters
    ----------
    parts : list
        The checked images and labels, of `X` and perhaps of `X_val`.
    findings : list of tuple
        What was found: the rows of `to_frame`.

    Attributes
    ----------
    readable : ndarray of shape (n_images,), dtype bool
        False for each image of `X` that cannot be read.
    errors : list of ImageReadError
        One for each unreadable image of `X`, in order, with `index`, `path` and a
        message.
    duplicates : list of ndarray of int
        The indices in `X` of each group of images with the same content.
    readable_val : ndarray of shape (n_val_images,), dtype bool, or None
        The same as `readable`, for `X_val`. None without `X_val`.
    class_counts : dict
        The number of images of each class in `y`.
    class_counts_val : dict
        The number of images of each class in `y_val`.
    findings : list of tuple
        One named tuple for each finding.

    Examples
    --------
    >>> from pathlib import Path
    >>> from skvision.datasets import check_image_files, load_digit_images
    >>> digits = load_digit_images("digits", subset="train", n_per_class=5)
    >>> _ = Path(digits.data[4]).write_text("not an image")
    >>> report = check_image_files(digits.data[:10], digits.target[:10])
    >>> print(report)
    X: 10 images in 2 classes
    <BLANKLINE>
    class      y
    0          5
    1          5
    <BLANKLINE>
    unreadable (1): cannot be read
        'digits/0/0_0036.png': it is not ... JPEG: it starts with b'not an image'
    small (9): very few pixels
        'digits/0/0_0000.png': 8 x 8 pixels
        ...
        and 4 more
    >>> [finding.index for finding in report.findings if finding.problem != "small"]
    [4]
    """

    def __init__(self, parts, findings):
        self._parts = parts
        self.findings = sorted(findings, key=lambda f: list(PROBLEMS).index(f.problem))
        part, validation = parts[0], parts[1] if len(parts) > 1 else None
        self.readable = part.readable
        self.errors = [look.error for look in part.looks if look.error is not None]
        self.duplicates = exact_groups([look.digest for look in part.looks])
        self.class_counts = part.class_counts
        self.readable_val = None if validation is None else validation.readable
        self.class_counts_val = {} if validation is None else validation.class_counts

    def __repr__(self):
        return "\n".join(
            [*self._head(), *self._class_table(), "", *self._problem_lines()]
        )

    def to_frame(self):
        """Return the findings as a data frame, for filtering.

        Returns
        -------
        frame : DataFrame
            One row per finding, with the columns `problem`, `part` ("X" or "X_val"),
            `index` in that part, `path`, `label`, `group` (equal for images that are
            alike) and `detail`. For problems of a whole class, `part`, `index` and
            `path` are missing.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        caller = "ImageCheckReport.to_frame"
        pandas = import_optional("pandas", caller=caller, requirement="pandas")
        frame = pandas.DataFrame(self.findings, columns=Finding._fields, dtype=object)
        return frame.astype({"index": "Int64", "group": "Int64"})

    def plot(self, *, problems=False, n_images=5, random_state=0):
        """Draw images of each class, or the images with problems.

        Parameters
        ----------
        problems : bool, default=False
            If True, draw the images with problems that can be read, with file names;
            images that are alike are neighbours. Otherwise draw random images of `X`,
            one row per class, at most 30 classes.
        n_images : int, default=5
            Number of images per class or per problem.
        random_state : int, RandomState instance or None, default=0
            Determines which images of each class are drawn.

        Returns
        -------
        axes : ndarray of Axes
            One matplotlib axes per image, in a new figure. Empty if there are no
            images to draw.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        check_scalar(n_images, "n_images", Integral, min_val=1)
        if problems:
            return plot_problems(self._parts, self.findings, n_images)
        return plot_samples(self._parts[0], n_images, random_state)

    def _head(self):
        for part in self._parts:
            n_classes, images = len(part.class_counts), counted(len(part), "image")
            classes = f" in {counted(n_classes, 'class')}" if n_classes else ""
            yield f"{part.name}: {images}{classes}"

    def _class_table(self):
        counts = [part.class_counts for part in self._parts]
        names = list(dict.fromkeys(name for count in counts for name in count))
        if not names:
            return
        rows = [("class", "y", "y_val")[: 1 + len(counts)]]
        rows += [(n, *(c.get(n, 0) for c in counts)) for n in names[:_MAX_CLASSES]]
        rows = [[_printable(value) for value in row] for row in rows]
        width = max(len(row[0]) for row in rows)
        yield ""
        for name, *numbers in rows:
            yield "".join([name.ljust(width), *(f"{n:>7}" for n in numbers)])
        if len(names) > _MAX_CLASSES:
            yield f"and {len(names) - _MAX_CLASSES} more"

    def _problem_lines(self):
        if not self.findings:
            yield "No problems found."
        for problem, text in PROBLEMS.items():
            found = [f for f in self.findings if f.problem == problem]
            if found:
                yield f"{problem} ({len(found)}): {text}"
                lines = self._lines(found)
                yield from (f"    {line}" for line in lines[:_MAX_LINES])
                if len(lines) > _MAX_LINES:
                    yield f"    and {len(lines) - _MAX_LINES} more"

    def _lines(self, findings):
        """Return one line per image, class, or group of images that are alike."""
        lines = {}
        for number, finding in enumerate(findings):
            if finding.problem == "class spelling":
                lines[finding.detail] = [finding.detail]
            elif finding.group is not None:
                lines.setdefault(finding.group, []).append(self._name(finding))
            else:
                detail = f": {_printable(finding.detail)}" if finding.detail else ""
                lines["single", number] = [self._name(finding) + detail]
        return [_joined(names) for names in lines.values()]

    def _name(self, finding):
        if finding.index is None:
            return ascii(finding.label)
        part = next(part for part in self._parts if part.name == finding.part)
        return part.file_name(finding.index)


def _joined(names):
    """Return the names in one line, leaving out the last of many."""
    rest = len(names) - _MAX_LINES
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(names[:_MAX_LINES]) + more


def counted(n, noun):
    """Return the number with its noun, in the plural unless it is 1."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}{'es' * noun.endswith('s') or 's'}"


def _printable(value):
    """Return a value as text, with what cannot be printed escaped."""
    return str(value).encode("utf-8", "backslashreplace").decode()
