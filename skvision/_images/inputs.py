"""The accepted forms of `X`: image files or arrays, read on demand."""

import os
import stat
from contextlib import contextmanager

import numpy as np
from PIL import Image, UnidentifiedImageError
from sklearn.utils.validation import validate_data

from skvision._images.decode import decode_image, resize
from skvision._utils.files import content_digest, file_version
from skvision.exceptions import ImageReadError

_ACCEPTED = (
    "X must be paths (str or os.PathLike) of shape (n_samples,), the same of shape "
    "(n_samples, 1), or a uint8 array of shape (n_samples, height, width, 3) or "
    "(n_samples, height, width)."
)


_CORRECT_PATH = "Correct the path, or remove it from X."

# Digests of files in this process, by `file_version`.
_digests = {}
_MAX_DIGESTS = 100_000


class ImageFiles:
    """Images in files: `paths` is a list of str, read on demand."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def name(self, i):
        """Return how messages refer to image `i`; repr escapes what is unprintable."""
        return f"image {i} of X, {self.paths[i]!r}"

    def read_bytes(self, i):
        """Return the content of file `i`, or raise ImageReadError."""
        with _read_errors(self, i, self.paths[i], _CORRECT_PATH):
            return _read_regular_file(self.paths[i])

    def digest(self, i):
        """Return the digest of file `i`, read again only if the file has changed."""
        with _read_errors(self, i, self.paths[i], _CORRECT_PATH):
            version = file_version(self.paths[i])
            digest = _digests.get(version)
            if digest is not None:
                return digest
            digest = content_digest(_read_regular_file(self.paths[i]))
            if version is not None and file_version(self.paths[i]) == version:
                if len(_digests) >= _MAX_DIGESTS:
                    _digests.clear()
                _digests[version] = digest
            return digest

    def decode(self, i, data, image_size, interpolation):
        """Return `data`, from `read_bytes(i)`, as uint8 array (height, width, 3)."""
        remedy = "Remove it from X, or save it again as a PNG or JPEG file."
        with _read_errors(self, i, self.paths[i], remedy):
            return decode_image(data, image_size, interpolation)


class ImageArrays:
    """Images in memory: `images` is uint8, (n, height, width) or (n, height, width, 3).

    The interface is that of `ImageFiles`. The array is never modified.
    """

    def __init__(self, images):
        self.images = images
        self._prefix = f"{images.shape[1:]}\n".encode()

    def __len__(self):
        return len(self.images)

    def name(self, i):
        """Return how messages refer to image `i`."""
        return f"image {i} of X, an array of shape {self.images.shape[1:]}"

    def read_bytes(self, i):
        """Return the shape and the pixels of image `i`."""
        return self._prefix + self.images[i].tobytes()

    def digest(self, i):
        """Return the digest of image `i`."""
        return content_digest(self.read_bytes(i))

    def decode(self, i, data, image_size, interpolation):
        """Return `data`, from `read_bytes(i)`, as uint8 array (height, width, 3)."""
        with _read_errors(self, i, None, "Remove it from X."):
            pixels = np.frombuffer(data, np.uint8, offset=len(self._prefix))
            image = Image.fromarray(pixels.reshape(self.images.shape[1:]))
            return resize(image.convert("RGB"), image_size, interpolation)


def check_images(X):
    """Check the form of X, without opening any file.

    Parameters
    ----------
    X : array-like
        Paths (str or os.PathLike) of shape (n_samples,) or (n_samples, 1), or uint8
        images of shape (n_samples, height, width, 3) or (n_samples, height, width).

    Returns
    -------
    ImageFiles or ImageArrays

    Raises
    ------
    ValueError
        If X is anything else; the message describes what was given.
    """
    values = _to_array(X)
    shape = values.shape
    for axis, unit in enumerate(("sample", "feature")[: values.ndim]):
        if shape[axis] == 0:
            raise ValueError(
                f"Found array with 0 {unit}(s) (shape={shape}) while a minimum of 1 is "
                f"required. {_ACCEPTED}"
            )
    if values.dtype.kind in "OUT" and (values.ndim == 1 or shape[1:] == (1,)):
        return ImageFiles([_check_path(i, p) for i, p in enumerate(values.flat)])
    if values.dtype == np.uint8 and values.size:
        if values.ndim == 3 and shape[2] in (3, 4):
            raise _input_error(
                X, f", shape {shape}, a single image: pass X[np.newaxis]"
            )
        if values.ndim == 3 or (values.ndim == 4 and shape[3] == 3):
            return ImageArrays(values)
    raise _input_error(X, f", shape {shape} and dtype {values.dtype}{_hint(values)}")


def validate_images(estimator, X, *, reset):
    """Check the form of X, and its column name against the one seen in `fit`.

    With `reset`, a 2-D X sets `n_features_in_`, and a data frame `feature_names_in_`.
    """
    images = check_images(X)
    if reset:
        vars(estimator).pop("n_features_in_", None)
    if reset or hasattr(estimator, "n_features_in_"):
        is_column = len(getattr(X, "shape", ())) == 2
        validate_data(
            estimator, X, reset=reset, skip_check_array=True, ensure_2d=is_column
        )
    return images


def image_tags(tags):
    """Declare in an estimator's tags that it accepts images."""
    tags.input_tags.string = True
    tags.input_tags.one_d_array = True
    tags.input_tags.three_d_array = True
    tags.input_tags.two_d_array = False
    return tags


