"""Folders of images as scikit-learn data sets: paths and labels, nothing decoded.

As in :mod:`sklearn.datasets`, each loader returns a :class:`~sklearn.utils.Bunch`;
its ``data`` are the paths that skvision's estimators take as `X`.
"""

import contextlib
import io
import os
import re
import shutil
import tempfile
import uuid
import zipfile
import zlib
from numbers import Integral
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.utils import Bunch, check_random_state, check_scalar

__all__ = [
    "IMAGE_EXTENSIONS",
    "arrange_dogs_vs_cats",
    "get_data_home",
    "load_digit_images",
    "load_image_files",
]

#: What :func:`load_image_files` takes for an image, in lower or upper case.
IMAGE_EXTENSIONS = tuple(
    ".bmp .gif .jfif .jpe .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split()
)

_SPLIT_NAMES = {"train", "training", "test", "testing", "val", "valid", "validation"}
_DIGITS_TRAIN_SHARE = 0.75
_KAGGLE_NAME = re.compile(r"(cat|dog)\.(0|[1-9][0-9]{0,8})\.jpg")
_KAGGLE_PARTS = ("train", "validation")
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


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
        The folder that holds one folder per class.
    categories : list of str, default=None
        The classes to load; others are ignored. None loads all.
    extensions : list or tuple of str, or None, default=IMAGE_EXTENSIONS
        The file name endings of images, such as ``(".jpg", ".png")``, compared without
        regard to case. None takes every file.
    shuffle : bool, default=False
        Whether to shuffle. If not, images are in the order of their classes.
    random_state : int, RandomState instance or None, default=None
        Determines the order when `shuffle` is True. Pass an int for the same order
        at each call.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of shape (n_images,), dtype object
            The paths, each a str that starts with `folder` as it was given.
        target : ndarray of shape (n_images,), dtype int
            For each image, the position of its class in `target_names`.
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
        If there are no classes, a class has no image, a category is unknown, or all
        folders are named like parts of a data set (``train``, ``validation``, ...).

    Notes
    -----
    Images in folders within a class folder, linked ones included, belong to that
    class. Entries whose names start with a dot, and ``__MACOSX``, are skipped. The
    order is that of code points: it depends on neither the file system nor the locale.

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
    folder, suffixes = _path(folder, "folder"), _check_extensions(extensions)
    groups = {}
    for name in _class_names(folder, categories, suffixes):
        class_folder = os.path.join(folder, name)
        files = _files_below(class_folder, suffixes)
        if not files:
            raise ValueError(
                f"No image in the class folder {class_folder!r}. Expected files ending "
                f"in {suffixes or 'anything'}. Remove the folder, pass the other "
                "classes as categories=[...], or pass other extensions=(...)."
            )
        groups[name] = [os.path.join(class_folder, file) for file in files]
    bunch = _bunch(groups, f"Image files from {folder!r}")
    if shuffle:
        order = check_random_state(random_state).permutation(len(bunch.target))
        bunch.data, bunch.target = bunch.data[order], bunch.target[order]
    return (bunch.data, bunch.target) if return_X_y else bunch


