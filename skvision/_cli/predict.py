"""``skvision predict``: classify images."""

import csv
import os
import sys

import numpy as np

from skvision._cli.models import class_names, classify, load_model
from skvision._cli.texts import say
from skvision._utils.files import expand_path
from skvision.datasets import check_image_files, list_images
from skvision.exceptions import ImageReadError


def run(args):
    """Print a line for each image; return 1 if some cannot be read."""
    model = load_model(args.model, quiet=args.quiet)
    if args.min_proba > 0 and not hasattr(model, "predict_proba"):
        raise ValueError(
            f"--min-proba: the model in {args.model!r} has no probabilities. Calibrate "
            "it with scikit-learn's CalibratedClassifierCV, or leave out --min-proba."
        )
    paths = _list_paths(args.images)
    labels, proba, readable = _classify_readable(model, paths)
    rows = [("", "")] * len(paths)
    predictions = _predictions(labels, proba, class_names(model), args.min_proba)
    for i, row in zip(np.flatnonzero(readable), predictions, strict=True):
        rows[i] = row
    _print(paths, rows, args.csv)
    return int(not readable.all())


def _list_paths(arguments):
    paths = []
    for argument in arguments:
        path = expand_path(argument, "IMAGE")
        paths += list(list_images(path)) if os.path.isdir(path) else [path]
    return np.array(paths, dtype=object)


def _classify_readable(model, paths):
    """Return labels and probabilities of the images that can be read, and which."""
    readable = np.ones(len(paths), dtype=bool)
    try:
        return *classify(model, paths), readable
    except ImageReadError:
        report = check_image_files(paths, max_hash_distance=None)
        if report.readable.all():
            raise
    for error in report.errors:
        say(f"skvision: warning: {error}")
    readable = report.readable
    if not readable.any():
        return [], None, readable
    return *classify(model, paths[readable]), readable


def _predictions(labels, proba, classes, min_proba):
    """Yield (label, probability) as str; the label is empty if it is not certain."""
    if proba is None:
        yield from ((label, "") for label in labels)
        return
    columns = {name: i for i, name in enumerate(classes)}
    for label, row in zip(labels, proba, strict=True):
        p = row[columns[label]]
        yield (label if p >= min_proba else "", f"{p:.4f}")


def _print(paths, rows, as_csv):
    lines = [(path, *row) for path, row in zip(paths, rows, strict=True)]
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("path", "label", "probability"))
        writer.writerows(lines)
    else:
        for line in lines:
            print("\t".join(line))
