"""Folders of images: training and validation, or one folder for both."""

import os

from skvision._utils.files import expand_path
from skvision.datasets import load_image_files

_TRAIN, _VALIDATION = "train", "validation"


def load_parts(folder):
    """Return the training and the validation images; the latter are None if missing.

    Both are Bunches with `folder`, from which they were loaded.
    """
    folder = expand_path(folder, "FOLDER")
    train, validation = (os.path.join(folder, name) for name in (_TRAIN, _VALIDATION))
    if not _has_folders(train):
        return _load(folder), None
    return _load(train), _load(validation) if os.path.isdir(validation) else None


def load_for_evaluation(folder):
    """Return the validation images, or those of the whole folder if it has no parts."""
    train, validation = load_parts(folder)
    if validation is None and train.folder != expand_path(folder, "FOLDER"):
        raise ValueError(
            f"{folder!r} contains {_TRAIN!r} and no {_VALIDATION!r}. Pass the folder "
            f"of the images to evaluate; {train.folder!r} if these are really meant."
        )
    return train if validation is None else validation


def _has_folders(folder):
    """Return whether there are folders in it: a class may be named 'train' as well."""
    if not os.path.isdir(folder):
        return False
    with os.scandir(folder) as entries:
        return any(
            entry.is_dir() and not entry.name.startswith(".") for entry in entries
        )


def _load(folder):
    bunch = load_image_files(folder)
    bunch.folder = folder
    return bunch