def load_digit_images(folder=None, *, subset="all", n_per_class=None, return_X_y=False):
    """Load scikit-learn's handwritten digits as image files.

    The 1797 pictures of :func:`sklearn.datasets.load_digits` (8 x 8 pixels, 10
    classes, about 180 each) are written as ``folder/<digit>/<digit>_<number>.png``,
    where ``load_digits().images[number]`` is the picture. Nothing is downloaded.

    Parameters
    ----------
    folder : str or os.PathLike, default=None
        Where to write. None means ``digits`` in :func:`get_data_home`. Files that are
        there and right are left alone.
    subset : {'train', 'test', 'all'}, default='all'
        'train' is the first three quarters of each digit in the order of
        `load_digits`, 'test' the rest: the same at each call, and disjoint.
    n_per_class : int, default=None
        Take only the first `n_per_class` images of each digit in the subset.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        As from :func:`load_image_files`: `data` (paths), `target` (the digits),
        `target_names` and `DESCR`. Other files in the folder are not in it.

    (data, target) : tuple of ndarray, if `return_X_y` is True

    Raises
    ------
    ValueError
        If `subset` is unknown, or a digit has fewer than `n_per_class` images.

    Notes
    -----
    Grey levels 0 to 16 become 0 to 255. Each file is written whole or not at all, so
    several processes may call this at once.

    References
    ----------
    E. Alpaydin, C. Kaynak (1998). Optical Recognition of Handwritten Digits. UCI
    Machine Learning Repository.
    https://archive.ics.uci.edu/ml/datasets/Optical+Recognition+of+Handwritten+Digits

    Examples
    --------
    >>> import tempfile
    >>> from skvision.datasets import load_digit_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train = load_digit_images(folder, subset="train", n_per_class=20)
    ...     test = load_digit_images(folder, subset="test", n_per_class=5)
    >>> train.data.shape, test.data.shape
    ((200,), (50,))
    """
    digits = load_digits()
    numbers = _digit_numbers(digits.target, subset, n_per_class)
    if folder is None:
        folder = os.path.join(get_data_home(), "digits")
    folder = _path(folder, "folder")
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    groups = {str(digit): [] for digit in digits.target_names}
    for digit in groups:
        _make_folder(os.path.join(folder, digit))
    for number in numbers:
        digit = str(digits.target[number])
        path = os.path.join(folder, digit, f"{digit}_{number:04d}.png")
        content = _png(pixels[number])
        if not _holds(path, content):
            _write(path, content)
        groups[digit].append(path)
    bunch = _bunch(groups, f"PNG files in {folder!r}", digits.DESCR)
    return (bunch.data, bunch.target) if return_X_y else bunch


def arrange_dogs_vs_cats(source, destination, *, n_train=1000, n_validation=400):
    """Arrange Kaggle's dogs-vs-cats images for training and validation.

    Copies the first `n_train` images of each class, by number, to
    ``destination/train/{cats,dogs}``, and the next `n_validation` to
    ``destination/validation/{cats,dogs}``.

    Parameters
    ----------
    source : str or os.PathLike
        Kaggle's ``train.zip``, the ``dogs-vs-cats.zip`` around it, or a folder that
        holds ``train.zip``, ``train/cat.0.jpg`` or ``cat.0.jpg``.
    destination : str or os.PathLike
        The folder to fill; created if missing. What an earlier call has copied is
        kept, so a call that was interrupted can be repeated.
    n_train, n_validation : int, default=1000 and 400
        Number of images per class.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Two Bunches as from :func:`load_image_files`, `train` and `validation`.

    Raises
    ------
    FileNotFoundError
        If `source` is missing.
    ValueError
        If `source` is no zip file or a damaged one, or has too few images.
    FileExistsError
        If `destination` holds anything else than (some of) these images. Nothing is
        written then. Names that start with a dot are ignored.

    References
    ----------
    F. Chollet (2016). Building powerful image classification models using very little
    data. https://blog.keras.io

    Examples
    --------
    >>> import tempfile, zipfile
    >>> from pathlib import Path
    >>> from skvision.datasets import arrange_dogs_vs_cats
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source = Path(folder, "train.zip")
    ...     with zipfile.ZipFile(source, "w") as archive:
    ...         for number in range(3):
    ...             archive.writestr(f"train/cat.{number}.jpg", "in place of an image")
    ...             archive.writestr(f"train/dog.{number}.jpg", "in place of an image")
    ...     data = arrange_dogs_vs_cats(
    ...         source, Path(folder, "data"), n_train=2, n_validation=1
    ...     )
    >>> data.train.target_names, data.train.target
    (['cats', 'dogs'], array([0, 0, 1, 1]))
    >>> print(data.validation.data[0])
    /...data/validation/cats/cat.2.jpg
    """
    check_scalar(n_train, "n_train", Integral, min_val=1)
    check_scalar(n_validation, "n_validation", Integral, min_val=1)
    source, destination = _path(source, "source"), _path(destination, "destination")
    with _kaggle_images(source) as (places, read):
        layout = _layout(places, n_train, n_validation, source)
        present = _check_destination(destination, layout, read)
        for parts in [parts for parts in layout if parts not in present]:
            path = os.path.join(destination, *parts)
            _make_folder(os.path.dirname(path))
            _write(path, read(layout[parts]))
    return Bunch(
        **{
            part: load_image_files(
                os.path.join(destination, part), categories=["cats", "dogs"]
            )
            for part in _KAGGLE_PARTS
        }
    )


