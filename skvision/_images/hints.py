"""How to convert what is nearly an image, or an array of images."""

import os
import re
import unicodedata
from errno import ENAMETOOLONG, ENOENT

import numpy as np
from PIL import Image

from skvision._images.decode import NARROW

_IMAGES = (str, bytes, os.PathLike, Image.Image, np.ndarray)


def array_hint(values, name, *, is_image=False):
    """Return a hint for an array that is not accepted, or an empty string.

    With `is_image`, the array is a single image of a list.
    """
    values = values[np.newaxis] if is_image else values
    shape = values.shape
    if values.dtype.kind == "O":
        return _object_hint(values, name, is_image)
    if values.dtype.kind == "S":
        return ": numpy cuts zeros off the end of bytes, so pass a list of bytes"
    if values.ndim == 2 and values.dtype.kind in "iuf" and not is_image:
        return (
            ": if its rows are flattened images, reshape it to (n_samples, height, "
            f"width); if it is a single grey image, pass {name}[np.newaxis]"
        )
    if values.dtype == np.uint8:
        return _shape_hint(shape, name, is_image)
    if values.ndim not in (3, 4) or not values.size:
        return ""
    return _dtype_hint(values, name)


def _object_hint(values, name, is_image):
    if values.ndim == 2 and is_image:
        return ": pass data and target as two arguments"
    if values.ndim == 2:
        return ": select the one column that holds the images"
    if values.ndim > 2:
        return ": numpy has split the images into pixels, so pass a list of them"
    if values.ndim == 0 and hasattr(values.item(), "target"):
        return f", as of load_image_files: pass {name}.data"
    if values.ndim == 0 and hasattr(values.item(), "__iter__"):
        return ": collect the images or paths in a list"
    return ""


def _shape_hint(shape, name, is_image):
    if len(shape) == 3 and shape[2] in (3, 4):
        return f", a single image: pass {name}[np.newaxis]"
    if len(shape) == 5 and shape[0] == shape[1] == 1:
        return f": pass {name}[0]"
    if len(shape) != 4:
        return ""
    if shape[1] in (1, 3):
        axes = "(1, 2, 0)" if is_image else "(0, 2, 3, 1)"
        return f": channels come last, so pass {name}.transpose{axes}"
    if shape[3] == 1:
        return f": pass {name}[..., 0]"
    if shape[3] == 4:
        image = f"PIL.Image.fromarray({name})"
        images = f"[PIL.Image.fromarray(x) for x in {name}]"
        return f": pass {image if is_image else images}, to blend it with white"
    return ""


def _dtype_hint(values, name):
    if values.dtype == bool:
        return f': convert with 255 * {name}.astype("uint8")'
    if values.dtype.kind not in "iuf":
        return ""
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        return ", with values that are not finite"
    if values.dtype.kind == "f" and 0 <= low <= high <= 1:
        return f': convert with (255 * {name}).round().astype("uint8")'
    if 0 <= low <= high <= 255:
        return f': convert with {name}.round().astype("uint8")'
    return (
        f", with values from {low:g} to {high:g}: scale all images alike to 0 to 255, "
        'then convert with .round().astype("uint8")'
    )


def item_hint(item):
    """Return a hint for an element of a list that is no image, or an empty string."""
    if type(item).__name__ in ("NoneType", "NAType"):
        return " (it is a missing value)"
    if isinstance(item, float) and np.isnan(item):
        return " (it is a missing value)"
    if hasattr(item, "read"):
        return " (pass what its method read() returns)"
    if isinstance(item, (list, tuple)) and item and isinstance(item[0], _IMAGES):
        return " (pass only the image, and labels as a second argument)"
    if isinstance(item, dict) and item:
        return f" (pass one of its values, {', '.join(map(repr, [*item][:5]))})"
    return ""


def path_hint(error, path):
    """Return a hint if there is no file at a path, or an empty string."""
    if path is None or getattr(error, "errno", None) not in (ENOENT, ENAMETOOLONG):
        return ""
    if path.startswith("data:") or len(path) > 4096:
        return " (if it is an encoded image, pass bytes: base64.b64decode(...))"
    if re.match(r"[a-z][a-z0-9+.-]+://", path):
        return " (it is a URL: download the file, and pass its path or its bytes)"
    if path.startswith("~"):
        return " ('~' is not expanded here: pass os.path.expanduser(...))"
    existing = [other for other in _similar(path) if os.path.exists(other)]
    return f" (but {existing[0]!a} exists)" if existing else ""


def _similar(path):
    """Return paths that people, tables or systems may write instead."""
    root, extension = os.path.splitext(path)
    others = (
        path.strip(),
        path.replace("\\", "/"),
        root + extension.lower(),
        root + extension.upper(),
        *(unicodedata.normalize(form, path) for form in ("NFC", "NFD")),
    )
    return [other for other in others if other != path]


def range_hint(low, high, white):
    """Return what to do with images of more than 8 bits that use a part of them."""
    if white == 255:
        return (
            "convert the images to 8 bits with another program: of 16 bits for each "
            "colour Pillow decodes the upper 8"
        )
    suggested = f"({low:g}, {high:g})"
    if high < NARROW * white:
        fitting = [2**n - 1 for n in (8, 10, 12) if high < 2**n]
        suggested = f"(0, {fitting[0] if white > 1 else high:g})"
    perhaps = f", perhaps {suggested}" if high > 0 else ""
    return (
        f"set the 'value_range' parameter to (black, white){perhaps}, the same for all "
        "images"
    )


def shortened(path):
    """Return the repr of a path; repr escapes what is unprintable."""
    text = repr(path)
    return text if len(text) <= 1000 else f"{text[:100]}...{text[-20:]}"
