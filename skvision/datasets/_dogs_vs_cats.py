"""Kaggle's dogs-vs-cats images, arranged for training and validation."""

import contextlib
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from numbers import Integral
from pathlib import Path

from sklearn.utils import Bunch, check_scalar

from skvision._utils.files import has_content, make_folder, replacing
from skvision.datasets._folders import (
    list_files,
    load_image_files,
    path_to_str,
    visible,
)

_NAME = re.compile(r"(cat|dog)\.(0|[1-9][0-9]{0,8})\.jpg")
_PARTS = ("train", "validation")
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


def arrange_dogs_vs_cats(source, destination, n_train=1000, n_validation=400):
    """Arrange Kaggle's dogs-vs-cats images for training and validation.

    Copies the first `n_train` images of each class, by number, to
    ``destination/train/{cats,dogs}``, and the next `n_validation` to
    ``destination/validation/{cats,dogs}``.

    Parameters
    ----------
    source : str or os.PathLike
        Kaggle's ``train.zip``, the ``dogs-vs-cats.zip`` that contains it, or a folder
        that contains ``train.zip``, ``train/cat.0.jpg`` or ``cat.0.jpg``.
    destination : str or os.PathLike
        The folder to fill, created if missing. Files copied by an earlier call are
        kept, so an interrupted call can be repeated.
    n_train, n_validation : int, default=1000 and 400
        Number of images per class.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Two Bunches as returned by :func:`load_image_files`, `train` and `validation`.

    Raises
    ------
    FileNotFoundError
        If `source` is missing.
    ValueError
        If `source` is not a zip file, is damaged, or has too few images.
    FileExistsError
        If `destination` contains anything other than (some of) these images. Nothing
        is written in that case. Names that start with a dot are ignored.

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
    ...             archive.writestr(f"train/cat.{number}.jpg", "placeholder")
    ...             archive.writestr(f"train/dog.{number}.jpg", "placeholder")
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
    source, destination = (
        path_to_str(source, "source"),
        path_to_str(destination, "destination"),
    )
    with _kaggle_images(source) as (locations, read):
        layout = _layout(locations, n_train, n_validation, source)
        present = _check_destination(destination, layout, read)
        for parts in [parts for parts in layout if parts not in present]:
            path = os.path.join(destination, *parts)
            make_folder(os.path.dirname(path))
            with replacing(path, durable=False) as file:
                file.write(read(layout[parts]))
    return Bunch(
        **{
            part: load_image_files(
                os.path.join(destination, part), categories=["cats", "dogs"]
            )
            for part in _PARTS
        }
    )


@contextlib.contextmanager
def _kaggle_images(source):
    """Yield {(kind, number): location} and a function that reads a location's bytes."""
    location = _locate(source)
    if os.path.isdir(location):
        paths = [os.path.join(location, name) for name in os.listdir(location)]
        yield _index(paths, paths, source), lambda path: Path(path).read_bytes()
        return
    with _open_train_zip(location) as archive:

        def read(info):
            with _zip_errors(location):
                return archive.read(info)

        members = archive.infolist()
        yield _index([info.filename for info in members], members, source), read


def _locate(source):
    """Return the zip file or the folder of images that `source` refers to."""
    if not os.path.exists(source):
        raise FileNotFoundError(
            f"source {source!r} does not exist. Download train.zip from "
            "https://www.kaggle.com/c/dogs-vs-cats/data and pass its path."
        )
    if not os.path.isdir(source):
        return source
    for folder in (source, os.path.join(source, "train")):
        names = os.listdir(folder) if os.path.isdir(folder) else []
        if any(map(_NAME.fullmatch, names)):
            return folder
    archive = os.path.join(source, "train.zip")
    return archive if os.path.isfile(archive) else source


@contextlib.contextmanager
def _zip_errors(path):
    """Raise zip errors in the block as a ValueError that names the file."""
    try:
        yield
    except _ZIP_ERRORS as error:
        raise ValueError(
            f"{path!r} cannot be read as a zip file ({error}). Expected Kaggle's "
            "train.zip or dogs-vs-cats.zip: download it again."
        ) from error


@contextlib.contextmanager
def _open_train_zip(path):
    """Open a zip file, or the train.zip inside it."""
    with contextlib.ExitStack() as stack:
        with _zip_errors(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            inner = [n for n in archive.namelist() if n.split("/")[-1] == "train.zip"]
            if inner:
                # Reading it in place would decompress from the start for each image.
                copy = stack.enter_context(tempfile.TemporaryFile())
                with archive.open(inner[0]) as stream:
                    shutil.copyfileobj(stream, copy)
                archive = stack.enter_context(zipfile.ZipFile(copy))
        yield archive


def _index(names, locations, source):
    """Map (kind, number) to a location, given names such as a/cat.0.jpg."""
    found = {}
    for name, location in zip(names, locations, strict=True):
        match = _NAME.fullmatch(re.split(r"[/\\]", name)[-1])
        if match is None:
            continue
        key = match[1], int(match[2])
        if key in found:
            raise ValueError(
                f"{source!r} contains {match[0]} more than once, also as {name!r}. "
                "Expected each image once, as in Kaggle's train.zip: remove the copies."
            )
        found[key] = location
    return found


def _layout(locations, n_train, n_validation, source):
    """Map each path below the destination, as its parts, to a location."""
    numbers = {
        k: sorted(n for kind, n in locations if kind == k) for k in ("cat", "dog")
    }
    n_images = n_train + n_validation
    if min(map(len, numbers.values())) < n_images:
        raise ValueError(
            f"{source!r} contains {len(numbers['cat'])} images named like cat.0.jpg "
            f"and {len(numbers['dog'])} like dog.0.jpg; {n_images} of each are needed "
            f"for n_train={n_train} and n_validation={n_validation}. Pass Kaggle's "
            "train.zip (12500 of each), or lower these numbers."
        )
    return {
        (
            "train" if rank < n_train else "validation",
            f"{kind}s",
            f"{kind}.{number}.jpg",
        ): locations[kind, number]
        for kind in numbers
        for rank, number in enumerate(numbers[kind][:n_images])
    }


def _check_destination(destination, layout, read):
    """Return the files of the layout that exist; raise if there are any others."""
    make_folder(destination)
    entries = visible(os.listdir(destination))
    folders = [
        name
        for name in entries
        if name in _PARTS and os.path.isdir(os.path.join(destination, name))
    ]
    unexpected = [os.path.join(destination, n) for n in entries if n not in folders]
    present = {
        (folder, *name.split(os.sep))
        for folder in folders
        for name in list_files(os.path.join(destination, folder), None)
    }
    for parts in sorted(present):
        path = os.path.join(destination, *parts)
        if parts not in layout or not has_content(path, read(layout[parts])):
            unexpected.append(path)
    if unexpected:
        raise FileExistsError(
            f"destination {destination!r} contains files or folders other than the "
            f"requested images ({len(unexpected)} in total), such as {unexpected[:3]}. "
            "Nothing was written: remove them, or choose an empty destination."
        )
    return present