def get_data_home(data_home=None):
    """Return the folder where skvision keeps data sets, and create it if missing.

    Parameters
    ----------
    data_home : str or os.PathLike, default=None
        The folder; ``~`` is expanded. None means the environment variable
        ``SKVISION_DATA``, or ``~/skvision_data`` where that is not set.

    Returns
    -------
    data_home : str
        The path of the folder.

    Examples
    --------
    >>> import os, tempfile
    >>> from skvision.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     os.path.isdir(get_data_home(os.path.join(folder, "data")))
    True
    """
    if data_home is None:
        data_home = os.environ.get("SKVISION_DATA") or "~/skvision_data"
    data_home = os.path.expanduser(_path(data_home, "data_home"))
    _make_folder(data_home)
    return data_home


def _path(value, name):
    """Return a path parameter as str; bytes that are not UTF-8 survive in it."""
    try:
        return os.fsdecode(value)
    except TypeError as error:
        raise TypeError(
            f"{name} must be a path, a str or os.PathLike; got {value!r}."
        ) from error


def _check_extensions(extensions):
    """Return the extensions as a tuple in lower case, or None."""
    if extensions is None:
        return None
    suffixes = tuple(extensions) if isinstance(extensions, list | tuple | set) else ()
    if not suffixes or not all(str(suffix).startswith(".") for suffix in suffixes):
        raise ValueError(
            "extensions must be None or a non-empty list or tuple of endings with "
            f"their dot, such as ('.jpg', '.png'); got {extensions!r}."
        )
    return tuple(str(suffix).lower() for suffix in suffixes)


def _visible(names):
    """Sort names, leaving out what desktops, notebooks and archivers put there."""
    return sorted(n for n in names if not n.startswith(".") and n != "__MACOSX")


def _class_names(folder, categories, suffixes):
    """Return the names of the class folders to load, sorted."""
    if not os.path.isdir(folder):
        kind = NotADirectoryError if os.path.exists(folder) else FileNotFoundError
        raise kind(
            f"{folder!r} is not an existing folder. Expected a folder that holds one "
            "folder per class, as in folder/class_name/image.jpg."
        )
    entries = _visible(os.listdir(folder))
    names = [name for name in entries if os.path.isdir(os.path.join(folder, name))]
    if not names:
        n_images = sum(_is_image(name, suffixes) for name in entries)
        raise ValueError(
            f"No class folders in {folder!r}, and {n_images} images directly in it. "
            "Expected folder/class_name/image.jpg: move the images into one folder "
            "per class."
        )
    if categories is not None:
        return _choose(names, categories, folder)
    if {name.lower() for name in names} <= _SPLIT_NAMES:
        raise ValueError(
            f"The folders {names} in {folder!r} look like parts of a data set, not "
            f"like classes. Load {os.path.join(folder, names[0])!r} instead, or pass "
            f"categories={names} if they are classes."
        )
    return names


