"""What a file says about the model in it."""

import json

from skvision._backbones.table import VGG16
from skvision._backbones.weights import weights_digest
from skvision._utils.persistence import versions


def check_classes(classes):
    """Raise unless all classes are strings or integers."""
    if not (are_strings(classes) or classes.dtype.kind in "iu"):
        raise ValueError(
            "Only class labels that are strings or integers can be exported. Got "
            f"{classes.tolist()!r} instead. Export probabilities alone, with "
            "classes=False, or fit with other labels."
        )


def are_strings(classes):
    """Return whether all classes are strings."""
    return all(isinstance(label, str) for label in classes.tolist())


def describe(parts, image_size, classes):
    """Return the metadata of an exported model, as a dict for JSON."""
    settings = parts.settings
    return {
        "classes": parts.classes.tolist() if classes else None,
        "input": "images: uint8 RGB of shape (n_images, height, width, 3)",
        "image_size": list(settings.image_size) if image_size == "fixed" else None,
        "network_image_size": list(settings.image_size),
        "interpolation": settings.interpolation,
        "resize_mode": settings.resize_mode,
        "value_range": settings.value_range,
        "estimator": type(parts.network).__name__,
        "weights": _weights(parts.network),
        "versions": versions(),
    }


def _weights(network):
    """Return origin and licence of the weights that came with a network."""
    if not hasattr(network, "weights"):
        return {"origin": "trained from scratch", "license": None}
    if network.weights is None:
        return {"origin": "random", "license": None}
    describe_network = getattr(network, "_network", None)
    backbone = describe_network()[0] if callable(describe_network) else VGG16
    weights = network.weights
    digest = weights_digest(weights, backbone)
    is_imagenet = isinstance(weights, str) and weights == "imagenet"
    # That of a file of `keras.applications` may need a download, and is another one.
    if not is_imagenet and backbone.kind != "keras":
        is_imagenet = digest == weights_digest("imagenet", backbone)
    if is_imagenet:
        return {"origin": "ImageNet", "license": backbone.licence, "sha256": digest}
    origin = "a file of the user"
    return {"origin": origin, "license": "that of the file", "sha256": digest}


def to_json(metadata):
    """Return metadata as text."""
    return json.dumps(metadata, indent=2, ensure_ascii=False) + "\n"
