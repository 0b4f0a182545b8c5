"""Accuracy and confusion, as text."""

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, recall_score

from skvision._cli.texts import table

# A wider confusion matrix is replaced by its largest entries.
_MAX_WIDTH = 100
_MAX_CONFUSIONS = 20


def accuracy_line(y_true, y_pred, name="accuracy"):
    """Return the accuracy with its confidence interval, as a line."""
    n_correct, n = int(np.sum(y_true == y_pred)), len(y_true)
    return (
        f"{name}: {n_correct / n:.3f} ({n_correct} of {n}), {_interval(n_correct, n)}"
    )


def accuracy_lines(y_true, y_pred, name):
    """Return the same, and the balanced accuracy if classes differ in size."""
    lines = [accuracy_line(y_true, y_pred, name)]
    n_images = np.unique(y_true, return_counts=True)[1]
    if n_images.min() < n_images.max():
        lines.append(_balanced_accuracy(y_true, y_pred))
    return "\n".join(lines)


def _interval(n_correct, n):
    low, high = _bounds(n_correct, n)
    return f"95 % confidence interval {low:.3f} to {high:.3f}"


def _bounds(n_correct, n):
    interval = binomtest(n_correct, n).proportion_ci(0.95, method="wilson")
    return interval.low, interval.high


def report(y_true, y_pred, classes):
    """Return accuracy, scores of each class and confusions, as text."""
    matrix = confusion_matrix(y_true, y_pred, labels=classes)
    lines = [accuracy_line(y_true, y_pred)]
    if len(set(y_true)) > 1:
        lines.append(_balanced_accuracy(y_true, y_pred))
    return "\n".join(
        [*lines, "", _class_table(matrix, classes), "", _confusions(matrix, classes)]
    )


def _balanced_accuracy(y_true, y_pred):
    # As `balanced_accuracy_score`, which warns of classes that are only predicted.
    score = recall_score(y_true, y_pred, labels=np.unique(y_true), average="macro")
    return f"balanced accuracy: {score:.3f}"


def _class_table(matrix, classes):
    rows = [("class", "images", "recall", "95 % interval", "precision")]
    for i, name in enumerate(classes):
        n, n_predicted, n_correct = matrix[i].sum(), matrix[:, i].sum(), matrix[i, i]
        recall, interval = "-", "-"
        if n:
            recall = f"{n_correct / n:.3f}"
            interval = "{:.3f} to {:.3f}".format(*_bounds(int(n_correct), int(n)))
        precision = f"{n_correct / n_predicted:.3f}" if n_predicted else "-"
        rows.append((name, str(n), recall, interval, precision))
    return table(rows)


def _confusions(matrix, classes):
    """Return the confusion matrix or, for many classes, its largest entries."""
    rows = [("true \\ predicted", *classes)]
    rows += [(name, *map(str, row)) for name, row in zip(classes, matrix, strict=True)]
    text = table(rows)
    if len(text.partition("\n")[0]) <= _MAX_WIDTH:
        return text
    wrong = matrix - np.diag(np.diag(matrix))
    largest = np.argsort(-wrong, axis=None, kind="stable")[:_MAX_CONFUSIONS]
    pairs = [divmod(int(i), len(classes)) for i in largest]
    rows = [("true", "predicted", "images")]
    rows += [
        (classes[i], classes[j], str(wrong[i, j])) for i, j in pairs if wrong[i, j]
    ]
    return table(rows) if len(rows) > 1 else "no confusions"