def _choose(names, categories, folder):
    """Return those of the names that are among the categories."""
    if np.ndim(categories) != 1 or not len(categories):
        raise ValueError(
            f"categories must be None or a non-empty list of names from {names}; "
            f"got {categories!r}."
        )
    unknown = [category for category in categories if category not in names]
    if unknown:
        raise ValueError(
            f"categories names {unknown}, which {folder!r} does not hold. "
            f"Choose from its class folders: {names}."
        )
    return [name for name in names if name in categories]


def _is_image(name, suffixes):
    """Tell whether a name ends like an image."""
    return suffixes is None or name.lower().endswith(suffixes)


def _files_below(folder, suffixes):
    """Return the paths of images relative to `folder`, sorted by their parts."""
    found, seen = [], set()
    for parent, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link to a folder above or beside would repeat it
            folders.clear()
            continue
        seen.add(real)
        folders[:] = _visible(folders)
        names = [name for name in _visible(names) if _is_image(name, suffixes)]
        found += [os.path.relpath(os.path.join(parent, name), folder) for name in names]
    return sorted(found, key=lambda path: path.split(os.sep))


def _raise(error):
    """Make os.walk stop at a folder it cannot read, instead of leaving it out."""
    raise error


def _bunch(groups, title, description=""):
    """Return a Bunch for lists of paths by class name."""
    counts = [len(paths) for paths in groups.values()]
    lines = [f"{title}: {sum(counts)} images in {len(groups)} classes.", ""]
    lines += [f"- {name!r}: {len(paths)}" for name, paths in groups.items()]
    return Bunch(
        # Plain str objects: in a fixed-width array a longer path would be cut silently.
        data=np.array([path for paths in groups.values() for path in paths], object),
        target=np.repeat(np.arange(len(groups)), counts),
        target_names=list(groups),
        DESCR="\n".join([*lines, "", description]).strip(),
    )


def _digit_numbers(target, subset, n_per_class):
    """Return the positions in `target` that a subset takes, digit after digit."""
    if subset not in ("train", "test", "all"):
        raise ValueError(f"subset must be 'train', 'test' or 'all'; got {subset!r}.")
    if n_per_class is not None:
        check_scalar(n_per_class, "n_per_class", Integral, min_val=1)
    groups = []
    for digit in range(10):
        numbers = np.flatnonzero(target == digit)
        # The order appears to follow the writers: a later part has other hands.
        train, test = np.split(numbers, [int(_DIGITS_TRAIN_SHARE * len(numbers))])
        numbers = {"train": train, "test": test, "all": numbers}[subset]
        if n_per_class is not None and n_per_class > len(numbers):
            raise ValueError(
                f"n_per_class={n_per_class}, but the digit {digit} has {len(numbers)} "
                f"images in subset={subset!r}. Pass that or less, or None for all."
            )
        groups.append(numbers[:n_per_class])
    return np.concatenate(groups)


def _png(pixels):
    """Encode without compression: its result would vary with the version of zlib."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=0)
    return stream.getvalue()


def _make_folder(path):
    """Create a folder and those above it, where they are missing."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Cannot create the folder {path!r} ({error.strerror}). Pass the path of a "
            "folder that can be written to (SKVISION_DATA sets the default one)",
        ) from error


def _holds(path, content):
    """Tell whether a file is there and has this content."""
    return os.path.isfile(path) and Path(path).read_bytes() == content


