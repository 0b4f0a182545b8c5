"""The accepted forms of `X`: paths, encoded or decoded images, read on demand."""

import os
import threading
from contextlib import contextmanager
from functools import partial
from numbers import Real

import numpy as np
from PIL import ExifTags, Image
from sklearn.utils.validation import validate_data

from skvision._images.decode import FORMATS, decode_image, image_to_pixels
from skvision._images.files import file_digest, read_file
from skvision._images.forms import (
    check_item,
    check_items,
    empty_error,
    input_error,
    is_row,
    is_sequence,
    to_array,
    to_list,
)
from skvision._images.hints import array_hint, path_hint, range_hint, shortened
from skvision._images.limits import (
    ImageRefused,
    check_bytes,
    check_limits,
    check_pillow,
)
from skvision._images.modes import converter
from skvision._utils.files import content_digest
from skvision._utils.warning import warn
from skvision.exceptions import ImageReadError

REMEDY = (
    "skvision.datasets.check_image_files lists all images that cannot be read: correct "
    "or remove them."
)

# The start of what identifies a decoded Pillow image; no file starts like this.
DECODED = b"decoded: "

# Loading a Pillow image is not thread-safe, and X may contain the same one twice.
_PILLOW_LOCK = threading.Lock()


class Images:
    """The images of `X`, read one at a time.

    Attributes
    ----------
    items : sequence of str, bytes, PIL.Image.Image or ndarray
        Paths, encoded images or decoded ones. They are never modified.
    name : str
        Name of the argument in messages.
    is_single : bool
        Whether the argument is the only image itself, and not a list of images.
    narrow : dict of int to (float, float, float)
        Images of more than 8 bits that use little of their range: index -> smallest and
        largest value, and the one that is white.
    """

    def __init__(self, items, name="X", *, is_single=False):
        check_limits()
        if not all(isinstance(item, np.ndarray) for item in items):
            check_pillow()
        self.items = items
        self.name = name
        self.is_single = is_single
        self.narrow = {}
        self._has_warned = False

    def __len__(self):
        return len(self.items)

    def path(self, i):
        """Return the path of image `i`, or None if it is not in a file."""
        return self.items[i] if isinstance(self.items[i], str) else None

    def describe(self, i):
        """Return how messages refer to image `i`."""
        item, position = self.items[i], self.name
        if not self.is_single:
            position += f"[{i}]"
        if isinstance(item, str):
            return f"{shortened(item)} ({position})"
        if isinstance(item, bytes):
            return f"{position}, {len(item)} bytes"
        if isinstance(item, Image.Image):
            return f"{position}, a Pillow image of mode {item.mode}, size {item.size}"
        return f"{position}, an array of shape {item.shape}"

    def read_bytes(self, i):
        """Return what identifies image `i`: the content of its file, or its pixels."""
        item = self.items[i]
        if isinstance(item, bytes):
            return item
        if isinstance(item, np.ndarray):
            return f"{item.shape}\n".encode() + item.tobytes()
        with self._read_errors(i):
            if isinstance(item, str):
                return read_file(item)
            return _pillow_bytes(item)

    def digest(self, i):
        """Return the digest of image `i`; files are read again only if changed."""
        if isinstance(self.items[i], str):
            with self._read_errors(i):
                return file_digest(self.items[i])
        return content_digest(self.read_bytes(i))

    def decode(self, i, data, settings):
        """Return `data`, from `read_bytes(i)`, as uint8 array (height, width, 3)."""
        item, on_narrow = self.items[i], partial(self._add_narrow, i)
        with self._read_errors(i):
            if isinstance(item, np.ndarray):
                image = Image.fromarray(np.ascontiguousarray(item))
                return image_to_pixels(image, settings)
            if isinstance(item, Image.Image) and data.startswith(DECODED):
                return image_to_pixels(item, settings, on_narrow)
            return decode_image(data, settings, on_narrow)

    def read(self, i, settings):
        """Read and decode image `i`."""
        return self.decode(i, self.read_bytes(i), settings)

    def warn_if_narrow(self):
        """Warn, once, of images of more than 8 bits that use little of their range.

        Such as 12 bits stored in 16. To be called by the thread of the user.
        """
        if not self.narrow or self._has_warned:
            return
        self._has_warned = True
        i = min(self.narrow)
        low, high, white = self.narrow[i]
        n = len(self.narrow)
        what = f" and {n - 1} other images have" if n > 1 else " has"
        warn(
            f"{self.describe(i)}{what} more than 8 bits, but the values lie between "
            f"{low:g} and {high:g}{' in the first' * (n > 1)}, where {white:g} is "
            "white. So little contrast is left. Unless that is meant, "
            f"{range_hint(low, high, white)}."
        )

    def _add_narrow(self, i, low, high, white):
        self.narrow[i] = low, high, white

    @contextmanager
    def _read_errors(self, i):
        """Raise any error in the block as an ImageReadError that names image `i`."""
        try:
            yield
        except Exception as error:
            hint = path_hint(error, self.path(i))
            message = f"Cannot read {self.describe(i)}: {_cause(error)}{hint}."
            if not isinstance(error, ImageRefused):
                message += f" {REMEDY}"
            raise ImageReadError(
                message, index=i, path=self.path(i), argument=self.name
            ) from None


