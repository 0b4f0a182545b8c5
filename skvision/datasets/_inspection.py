"""One look at one image: whether it can be read, its size, depth and content."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from skvision._images.decode import open_image
from skvision._images.hints import path_hint
from skvision._images.resize import ImageSettings
from skvision._utils.files import content_digest
from skvision.exceptions import ImageReadError

# Side, in pixels, of the small copy from which near-duplicates are found.
THUMBNAIL = 32

# What counts as extreme.
MIN_SIDE = 32  # VGG16 accepts no less
MAX_MEGAPIXELS = 64
MAX_ASPECT_RATIO = 4

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
        pixels = images.decode(i, data, ImageSettings((THUMBNAIL, THUMBNAIL)))
    except ImageReadError as error:
        cause = _cause(error)
        is_truncated = any(word in cause.lower() for word in _TRUNCATED)
        kind = "truncated" if is_truncated and data is not None else "unreadable"
        # The frames of a traceback would keep the content of the file.
        error.__context__ = None
        return Look({kind: cause}, error=error.with_traceback(None))
    problems = _problems(images.items[i], data)
    if i in images.narrow:
        low, high, white = images.narrow[i]
        detail = f"values from {low:g} to {high:g} where {white:g} is white"
        problems["bit depth"] = detail
    if (pixels == pixels[0, 0]).all():
        problems["blank"] = f"RGB {tuple(pixels[0, 0].tolist())}"
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    return Look(problems, content_digest(data), grey)


def _cause(error):
    """Return the message without the name of the image, which stands beside it."""
    cause = error.__cause__ or error.__context__
    if cause is None:
        return str(error)
    text = str(getattr(cause, "strerror", None) or cause) or type(cause).__name__
    return text + path_hint(cause, error.path)


def _problems(item, data):
    """Return what the header of an image tells, which can be read."""
    if isinstance(item, np.ndarray):
        return _size_problems(*item.shape[1::-1])
    if isinstance(item, Image.Image):
        return _size_problems(*item.size)
    with open_image(data) as image:
        problems = _size_problems(*image.size)
        if _has_more_frames(image):
            problems["several frames"] = ""
    return problems


def _has_more_frames(image):
    if image.format in ("JPEG", "MPO"):  # phones add depth maps, for example
        return False
    try:
        return getattr(image, "is_animated", False)
    except Exception:  # as for `decode_image`; what follows the first frame is damaged
        return True


def _size_problems(width, height):
    size, problems = f"{width} x {height} pixels", {}
    if min(width, height) < MIN_SIDE:
        problems["small"] = size
    if width * height > MAX_MEGAPIXELS * 10**6:
        problems["large"] = size
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        problems["aspect ratio"] = size
    return problems