def _input_error(X, details):
    return ValueError(f"{_ACCEPTED} Got X of type {type(X).__name__}{details}.")


def _to_array(X):
    """Return X as an ndarray; refuse what numpy would misinterpret."""
    if isinstance(X, (str, os.PathLike)):
        raise _input_error(X, f", a single path: wrap it in a list, [{X!r}]")
    if hasattr(X, "nnz"):
        raise _input_error(X, ", which is sparse: images are dense arrays")
    is_list = isinstance(X, (list, tuple))
    if any(isinstance(x, Image.Image) for x in (X if is_list else [X])):
        raise _input_error(
            X, ' with Pillow images: use np.asarray(image.convert("RGB"))'
        )
    try:
        # As objects, since numpy would convert the number in ["a.png", 1.0] to str.
        values = np.asarray(X, dtype=object) if is_list else np.asarray(X)
        return np.asarray(X) if values.ndim > 2 else values
    except Exception as error:
        raise _input_error(X, f", which is not a valid array ({error})") from error


def _check_path(i, value):
    """Return element `i` of X as a plain str."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        kind = type(value).__name__
        hint = ""
        if isinstance(path, bytes):
            hint = " (convert it with os.fsdecode)"
        elif kind in ("NoneType", "NAType") or (
            isinstance(value, float) and value != value
        ):
            hint = " (it is a missing value)"
        raise ValueError(f"X[{i}] is of type {kind}, not a path{hint}. {_ACCEPTED}")
    if not path:
        raise ValueError(f"X[{i}] is an empty string, not the path of an image.")
    return str.__str__(path)


def _hint(values):
    """Suggest how to convert arrays that are nearly images, or to select the paths."""
    if values.dtype.kind == "O" and values.ndim == 2:
        return ": select the one column that holds the paths"
    if values.ndim == 4 and values.shape[3] in (1, 4):
        return f": pass X[..., {0 if values.shape[3] == 1 else ':3'}]"
    if values.ndim in (3, 4) and values.dtype.kind in "iuf" and values.size:
        low, high = values.min(), values.max()
        if values.dtype.kind == "f" and 0 <= low <= high <= 1:
            return ': convert with (255 * X).round().astype("uint8")'
        if 0 <= low <= high <= 255:
            return ': convert with .astype("uint8")'
    return ""


@contextmanager
def _read_errors(images, i, path, remedy):
    """Raise any error in the block as an ImageReadError that names image `i`."""
    try:
        yield
    except Exception as error:
        message = f"Cannot read {images.name(i)}: {_cause(error)}. {remedy}"
        raise ImageReadError(message, index=i, path=path) from error


def _cause(error):
    """Describe the error, without a buffer's address or a second path."""
    if isinstance(error, UnidentifiedImageError):
        text = "it is not a complete image in a supported format"
    else:
        text = str(getattr(error, "strerror", None) or error).rstrip(".")
    # Pillow may quote unprintable bytes of the file.
    text = text.encode("utf-8", "backslashreplace").decode()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _read_regular_file(path):
    """Read a regular file; opening anything else, such as a pipe, could block."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise OSError(f"it is {kind}, not a regular file")
    with open(path, "rb") as file:
        data = file.read()
    if not data:
        raise OSError("the file is empty")
    return data
