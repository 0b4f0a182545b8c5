"""Image folders, one per class: finding the files and the names of the classes."""

import os
from collections import Counter

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skvision._utils.files import expand_path
from skvision._utils.optional import import_optional
from skvision.datasets._class_folders import check_folder, class_folders
from skvision.datasets._class_names import normalized
from skvision.datasets._walk import check_extensions, find_images, folders_above

#: File name extensions of images for :func:`load_image_files`, in any case.
IMAGE_EXTENSIONS = tuple(
    ".avif .bmp .gif .heic .heif .jfif .jp2 .jpe .jpeg .jpg .pgm .png .ppm .tif .tiff "
    ".webp".split()
)

# How many reasons DESCR lists; folders may contain any number of extensions.
_MAX_REASONS = 20


def load_image_files(
    folder,
    *,
    categories=None,
    extensions=IMAGE_EXTENSIONS,
    shuffle=True,
    random_state=0,
    return_X_y=False,
    as_frame=False,
):
    """Load the paths of image files, with the names of their folders as classes.

    The files are expected as ``folder/class_name/image.jpg``. No image is opened. For
    images without classes see :func:`list_images`.

    Parameters
    ----------
    folder : str or os.PathLike
        The folder that contains one folder per class. ``~`` is expanded.
    categories : list of str, default=None
        The classes to load; others are ignored. None loads all.
    extensions : list or tuple of str, or None, default=IMAGE_EXTENSIONS
        The file name extensions of images, such as ``(".jpg", ".png")``, compared
        case-insensitively. None accepts every file.
    shuffle : bool, default=True
        Whether to shuffle the images. If False, they are sorted by class, and methods
        that take the first images, such as :func:`sklearn.model_selection.\
learning_curve`, may get a single class.
    random_state : int, RandomState instance or None, default=0
        Determines the order when `shuffle` is True. Pass an int for reproducible
        output across multiple function calls.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, `data` and `target` are pandas Series, and the Bunch has a data frame
        `frame`. Needs pandas.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of shape (n_images,), dtype object
            The paths as str, each starting with `folder`.
        target : ndarray of shape (n_images,), dtype object
            The name of the class of each image, as str in Unicode's form NFC. Names
            mean the same in every folder; numbers would depend on its other classes.
        target_names : list of str
            The names of the classes, sorted.
        frame : DataFrame of shape (n_images, 2)
            The columns `path` and `label`. Only with `as_frame=True`.
        DESCR : str
            The number of images in each class, and how many files and folders were
            passed over, by reason.

    (data, target) : tuple of ndarray or of Series, if `return_X_y` is True

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If `folder` is missing, or is not a folder.
    PermissionError
        If a folder cannot be opened. Those of the system are left out with a
        :class:`~skvision.exceptions.SkvisionWarning`.
    ValueError
        If there are no classes, a class has no images, a category is unknown, folders
        are named like parts of a dataset (``train``, ``test_set``, ...), or the names
        of two classes differ in spelling only (``Cat`` and ``cat``).
    ImportError
        If `as_frame` is True and pandas is not installed.

    See Also
    --------
    check_image_files : Find unreadable images, duplicates and suspicious labels.
    list_images : Paths of images without classes.

    Notes
    -----
    Images in subfolders of a class folder, including symbolic links, belong to that
    class. Names that start with a dot and `SYSTEM_NAMES` (thumbnails, recycle bins) are
    left out. Before shuffling, paths are sorted by code points, whatever the file
    system and the locale.

    The names are Python objects, not an array of fixed width: there, assigning a longer
    name would silently truncate it, and scikit-learn's `SelfTrainingClassifier` rejects
    such labels.

    Examples
    --------
    >>> import tempfile
    >>> from skvision.datasets import load_digit_images, load_image_files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths, _ = load_digit_images(folder, n_per_class=2, return_X_y=True)
    ...     digits = load_image_files(folder, categories=["3", "8"])
    >>> digits.target_names
    ['3', '8']
    >>> digits.target
    array(['8', '8', '3', '3'], dtype=object)
    >>> print(digits.data[0])
    /...8_0008.png
    """
    folder, suffixes = expand_path(folder, "folder"), check_extensions(extensions)
    passed_over, ancestors = Counter(), {os.path.realpath(folder)}
    ancestors.update(folders_above(folder))
    names = class_folders(folder, categories, suffixes, passed_over, ancestors)
    groups, seen = {}, set()
    for name in sorted(names, key=normalized):
        class_folder = os.path.join(folder, name)
        in_class = Counter()
        files = find_images(class_folder, suffixes, in_class, ancestors, seen)
        if not files:
            raise ValueError(
                f"No images in the class folder {class_folder!r}. "
                f"{_expected(suffixes, in_class)}. Remove the folder, pass the other "
                "classes as categories=[...], or pass other extensions=(...)."
            )
        passed_over += in_class
        groups[normalized(name)] = [os.path.join(class_folder, file) for file in files]
    bunch = make_bunch(groups, f"Image files from {folder!r}", passed_over=passed_over)
    if shuffle:
        order = check_random_state(random_state).permutation(len(bunch.target))
        bunch.data, bunch.target = bunch.data[order], bunch.target[order]
    if as_frame:
        bunch = _with_frame(bunch)
    return (bunch.data, bunch.target) if return_X_y else bunch


