"""Folders of images: training and validation, or one folder for both."""

import os
from collections import Counter

from skvision._cli.texts import say
from skvision._utils.files import expand_path
from skvision.datasets import IMAGE_EXTENSIONS, list_images, load_image_files
from skvision.datasets._class_names import parts_of_a_dataset, same_spelling
from skvision.datasets._walk import find_images, visible_entries

_TRAIN = "train"
_VALIDATION = "validation", "val", "valid"  # the first that exists


def load_classes(folder, categories=None):
    """Return the images of a folder of classes, and say what was passed over."""
    try:
        bunch = load_image_files(folder, categories=categories)
    except ValueError as error:
        raise ValueError(_problem_of(folder) or str(error)) from error
    bunch.folder = folder
    _, _, reasons = bunch.DESCR.partition("Passed over:")
    reasons = [r for r in reasons.split("\n- ")[1:] if "categories" not in r]
    if reasons:
        say(f"Passed over in {folder!r}: {'; '.join(reasons)}")
    return bunch


def load_to_check(folder):
    """Return the same, also if classes are empty or spelled in two ways."""
    try:
        bunch, empty = load_classes(folder), []
    except ValueError:
        names = _folders(folder)
        empty = [name for name in names if not _has_images(os.path.join(folder, name))]
        filled = [name for name in names if name not in empty]
        has_problem = filled and (empty or same_spelling(filled))
        if not has_problem or parts_of_a_dataset(names):
            raise
        bunch = load_classes(folder, filled)
    bunch.empty = [os.path.join(folder, name) for name in empty]
    return bunch


def load_parts(folder, load=load_classes):
    """Return the training and the validation images; the latter are None if missing.

    Both are Bunches with `folder`, from which they were loaded by `load`.
    """
    folder = expand_path(folder, "FOLDER")
    train = os.path.join(folder, _TRAIN)
    if not os.path.isdir(train) or not _folders(train):
        return load(folder), None  # a class may be named 'train' as well
    names = _folders(folder)
    validation = next((name for name in _VALIDATION if name in names), None)
    unused = [name for name in names if name not in (_TRAIN, validation)]
    if unused:
        say(f"Not used: the folders {unused} in {folder!r}")
    return load(train), validation and load(os.path.join(folder, validation))


def load_for_evaluation(folder):
    """Return the validation images, or those of the whole folder if it has no parts."""
    train, validation = load_parts(folder)
    if validation is None and train.folder != expand_path(folder, "FOLDER"):
        raise ValueError(
            f"{folder!r} contains {_TRAIN!r} and no {_VALIDATION[0]!r}. Pass the "
            "folder of the images to evaluate; "
            f"{train.folder!r} if these are really meant."
        )
    return train if validation is None else validation


def _folders(folder):
    """Return the names of the folders in it."""
    return [name for name, is_folder in visible_entries(folder, Counter()) if is_folder]


def images_in(folder):
    """Return the paths of the images in a folder without classes."""
    try:
        return list(list_images(folder))
    except ValueError as error:
        endings = " ".join(IMAGE_EXTENSIONS)
        raise ValueError(
            f"{folder!r} contains no images. Expected files with one of the endings "
            f"{endings}"
        ) from error


def _problem_of(folder):
    """Return what is wrong with the class folders if images are missing, or None."""
    names = _folders(folder)
    if not names:
        what = "folders of classes" if _has_images(folder) else "images"
        return (
            f"{folder!r} contains no {what}. Expected one folder for each class, as in "
            f"{os.path.join(folder, 'cats', '1.jpg')}. Images without classes can only "
            f"be classified: skvision predict MODEL {folder}"
        )
    paths = [os.path.join(folder, name) for name in names]
    empty = [path for path in paths if not _has_images(path)]
    if empty:
        return (
            f"{empty[0]!r} contains no images. Expected images of that class. Add some "
            "or remove the folder."
        )
    return None


def _has_images(folder):
    return bool(find_images(folder, IMAGE_EXTENSIONS, Counter()))
