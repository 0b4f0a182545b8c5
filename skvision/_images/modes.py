"""Pillow's modes to RGB of 8 bits: transparency, palettes, 16 bits and more."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from skvision._images.limits import ImageRefused

# Images with more pixels are converted in bands.
MAX_PIXELS_AT_ONCE = 8_000_000
_BAND = 1_000_000

_WHITE_IS_ZERO = 0  # value of TIFF's tag PhotometricInterpretation
_LARGEST = 65535  # of integers with more than 8 bits


@dataclass(frozen=True)
class Converter:
    """Converts images, or bands of them, of one mode and depth to RGB.

    Attributes
    ----------
    low, high : float
        Grey values that become 0 and 255.
    is_clipped : bool
        Whether values outside become 0 or 255; if not, they raise a ValueError.
    is_inverted : bool
        Whether 0 is white.
    transparency : int, tuple or None
        The colour that is transparent.
    white : float or None
        The largest value of the image's type, if the file has more than 8 bits.
    """

    low: float
    high: float
    is_clipped: bool
    is_inverted: bool
    transparency: object
    white: float | None

    def __call__(self, image):
        """Convert to RGB, compositing transparent pixels on white."""
        if is_deep_grey(image.mode):
            return Image.fromarray(self._grey(image)).convert("RGB")
        if image.mode == "La":  # Pillow converts La only to LA
            image = image.convert("LA")
        if image.has_transparency_data:
            if image.info.get("transparency") != self.transparency:
                image = image.copy()
                image.info["transparency"] = self.transparency
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        return image if image.mode == "RGB" else image.convert("RGB")

    def _grey(self, image):
        values = np.asarray(image)
        if not self.is_clipped:
            low, high = values.min(), values.max()
            if not self.low <= low <= high <= self.high:  # NaN compares False
                raise ImageRefused(
                    f"its grey values lie between {low} and {high}, expected "
                    f"{self.low:g} to {self.high:g}. Set value_range=(black, white) to "
                    "the range of all images"
                )
        scaled = (values - np.float32(self.low)) / np.float32(self.high - self.low)
        grey = np.rint(255 * np.clip(scaled, 0, 1))
        if not np.isfinite(grey).all():
            raise ValueError("some of its grey values are not numbers")
        grey = grey.astype(np.uint8)
        if self.is_inverted:
            grey = 255 - grey
        if self.transparency is not None:
            grey[values == self.transparency] = 255
        return grey


def converter(image, value_range):
    """Return the `Converter` of a Pillow image that is open, not necessarily loaded."""
    rawmode = _rawmode(image)
    is_deep = is_deep_grey(image.mode)
    # Not "BGR;16", 16 bits for all three colours.
    has_deep_colours = not is_deep and rawmode.endswith((";16B", ";16L", ";16N"))
    if has_deep_colours and value_range not in (None, (0, _LARGEST)):
        raise ImageRefused(
            "its colours have 16 bits, of which Pillow decodes the upper 8, so that "
            "value_range cannot be applied. Convert it to 8 bits, or leave value_range "
            "at None if its colours use all 16 bits"
        )
    white = 1 if image.mode == "F" else _LARGEST
    low, high = (0, white) if value_range is None else value_range
    tags = getattr(image, "tag_v2", {})
    return Converter(
        low=low,
        high=high,
        is_clipped=value_range is not None,
        # Pillow inverts such TIFFs itself only up to 8 bits.
        is_inverted=image.mode.startswith("I;16")
        and tags.get(Base.PhotometricInterpretation) == _WHITE_IS_ZERO,
        transparency=_transparency(image, rawmode),
        white=white if is_deep else 255 if has_deep_colours else None,
    )


def is_deep_grey(mode):
    """Return whether grey values have more than 8 bits."""
    return mode in ("I", "F") or mode.startswith("I;16")


def extremes(image):
    """Return the smallest and the largest value in all colours of a loaded image."""
    if image.mode in ("I;16B", "I;16L", "I;16N"):  # for which Pillow has no extrema
        values = np.asarray(image)
        return values.min(), values.max()
    extrema = image.getextrema()
    if not isinstance(extrema[0], tuple):
        return extrema
    colours = extrema[:-1] if image.mode.endswith(("A", "a")) else extrema
    return min(low for low, _ in colours), max(high for _, high in colours)


def reduced(image, convert, factor):
    """Convert an image to RGB and reduce it by an integer factor, a band at a time."""
    width, height = image.size
    if factor == 1 and (image.mode == "RGB" or width * height <= MAX_PIXELS_AT_ONCE):
        return convert(image)
    n_rows = max(1, _BAND // (width * factor)) * factor
    result = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, n_rows):
        band = convert(image.crop((0, top, width, min(height, top + n_rows))))
        result.paste(band.reduce(factor), (0, top // factor))
    return result


def _rawmode(image):
    """Return the layout of pixels in the file, or "" if Pillow does not say."""
    arguments = image.tile[0][3] if getattr(image, "tile", None) else ""
    if isinstance(arguments, tuple) and arguments:
        arguments = arguments[0]
    return arguments if isinstance(arguments, str) else ""


def _transparency(image, rawmode):
    """Return the transparent colour, scaled to the 8 bits of Pillow's pixels."""
    key = image.info.get("transparency")
    if image.format == "PNG" and key is not None:
        if rawmode in ("L;2", "L;4"):
            return key * {"L;2": 85, "L;4": 17}[rawmode]
        # Once Pillow has loaded an image, only the values tell that they have 16 bits.
        if rawmode == "RGB;16B" or (image.mode == "RGB" and max(key) > 255):
            return tuple(value >> 8 for value in key)
    return key
