"""Ranking of predictions, the worst ones first."""

from collections.abc import Hashable
from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar

# Worst predictions first, least certain predictions first, or the order of X.
ORDERS = ("wrong", "uncertain", "given")


class Ranking:
    """Predicted classes with the true ones and with scores, if known.

    Parameters
    ----------
    y_pred : list of length n_samples
        The predicted classes.
    y_true : list of length n_samples or None
        The true classes.
    classes : ndarray of shape (n_classes,) or None
        All classes. If None, those in `y_pred` and `y_true`.
    scores : ndarray of shape (n_samples, n_classes) or None
        Score of each class, in the order of `classes`; higher means more confident.
    is_proba : bool
        Whether the scores are probabilities.
    display_labels : array-like of shape (n_classes,) or None
        Display names of the classes.
    """

    def __init__(self, y_pred, y_true, classes, scores, is_proba, display_labels):
        labels = y_pred + (y_true or [])
        if classes is None:
            classes = found_classes(labels)
        names = class_names(classes, display_labels)
        # A wrong label, or a class that is not in the training data, is shown, too.
        known = classes.tolist()
        unknown = list(dict.fromkeys(x for x in labels if x not in set(known)))
        unknown_names = [repr(x) if str(x) in names else str(x) for x in unknown]
        self._names = np.array([*names, *unknown_names], dtype=object)
        self._codes = {label: code for code, label in enumerate([*known, *unknown])}
        self._n_classes, self._scores, self._is_proba = len(known), scores, is_proba
        self._pred = self._encode(y_pred, "predicted classes", known)
        self._true = None
        if y_true is not None:
            self._true = self._encode(y_true, "true classes", known)

    def _encode(self, labels, what, known):
        codes = np.array([self._codes[label] for label in labels])
        if (codes >= self._n_classes).all():
            found = ", ".join(map(repr, dict.fromkeys(labels[:5])))
            raise ValueError(
                f"None of the {what} is one of the classes {known}. Got {found}. Pass "
                "names or numbers in both, as in the 'y' of 'fit'."
            )
        return codes

    def order(self, order):
        """Return the indices of all predictions in one of the `ORDERS`."""
        if order == "given":
            return np.arange(len(self._pred))
        if order == "uncertain" or self._true is None:
            return np.argsort(self._score(self._pred), kind="stable")
        return np.lexsort((self._score(self._true), self._true == self._pred))

    def _score(self, codes):
        """Return the score of one class of each sample, -inf for an unknown class."""
        if self._scores is None:
            return np.zeros(len(codes))
        columns = np.minimum(codes, self._n_classes - 1)
        scores = self._scores[np.arange(len(codes)), columns]
        return np.where(codes < self._n_classes, scores, -np.inf)

    def take(self, selected):
        """Return the class names and probabilities of selected predictions."""
        taken = {}
        for key, codes in (("pred", self._pred), ("true", self._true)):
            if codes is not None:
                taken[f"y_{key}"] = self._names[codes[selected]]
                if self._is_proba and self._scores is not None:
                    proba = self._score(codes)[selected]
                    taken[f"proba_{key}"] = np.where(proba < 0, np.nan, proba)
        return taken


def check_labels(y, name, n_images):
    """Return the labels of `n_images` images as a list.

    Accepts every form of a column: lists, arrays of shape (n,) or (n, 1), series and
    data frames with one column.
    """
    try:
        values = np.asarray(y)
    except ValueError as error:
        raise ValueError(
            f"{name!r} must have one label per image. Got rows of different lengths."
        ) from error
    if values.shape not in ((n_images,), (n_images, 1)):
        raise ValueError(
            f"{name!r} must have one label for each of the {n_images} images, of shape "
            f"({n_images},) or ({n_images}, 1). Got {type(y).__name__} of shape "
            f"{values.shape}."
        )
    labels = values.ravel().tolist()
    for i, label in enumerate(labels):
        if not isinstance(label, Hashable):
            problem = (
                f"of type {type(label).__name__}: several labels are not supported"
            )
        elif _is_missing(label):
            problem = "a missing value: leave out images without a label"
        elif isinstance(label, float) and not label.is_integer():
            problem = "not a class: pass probabilities as 'y_proba'"
        else:
            continue
        raise ValueError(f"{name}[{i}] is {label!r}, {problem}.")
    return labels


def _is_missing(label):
    is_nan = isinstance(label, float) and label != label
    return is_nan or type(label).__name__ in ("NoneType", "NAType", "NaTType")


def found_classes(labels):
    """Return the sorted classes among some labels."""
    if len({isinstance(label, str) for label in labels}) > 1:
        raise ValueError(
            "The true and the predicted classes are partly strings, partly numbers: "
            f"{list(dict.fromkeys(labels))[:5]}. Pass names or numbers in both."
        )
    return np.unique(labels)


def class_names(classes, display_labels):
    """Return the display names of the classes, as a list of str."""
    if display_labels is None:
        return [str(label) for label in classes.tolist()]
    names = [str(name) for name in np.atleast_1d(np.asarray(display_labels)).ravel()]
    if len(names) != len(classes) or len(set(names)) != len(names):
        raise ValueError(
            "'display_labels' must be a list of one name per class, and all must "
            f"differ. Got {len(names)} names for {len(classes)} classes: {names} for "
            f"{classes.tolist()}."
        )
    return names


def check_options(n_images, order):
    """Validate parameters before making predictions, which can be slow."""
    check_scalar(n_images, "n_images", Integral, min_val=1)
    if order not in ORDERS:
        raise ValueError(f"'order' must be one of {ORDERS}. Got {order!r} instead.")


def check_classes(classes):
    """Return `classes`, in any form of a column, as an array."""
    classes = np.ravel(np.asarray(classes))
    labels = check_labels(classes, "classes", len(classes))
    if len(set(labels)) < len(labels):
        raise ValueError(f"All 'classes' must differ. Got {labels}.")
    return classes


def check_proba(y_proba, classes, n_images):
    """Return `y_proba` as an array with one row per image and a column per class."""
    try:
        proba = np.asarray(y_proba, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"'y_proba' must contain numbers: {error}.") from error
    if proba.ndim != 2 or len(proba) != n_images:
        raise ValueError(
            "'y_proba' must have one row per image and one column per class, like the "
            f"output of predict_proba, {n_images} rows here. Got shape {proba.shape}."
        )
    if len(classes) != proba.shape[1]:
        raise ValueError(
            f"'y_proba' has {proba.shape[1]} columns, but there are {len(classes)} "
            f"classes: {classes.tolist()}. Pass 'classes' in the order of the columns, "
            "for example 'classes_' of the estimator."
        )
    if not (proba.min() >= 0 and proba.max() <= 1 + 1e-6):  # also rejects NaN
        raise ValueError(
            "'y_proba' must contain probabilities between 0 and 1. Got values from "
            f"{proba.min()} to {proba.max()}."
        )
    return proba
