"""Scikit-learn's linear steps, and the dense head, as layers of a network."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

from skvision.export._parts import is_dense_head

_LINEAR = (LogisticRegression, LogisticRegressionCV, LinearDiscriminantAnalysis)


def dense_layers(steps):
    """Return a classifier of features as dense layers, or None if it has none.

    Parameters
    ----------
    steps : list of estimators
        Fitted transformers, and a classifier.

    Returns
    -------
    layers : list of (kernel, bias) or None
        With ReLU between them, from features to logits: one for two classes, else one
        for each class. Steps before the classifier are part of the first layer.
    """
    *steps, classifier = steps
    layers = _classifier_layers(classifier)
    if layers is None or any(type(step) not in _FOLDED for step in steps):
        return None
    kernel, bias = layers[0]
    for step in reversed(steps):
        folded = _FOLDED[type(step)](step, kernel, bias)
        if folded is None:
            return None
        kernel, bias = folded
    return [(kernel, bias), *layers[1:]]


def _classifier_layers(classifier):
    if is_dense_head(classifier):
        weights = [w.astype(np.float64) for w in classifier._weights]
        return list(zip(weights[::2], weights[1::2], strict=True))
    if type(classifier) not in _LINEAR or _is_one_vs_rest(classifier):
        return None
    return [(classifier.coef_.T.astype(np.float64), classifier.intercept_)]


def _is_one_vs_rest(classifier):
    """Return whether probabilities of several classes are no softmax."""
    is_ovr = getattr(classifier, "multi_class", None) == "ovr"
    is_ovr = is_ovr or getattr(classifier, "solver", None) == "liblinear"
    return is_ovr and len(classifier.classes_) > 2


# Each function returns kernel and bias of "step, then the layer", or None.


def _fold_standard(step, kernel, bias):
    if step.scale_ is not None:
        kernel = kernel / step.scale_[:, np.newaxis]
    return kernel, bias if step.mean_ is None else bias - step.mean_ @ kernel


def _fold_min_max(step, kernel, bias):
    if step.clip:
        return None
    return step.scale_[:, np.newaxis] * kernel, bias + step.min_ @ kernel


def _fold_max_abs(step, kernel, bias):
    if getattr(step, "clip", False):
        return None
    return kernel / step.scale_[:, np.newaxis], bias


def _fold_pca(step, kernel, bias):
    components = step.components_.astype(np.float64)
    if step.whiten:
        scale = np.sqrt(step.explained_variance_)
        smallest = np.finfo(scale.dtype).eps  # as in scikit-learn
        components = components / np.maximum(scale, smallest)[:, np.newaxis]
    kernel = components.T @ kernel
    return kernel, bias - step.mean_ @ kernel


_FOLDED = {
    StandardScaler: _fold_standard,
    MinMaxScaler: _fold_min_max,
    MaxAbsScaler: _fold_max_abs,
    PCA: _fold_pca,
}
