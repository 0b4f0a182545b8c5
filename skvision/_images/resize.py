"""How large an image becomes, and which part of it."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
RESIZE_MODES = ("stretch", "crop", "pad")

# The bars of "pad" have the mean colour of ImageNet, which preprocessing maps to 0: as
# the convolutions themselves pad.
PAD_COLOUR = (124, 117, 104)


@dataclass(frozen=True)
class ImageSettings:
    """The pixels that an image becomes; the text of an object is in the store's keys.

    Attributes
    ----------
    image_size : tuple of (int, int) or None
        Height and width; None keeps those of the image.
    interpolation : str
        One of `INTERPOLATIONS`.
    resize_mode : str
        One of `RESIZE_MODES`: "stretch" ignores the aspect ratio, "crop" keeps the
        centre, "pad" adds bars.
    value_range : tuple of (float, float) or None
        The values that are black and white in images of more than 8 bits.
    max_side : int or None
        The longest side that an image may keep, if `image_size` is None.
    """

    image_size: tuple[int, int] | None
    interpolation: str = "bilinear"
    resize_mode: str = "stretch"
    value_range: tuple[float, float] | None = None
    max_side: int | None = None

    def reduced_side(self):
        """Return the side to which images may be reduced before they are resized.

        Twice the longest side, since an image may be turned by its EXIF orientation;
        None if they must not be reduced.
        """
        longest = max(self.image_size) if self.image_size else self.max_side
        if longest is None or self.interpolation == "nearest":
            return None
        return 2 * longest

    def target(self, shape):
        """Return width and height of an image whose content has this shape."""
        if self.image_size is not None:
            return self.image_size[::-1]
        scale = min(1, (self.max_side or max(shape)) / max(shape))
        return tuple(max(1, round(scale * side)) for side in shape)


def resize(image, settings, box, convert):
    """Resize the region `box` (left, upper, right, lower) of a Pillow image.

    `convert` makes the result RGB. Returns a uint8 array (height, width, 3).
    """
    left, top, right, bottom = box
    shape = right - left, bottom - top
    target = settings.target(shape)
    filter_ = Image.Resampling[settings.interpolation.upper()]  # antialiased
    if settings.resize_mode == "stretch":
        return np.array(convert(image.resize(target, filter_, box=box)))
    scales = [new / old for new, old in zip(target, shape, strict=True)]
    if settings.resize_mode == "crop":
        width, height = (
            min(old, new / max(scales)) for new, old in zip(target, shape, strict=True)
        )
        x, y = left + (shape[0] - width) / 2, top + (shape[1] - height) / 2
        box = x, y, min(right, x + width), min(bottom, y + height)
        return np.array(convert(image.resize(target, filter_, box=box)))
    size = tuple(max(1, round(min(scales) * old)) for old in shape)
    canvas = Image.new("RGB", target, PAD_COLOUR)
    corner = tuple((new - old) // 2 for new, old in zip(target, size, strict=True))
    canvas.paste(convert(image.resize(size, filter_, box=box)), corner)
    return np.array(canvas)
