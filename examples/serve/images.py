"""Read an uploaded image as skvision does: upright, on white, resized by Pillow."""

import warnings
from functools import partial

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

# Decoding and resizing one image takes at most this memory. JPEGs, which can be decoded
# at a reduced scale, are compared with it (see `_check_jpeg`); for the other formats,
# which take up to 25 bytes per pixel, the limit on pixels is enough.
MAX_DECODED_BYTES = 400_000_000
# Pixels of the largest image in each format.
MAX_PIXELS = {
    "JPEG": 64_000_000,
    "PNG": 16_000_000,
    "GIF": 16_000_000,
    "WEBP": 16_000_000,
}
Image.MAX_IMAGE_PIXELS = max(MAX_PIXELS.values())
warnings.simplefilter("error", Image.DecompressionBombWarning)

# A scan takes time for all pixels, even if it has only a few bytes. Progressive JPEGs
# have about 10.
MAX_SCANS = 100
_START_OF_SCAN = b"\xff\xda"
# Pillow reads metadata in small pieces, and lists them. Photos have a few thousand.
MAX_READS = 300_000

# Above this, skvision reduces images to about twice the size of the network, unless
# they are upright RGB images.
_MAX_PIXELS_AT_ONCE = 8_000_000
_PAD_COLOUR = (124, 117, 104)
_DEPTHS = {"L;2": 85, "L;4": 17}  # of PNG, to 8 bits
_HEIC = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1")

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


class RefusedImage(Exception):
    """An upload that is not read; `status` is that of the answer."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def read_image(file, metadata):
    """Read an image for the network.

    Parameters
    ----------
    file : binary file
    metadata : dict
        Of the exported model.

    Returns
    -------
    pixels : ndarray of shape (height, width, 3), dtype uint8
        Of the size of the network.
    box : tuple of float
        The part of the upright image that the pixels show: left, top, right and bottom,
        from 0 to 1. With resize_mode="pad", more than the image.

    Raises
    ------
    RefusedImage
    """
    try:
        with _open(file) as image:
            return _read(image, metadata)
    except RefusedImage:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        n = Image.MAX_IMAGE_PIXELS / 1e6
        reason = f"The image has more than {n:g} million pixels. Send a smaller one."
        raise RefusedImage(413, reason) from error
    except MemoryError as error:
        reason = "The service has too little memory for the image. Send a smaller one."
        raise RefusedImage(503, reason) from error
    except Exception as error:  # decoders raise any type
        cause = str(error) or type(error).__name__
        reason = f"The image is damaged or not complete: {cause}."
        raise RefusedImage(422, reason) from error


def _open(file):
    """Open an image, without decoding it, if its format and size are accepted."""
    start = file.read(12)
    file.seek(0)
    file = _BoundedFile(file)
    try:
        image = Image.open(file, formats=[*MAX_PIXELS])
        if image.format == "PNG":  # decoding ignores the end of the file
            image.verify()
            file.seek(0)
            image = Image.open(file, formats=["PNG"])
    except UnidentifiedImageError as error:
        raise RefusedImage(415, _not_accepted(start)) from error
    # MPO is a JPEG with other images after it.
    limit = MAX_PIXELS["JPEG" if image.format == "MPO" else image.format]
    width, height = image.size
    if width * height > limit:
        raise RefusedImage(
            413,
            f"The image has {width} x {height} pixels ({image.format}). At most "
            f"{limit / 1e6:g} million are accepted in this format. Send a smaller one.",
        )
    return image


class _BoundedFile:
    """An image file that refuses to be read on after too many pieces or scans.

    The scans of a JPEG are counted while it is decoded, from `counts_scans` on, as
    other data may follow it: a phone's "motion photo" contains a film.
    """

    def __init__(self, file):
        self._file = file
        self._n_reads, self._n_scans, self._last = 0, 0, b""
        self.counts_scans = False

    def __getattr__(self, name):
        return getattr(self._file, name)

    def read(self, size=-1):
        data = self._file.read(size)
        self._n_reads += 1
        if self._n_reads > MAX_READS:
            raise RefusedImage(
                413,
                f"The image consists of more than {MAX_READS // 3} segments or blocks, "
                "each of which takes time. Open it in another program and save it "
                "again.",
            )
        if self.counts_scans:
            self._n_scans += (self._last + data).count(_START_OF_SCAN)
            self._last = data[-1:]
        if self._n_scans > MAX_SCANS:
            raise RefusedImage(
                413,
                f"The image has more than {MAX_SCANS} scans, each of which takes time "
                "for the whole image. Open it in another program and save it again.",
            )
        return data


def _check_jpeg(image, full_size):
    """Raise if decoding a JPEG, perhaps at a reduced scale, may take too much memory.

    A progressive one takes two bytes for each coefficient, of which each pixel has at
    most one in each colour, and four for each decoded pixel. To convert and turn these
    then takes two copies more.
    """
    (full_width, full_height), (width, height) = full_size, image.size
    coefficients = 2 * len(image.getbands()) * full_width * full_height
    n_bytes = max(coefficients + 4 * width * height, 12 * width * height)
    if n_bytes > MAX_DECODED_BYTES:
        raise RefusedImage(
            413,
            f"The image has {full_width} x {full_height} pixels ({image.format}, "
            f"{image.mode}), which may take {n_bytes / 1e6:.0f} MB of memory. At most "
            f"{MAX_DECODED_BYTES / 1e6:g} MB are accepted. Send a smaller one.",
        )


def _not_accepted(start):
    expected = ", ".join(MAX_PIXELS)
    if not start:
        return f"The file is empty. Expected an image: {expected}."
    if start[4:] in _HEIC:
        return (
            f"The file is a HEIC photo. Expected one of the formats {expected}. "
            "Convert it, or set the camera of the phone to 'Most Compatible'."
        )
    return (
        f"The file is not a complete image in one of the formats {expected}. It starts "
        f"with the bytes {str(start.strip())[1:]}."
    )


def _read(image, metadata):
    size = metadata["network_image_size"]
    # A large JPEG is decoded at a reduced scale of at least twice the network's size.
    # Reduced sizes are rounded up: the image may end within the last pixel.
    side, nearest = 2 * max(size), metadata["interpolation"] == "nearest"
    full_size = image.size
    drafted = None if nearest else image.draft(None, (side, side))
    if image.format in ("JPEG", "MPO"):
        _check_jpeg(image, full_size)
        image.fp.counts_scans = True
    rawmode = _rawmode(image)
    key, value_range = _transparent_colour(image, rawmode), metadata["value_range"]
    has_deep_colours = rawmode in ("RGB;16B", "RGBA;16B", "LA;16B")
    if has_deep_colours and tuple(value_range or (0, 65535)) != (0, 65535):
        raise RefusedImage(
            422,
            "The image has colours of 16 bits, to which the grey values of the model "
            f"from {value_range[0]:g} to {value_range[1]:g} do not apply. Convert it "
            "to 8 bits.",
        )
    image.load()
    orientation = _orientation(image)
    extent = drafted[1][2:] if drafted else image.size
    convert = partial(_to_rgb, key=key, value_range=value_range)
    if not nearest:
        is_large = image.width * image.height > _MAX_PIXELS_AT_ONCE
        if is_large and (image.mode != "RGB" or orientation in _ORIENTATIONS):
            factor = max(1, min(image.size) // side)
            extent = [length / factor for length in extent]
            image = convert(image).reduce(factor)
        image = convert(image)
    image, box = _orient(image, orientation, extent)
    return _resize(image, box, metadata, convert)


def _rawmode(image):
    """Return the layout of pixels in a PNG file."""
    return image.tile[0][3] if image.format == "PNG" and image.tile else ""


def _transparent_colour(image, rawmode):
    """Return the transparent colour, which Pillow leaves in the depth of the file."""
    key = image.info.get("transparency")
    if key is not None and rawmode == "RGB;16B":
        return tuple(value >> 8 for value in key)
    return key if key is None else key * _DEPTHS.get(rawmode, 1)


def _to_rgb(image, key, value_range):
    """Return an image as RGB of 8 bits, with transparent pixels on white."""
    if image.mode.startswith("I"):  # grey of 16 bits
        values = np.asarray(image)
        low, high = value_range or (0, 65535)
        scaled = (values - np.float32(low)) / np.float32(high - low)
        grey = np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
        if key is not None:
            grey[values == key] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        if key is not None:
            image.info["transparency"] = key
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _orientation(image):
    """Return the EXIF orientation, or 1 if it is missing or damaged."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # of any type, from damaged EXIF
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


