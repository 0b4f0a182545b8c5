"""The networks inside pipelines, searches and other composite estimators."""

import copy
import os

import numpy as np
from joblib import parallel_config
from sklearn.base import is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skvision._base_encoder import BaseImageEncoder

# Attributes that hold the estimators inside a composite one, the fitted ones first.
_NESTED = (
    *("best_estimator_", "calibrated_classifiers_", "estimators_", "estimator_"),
    *("transformers_", "estimator", "steps", "transformer_list", "transformers"),
    "estimators",
)


def is_network(estimator):
    """Return whether an estimator classifies images by a network of its own."""
    from skvision import FineTunedVGGClassifier, ScratchCNNClassifier

    return isinstance(estimator, (ScratchCNNClassifier, FineTunedVGGClassifier))


def accepts_images(estimator):
    """Return whether an estimator of skvision has images as input."""
    return isinstance(estimator, BaseImageEncoder) or is_network(estimator)


def walk(estimator):
    """Return an estimator and all estimators inside it, each once.

    They are in the order of a pipeline.
    """
    found = {id(estimator): estimator}
    for part in _parts(estimator):
        found |= {id(inner): inner for inner in walk(part)}
    return list(found.values())


def having(estimator, attribute):
    """Return the estimators inside `estimator` in which an attribute is not None."""
    return [
        part
        for part in walk(estimator)
        # It passes on the attributes of the estimator inside it.
        if not isinstance(part, FrozenEstimator)
        and getattr(part, attribute, None) is not None
    ]


def _parts(estimator):
    """Return the estimators directly inside a composite one, fitted if it is."""
    name = next((n for n in _NESTED if hasattr(estimator, n)), None)
    parts = getattr(estimator, name) if name else []
    parts = list(np.ravel(parts)) if isinstance(parts, np.ndarray) else parts
    parts = parts if isinstance(parts, (list, tuple)) else [parts]
    parts = [_inner(part) for part in parts]
    parts.append(getattr(estimator, "final_estimator_", None))
    return [part for part in parts if hasattr(part, "get_params")]


def _inner(member):
    """Return the estimator in a member of a composite one."""
    if isinstance(member, tuple):  # (name, estimator), perhaps with columns
        return member[1]
    # The members of CalibratedClassifierCV are no estimators, but contain one.
    is_estimator = hasattr(member, "get_params")
    return member if is_estimator else getattr(member, "estimator", None)


def names_inside(estimator):
    """Return the class names of an estimator and of those inside it, as one text."""
    names = list(dict.fromkeys(type(part).__name__ for part in walk(estimator)))
    return ", ".join(names[:10]) + (" and others" if len(names) > 10 else "")


def predictors(estimator):
    """Return the estimators whose scores a composite classifier passes on.

    The last step of a pipeline, the best estimator of a search, the classifier inside a
    threshold classifier or a calibration; several if a calibration fitted several.
    """
    if isinstance(estimator, Pipeline):
        inner = _parts(estimator)[-1:]
    elif hasattr(estimator, "estimators_"):  # an ensemble of any kind
        return [estimator]
    elif isinstance(estimator, FrozenEstimator) or any(
        hasattr(estimator, name)
        for name in ("best_estimator_", "calibrated_classifiers_", "estimator_")
    ):
        inner = _parts(estimator)
    else:
        return [estimator]
    return [predictor for part in inner for predictor in predictors(part)]


def check_estimator(estimator):
    """Raise unless `estimator` is an instance of an estimator."""
    if not hasattr(estimator, "get_params") or isinstance(estimator, type):
        raise TypeError(
            "'estimator' must be an instance of an estimator, such as "
            f"ScratchCNNClassifier(). Got {estimator!r} instead."
        )


def check_fitted(estimator):
    """Raise unless `estimator` is fitted, and kept what it has fitted."""
    check_estimator(estimator)
    check_is_fitted(estimator)
    for part in walk(estimator):
        if hasattr(part, "cv_results_") and not hasattr(part, "best_estimator_"):
            raise ValueError(
                f"{type(part).__name__} has refit={part.refit!r}, so it keeps no "
                "fitted model. Fit it again with refit=True, or pass a fitted "
                "classifier."
            )


