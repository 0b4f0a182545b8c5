"""One look at one image: whether it can be read, its size, depth and content."""

from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from skvision._images.decode import FORMATS
from skvision._images.inputs import ImageArrays
from skvision._utils.files import content_digest
from skvision.exceptions import ImageReadError

# Side, in pixels, of the small copy from which near-duplicates are found.
THUMBNAIL = 32

# What counts as extreme.
MIN_SIDE = 32  # VGG16 accepts no less
MAX_MEGAPIXELS = 64
MAX_ASPECT_RATIO = 4
# Twelve bits in sixteen use a sixteenth of the range.
_MIN_USED = 1 / 16

_TRUNCATED = ("truncated", "broken data stream", "unexpected end")


class Look(NamedTuple):
    """What was seen of one image; the digest and the thumbnail are None on error."""

    problems: dict  # problem -> detail
    digest: bytes | None = None
    thumbnail: np.ndarray | None = None
    error: ImageReadError | None = None


def look_at(images, i):
    """Read image `i` once, and return a `Look`."""
    data = None
    try:
        data = images.read_bytes(i)
        pixels = images.decode(i, data, (THUMBNAIL, THUMBNAIL), "bilinear")
    except ImageReadError as error:
        cause = _cause(error)
        is_truncated = any(word in cause.lower() for word in _TRUNCATED)
        kind = "truncated" if is_truncated and data is not None else "unreadable"
        return Look({kind: cause}, error=error)
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    return Look(_problems(images, data), content_digest(data), grey)


def _cause(error):
    """Return the message without the name of the image, which stands beside it."""
    cause = error.__cause__ or error.__context__
    if cause is None:
        return str(error)
    if isinstance(cause, UnidentifiedImageError):  # its text is a buffer's address
        return "it is not a complete image in a supported format"
    return str(getattr(cause, "strerror", None) or cause) or type(cause).__name__


def _problems(images, data):
    """Return {problem: detail} of an image that can be read."""
    if isinstance(images, ImageArrays):
        height, width = images.images.shape[1:3]
        return _size_problems(width, height)
    formats = [name for name in FORMATS if name in Image.OPEN]
    with Image.open(BytesIO(data), formats=formats) as image:
        return _size_problems(*image.size) | _depth_problems(image)


def _size_problems(width, height):
    size, problems = f"{width} x {height} pixels", {}
    if min(width, height) < MIN_SIDE:
        problems["small"] = size
    if width * height > MAX_MEGAPIXELS * 10**6:
        problems["large"] = size
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        problems["aspect ratio"] = size
    return problems


def _depth_problems(image):
    """Return whether an image of more than 8 bits uses little of its range."""
    is_grey = image.mode in ("I", "F") or image.mode.startswith("I;16")
    if not is_grey and not any(";16" in str(tile[3]) for tile in image.tile):
        return {}
    # Pillow reads colours of 16 bits as 8 bits.
    extrema = image.getextrema()
    if is_grey:
        extrema = [extrema]
    elif image.mode.endswith("A"):
        extrema = extrema[:-1]  # without alpha
    low, high = min(low for low, _ in extrema), max(high for _, high in extrema)
    full = 65535 if is_grey else 255
    if image.mode == "F" and high <= 255:
        full = 1 if high <= 1 else 255
    if high - low >= full * _MIN_USED:
        return {}
    kind = image.mode if is_grey else f"16-bit {image.mode}, read as 8 bits"
    return {"bit depth": f"{kind}, values {low:g} to {high:g} of 0 to {full}"}
