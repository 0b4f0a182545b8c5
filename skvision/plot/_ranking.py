"""Ranking of predictions, the worst ones first."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_consistent_length, check_scalar

# Worst predictions first, least certain predictions first, or the order of X.
ORDERS = ("wrong", "uncertain", "given")


class Ranking:
    """Predictions with their true classes, if known.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        Score of each class; higher means more confident.
    classes : ndarray of shape (n_classes,)
        The classes, in the order of the columns of `scores`.
    is_proba : bool
        Whether the scores are probabilities.
    y : array-like of shape (n_samples,) or None
        The true classes.
    display_labels : array-like of shape (n_classes,) or None
        Display names of the classes.
    """

    def __init__(self, scores, classes, is_proba, y, display_labels):
        names = class_names(classes, display_labels)
        pred, rows = scores.argmax(axis=1), np.arange(len(scores))
        self._pred, self._true, self._is_proba = pred, None, is_proba
        self._names, self._pred_scores = names, scores[rows, pred]
        if y is not None:
            check_consistent_length(scores, y)
            self._true = _encode(y, classes)
            self._true_scores = scores[rows, self._true]

    def order(self, order):
        """Return the indices of all predictions in one of the `ORDERS`."""
        if order == "given":
            return np.arange(len(self._pred))
        if order == "uncertain" or self._true is None:
            return np.argsort(self._pred_scores, kind="stable")
        return np.lexsort((self._true_scores, self._true == self._pred))

    def take(self, selected):
        """Return the class names and probabilities of selected predictions."""
        taken = {"y_pred": self._names[self._pred[selected]]}
        if self._is_proba:
            taken["proba_pred"] = self._pred_scores[selected]
        if self._true is not None:
            taken["y_true"] = self._names[self._true[selected]]
            if self._is_proba:
                taken["proba_true"] = self._true_scores[selected]
        return taken


def class_names(classes, display_labels):
    """Return the display names of the classes."""
    if display_labels is None:
        return classes
    names = np.asarray(display_labels)
    if len(names) != len(classes):
        raise ValueError(
            f"'display_labels' must have one name per class. Got {len(names)} names "
            f"for {len(classes)} classes: {classes.tolist()}."
        )
    return names


def check_options(n_images, order):
    """Validate parameters before making predictions, which can be slow."""
    check_scalar(n_images, "n_images", Integral, min_val=1)
    if order not in ORDERS:
        raise ValueError(f"'order' must be one of {ORDERS}. Got {order!r} instead.")


def predict_scores(estimator, X, y):
    """Return scores, classes and whether the scores are probabilities.

    If the estimator only has `predict`, the classes are those found in its output and
    in `y`.
    """
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(X)), estimator.classes_, True
    if not hasattr(estimator, "decision_function"):
        return scores_from_predictions(y, estimator.predict(X), None)
    scores = np.asarray(estimator.decision_function(X))
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores])
    if scores.shape[1] != len(estimator.classes_):
        raise ValueError(
            f"decision_function of {type(estimator).__name__} returns "
            f"{scores.shape[1]} columns for {len(estimator.classes_)} classes. Pass "
            "the output of predict to from_predictions instead."
        )
    return scores, estimator.classes_, False


def scores_from_predictions(y_true, y_pred, classes):
    """Like `predict_scores`, for predicted classes or probabilities in `y_pred`."""
    y_pred = np.asarray(y_pred)
    known = [] if y_true is None else [np.asarray(y_true)]
    if y_pred.ndim == 2:
        if classes is None:
            classes = np.unique(known)
        classes = np.asarray(classes)
        if len(classes) != y_pred.shape[1]:
            raise ValueError(
                f"'y_pred' has {y_pred.shape[1]} columns of probabilities, but there "
                f"are {len(classes)} classes: {classes.tolist()}. Pass 'classes' in "
                "the order of the columns, for example 'classes_' of the estimator."
            )
        if not (y_pred.min() >= 0 and y_pred.max() <= 1 + 1e-6):  # also rejects NaN
            raise ValueError(
                "Two-dimensional 'y_pred' must contain probabilities between 0 and 1. "
                f"Got values from {y_pred.min()} to {y_pred.max()}."
            )
        return y_pred, classes, True
    if classes is None:
        classes = np.unique(np.concatenate([*known, y_pred]))
    classes = np.asarray(classes)
    return np.eye(len(classes))[_encode(y_pred, classes)], classes, False


def _encode(y, classes):
    """Return the index in `classes` of each element of `y`."""
    codes = {label: code for code, label in enumerate(classes.tolist())}
    labels = np.asarray(y).tolist()
    unknown = sorted({repr(label) for label in labels if label not in codes})
    if unknown:
        raise ValueError(
            f"Labels must be in {classes.tolist()}. Got unknown labels: "
            f"{', '.join(unknown[:5])}."
        )
    return np.array([codes[label] for label in labels])
