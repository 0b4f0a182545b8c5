"""Checking images and labels before training."""

from collections import Counter
from contextlib import closing
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar

from skvision._images.inputs import check_images
from skvision._utils.parallel import Threads, map_ahead, n_threads
from skvision._utils.progress import Progress
from skvision.datasets._class_names import same_spelling
from skvision.datasets._duplicates import exact_groups, near_groups
from skvision.datasets._inspection import look_at
from skvision.datasets._report import Finding, ImageCheckReport, Part, counted

# A class with fewer images cannot be in each fold of scikit-learn's default of 5.
_MIN_IMAGES = 5
_MAX_IMBALANCE = 10


def check_image_files(
    X, y=None, *, X_val=None, y_val=None, max_hash_distance=8, verbose=0
):
    """Look at all images and labels before work, and report what may go wrong.

    An estimator stops at the first image that it cannot read, and says nothing about
    duplicates or labels. This function reads all images once, at a small size, in
    several threads.

    Parameters
    ----------
    X : array-like of shape (n_images,) or (n_images, 1), or ndarray of shape \
            (n_images, height, width, 3) or (n_images, height, width)
        Paths of the images, or the images themselves as uint8.
    y : array-like of shape (n_images,), default=None
        The classes. None if they are unknown: then they are not checked.
    X_val : array-like of shape (n_val_images,) or as `X`, default=None
        Images for validation or testing, compared with those in `X`.
    y_val : array-like of shape (n_val_images,), default=None
        The classes of `X_val`.
    max_hash_distance : int or None, default=8
        The largest number of different bits, out of 64, in the perceptual hashes of
        near-duplicates. None does not look for them.
    verbose : int, default=0
        If 1, show a progress bar.

    Returns
    -------
    report : ImageCheckReport
        Print it for a summary. `report.to_frame()` lists each finding,
        `report.plot()` shows images of each class, and `report.readable` selects the
        images that can be read.

    Raises
    ------
    ValueError
        If `X` or `X_val` has none of the accepted forms, `y` or `y_val` has another
        length, or `y_val` is given without `X_val`.

    See Also
    --------
    load_image_files : Paths and classes, from one folder per class.

    Notes
    -----
    Each finding has one of these problems:

    ============================== ===================================================
    unreadable                     The image cannot be read.
    truncated                      The end of the file is missing.
    duplicate in X_val             An image of `X_val` has the same content.
    near-duplicate in X_val        An image of `X_val` looks nearly the same.
    duplicate in other class       An image of another class has the same content.
    near-duplicate in other class  An image of another class looks nearly the same.
    duplicate                      An image of the same class has the same content.
    near-duplicate                 An image of the same class looks nearly the same.
    bit depth                      An image of more than 8 bits uses less than a
                                   sixteenth of its range: little contrast is left.
    blank                          All pixels have the same colour, at 32 x 32 pixels:
                                   perhaps the photo failed, or all is transparent.
    small, large                   A side has fewer than 32 pixels, or the image more
                                   than 64 megapixels.
    aspect ratio                   One side is more than 4 times as long as the other.
    several frames                 The file has more frames or pages than the first,
                                   which is the only one that is read.
    missing label                  The label is None or NaN.
    class spelling                 The names of two classes, in `y` and `y_val`
                                   together, differ only in case, Unicode
                                   normalization, or spaces, hyphens and underscores.
    one class                      It is the only one in `y`.
    class only in y                The class does not occur in `y_val`.
    class only in y_val            The class does not occur in `y`.
    few images                     The class has fewer than 5 images in `y`.
    imbalance                      The largest class in `y` has more than 10 times as
                                   many images.
    ============================== ===================================================

    Content is compared byte by byte. Near-duplicates have similar perceptual hashes
    (pHash: the 64 lowest frequencies of a 32 x 32 pixel copy), and their copies
    correlate by at least 0.97. Copies that were resized, stretched, made grey or
    compressed again are found; mirrored and rotated ones are not, and cropped ones only
    if little is missing. Colours are not compared: different objects of one shape on a
    plain background may be reported. `report.plot(problems=True)` shows them.

    Examples
    --------
    >>> from pathlib import Path
    >>> from skvision.datasets import check_image_files, load_digit_images
    >>> train = load_digit_images("digits", subset="train", n_per_class=5)
    >>> _ = Path(train.data[4]).write_text("not an image")
    >>> _ = Path(train.data[7]).write_bytes(Path(train.data[2]).read_bytes())
    >>> report = check_image_files(train.data, train.target, max_hash_distance=None)
    >>> report.errors[0].index
    4
    >>> report.duplicates
    [array([2, 7])]
    >>> train.data[report.readable].shape
    (49,)
    """
    parts = _parts(X, y, X_val, y_val)
    if max_hash_distance is not None:
        name = "max_hash_distance"
        check_scalar(max_hash_distance, name, Integral, min_val=0, max_val=64)
    n_images = sum(map(len, parts))
    with (
        Threads(n_threads()) as pool,
        Progress("checking", n_images, "image", verbose) as progress,
    ):
        for part in parts:
            look, indices = partial(look_at, part.images), range(len(part.images))
            with closing(map_ahead(pool, look, indices, 2 * n_threads())) as looks:
                for one in looks:
                    part.looks.append(one)
                    progress.add(1)
    findings = [
        *_findings_of_images(parts),
        *_findings_of_groups(parts, max_hash_distance),
        *_findings_of_classes(parts),
    ]
    return ImageCheckReport(parts, findings)


