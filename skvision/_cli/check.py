"""``skvision check``: look for problems in the images."""

import csv
import re
import sys

from skvision._cli.folders import load_parts, load_to_check
from skvision._cli.texts import say
from skvision.datasets import check_image_files
from skvision.datasets._report import Finding

# Findings with which training fails, or its score is wrong.
_SERIOUS = {
    "unreadable",
    "duplicate in X_val",
    "duplicate in other class",
    "class only in y_val",
    "class spelling",
    "one class",
}


def run(args):
    """Print the report; return 1 if there are serious problems."""
    train, validation = load_parts(args.folder, load_to_check)
    X_val, y_val = (
        (None, None) if validation is None else (validation.data, validation.target)
    )
    report = check_image_files(
        train.data, train.target, X_val=X_val, y_val=y_val, verbose=1
    )
    folders = _folders(train, validation)
    if args.csv:
        for name, folder in folders.items():
            say(f"{name}: {folder}")
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(Finding._fields)
        writer.writerows(report.findings)
    else:
        print(_with_folders(str(report), folders))
    empty = [path for part in (train, validation) if part for path in part.empty]
    if empty:
        say(f"Classes without images ({len(empty)}): {', '.join(map(repr, empty))}")
    return int(bool(empty) or any(f.problem in _SERIOUS for f in report.findings))


def _folders(train, validation):
    """Return the folders, by their names in the report."""
    folders = {"X": train.folder}
    if validation is not None:
        folders["X_val"] = validation.folder
    return folders


def _with_folders(text, folders):
    """Name the folders in the first lines of a report."""
    for name, folder in folders.items():
        # If there are two, findings refer to X and X_val.
        label = folder if len(folders) == 1 else f"{name}, {folder}"
        text = re.sub(
            f"^{name}: ", lambda _, label=label: f"{label}: ", text, count=1, flags=re.M
        )
    return text