def _write(path, content):
    """Write a file whole or not at all, whoever writes the same file meanwhile."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
    try:
        Path(temporary).write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def _kaggle_images(source):
    """Yield {(kind, number): place} and a function that reads the bytes of a place."""
    place = _locate(source)
    if os.path.isdir(place):
        paths = [os.path.join(place, name) for name in os.listdir(place)]
        yield _index(paths, paths, source), lambda path: Path(path).read_bytes()
        return
    with _open_train_zip(place) as archive:

        def read(info):
            with _zip_errors(place):
                return archive.read(info)

        members = archive.infolist()
        yield _index([info.filename for info in members], members, source), read


def _locate(source):
    """Return the zip file or the folder of images that `source` stands for."""
    if not os.path.exists(source):
        raise FileNotFoundError(
            f"source {source!r} does not exist. Download train.zip of "
            "https://www.kaggle.com/c/dogs-vs-cats/data and pass its path."
        )
    if not os.path.isdir(source):
        return source
    for folder in (source, os.path.join(source, "train")):
        names = os.listdir(folder) if os.path.isdir(folder) else []
        if any(map(_KAGGLE_NAME.fullmatch, names)):
            return folder
    archive = os.path.join(source, "train.zip")
    return archive if os.path.isfile(archive) else source


@contextlib.contextmanager
def _zip_errors(path):
    """Say of what goes wrong inside which file it is, and what to do."""
    try:
        yield
    except _ZIP_ERRORS as error:
        raise ValueError(
            f"{path!r} cannot be read as a zip file ({error}). Expected Kaggle's "
            "train.zip or dogs-vs-cats.zip: download it again."
        ) from error


@contextlib.contextmanager
def _open_train_zip(path):
    """Open a zip file, or the train.zip in it."""
    with contextlib.ExitStack() as stack:
        with _zip_errors(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            inner = [n for n in archive.namelist() if n.split("/")[-1] == "train.zip"]
            if inner:
                # Reading in place would decompress from the start for each image.
                copy = stack.enter_context(tempfile.TemporaryFile())
                with archive.open(inner[0]) as stream:
                    shutil.copyfileobj(stream, copy)
                archive = stack.enter_context(zipfile.ZipFile(copy))
        yield archive


def _index(names, places, source):
    """Map (kind, number) to a place, by the last part of names such as a/cat.0.jpg."""
    found = {}
    for name, place in zip(names, places, strict=True):
        match = _KAGGLE_NAME.fullmatch(re.split(r"[/\\]", name)[-1])
        if match is None:
            continue
        key = match[1], int(match[2])
        if key in found:
            raise ValueError(
                f"{source!r} holds {match[0]} more than once, as in {name!r}. Expected "
                "each image once, as in Kaggle's train.zip: remove the copies."
            )
        found[key] = place
    return found


def _layout(places, n_train, n_validation, source):
    """Map the parts of each path below the destination to a place in the source."""
    numbers = {k: sorted(n for kind, n in places if kind == k) for k in ("cat", "dog")}
    n_images = n_train + n_validation
    if min(map(len, numbers.values())) < n_images:
        raise ValueError(
            f"{source!r} holds {len(numbers['cat'])} images named like cat.0.jpg and "
            f"{len(numbers['dog'])} like dog.0.jpg; {n_images} of each are needed for "
            f"n_train={n_train} and n_validation={n_validation}. Pass Kaggle's "
            "train.zip (12500 of each), or ask for fewer."
        )
    return {
        (
            "train" if rank < n_train else "validation",
            f"{kind}s",
            f"{kind}.{number}.jpg",
        ): places[kind, number]
        for kind in numbers
        for rank, number in enumerate(numbers[kind][:n_images])
    }


def _check_destination(destination, layout, read):
    """Return which files of the layout are there; raise if any other file is."""
    _make_folder(destination)
    entries = _visible(os.listdir(destination))
    folders = [
        name
        for name in entries
        if name in _KAGGLE_PARTS and os.path.isdir(os.path.join(destination, name))
    ]
    foreign = [os.path.join(destination, n) for n in entries if n not in folders]
    present = {
        (folder, *name.split(os.sep))
        for folder in folders
        for name in _files_below(os.path.join(destination, folder), None)
    }
    for parts in sorted(present):
        path = os.path.join(destination, *parts)
        if parts not in layout or not _holds(path, read(layout[parts])):
            foreign.append(path)
    if foreign:
        raise FileExistsError(
            f"destination {destination!r} holds {len(foreign)} entries besides the "
            f"images asked for, such as {foreign[:3]}. Nothing was written: remove "
            "them, or choose an empty destination."
        )
    return present
