"""Predictions in an order: which of them are the most wrong."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_consistent_length, check_scalar

# What comes first: the wrong ones, the least certain ones, or the first ones.
ORDERS = ("wrong", "uncertain", "given")


class Ranking:
    """Predictions, and the true classes if they are known.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        The greater, the surer is the class.
    classes : ndarray of shape (n_classes,)
        The classes, in the order of the columns.
    is_proba : bool
        Whether the scores are probabilities.
    y : array-like of shape (n_samples,) or None
        The true classes.
    display_labels : array-like of shape (n_classes,) or None
        What the classes shall be called.
    """

    def __init__(self, scores, classes, is_proba, y, display_labels):
        names = class_names(classes, display_labels)
        predicted, rows = scores.argmax(axis=1), np.arange(len(scores))
        self._pred, self._true, self._is_proba = predicted, None, is_proba
        self._names, self._of_pred = names, scores[rows, predicted]
        if y is not None:
            check_consistent_length(scores, y)
            self._true = _codes(y, classes)
            self._of_true = scores[rows, self._true]

    def order(self, order):
        """Return the positions of all predictions in one of the orders of `ORDERS`."""
        if order == "given":
            return np.arange(len(self._pred))
        if order == "uncertain" or self._true is None:
            return np.argsort(self._of_pred, kind="stable")
        return np.lexsort((self._of_true, self._true == self._pred))

    def take(self, chosen):
        """Return names and probabilities of some predictions, for their display."""
        taken = {"y_pred": self._names[self._pred[chosen]]}
        if self._is_proba:
            taken["proba_pred"] = self._of_pred[chosen]
        if self._true is not None:
            taken["y_true"] = self._names[self._true[chosen]]
            if self._is_proba:
                taken["proba_true"] = self._of_true[chosen]
        return taken


def class_names(classes, display_labels):
    """Return what the classes shall be called."""
    if display_labels is None:
        return classes
    names = np.asarray(display_labels)
    if len(names) != len(classes):
        raise ValueError(
            f"'display_labels' must have a name for each of the {len(classes)} "
            f"classes, {classes.tolist()}. Got {len(names)} names."
        )
    return names


def check_options(n_images, order):
    """Check what needs no prediction, which may take long."""
    check_scalar(n_images, "n_images", Integral, min_val=1)
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}. Got {order!r}.")


def response(estimator, X, y):
    """Ask an estimator, and return scores, classes and whether these are probabilities.

    Of an estimator that has `predict` alone, the classes are those that occur there and
    in the true ones, `y`.
    """
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(X)), estimator.classes_, True
    if not hasattr(estimator, "decision_function"):
        return label_scores(y, estimator.predict(X), None)
    scores = np.asarray(estimator.decision_function(X))
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores])
    if scores.shape[1] != len(estimator.classes_):
        raise ValueError(
            f"decision_function of {type(estimator).__name__} returns "
            f"{scores.shape[1]} columns for {len(estimator.classes_)} classes: pass "
            "the result of predict to from_predictions."
        )
    return scores, estimator.classes_, False


def label_scores(y_true, y_pred, classes):
    """Return the same of what a user has: classes or probabilities in `y_pred`."""
    y_pred = np.asarray(y_pred)
    known = [] if y_true is None else [np.asarray(y_true)]
    if y_pred.ndim == 2:
        if classes is None:
            classes = np.unique(known)
        classes = np.asarray(classes)
        if len(classes) != y_pred.shape[1]:
            raise ValueError(
                f"y_pred has {y_pred.shape[1]} columns of probabilities, but there are "
                f"{len(classes)} classes: {classes.tolist()}. Pass 'classes' in the "
                "order of the columns, such as 'classes_' of the estimator."
            )
        if not (y_pred.min() >= 0 and y_pred.max() <= 1 + 1e-6):  # NaN is neither
            raise ValueError(
                "y_pred of two dimensions must hold probabilities, from 0 to 1. Got "
                f"values from {y_pred.min()} to {y_pred.max()}."
            )
        return y_pred, classes, True
    if classes is None:
        classes = np.unique(np.concatenate([*known, y_pred]))
    classes = np.asarray(classes)
    return np.eye(len(classes))[_codes(y_pred, classes)], classes, False


def _codes(y, classes):
    """Return the position in `classes` of each element of `y`."""
    codes = {label: code for code, label in enumerate(classes.tolist())}
    labels = np.asarray(y).tolist()
    unknown = sorted({repr(label) for label in labels if label not in codes})
    if unknown:
        raise ValueError(
            f"There are labels that are none of the classes: {', '.join(unknown[:5])}. "
            f"The classes are {classes.tolist()}."
        )
    return np.array([codes[label] for label in labels])
