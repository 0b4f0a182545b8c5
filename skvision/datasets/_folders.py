"""Image folders, one per class: finding the files and the names of the classes."""

import os

import numpy as np
from sklearn.utils import Bunch, check_random_state

#: File name extensions of images for :func:`load_image_files`, in any case.
IMAGE_EXTENSIONS = tuple(
    ".avif .bmp .gif .heic .heif .jfif .jp2 .jpe .jpeg .jpg .pgm .png .ppm .tif .tiff "
    ".webp".split()
)

_SPLIT_NAMES = {"train", "training", "test", "testing", "val", "valid", "validation"}


def load_image_files(
    folder,
    *,
    categories=None,
    extensions=IMAGE_EXTENSIONS,
    shuffle=False,
    random_state=None,
    return_X_y=False,
):
    """Load the paths of image files, with the names of their folders as classes.

    The files are expected as ``folder/class_name/image.jpg``. No image is opened.

    Parameters
    ----------
    folder : str or os.PathLike
        The folder that contains one folder per class.
    categories : list of str, default=None
        The classes to load; others are ignored. None loads all.
    extensions : list or tuple of str, or None, default=IMAGE_EXTENSIONS
        The file name extensions of images, such as ``(".jpg", ".png")``, compared
        case-insensitively. None accepts every file.
    shuffle : bool, default=False
        Whether to shuffle the images. If False, they are sorted by class.
    random_state : int, RandomState instance or None, default=None
        Determines the order when `shuffle` is True. Pass an int for reproducible
        output across multiple function calls.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of shape (n_images,), dtype object
            The paths as str, each starting with `folder` as it was given.
        target : ndarray of shape (n_images,), dtype int
            For each image, the index of its class in `target_names`.
        target_names : list of str
            The names of the classes, sorted.
        DESCR : str
            The number of images in each class.

    (data, target) : tuple of ndarray, if `return_X_y` is True

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If `folder` is missing, or is not a folder.
    ValueError
        If there are no classes, a class has no images, a category is unknown, or all
        folders are named like parts of a dataset (``train``, ``validation``, ...).

    Notes
    -----
    Images in subfolders of a class folder, including symbolic links, belong to that
    class. Entries whose names start with a dot, and ``__MACOSX``, are skipped. Paths
    are sorted by code points, whatever the file system and the locale.

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
    array([0, 0, 1, 1])
    >>> print(digits.data[0])
    /...3_0003.png
    """
    folder, suffixes = path_to_str(folder, "folder"), _check_extensions(extensions)
    groups = {}
    for name in _class_names(folder, categories, suffixes):
        class_folder = os.path.join(folder, name)
        files = list_files(class_folder, suffixes)
        if not files:
            raise ValueError(
                f"No images in the class folder {class_folder!r}. Expected files with "
                f"the extensions {suffixes or '(any)'}. Remove the folder, pass the "
                "other classes as categories=[...], or pass other extensions=(...)."
            )
        groups[name] = [os.path.join(class_folder, file) for file in files]
    bunch = make_bunch(groups, f"Image files from {folder!r}")
    if shuffle:
        order = check_random_state(random_state).permutation(len(bunch.target))
        bunch.data, bunch.target = bunch.data[order], bunch.target[order]
    return (bunch.data, bunch.target) if return_X_y else bunch


def path_to_str(value, name):
    """Return a path parameter as str, preserving bytes that are not UTF-8."""
    try:
        return os.fsdecode(value)
    except TypeError as error:
        raise TypeError(
            f"{name} must be a path (str or os.PathLike); got {value!r}."
        ) from error


def _check_extensions(extensions):
    """Return the extensions as a tuple in lower case, or None."""
    if extensions is None:
        return None
    suffixes = tuple(extensions) if isinstance(extensions, list | tuple | set) else ()
    if not suffixes or not all(str(suffix).startswith(".") for suffix in suffixes):
        raise ValueError(
            "extensions must be None or a non-empty list or tuple of file name "
            "extensions that start with a dot, such as ('.jpg', '.png'); got "
            f"{extensions!r}."
        )
    return tuple(str(suffix).lower() for suffix in suffixes)


def _class_names(folder, categories, suffixes):
    """Return the names of the class folders to load, sorted."""
    if not os.path.isdir(folder):
        kind = NotADirectoryError if os.path.exists(folder) else FileNotFoundError
        raise kind(
            f"{folder!r} is not an existing folder. Expected a folder that contains "
            "one folder per class, as in folder/class_name/image.jpg."
        )
    entries = visible(os.listdir(folder))
    names = [name for name in entries if os.path.isdir(os.path.join(folder, name))]
    if not names:
        n_images = sum(_is_image(name, suffixes) for name in entries)
        raise ValueError(
            f"No class folders in {folder!r}, and {n_images} images directly in it. "
            "Expected folder/class_name/image.jpg: move the images into one folder "
            "per class."
        )
    if categories is not None:
        return _select_classes(names, categories, folder)
    if {name.lower() for name in names} <= _SPLIT_NAMES:
        raise ValueError(
            f"The folders {names} in {folder!r} look like parts of a dataset, not "
            f"like classes. Load {os.path.join(folder, names[0])!r} instead, or pass "
            f"categories={names} if they are classes."
        )
    return names


def _select_classes(names, categories, folder):
    """Return the names that are among the categories."""
    if np.ndim(categories) != 1 or not len(categories):
        raise ValueError(
            f"categories must be None or a non-empty list of names from {names}; "
            f"got {categories!r}."
        )
    unknown = [category for category in categories if category not in names]
    if unknown:
        raise ValueError(
            f"categories contains {unknown}, but there are no such folders in "
            f"{folder!r}. Choose from its class folders: {names}."
        )
    return [name for name in names if name in categories]


def _is_image(name, suffixes):
    """Return whether a file name has one of the extensions."""
    return suffixes is None or name.lower().endswith(suffixes)


def visible(names):
    """Sort names, leaving out hidden entries and those added by archivers."""
    return sorted(n for n in names if not n.startswith(".") and n != "__MACOSX")


def list_files(folder, suffixes):
    """Return the paths of images relative to `folder`, sorted by their components."""
    found, seen = [], set()
    for parent, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link to a folder already visited
            folders.clear()
            continue
        seen.add(real)
        folders[:] = visible(folders)
        names = [name for name in visible(names) if _is_image(name, suffixes)]
        found += [os.path.relpath(os.path.join(parent, name), folder) for name in names]
    return sorted(found, key=lambda path: path.split(os.sep))


def _raise(error):
    """Make os.walk stop at a folder it cannot read, instead of skipping it."""
    raise error


def make_bunch(groups, title, description=""):
    """Return the Bunch of a dataset, given the paths of each class."""
    counts = [len(paths) for paths in groups.values()]
    lines = [f"{title}: {sum(counts)} images in {len(groups)} classes.", ""]
    lines += [f"- {name!r}: {len(paths)}" for name, paths in groups.items()]
    return Bunch(
        # Plain str objects: a fixed-width array would silently truncate longer paths.
        data=np.array([path for paths in groups.values() for path in paths], object),
        target=np.repeat(np.arange(len(groups)), counts),
        target_names=list(groups),
        DESCR="\n".join([*lines, "", description]).strip(),
    )
