"""Limits on what reading an image costs.

Those on its size are environment variables, so that worker processes have the same
ones, and are checked before a file is read or decoded.
"""

import os
import re
import struct
from io import BytesIO

from PIL import ImageFile, TiffImagePlugin
from PIL.ExifTags import Base

MAX_BYTES = "SKVISION_MAX_IMAGE_BYTES"
MAX_PIXELS = "SKVISION_MAX_IMAGE_PIXELS"
_DEFAULTS = {MAX_BYTES: 100_000_000, MAX_PIXELS: 70_000_000}

# Memory that Pillow needs for a pixel, in bytes: four for most modes. Some decoders
# have copies of the image, and a progressive JPEG its coefficients.
_PILLOW = 4
_DECODERS = {"WEBP": 17, "JPEG2000": 20, "AVIF": 10, "HEIF": 8}
_JPEG2000_TILE = 14_000  # for what the decoder keeps of each tile; measured
# A scan takes time for all pixels, even if it has only a few bytes. Progressive JPEGs
# have about 10, and libtiff has the same limit for TIFFs that contain JPEGs.
_MAX_SCANS = 100
_START_OF_SCAN = b"\xff\xda"
# A PNG of 100 MB in chunks of 8 kB is read in about 100,000 pieces.
_MAX_READS = 900_000
_MAX_STRIPS = 200_000
_SAVE_AGAIN = ". If you trust it, open it in another program and save it again"


class ImageRefused(ValueError):
    """An image is not read, for a reason whose text says how to go on."""


def check_limits():
    """Raise a ValueError unless both environment variables are whole numbers."""
    for name in _DEFAULTS:
        limit(name)