def check_images(X, name="X"):
    """Check the form of X, without opening any file.

    Parameters
    ----------
    X : array-like
        Images in one of the accepted forms, see `ACCEPTED`.
    name : str, default="X"
        Name of the argument, for messages.

    Returns
    -------
    Images

    Raises
    ------
    ValueError
        If X is anything else; the message describes what was given.
    """
    if is_sequence(X):
        if not len(X):
            raise empty_error((0,), name)
        items = [x[0] if is_row(x) else x for x in to_list(X, name)]
        return Images(check_items(items, name), name)
    values = to_array(X, name)
    shape = values.shape
    if 0 in shape[:2]:
        raise empty_error(shape, name)
    if values.dtype.kind in "OUT" and (values.ndim == 1 or shape[1:] == (1,)):
        return Images(check_items(values.ravel(), name), name)
    if values.dtype == np.uint8 and values.size:
        is_single = values.ndim == 3 and shape[2] in (3, 4)
        if not is_single and (values.ndim == 3 or (shape[3:] == (3,))):
            return Images(values, name)
    raise input_error(
        X, f", shape {shape} and dtype {values.dtype}{array_hint(values, name)}", name
    )


def single_image(image, name="image"):
    """Check the form of one image, and return it as `Images`."""
    return Images([check_item(name, image, name)], name, is_single=True)


def validate_images(estimator, X, *, reset, name="X"):
    """Check the form of X, and its column name against the one seen in `fit`.

    With `reset`, a 2-D X sets `n_features_in_`, and a data frame `feature_names_in_`.
    """
    images = check_images(X, name)
    if reset:
        vars(estimator).pop("n_features_in_", None)
    if reset or hasattr(estimator, "n_features_in_"):
        is_column = len(getattr(X, "shape", ())) == 2
        validate_data(
            estimator, X, reset=reset, skip_check_array=True, ensure_2d=is_column
        )
    return images


def check_value_range(value_range):
    """Return the `value_range` parameter as a pair of floats, or None."""
    if value_range is None:
        return None
    try:
        low, high = value_range
        valid = isinstance(low, Real) and isinstance(high, Real) and low < high
        valid = valid and np.isfinite([low, high]).all()
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            "The 'value_range' parameter must be None or a pair of numbers (black, "
            f"white), the first less than the second. Got {value_range!r} instead."
        )
    return float(low), float(high)


def image_tags(tags):
    """Declare in an estimator's tags that it accepts images."""
    tags.input_tags.string = True
    tags.input_tags.one_d_array = True
    tags.input_tags.three_d_array = True
    tags.input_tags.two_d_array = False
    return tags


def _pillow_bytes(image):
    """Return the file of a Pillow image, or what identifies it if it is decoded.

    An image that is open and not yet decoded stays so: a list of many would otherwise
    fill the memory.
    """
    with _PILLOW_LOCK:
        file, tile = getattr(image, "fp", None), getattr(image, "tile", None)
        if tile and file is None:
            raise ImageRefused(
                "its file was closed before the image was loaded: call its method "
                "load() before, or pass the path"
            )
        # Of other formats only the pixels that Pillow decodes are read.
        is_photo = image.format in (*FORMATS, "MPO")
        if tile and is_photo and image.tell() == 0:
            position = file.tell()
            check_bytes(file.seek(0, os.SEEK_END))
            file.seek(0)
            data = file.read()
            file.seek(position)
            return data
        image.load()
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    palette = image.getpalette("RGBA") if image.mode in ("P", "PA") else None
    described = image.mode, image.size, orientation, palette, converter(image, None)
    return DECODED + repr(described).encode() + image.tobytes()


def _cause(error):
    """Describe the error, without a second path."""
    text = str(getattr(error, "strerror", None) or error).rstrip(".")
    # Pillow may quote unprintable bytes of the file.
    text = text.encode("utf-8", "backslashreplace").decode()
    if isinstance(error, ImageRefused):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
