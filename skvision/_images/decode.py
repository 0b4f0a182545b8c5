"""Decoding of image files and Pillow images to upright RGB pixels.

Data flow: bytes -> Pillow image -> (large ones reduced) -> RGB -> upright -> resized.
"""

import struct
from dataclasses import replace

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from skvision._images.limits import (
    BoundedFile,
    BoundedTiff,
    ImageRefused,
    check_memory,
    extra_memory,
)
from skvision._images.modes import (
    MAX_PIXELS_AT_ONCE,
    converter,
    extremes,
    reduced,
)
from skvision._images.resize import resize

# Formats of photos that Pillow, or a plugin registered by the user, decodes itself. MPO
# files are read as JPEG. For EPS Pillow would run Ghostscript, icons may contain images
# of other sizes than they say, and TGA has no signature.
FORMATS = (
    *("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF"),
    "JXL",
)

# Start of a HEIC file's first box, after its size.
_HEIC = {b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"mif1")}

# EXIF orientation -> (transpose method, is x reversed in the file, is y reversed).
_ORIENTATIONS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, True, False),
    3: (Image.Transpose.ROTATE_180, True, True),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, False, True),
    5: (Image.Transpose.TRANSPOSE, False, False),
    6: (Image.Transpose.ROTATE_270, False, True),
    7: (Image.Transpose.TRANSVERSE, True, True),
    8: (Image.Transpose.ROTATE_90, True, False),
}

# Images of more than 8 bits that use less of their range are suspicious.
NARROW = 1 / 16


def decode_image(data, settings, on_narrow=None):
    """Decode the first frame of an image file as an upright RGB image.

    EXIF orientation is applied, transparent pixels are composited on white, and more
    than 8 bits are scaled to 8. Large JPEGs are decoded at a reduced scale of at least
    twice `image_size`, except with "nearest", which samples pixels of the full image.

    Parameters
    ----------
    data : bytes
        The content of the file.
    settings : ImageSettings
    on_narrow : callable, default=None
        Called with the smallest and the largest value, and the one that is white, of an
        image of more than 8 bits that uses less than a sixteenth of its range.

    Returns
    -------
    ndarray of shape (height, width, 3), dtype uint8

    Raises
    ------
    Exception
        Anything Pillow raises: its decoders' errors have no common base class.
    """
    if data.startswith(b"\x89PNG"):
        # load() ignores the last checksum and a missing end marker.
        open_image(data).verify()
    with open_image(data) as image:
        size, extra = image.size, extra_memory(image, data)
        side, drafted = settings.reduced_side(), None
        if side is not None:
            drafted = image.draft(None, (side, side))
        check_memory(image, size, len(data), extra)
        # Reduced sizes are rounded up: the image may end within the last pixel.
        extent = drafted[1][2:] if drafted else image.size
        return image_to_pixels(image, settings, on_narrow, extent)


def open_image(data):
    """Open encoded data as a Pillow image, without decoding it.

    `PIL.Image.open` has a limit of its own, which does not reach worker processes.
    """
    for name in _formats_for(data):
        factory, accept = Image.OPEN[name]
        accepted = not accept or accept(data[:16])
        if not accepted or isinstance(accepted, str):  # why it cannot be decoded
            continue
        file = BoundedFile(data, name)
        factory = BoundedTiff if name == "TIFF" else factory
        try:
            image = factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue  # another format, as for `PIL.Image.open`
        file.counts_scans = image.format in ("JPEG", "MPO")
        return image
    start = f"it starts with {bytes(data[:16])}" if data else "it is empty"
    raise UnidentifiedImageError(
        f"it is not a complete image in a supported format, such as JPEG: {start}"
    )


def image_to_pixels(image, settings, on_narrow=None, extent=None):
    """Convert a Pillow image, of which the content fills `extent`, as `decode_image`.

    The image is loaded, and otherwise not changed.
    """
    convert = converter(image, settings.value_range)
    image.load()
    orientation = _orientation(image)  # now, as Pillow turns TIFFs itself
    if on_narrow and convert.white and settings.value_range is None:
        low, high = extremes(image)
        used = high if low == high else high - low  # a blank page may be white
        if used < NARROW * convert.white:
            on_narrow(low, high, convert.white)
    extent = extent or image.size
    if settings.interpolation == "nearest" and _is_large(image.size):
        return _sample(image, settings, orientation, convert)
    if settings.interpolation != "nearest":
        factor = 1
        if image.mode != "RGB" or orientation != 1:  # or a copy would be made
            factor = _reduction(image.size, settings.reduced_side())
        image = reduced(image, convert, factor)
        extent = [side / factor for side in extent]
    image, box = _orient(image, orientation, extent)
    return resize(image, settings, box, convert)


def _is_large(size):
    return size[0] * size[1] > MAX_PIXELS_AT_ONCE


def _reduction(size, side):
    """Return the factor by which a large image may be reduced before it is resized."""
    if side is None or not _is_large(size):
        return 1
    return max(1, min(size) // side)


def _sample(image, settings, orientation, convert):
    """Resize a large image with "nearest", and turn it only then."""
    method, *_ = _ORIENTATIONS.get(orientation, (None,))
    if settings.image_size is not None and orientation >= 5:
        settings = replace(settings, image_size=settings.image_size[::-1])
    pixels = resize(image, settings, (0, 0, *image.size), convert)
    if method is not None:
        pixels = np.array(Image.fromarray(pixels).transpose(method))
    return pixels


def _formats_for(data):
    """Return the formats to try, including those of plugins registered meanwhile."""
    Image.init()
    if data[4:12] in _HEIC and "HEIF" not in Image.OPEN:
        _register_heif()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _register_heif():
    """Register pillow-heif with Pillow, in each process that reads a HEIC file."""
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageRefused(
            "it is a HEIC image, which Pillow reads only with the package pillow-heif: "
            'pip install "scikit-vision[heif]"'
        ) from error
    pillow_heif.register_heif_opener()


def _orientation(image):
    """Return the EXIF orientation, or 1 if it is missing or damaged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error):
        return 1
    return orientation if orientation in _ORIENTATIONS else 1


def _orient(image, orientation, extent):
    """Return the upright image, and the box that its content of size `extent` fills."""
    (width, height), (right, bottom) = image.size, extent
    left = top = 0
    if orientation in _ORIENTATIONS:
        method, x_backwards, y_backwards = _ORIENTATIONS[orientation]
        image = image.transpose(method)
        if x_backwards:
            left, right = width - right, width
        if y_backwards:
            top, bottom = height - bottom, height
        if orientation >= 5:
            left, top, right, bottom = top, left, bottom, right
    return image, (left, top, right, bottom)