def _resize(image, box, metadata, convert):
    """Resize the region `box` of an image; return pixels, and the part they show."""
    left, top, right, bottom = box
    shape = right - left, bottom - top
    target = tuple(metadata["network_image_size"][::-1])
    filter_ = Image.Resampling[metadata["interpolation"].upper()]
    if metadata["resize_mode"] == "stretch":
        return np.array(convert(image.resize(target, filter_, box=box))), (0, 0, 1, 1)
    scales = [new / old for new, old in zip(target, shape, strict=True)]
    if metadata["resize_mode"] == "crop":
        width, height = (
            min(old, new / max(scales)) for new, old in zip(target, shape, strict=True)
        )
        x, y = left + (shape[0] - width) / 2, top + (shape[1] - height) / 2
        box = x, y, min(right, x + width), min(bottom, y + height)
        pixels = np.array(convert(image.resize(target, filter_, box=box)))
        a, b = (1 - width / shape[0]) / 2, (1 - height / shape[1]) / 2
        return pixels, (a, b, 1 - a, 1 - b)
    size = tuple(max(1, round(min(scales) * old)) for old in shape)
    canvas = Image.new("RGB", target, _PAD_COLOUR)
    corner = tuple((new - old) // 2 for new, old in zip(target, size, strict=True))
    canvas.paste(convert(image.resize(size, filter_, box=box)), corner)
    (x, y), (width, height) = corner, size
    shown = -x / width, -y / height, (target[0] - x) / width, (target[1] - y) / height
    return np.array(canvas), shown
