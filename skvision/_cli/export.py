"""``skvision export``: convert a model for use without skvision."""

import json
import zipfile

import numpy as np

from skvision._cli.models import load_model
from skvision._cli.parser import UsageError
from skvision._cli.texts import say
from skvision._utils.files import expand_path
from skvision.datasets import list_images

_N_CALIBRATION = 100


def run(args):
    """Write the file, and print its path."""
    images = _calibration_images(args)
    from skvision.export import export_model

    model = load_model(args.model)
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


def _say_change(path):
    """Say what quantization changed, which is in the metadata of the file."""
    with zipfile.ZipFile(path) as archive:
        change = json.loads(archive.read("skvision.json"))["quantization"]
    say(
        f"Quantized to {change['type']}: {change['same_labels']:.1%} of the labels of "
        "the calibration images are the same, and probabilities changed by "
        f"{change['mean_probability_change']:.3f} in the mean"
    )


def _calibration_images(args):
    """Return some of the images in the folder, always the same, or None."""
    if (args.quantize is None) != (args.calibration is None):
        raise UsageError(
            "--quantize and --calibration require each other: --quantize int8 "
            "--calibration FOLDER"
        )
    if args.calibration is None:
        return None
    paths = list_images(expand_path(args.calibration, "--calibration"))
    if len(paths) > _N_CALIBRATION:
        rng = np.random.default_rng(0)
        chosen = rng.choice(len(paths), _N_CALIBRATION, replace=False)
        paths = [paths[i] for i in sorted(chosen)]
    say(f"Calibration with {len(paths)} images in {args.calibration}")
    return list(paths)