def check_pillow():
    """Raise a ValueError if Pillow would decode images of which parts are missing."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise ValueError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is True, which your program or a "
            "library that it imports has set. Images with missing or damaged parts "
            "would be read without an error, but not in worker processes. Set it to "
            "False; skvision.datasets.check_image_files finds such images."
        )


def limit(name):
    """Return the limit `MAX_BYTES` or `MAX_PIXELS` that is in force in this process."""
    text = os.environ.get(name, "").strip()
    if not text:
        return _DEFAULTS[name]
    if not text.replace("_", "").isdecimal():
        raise ValueError(
            f"The environment variable {name} must be a whole number. Got {text!r}."
        )
    return int(text)


def check_bytes(n_bytes):
    """Raise unless a file of this size may be read."""
    if n_bytes > limit(MAX_BYTES):
        raise ImageRefused(
            f"it has {n_bytes / 1e6:,.0f} MB, more than the limit of "
            f"{limit(MAX_BYTES) / 1e6:,.0f} MB{_how_to_raise(MAX_BYTES, n_bytes)}"
        )


def check_memory(image, size, n_bytes, extra):
    """Raise unless an image, opened by Pillow and not yet decoded, may be decoded.

    `size` is that in the file, `image.size` perhaps a reduced one at which a JPEG will
    be decoded; `n_bytes` is the size of the file, and `extra` that from `extra_memory`.
    """
    width, height = image.size
    needed = width * height * _DECODERS.get(image.format, _PILLOW) + extra
    needed = max(needed, _PILLOW * _tile(image, width, height))
    if getattr(image, "tag_v2", {}).get(Base.Orientation, 1) != 1:
        needed *= 2  # Pillow turns TIFFs itself
    needed += n_bytes
    n_pixels = -(-needed // _PILLOW)
    if n_pixels > limit(MAX_PIXELS):
        raise ImageRefused(
            f"reading its {size[0]} x {size[1]} pixels as {image.format} would take "
            f"about {needed / 1e6:,.0f} MB, more than the limit of "
            f"{_PILLOW * limit(MAX_PIXELS) / 1e6:,.0f} MB"
            f"{_how_to_raise(MAX_PIXELS, n_pixels)}"
        )


def _how_to_raise(name, needed):
    # Two digits are enough, rounded up.
    unit = 10 ** max(0, len(str(needed)) - 2)
    return (
        f". If you trust it, set the environment variable {name} to at least "
        f"{-(-needed // unit) * unit}, before worker processes start"
    )


def _tile(image, width, height):
    """Return the number of pixels in a tile or strip of a TIFF, or 0."""
    tags = getattr(image, "tag_v2", {})
    tile = tags.get(Base.TileWidth, 0), tags.get(Base.TileLength, 0)
    strip = width, min(tags.get(Base.RowsPerStrip, 0), height)
    return max(int(a) * int(b) for a, b in (tile, strip))


def extra_memory(image, data):
    """Return the bytes that decoding takes, beyond those for pixels.

    For the coefficients of a JPEG of several scans, and the tiles of a JPEG 2000. The
    image has been opened, and nothing more.
    """
    if image.format in ("JPEG", "MPO"):
        return _jpeg_coefficients(image, data)
    if image.format == "JPEG2000":
        return _JPEG2000_TILE * _n_tiles(image, data)
    return 0


def _jpeg_coefficients(image, data):
    # Pillow stops reading after the header of the first scan: a marker, its length, the
    # number of components in this scan, two bytes for each, and three more.
    n = len(image.layer)
    header = _START_OF_SCAN + (6 + 2 * n).to_bytes(2) + bytes([n])
    is_single = data[: image.fp.tell()][-8 - 2 * n :].startswith(header)
    if is_single and not image.info.get("progressive"):
        return 0
    areas = [h * v for _, h, v, _ in image.layer]
    return 2 * image.size[0] * image.size[1] * sum(areas) // max(areas)


def _n_tiles(image, data):
    """Return the largest number of tiles in a header of a JPEG 2000 codestream."""
    most, (width, height) = 1, image.size
    for match in re.finditer(b"\xff\x4f\xff\x51", data):
        tile = data[match.end() + 20 : match.end() + 28]
        if len(tile) == 8 and 0 not in (sides := struct.unpack(">II", tile)):
            most = max(most, -(-width // sides[0]) * -(-height // sides[1]))
    return most


class BoundedFile:
    """An image file in memory that raises when reading it takes too long.

    Pillow reads metadata in small pieces, and lists them. The scans of a JPEG are
    counted while it is decoded, from `counts_scans` on, as other data may follow the
    image: a phone's "motion photo" contains a film.
    """

    def __init__(self, data, format):
        self._file = BytesIO(data)
        # Of a compressed BMP it reads single bytes of pixels, and lists nothing.
        self._weight = 0.2 if format == "BMP" else 1
        self._n_reads, self._n_scans, self._last = 0, 0, b""
        self.counts_scans = False

    def __getattr__(self, name):
        return getattr(self._file, name)

    def read(self, size=-1):
        data = self._file.read(size)
        self._n_reads += self._weight
        if data.startswith(b"Exif\0\0"):  # Pillow copies all such segments before it
            self._n_reads += _MAX_READS // 100
        if self._n_reads > _MAX_READS:
            raise ImageRefused(
                f"it consists of more than {_MAX_READS / 3:,.0f} segments or blocks, "
                f"each of which takes time and memory{_SAVE_AGAIN}"
            )
        if self.counts_scans:
            self._n_scans += (self._last + data).count(_START_OF_SCAN)
            self._last = data[-1:]
        if self._n_scans > _MAX_SCANS:
            raise ImageRefused(
                f"it has more than {_MAX_SCANS} scans, each of which takes time for "
                f"the whole image. A usual JPEG has about 10 at most{_SAVE_AGAIN}"
            )
        return data


class BoundedTiff(TiffImagePlugin.TiffImageFile):
    """A TIFF that is not opened if it has too many strips or tiles, or is no photo.

    Pillow lists those of an uncompressed image when it opens it.
    """

    def _setup(self):
        is_reduced = self.tag_v2.get(Base.NewSubfileType, 0) & 1
        if is_reduced and Base.SubIFDs in self.tag_v2:
            raise ImageRefused(
                "it is a raw file of a camera, of which Pillow reads only a thumbnail. "
                "Convert it with a program for such files"
            )
        # Not from `tag_v2` itself, which would make an object of each number.
        tags = getattr(self.tag_v2, "_tagdata", {})
        offsets = Base.StripOffsets, Base.TileOffsets
        if max(len(tags.get(tag, b"")) for tag in offsets) > 8 * _MAX_STRIPS:
            raise ImageRefused(
                f"it has more than {_MAX_STRIPS} strips or tiles, each of which takes "
                f"time and memory{_SAVE_AGAIN}"
            )
        super()._setup()