def list_images(folder, *, extensions=IMAGE_EXTENSIONS):
    """List the paths of all image files in a folder, for images without classes.

    Subfolders are searched too. No image is opened.

    Parameters
    ----------
    folder : str or os.PathLike
        The folder. ``~`` is expanded.
    extensions : list or tuple of str, or None, default=IMAGE_EXTENSIONS
        The file name extensions of images, such as ``(".jpg", ".png")``, compared
        case-insensitively. None accepts every file.

    Returns
    -------
    paths : ndarray of shape (n_images,), dtype object
        The paths as str, each starting with `folder`, sorted by code points.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If `folder` is missing, or is not a folder.
    PermissionError
        If a folder cannot be opened. Those of the system are left out with a
        :class:`~skvision.exceptions.SkvisionWarning`.
    ValueError
        If there are no images; the message counts the files passed over.

    See Also
    --------
    load_image_files : Paths and classes, from one folder per class.

    Notes
    -----
    As in :func:`load_image_files`, symbolic links are followed, and names that start
    with a dot and `SYSTEM_NAMES` (thumbnails, recycle bins) are left out.

    Examples
    --------
    >>> from skvision.datasets import list_images, load_digit_images
    >>> _ = load_digit_images("photos", n_per_class=1)
    >>> list_images("photos")[:2]
    array(['photos/0/0_0000.png', 'photos/1/1_0001.png'], dtype=object)
    """
    folder, suffixes = expand_path(folder, "folder"), check_extensions(extensions)
    check_folder(folder, "Expected a folder of images.")
    passed_over = Counter()
    paths = find_images(folder, suffixes, passed_over)
    if not paths:
        raise ValueError(
            f"No images in {folder!r}. {_expected(suffixes, passed_over)}. Pass other "
            "extensions=(...), or None for all files."
        )
    return np.array([os.path.join(folder, path) for path in paths], dtype=object)


def make_bunch(groups, title, description="", passed_over=None):
    """Return the Bunch of a dataset, given the paths of each class."""
    counts = [len(paths) for paths in groups.values()]
    lines = [f"{title}: {sum(counts)} images in {len(groups)} classes.", ""]
    lines += [f"- {name!r}: {len(paths)}" for name, paths in groups.items()]
    if passed_over:
        lines += ["", "Passed over:", ""]
        lines += [f"- {line}" for line in _reasons(passed_over)]
    return Bunch(
        # Plain str objects: a fixed-width array would silently truncate longer paths.
        data=np.array([path for paths in groups.values() for path in paths], object),
        target=np.repeat(np.array(list(groups), object), counts),
        target_names=list(groups),
        DESCR="\n".join([*lines, "", description]).strip(),
    )


def _expected(suffixes, passed_over):
    """Return a sentence about a folder without images."""
    reasons = "; ".join(_reasons(passed_over)) or "nothing"
    extensions = " ".join(suffixes) if suffixes else "(any)"
    return f"Expected files with the extensions {extensions}; passed over: {reasons}"


def _reasons(passed_over):
    """Return one line per reason, the most frequent first."""
    lines = [f"{reason}: {n}" for reason, n in passed_over.most_common(_MAX_REASONS)]
    rest = passed_over.total() - sum(
        n for _, n in passed_over.most_common(_MAX_REASONS)
    )
    return [*lines, f"other reasons: {rest}"] if rest else lines


def _with_frame(bunch):
    """Return the Bunch with pandas objects."""
    caller = "load_image_files(as_frame=True)"
    pandas = import_optional("pandas", caller=caller, requirement="pandas")
    columns = {"path": bunch.data, "label": bunch.target}
    # As objects: pandas' own dtype for strings cannot hold names that are not UTF-8.
    frame = pandas.DataFrame(columns, dtype=object)
    return Bunch(
        **bunch | {"data": frame["path"], "target": frame["label"], "frame": frame}
    )
