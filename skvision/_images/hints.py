"""How to convert what is nearly an image, or an array of images."""

import numpy as np


def array_hint(values, name, *, is_image=False):
    """Return a hint for an array that is not accepted, or an empty string.

    With `is_image`, the array is a single image of a list.
    """
    values = values[np.newaxis] if is_image else values
    shape = values.shape
    if values.dtype.kind == "O" and values.ndim == 2:
        return ": select the one column that holds the images"
    if values.dtype.kind == "S":
        return ": numpy cuts zeros off the end of bytes, so pass a list of bytes"
    if values.dtype == np.uint8:
        return _shape_hint(shape, name, "(1, 2, 0)" if is_image else "(0, 2, 3, 1)")
    if values.ndim not in (3, 4) or not values.size:
        return ""
    return _dtype_hint(values, name)


def _shape_hint(shape, name, axes):
    if len(shape) == 3 and shape[2] in (3, 4):
        return f", a single image: pass {name}[np.newaxis]"
    if len(shape) != 4:
        return ""
    if shape[1] in (1, 3):
        return f": channels come last, so pass {name}.transpose{axes}"
    if shape[3] == 1:
        return f": pass {name}[..., 0]"
    if shape[3] == 4:
        return f": pass {name}[..., :3], which ignores the transparency"
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
    if isinstance(item, dict) and item:
        return f" (pass one of its values, {', '.join(map(repr, [*item][:5]))})"
    return ""
