"""Which of the folders in a folder are classes."""

import os
from collections import Counter

import numpy as np

from skvision.datasets._class_names import (
    normalized,
    parts_of_a_dataset,
    same_spelling,
)
from skvision.datasets._walk import extension, is_image, visible_entries


def class_folders(folder, categories, suffixes, passed_over, ancestors):
    """Return the names of the class folders to load."""
    check_folder(
        folder,
        "Expected a folder that contains one folder per class, as in "
        "folder/class_name/image.jpg.",
    )
    names, n_images = _split_entries(folder, suffixes, passed_over, ancestors)
    if not names:
        raise ValueError(
            f"No class folders in {folder!r}, and {n_images} images directly in it. "
            "Expected folder/class_name/image.jpg: move the images into one folder per "
            "class. If they have no classes, use skvision.datasets.list_images."
        )
    if categories is None:
        _check_wrapper(names, folder, suffixes)
        _check_parts(names, folder)
        _check_spelling(names, folder)
        return names
    chosen = _select_classes(names, categories, folder)
    if len(chosen) < len(names):
        passed_over["folders not in categories"] += len(names) - len(chosen)
    return chosen


def _split_entries(folder, suffixes, passed_over, ancestors):
    """Return the names of the folders, and the number of images beside them."""
    names, n_images = [], 0
    for name, is_folder in visible_entries(folder, passed_over):
        if not is_folder:
            is_photo = is_image(name, suffixes)
            n_images += is_photo
            reason = f"extension {extension(name)}"
            passed_over["images outside class folders" if is_photo else reason] += 1
        elif os.path.realpath(os.path.join(folder, name)) in ancestors:
            passed_over["links to folders listed elsewhere"] += 1
        else:
            names.append(name)
    return names, n_images


def _select_classes(names, categories, folder):
    """Return the names that are among the categories."""
    if np.ndim(categories) != 1 or not len(categories):
        raise ValueError(
            f"categories must be None or a non-empty list of names from {names}; "
            f"got {categories!r}."
        )
    wanted = {normalized(str(category)) for category in categories}
    unknown = sorted(wanted.difference(map(normalized, names)))
    if unknown:
        raise ValueError(
            f"categories contains {unknown}, but there are no such folders in "
            f"{folder!r}. Choose from its class folders: {names}."
        )
    chosen = [name for name in names if normalized(name) in wanted]
    if len(chosen) > len(wanted):
        _check_spelling(chosen, folder)
    return chosen


def _check_wrapper(names, folder, suffixes):
    """Raise if there is a single folder, and the classes are below it."""
    if len(names) > 1:
        return
    below = os.path.join(folder, names[0])
    inner, n_images = _split_entries(below, suffixes, Counter(), ())
    if len(inner) > 1 and not n_images:
        raise ValueError(
            f"{folder!r} contains a single folder, {names[0]!r}, which contains no "
            f"images but the folders {inner[:5]}{', ...' * (len(inner) > 5)}. If these "
            f"are the classes, load {below!r}; otherwise pass categories={names}."
        )


def _check_parts(names, folder):
    parts = parts_of_a_dataset(names)
    if parts:
        raise ValueError(
            f"The folders {parts} in {folder!r} look like parts of a dataset, not "
            f"like classes. Load {os.path.join(folder, parts[0])!r} instead, or pass "
            f"categories={names} if they are classes."
        )


def _check_spelling(names, folder):
    for group in same_spelling(names):
        raise ValueError(
            f"The class folders {', '.join(map(ascii, group))} in {folder!r} differ "
            "only in case, Unicode normalization or separators, which is probably a "
            "mistake. Merge or rename them, or name those to load in categories=[...]."
        )


def check_folder(folder, expected):
    """Raise an error that says what was expected if `folder` is not a folder."""
    if not os.path.isdir(folder):
        kind = NotADirectoryError if os.path.lexists(folder) else FileNotFoundError
        raise kind(f"{folder!r} is not an existing folder. {expected}")
