"""``skvision predict``: classify images."""

import csv
import os
import sys

import numpy as np

from skvision._cli.folders import images_in
from skvision._cli.models import class_names, classify, load_model
from skvision._cli.texts import read_error_text, say
from skvision._utils.files import expand_path
from skvision.datasets import check_image_files
from skvision.exceptions import ImageReadError


def run(args):
    """Print a line for each image; return 1 if some are missing or cannot be read."""
    model = load_model(args.model, quiet=args.quiet)
    if args.min_proba > 0 and not hasattr(model, "predict_proba"):
        raise ValueError(
            f"--min-proba: the model in {args.model!r} has no probabilities. Calibrate "
            "it with scikit-learn's CalibratedClassifierCV, or leave out --min-proba."
        )
    existing = _existing(args.images)
    if not existing:
        return 1
    paths = _list_paths(existing)
    labels, proba, readable = _classify_readable(model, paths)
    rows = [("", "")] * len(paths)
    predictions = _predictions(labels, proba, class_names(model), args.min_proba)
    for i, row in zip(np.flatnonzero(readable), predictions, strict=True):
        rows[i] = row
    _print(paths, rows, args.csv)
    return int(not readable.all() or len(existing) < len(args.images))


def _existing(arguments):
    """Return the files and folders that exist, and report the others."""
    paths = [expand_path(argument, "IMAGE") for argument in arguments]
    for path in paths:
        if not os.path.exists(path):
            say(f"skvision: error: {path!r} is neither a file nor a folder")
    return [path for path in paths if os.path.exists(path)]


def _list_paths(arguments):
    paths = []
    for path in arguments:
        paths += images_in(path) if os.path.isdir(path) else [path]
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
        say(f"skvision: warning: {read_error_text(error)}")
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
