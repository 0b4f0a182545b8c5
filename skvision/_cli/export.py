"""``skvision export``: convert a model for use without skvision."""

import json
import os
import zipfile

from skvision._cli.folders import images_in
from skvision._cli.models import EXPORTED, load_model
from skvision._cli.parser import UsageError
from skvision._cli.texts import say
from skvision._utils.files import expand_path


def run(args):
    """Write the file, and print its path."""
    _check_usage(args)
    images = _calibration_images(args)
    from skvision.export import export_model

    model = load_model(args.model)
    if args.quantize is not None and not args.quiet:
        say("Quantizing and comparing, which takes a few minutes ...")
    path = export_model(
        model,
        args.file,
        image_size=args.image_size,
        quantize=args.quantize,
        calibration_images=images,
    )
    if args.quantize is not None:
        _say_change(path)
    print(path)


def _check_usage(args):
    ending = os.path.splitext(args.file)[1].lower()
    if ending not in ("", *EXPORTED):
        raise UsageError(
            f"FILE: got {args.file!r}, expected a name that ends with .onnx (ONNX), "
            ".tflite (LiteRT) or .keras (Keras), or one without ending (a folder, "
            "SavedModel)"
        )
    if args.quantize is not None and ending != ".tflite":
        raise UsageError(
            "--quantize is only possible for LiteRT. Use the ending .tflite, or leave "
            "out --quantize and --calibration"
        )
    if args.image_size == "any" and ending != ".onnx":
        raise UsageError(
            "--image-size any is only possible for ONNX. Use the ending .onnx, or "
            "leave out --image-size"
        )


def _say_change(path):
    """Say what quantization changed, which is in the metadata of the file."""
    with zipfile.ZipFile(path) as archive:
        change = json.loads(archive.read("skvision.json"))["quantization"]
    say(
        f"Quantized to {change['type']}: {change['same_labels']:.1%} of the labels of "
        f"{change['n_images']} calibration images are the same, and probabilities "
        f"changed by {change['mean_probability_change']:.3f} in the mean"
    )


def _calibration_images(args):
    """Return the images in the folder, or None."""
    if (args.quantize is None) != (args.calibration is None):
        raise UsageError(
            "--quantize and --calibration require each other: --quantize int8 "
            "--calibration FOLDER"
        )
    if args.calibration is None:
        return None
    return images_in(expand_path(args.calibration, "--calibration"))
