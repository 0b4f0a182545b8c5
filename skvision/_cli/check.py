"""``skvision check``: look for problems in the images."""

import csv
import sys

from skvision._cli.folders import load_parts
from skvision._cli.texts import say
from skvision.datasets import check_image_files
from skvision.datasets._report import Finding

# Findings with which training fails, or its score is wrong.
_SERIOUS = {
    "unreadable",
    "duplicate in X_val",
    "duplicate in other class",
    "class only in y_val",
}


def run(args):
    """Print the report; return 1 if there are serious problems."""
    train, validation = load_parts(args.folder)
    X_val, y_val = (
        (None, None) if validation is None else (validation.data, validation.target)
    )
    say(f"X: {train.folder}")
    if validation is not None:
        say(f"X_val: {validation.folder}")
    report = check_image_files(train.data, train.target, X_val=X_val, y_val=y_val)
    if args.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(Finding._fields)
        writer.writerows(report.findings)
    else:
        print(report)
    return int(any(finding.problem in _SERIOUS for finding in report.findings))
