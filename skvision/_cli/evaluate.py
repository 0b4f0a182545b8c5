"""``skvision evaluate``: measure the accuracy of a model."""

import os

from skvision._cli.fit import check_known
from skvision._cli.folders import load_for_evaluation
from skvision._cli.models import (
    check_output,
    class_names,
    classify,
    load_model,
    print_if_trained_on,
)
from skvision._cli.parser import UsageError
from skvision._cli.scores import report
from skvision._cli.texts import say
from skvision._utils.files import replacing
from skvision.plot import ImagePredictionDisplay
from skvision.plot._shared import check_matplotlib


def run(args):
    """Print the scores, and draw the images with the worst predictions."""
    if args.worst is not None:
        worst = _check_picture(args.worst)
    bunch = load_for_evaluation(args.folder)
    model = load_model(args.model, quiet=args.quiet)
    classes = class_names(model)
    check_known(bunch, classes, "the images of the model")
    say(f"Evaluating on {len(bunch.data)} images in {bunch.folder}")
    y_pred, proba = classify(model, bunch.data)
    print_if_trained_on(model, bunch.data)
    print(report(bunch.target, y_pred, classes))
    if args.worst is not None:
        _draw(bunch, y_pred, proba, classes, worst)
        say(f"Worst predictions: {args.worst}")


def _check_picture(path):
    """Check before work whether the picture can be written."""
    check_matplotlib("--worst")
    if not path.lower().endswith((".png", ".jpg", ".jpeg", ".pdf", ".svg")):
        raise UsageError(f"--worst: expected the name of a PNG file, got {path!r}")
    return check_output(path)


def _draw(bunch, y_pred, proba, classes, path):
    import matplotlib.pyplot as plt

    display = ImagePredictionDisplay.from_predictions(
        bunch.data, bunch.target, y_pred, y_proba=proba, classes=classes
    )
    extension = os.path.splitext(path)[1][1:].lower()
    try:
        with replacing(path) as file:
            display.figure_.savefig(file, format=extension, bbox_inches="tight")
    finally:
        plt.close(display.figure_)