def _parts(X, y, X_val, y_val):
    """Check the arguments and return them as one or two `Part`s."""
    parts = [Part("X", check_images(X), _labels(y, "y"))]
    if X_val is not None:
        images = check_images(X_val, "X_val")
        parts.append(Part("X_val", images, _labels(y_val, "y_val")))
    elif y_val is not None:
        raise ValueError("y_val was given without X_val. Pass both, or none of them.")
    for part, name in zip(parts, ("y", "y_val"), strict=False):
        if part.labels is not None and len(part.labels) != len(part):
            raise ValueError(
                f"{name} has {counted(len(part.labels), 'label')}, but {part.name} has "
                f"{counted(len(part), 'image')}. Pass one label per image."
            )
    return parts


def _labels(y, name):
    """Return the labels as a list, with None for missing ones."""
    if y is None:
        return None
    labels = np.asarray(y, dtype=object)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(
            f"{name} must have shape (n_images,), one class per image; got shape "
            f"{labels.shape}."
        )
    return [_plain_label(label, name, i) for i, label in enumerate(labels.tolist())]


def _plain_label(label, name, i):
    """Return a label as a Python object, and None if it is missing."""
    try:
        hash(label)
    except TypeError:
        raise ValueError(
            f"{name} must have one class per image, as str, int or bool; {name}[{i}] "
            f"is of type {type(label).__name__}."
        ) from None
    # Comparing pandas.NA gives NA, and NaN differs from itself.
    if label is None or type(label).__name__ == "NAType" or label != label:
        return None
    return label.item() if isinstance(label, np.generic) else label


def _findings_of_images(parts):
    for part in parts:
        for i, look in enumerate(part.looks):
            for problem, detail in look.problems.items():
                yield Finding.of_image(problem, part, i, detail)
            if part.labels is not None and part.labels[i] is None:
                yield Finding.of_image("missing label", part, i)


def _findings_of_groups(parts, max_hash_distance):
    """Yield duplicates and near-duplicates, within and between the parts."""
    where = [(part, i) for part in parts for i in range(len(part.images))]
    looks = [look for part in parts for look in part.looks]
    digests = [look.digest for look in looks]
    groups = [("duplicate", group) for group in exact_groups(digests)]
    if max_hash_distance is not None:
        thumbnails = [look.thumbnail for look in looks]
        near = near_groups(digests, thumbnails, max_hash_distance)
        groups += [("near-duplicate", group) for group in near]
    for number, (problem, group) in enumerate(groups):
        members = [where[i] for i in group]
        for kind in _kinds_of_group(members):
            for part, i in members:
                yield Finding.of_image(problem + kind, part, i, group=number)


def _kinds_of_group(members):
    """Return what is wrong with a group of images that are alike."""
    labels = {part.label(i) for part, i in members} - {None}
    kinds = []
    if len({part.name for part, _ in members}) > 1:
        kinds.append(" in X_val")
    if len(labels) > 1:
        kinds.append(" in other class")
    return kinds or [""]


def _findings_of_classes(parts):
    counts = [part.class_counts for part in parts]
    names = {name for count in counts for name in count if isinstance(name, str)}
    for group in same_spelling(names):
        others = " and ".join(map(ascii, group))
        for name in group:
            yield Finding("class spelling", label=name, detail=others)
    if len(counts) == 2 and all(counts):
        for count, other, name in [(*counts, "y"), (*counts[::-1], "y_val")]:
            for label in (label for label in count if label not in other):
                yield Finding(f"class only in {name}", label=label)
    yield from _findings_of_counts(counts[0])


def _findings_of_counts(counts):
    largest = Counter(counts).most_common(1)
    if len(counts) == 1:
        yield Finding("one class", label=largest[0][0])
    for label, n in counts.items():
        if n < _MIN_IMAGES:
            yield Finding("few images", label=label, detail=counted(n, "image"))
        elif n * _MAX_IMBALANCE < largest[0][1]:
            detail = f"{counted(n, 'image')}, {largest[0][0]!r}: {largest[0][1]}"
            yield Finding("imbalance", label=label, detail=detail)
