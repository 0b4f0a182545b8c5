"""Kaggle's dogs-vs-cats images, arranged for training and validation."""

import contextlib
import os
import re
from collections import Counter
from numbers import Integral

from sklearn.utils import Bunch, check_scalar

from skvision._utils.files import expand_path, has_content, make_folder, replacing
from skvision.datasets._archive import (
    check_member,
    open_archive,
    read_file,
    read_member,
)
from skvision.datasets._folders import load_image_files
from skvision.datasets._walk import find_images, visible_entries

_NAME = re.compile(r"(cat|dog)\.(0|[1-9][0-9]{0,8})\.jpg")
PARTS = ("train", "validation")


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
        The folder to fill, created if missing; ``~`` is expanded, as in `source`. Files
        copied by an earlier call are kept, so an interrupted call can be repeated.
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
        If `source` is not a zip file, is damaged or encrypted, or has too few images;
        if an image is larger than 50 MB, or unpacks to more than 100 times its size.
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
    (['cats', 'dogs'], array(['dogs', 'dogs', 'cats', 'cats'], dtype=object))
    >>> print(data.validation.data[0])
    /...data/validation/dogs/dog.2.jpg
    """
    check_scalar(n_train, "n_train", Integral, min_val=1)
    check_scalar(n_validation, "n_validation", Integral, min_val=1)
    source = expand_path(source, "source")
    destination = expand_path(destination, "destination")
    with _kaggle_images(source) as (locations, check, read):
        layout = _layout(locations, n_train, n_validation, source)
        for location in layout.values():
            check(location)
        present = _check_destination(destination, layout, read)
        for parts in [parts for parts in layout if parts not in present]:
            path = os.path.join(destination, *parts)
            make_folder(os.path.dirname(path))
            with replacing(path, durable=False) as file:
                file.write(read(layout[parts]))
    return Bunch(**load_parts(destination))


def load_parts(folder):
    """Return the Bunches of the arranged images, by the name of the part."""
    classes = ["cats", "dogs"]
    return {
        part: load_image_files(os.path.join(folder, part), categories=classes)
        for part in PARTS
    }


@contextlib.contextmanager
def _kaggle_images(source):
    """Yield {(kind, number): location}, and functions that check and read a location.

    A location is a path or a member of the zip file.
    """
    location = _locate(source)
    if os.path.isdir(location):
        names = _names(location)
        paths = [os.path.join(location, name) for name in names]
        yield _index(names, paths, source), lambda path: None, read_file
        return
    with open_archive(location, "train.zip") as archive:

        def check(member):
            check_member(member, location)

        def read(member):
            return read_member(archive, member, location)

        members = archive.infolist()
        names = [member.filename for member in members]
        yield _index(names, members, source), check, read


def _locate(source):
    """Return the zip file or the folder of images that `source` refers to."""
    if not os.path.lexists(source):
        raise FileNotFoundError(
            f"source {source!r} does not exist. Download train.zip from "
            "https://www.kaggle.com/c/dogs-vs-cats/data and pass its path."
        )
    if not os.path.isdir(source):
        return source
    for folder in (source, os.path.join(source, "train")):
        names = _names(folder) if os.path.isdir(folder) else []
        if any(map(_NAME.fullmatch, names)):
            return folder
    archive = os.path.join(source, "train.zip")
    return archive if os.path.isfile(archive) else source


def _names(folder):
    return [name for name, _ in visible_entries(folder, Counter())]


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
    entries = visible_entries(destination, Counter())
    folders = [n for n, is_folder in entries if is_folder and n in PARTS]
    unexpected = [os.path.join(destination, n) for n, _ in entries if n not in folders]
    present = {
        (folder, *name.split(os.sep))
        for folder in folders
        for name in find_images(os.path.join(destination, folder), None, Counter())
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
