"""What `X` may be, and the errors that say so."""

import os
from collections.abc import Mapping

import numpy as np
from PIL import Image

from skvision._images.hints import array_hint, item_hint, shortened

ACCEPTED = (
    "must be paths of images (str or os.PathLike) of shape (n_samples,) or "
    "(n_samples, 1); or a uint8 array of RGB images of shape (n_samples, height, "
    "width, 3), or of grey ones of shape (n_samples, height, width); or a list of "
    "images of any size: bytes of encoded files, Pillow images, or uint8 arrays of "
    "shape (height, width, 3) or (height, width)."
)


def input_error(X, details, name):
    """Return the error for an argument in none of the accepted forms."""
    return ValueError(f"{name} is of type {_type(X)}{details}. {name} {ACCEPTED}")


def empty_error(shape, name):
    """Return the error for an array without images; the text is scikit-learn's."""
    axis = shape.index(0)
    return ValueError(
        f"Found array with 0 {('sample', 'feature')[axis]}(s) (shape={shape}) while a "
        f"minimum of 1 is required. {name} {ACCEPTED}"
    )


def _type(value):
    return type(value).__name__


def is_sequence(X):
    """Return whether X is a list, or like one, and not an array.

    From a sequence of Pillow images numpy would make an array of their pixels, not
    upright and without transparency.
    """
    if isinstance(X, (list, tuple)):
        return True
    if isinstance(X, (str, bytes, bytearray, memoryview, Mapping)):
        return False
    is_array = hasattr(X, "__array__") or hasattr(X, "shape")
    return not is_array and hasattr(X, "__len__") and hasattr(X, "__getitem__")


def is_row(x):
    """Return whether a list element is a row of a column of paths."""
    return isinstance(x, (list, tuple)) and len(x) == 1


def to_list(X, name):
    """Return the elements of a sequence."""
    try:
        return [X[i] for i in range(len(X))]
    except (KeyError, TypeError):  # such as a grouped table
        details = ", whose elements are not numbered from 0: pass a list"
        raise input_error(X, details, name) from None


def to_array(X, name):
    """Return X as an ndarray; refuse what numpy would misinterpret."""
    if isinstance(X, (str, os.PathLike)):
        if os.path.isdir(X):
            lister = "skvision.datasets.list_images"
            raise input_error(X, f", a folder: pass {lister}({X!r})", name)
        details = f", a single path: wrap it in a list, [{shortened(X)}]"
        raise input_error(X, details, name)
    if isinstance(X, (bytes, bytearray, Image.Image)):
        raise input_error(X, f", a single image: wrap it in a list, [{name}]", name)
    if hasattr(X, "nnz"):
        raise input_error(X, ", which is sparse: images are dense arrays", name)
    try:
        return np.asarray(X)
    except Exception as error:
        details = f", which is not a valid array ({error})"
        raise input_error(X, details, name) from None


def check_items(items, name):
    """Return the elements of X, each as str, bytes, Pillow image or uint8 array."""
    items = [check_item(f"{name}[{i}]", item, name) for i, item in enumerate(items)]
    later_frames = {}
    for i, item in enumerate(items):
        if isinstance(item, Image.Image) and item.tell() > 0:
            first = later_frames.setdefault(id(item), i)
            if first < i:
                raise ValueError(
                    f"{name}[{first}] and {name}[{i}] are the same Pillow image, which "
                    "has several frames but is at only one of them. Pass copies, as in "
                    "[frame.copy() for frame in PIL.ImageSequence.Iterator(image)]."
                )
    return items


def check_item(position, item, name):
    """Return an element of X as str, bytes, Pillow image or uint8 array."""
    if isinstance(item, os.PathLike):
        item = os.fsdecode(item)
    if isinstance(item, str):
        if not item:
            raise ValueError(
                f"{position} is an empty string, not the path of an image. Correct or "
                "remove it."
            )
        return str.__str__(item)
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    if isinstance(item, Image.Image):
        return item
    accepted = f"{name} {ACCEPTED}" if position != name else "Pass a path or an image."
    if hasattr(item, "__array__") and np.ndim(item):
        return _check_array(position, to_array(item, position), accepted)
    hint = item_hint(item)
    raise ValueError(
        f"{position} is of type {_type(item)}, not an image{hint}. {accepted}"
    )


def _check_array(position, array, accepted):
    is_image = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if is_image and array.dtype == np.uint8 and array.size:
        return array
    raise ValueError(
        f"{position} is an array of shape {array.shape} and dtype {array.dtype}"
        f"{array_hint(array, position, is_image=True)}. {accepted}"
    )
