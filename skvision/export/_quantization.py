"""Arguments of quantization, and the images for it."""

import numpy as np

from skvision._images.inputs import check_images
from skvision._utils.validation import check_option

_FEWEST = 10
_MOST = 100  # more take memory and time, and hardly change the ranges of values


def check_quantization(quantize, calibration_images, format):
    """Return the images, of which the form is checked, or None without quantization."""
    if quantize is None:
        if calibration_images is not None:
            raise ValueError(
                "calibration_images is only used with quantize='int8'. Pass both, or "
                "neither."
            )
        return None
    check_option("quantize", quantize, ("int8",))
    if format != "tflite":
        raise ValueError(
            f"quantize='int8' is only possible with format='tflite'. Got {format!r} "
            "instead. Write a file that ends with '.tflite', or export with "
            "quantize=None."
        )
    if calibration_images is None:
        raise ValueError(
            "quantize='int8' requires calibration_images: at least 10, better 100 "
            "images like those that the model will classify, such as some of the "
            "training images."
        )
    images = check_images(calibration_images, "calibration_images")
    if len(images) < _FEWEST:
        raise ValueError(
            f"calibration_images contains {len(images)} images. Expected at least "
            f"{_FEWEST}, better 100."
        )
    return images


def read_some(images, settings):
    """Return at most 100 evenly spaced images as uint8, of the size of the network."""
    n = min(len(images), _MOST)
    chosen = np.linspace(0, len(images) - 1, n).round().astype(int)
    return np.stack([images.read(i, settings) for i in chosen.tolist()])