def check_predicts_classes(estimator, display):
    """Raise unless `estimator` is fitted and can predict classes."""
    check_fitted(estimator)
    kind = type([estimator, *predictors(estimator)][-1]).__name__
    if is_regressor(estimator):
        raise ValueError(
            f"{display} shows predicted classes, and {kind} is a regressor. Pass a "
            "fitted classifier, for example a LogisticRegression."
        )
    if not hasattr(estimator, "predict"):
        raise ValueError(
            f"{display} shows predicted classes, and {kind} has no method 'predict'. "
            "Pass a fitted classifier, or a pipeline that ends with one."
        )


class Tap:
    """A copy of a fitted estimator in which networks run once per set of images.

    So several methods can be called, such as `predict` and `predict_proba`, at the cost
    of one. The original estimator is not changed.

    Parameters
    ----------
    estimator : fitted estimator
        Alone or inside, it may have estimators of skvision whose input is images.

    Attributes
    ----------
    model : estimator
        The copy.
    parts : list of estimator
        These estimators of skvision, the originals.
    inputs : list
        The images that they got in the last call.
    replay : ndarray or None
        If set, the features that all transformers return, whatever their input.
    """

    def __init__(self, estimator):
        everything = walk(estimator)
        self.parts = [part for part in everything if accepts_images(part)]
        self.inputs, self.replay = [], None
        # Copying does not enter what is in the memo: no data of classifiers is copied.
        memo = {id(part): part for part in everything if not _parts(part)}
        memo |= {id(part): self._stub(part) for part in self.parts}
        # Nor is what cannot be copied, such as a generator of splits in a search.
        values = [v for part in everything for v in vars(part).values()]
        memo |= {id(v): v for v in values if not _may_contain_estimators(v)}
        self.model = copy.deepcopy(estimator, memo)

    def _stub(self, part):
        """Return a copy of `part` that remembers its last input and output."""
        method = "transform" if hasattr(part, "transform") else "_logits"
        last = [None, None]  # input and output

        def run(_, X):
            if self.replay is not None:
                return self.replay
            self.inputs.append(X)
            if last[0] is None or not same_images(X, last[0]):
                last[:] = X, getattr(part, method)(X)
            return last[1]

        stub = copy.copy(part)
        stub.__class__ = type(type(part).__name__, (type(part),), {method: run})
        return stub

    def call(self, method, X):
        """Return the result of a method of the estimator."""
        self.inputs = []
        # What runs in other processes could not be remembered here.
        with parallel_config(backend="sequential"):
            return np.asarray(getattr(self.model, method)(X))


def _may_contain_estimators(value):
    containers = list, tuple, dict, np.ndarray
    return isinstance(value, containers) or hasattr(value, "get_params")


def same_images(X, other):
    """Return whether two inputs are equal; images as objects only if identical."""
    if X is other:
        return True
    X, other = _items(X), _items(other)
    if isinstance(X, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(X, other)
    paths = (str, os.PathLike)
    return len(X) == len(other) and all(
        a is b or (isinstance(a, paths) and isinstance(b, paths) and a == b)
        for a, b in zip(X, other, strict=True)
    )


def _items(X):
    """Return an input as a list of objects, or as an array of pixels or text."""
    if not hasattr(X, "shape"):
        return X
    values = np.asarray(X)
    return values.ravel().tolist() if values.dtype == object else values


def known_classes(estimator):
    """Return `classes_` as an array, or None if it has none for a single output."""
    classes = getattr(estimator, "classes_", None)
    return None if classes is None or isinstance(classes, list) else np.asarray(classes)


def class_scores(tap, X, *methods):
    """Return the scores by the first of some methods that gives one per class.

    Parameters
    ----------
    tap : Tap
    X : array-like
        Input of the estimator.
    *methods : {"predict_proba", "decision_function"}

    Returns
    -------
    scores : ndarray of shape (n_samples, n_classes) or None
        None if no method gives a score for each class.
    method : str or None
    """
    classes = known_classes(tap.model)
    for method in methods:
        if classes is None or not hasattr(tap.model, method):
            continue
        if method == "decision_function" and len(classes) > 2 and _is_one_vs_one(tap):
            continue
        scores = tap.call(method, X)
        if scores.ndim == 1:
            scores = np.column_stack([-scores, scores])
        if scores.shape[1:] == (len(classes),):
            return scores, method
    return None, None


def _is_one_vs_one(tap):
    """Return whether `decision_function` has a column for each pair of classes."""
    shapes = (getattr(e, "decision_function_shape", "") for e in walk(tap.model))
    return "ovo" in shapes
