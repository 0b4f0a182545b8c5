"""Folders of images: training and validation, or one folder for both."""

import os
from collections import Counter

from skvision._cli.texts import say
from skvision._utils.files import expand_path
from skvision.datasets import load_image_files
from skvision.datasets._walk import visible_entries

_TRAIN, _VALIDATION = "train", "validation"


def load_parts(folder):
    """Return the training and the validation images; the latter are None if missing.

    Both are Bunches with `folder`, from which they were loaded.
    """
    folder = expand_path(folder, "FOLDER")
    train, validation = (os.path.join(folder, name) for name in (_TRAIN, _VALIDATION))
    if not os.path.isdir(train) or not _folders(train):
        return _load(folder), None  # a class may be named 'train' as well
    unused = [name for name in _folders(folder) if name not in (_TRAIN, _VALIDATION)]
    if unused:
        say(f"Not used: the folders {unused} in {folder!r}")
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


def _folders(folder):
    """Return the names of the folders in it."""
    return [name for name, is_folder in visible_entries(folder, Counter()) if is_folder]


def _load(folder):
    bunch = load_image_files(folder)
    bunch.folder = folder
    return bunch
