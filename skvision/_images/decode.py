"""From the content of an image file to pixels as they are meant to be seen."""

import struct
from io import BytesIO

import numpy as np
from PIL import ExifTags, Image

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")

# Raster formats that Pillow (or a plugin the user registered) decodes by itself: not
# EPS, which starts Ghostscript. TGA has no signature, so it comes last; MPO is JPEG.
FORMATS = (
    *("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "PCX", "ICO", "ICNS"),
    *("JPEG2000", "AVIF", "HEIF", "JXL", "QOI", "SGI", "TGA"),
)

# How the first box of a HEIC file begins, after its size.
_HEIC = {b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"mif1")}

# EXIF orientation -> (method, whether x and whether y run backwards in the file).
_ORIENTATIONS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, True, False),
    3: (Image.Transpose.ROTATE_180, True, True),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, False, True),
    5: (Image.Transpose.TRANSPOSE, False, False),
    6: (Image.Transpose.ROTATE_270, False, True),
    7: (Image.Transpose.TRANSVERSE, True, True),
    8: (Image.Transpose.ROTATE_90, True, False),
}


def decode_image(data, image_size, interpolation):
    """Decode the first frame of an image file as it is meant to be seen.

    EXIF orientation is applied, transparency is put on white, 16-bit grey is scaled to
    8 bit. Large JPEGs are decoded at a reduced scale of at least twice `image_size`,
    except for "nearest", which picks pixels of the full image.

    Parameters
    ----------
    data : bytes
        The content of the file.
    image_size : tuple of (int, int)
        Height and width of the result, in pixels.
    interpolation : str
        One of `INTERPOLATIONS`.

    Returns
    -------
    ndarray of shape (height, width, 3), dtype uint8

    Raises
    ------
    Exception
        Whatever Pillow raises: its decoders do not keep to one family of errors.
    """
    formats = _formats_for(data)
    if data.startswith(b"\x89PNG"):
        # load() neither looks at the last checksum nor misses the end marker.
        Image.open(BytesIO(data), formats=formats).verify()
    with Image.open(BytesIO(data), formats=formats) as image:
        drafted = None
        if interpolation != "nearest":
            # The orientation may swap the sides later, so both get the larger one.
            side = 2 * max(image_size)
            drafted = image.draft(None, (side, side))
        _rescale_png_key(image)
        image.load()
        # The reduced scale rounds up: the picture may end within the last pixel.
        extent = drafted[1][2:] if drafted else image.size
        rgb, box = _orient(_to_rgb(image), _orientation(image), extent)
    return resize(rgb, image_size, interpolation, box)


def own_size(data):
    """Return height and width of the image in a file's content, seen upright.

    It is (1, 1) for what cannot be read: decoding that fails too, and says why.
    """
    try:
        with Image.open(BytesIO(data), formats=_formats_for(data)) as image:
            width, height = image.size
            is_turned = _orientation(image) >= 5
    except Exception:
        return 1, 1
    return (width, height) if is_turned else (height, width)


def resize(image, image_size, interpolation, box=None):
    """Resize an RGB image as Keras' `target_size` does: all of it, aspect ratio free.

    `box` is the part to take (left, upper, right, lower). Returns a uint8 array.
    """
    height, width = image_size
    filter_ = Image.Resampling[interpolation.upper()]  # antialiased when shrinking
    return np.array(image.resize((width, height), filter_, box=box))


def _formats_for(data):
    """Return the formats to try; asked each time, for plugins may come at any time."""
    Image.init()
    if data[4:12] in _HEIC and "HEIF" not in Image.OPEN:
        _register_heif()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _register_heif():
    """Teach Pillow the format of phones, in whatever process meets such a file."""
    try:
        import pillow_heif
    except ImportError as error:
        raise OSError(
            "it is a HEIC image, which Pillow reads with the package pillow-heif only: "
            'pip install "scikit-vision[heif]"'
        ) from error
    pillow_heif.register_heif_opener()


def _rescale_png_key(image):
    """Bring a PNG's transparent colour from the file's bit depth to Pillow's 8 bit."""
    key = image.info.get("transparency")
    if image.format != "PNG" or key is None:
        return
    rawmode = image.tile[0][3]
    if rawmode in ("L;2", "L;4"):
        image.info["transparency"] = key * {"L;2": 85, "L;4": 17}[rawmode]
    elif rawmode == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _to_rgb(image):
    """Convert any mode to RGB, transparency put on white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_grey_to_uint8(image)).convert("RGB")
    if image.mode == "La":  # Pillow converts it to LA only
        image = image.convert("LA")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _grey_to_uint8(image):
    """Scale 16-bit, 32-bit or float grey to 8 bit; Pillow would clip it to white."""
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 65535):  # NaN compares False
        raise ValueError(
            f"its grey values lie between {low} and {high}, expected 0 to 65535 "
            "(floating point: 0 to 1, 0 to 255 or 0 to 65535)"
        )
    factor = 1 / 257
    if image.mode == "F" and high <= 255:
        factor = 255 if high <= 1 else 1
    grey = np.rint(values * np.float32(factor)).astype(np.uint8)
    if image.mode.startswith("I;16"):
        # Pillow inverts TIFFs in which white is zero (tag 262) only up to 8 bit.
        if getattr(image, "tag_v2", {}).get(262) == 0:
            grey = 255 - grey
        if "transparency" in image.info:
            grey[values == image.info["transparency"]] = 255
    return grey


def _orientation(image):
    """Return the EXIF orientation; damaged metadata do not spoil a good picture."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error):
        return 1


def _orient(image, orientation, extent):
    """Return the image upright, and the box that its picture of size `extent` fills."""
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
