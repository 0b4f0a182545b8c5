"""Decoding of image files to upright RGB pixels."""

import struct
from io import BytesIO

import numpy as np
from PIL import ExifTags, Image

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")

# Raster formats that Pillow, or a plugin registered by the user, decodes itself. EPS
# is left out, since Pillow runs Ghostscript for it. TGA has no signature, so it comes
# last. MPO files are read as JPEG.
FORMATS = (
    *("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "PCX", "ICO", "ICNS"),
    *("JPEG2000", "AVIF", "HEIF", "JXL", "QOI", "SGI", "TGA"),
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


def decode_image(data, image_size, interpolation):
    """Decode the first frame of an image file as an upright RGB image.

    EXIF orientation is applied, transparent pixels are composited on white, and 16-bit
    grey is scaled to 8 bits. Large JPEGs are decoded at a reduced scale of at least
    twice `image_size`, except with "nearest", which samples pixels of the full image.

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
        Anything Pillow raises: its decoders' errors have no common base class.
    """
    formats = _formats_for(data)
    if data.startswith(b"\x89PNG"):
        # load() ignores the last checksum and a missing end marker.
        Image.open(BytesIO(data), formats=formats).verify()
    with Image.open(BytesIO(data), formats=formats) as image:
        drafted = None
        if interpolation != "nearest":
            # The orientation may swap height and width, so use the larger for both.
            side = 2 * max(image_size)
            drafted = image.draft(None, (side, side))
        _rescale_png_key(image)
        image.load()
        # Reduced sizes are rounded up: the image may end within the last pixel.
        extent = drafted[1][2:] if drafted else image.size
        rgb, box = _orient(_to_rgb(image), _orientation(image), extent)
    return resize(rgb, image_size, interpolation, box)


def upright_size(data):
    """Return height and width of an encoded image after applying its orientation.

    Returns (1, 1) for data that cannot be read: decoding raises the error.
    """
    try:
        with Image.open(BytesIO(data), formats=_formats_for(data)) as image:
            width, height = image.size
            is_transposed = _orientation(image) >= 5
    except Exception:
        return 1, 1
    return (width, height) if is_transposed else (height, width)


def resize(image, image_size, interpolation, box=None):
    """Resize an RGB image like Keras' `target_size`, ignoring the aspect ratio.

    `box` is the region to resize (left, upper, right, lower). Returns a uint8 array.
    """
    height, width = image_size
    filter_ = Image.Resampling[interpolation.upper()]  # antialiased when shrinking
    return np.array(image.resize((width, height), filter_, box=box))


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
        raise OSError(
            "it is a HEIC image, which Pillow reads only with the package pillow-heif: "
            'pip install "scikit-vision[heif]"'
        ) from error
    pillow_heif.register_heif_opener()


def _rescale_png_key(image):
    """Scale a PNG's transparent colour from the file's bit depth to Pillow's 8 bits."""
    key = image.info.get("transparency")
    if image.format != "PNG" or key is None:
        return
    rawmode = image.tile[0][3]
    if rawmode in ("L;2", "L;4"):
        image.info["transparency"] = key * {"L;2": 85, "L;4": 17}[rawmode]
    elif rawmode == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _to_rgb(image):
    """Convert any mode to RGB, compositing transparent pixels on white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_grey_to_uint8(image)).convert("RGB")
    if image.mode == "La":  # Pillow converts La only to LA
        image = image.convert("LA")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _grey_to_uint8(image):
    """Scale 16-bit, 32-bit or float grey to 8 bits; Pillow would clip it to white."""
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
        # Pillow inverts TIFFs in which 0 is white (tag 262) only up to 8 bits.
        if getattr(image, "tag_v2", {}).get(262) == 0:
            grey = 255 - grey
        if "transparency" in image.info:
            grey[values == image.info["transparency"]] = 255
    return grey


def _orientation(image):
    """Return the EXIF orientation, or 1 if it is missing or damaged."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error):
        return 1


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
