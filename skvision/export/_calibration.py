"""Scikit-learn's calibration of probabilities, as operations of a network."""

import copy

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.pipeline import Pipeline

from skvision._nets.backend import keras
from skvision.export._agreement import TOLERANCE
from skvision.export._dense import dense_layers
from skvision.export._parts import flat_steps, with_members

ops = keras.ops

_SMALLEST = 1e-30  # to divide by


def heads(rest):
    """Return the classifiers of features that `rest` averages, or None.

    Returns
    -------
    heads : list of (layers, calibration) or None
        `layers` as `dense_layers` returns them, and the member of a
        CalibratedClassifierCV, or None without calibration. None if one of them has no
        equivalent layers.
    """
    found = [(dense_layers(steps), member) for steps, member in members(rest)]
    if any(layers is None or not is_complete(member) for layers, member in found):
        return None
    return found


def members(rest):
    """Return the steps of each classifier that `rest` averages, and its calibration."""
    *steps, last = flat_steps(rest)
    if not isinstance(last, CalibratedClassifierCV):
        return [([*steps, last], None)]
    return [
        ([*steps, *flat_steps(member.estimator)], member)
        for member in last.calibrated_classifiers_
    ]


def separate(rest):
    """Return pipelines of which `rest` is the average, or `rest` alone.

    In each, only the classifier is calibrated: skl2onnx converts a calibration of a
    pipeline to something else.
    """
    *steps, last = flat_steps(rest)
    if not isinstance(last, CalibratedClassifierCV) or not any(
        isinstance(member.estimator, (Pipeline, FrozenEstimator))
        for member in last.calibrated_classifiers_
    ):
        return [rest]
    return [_pipeline(steps, last, member) for member in last.calibrated_classifiers_]


def _pipeline(steps, calibrated, member):
    *more, classifier = flat_steps(member.estimator)
    alone = with_members(calibrated, [member], [classifier])
    steps = [*steps, *more, alone]
    return Pipeline([(f"step_{i}", step) for i, step in enumerate(steps)])


def is_complete(member):
    """Return whether a member of a calibration knows all its classes."""
    return member is None or len(member.estimator.classes_) == len(member.classes)


def calibrated_probabilities(logits, member):
    """Return probabilities from logits, calibrated by `member` if it is not None."""
    if member is None:
        return _probabilities(logits)
    if member.method == "temperature":
        if logits.shape[-1] == 1:
            logits = ops.concatenate([-logits, logits], axis=1)
        return _probabilities(logits * float(member.calibrators[0].beta_))
    if member.method == "sigmoid" and logits.shape[-1] > 1:
        return _normalized_sigmoids(logits, member.calibrators)
    columns = [
        _calibrated(logits[:, i : i + 1], calibrator)
        for i, calibrator in enumerate(member.calibrators)
    ]
    if len(columns) == 1:
        return ops.concatenate([1 - columns[0], columns[0]], axis=1)
    return _normalized(ops.concatenate(columns, axis=1))


def check_calibration(member, n_logits):
    """Raise unless `calibrated_probabilities` are those of scikit-learn.

    Few images have logits in all parts of a calibration, so it is compared on a grid.
    """
    grids = [_grid(calibrator) for calibrator in member.calibrators]
    rng, n = np.random.default_rng(0), max(map(len, grids))
    columns = [np.resize(grids[i % len(grids)], n) for i in range(n_logits)]
    logits = np.column_stack([columns[0], *map(rng.permutation, columns[1:])])
    member = copy.copy(member)
    member.estimator = _Logits(member.estimator.classes_)
    expected = member.predict_proba(logits)
    actual = ops.convert_to_numpy(calibrated_probabilities(logits, member))
    # Isotonic regression may be so steep that rounding of the logits matters.
    rounded = [member.predict_proba(logits * (1 + e)) for e in (-1e-6, 1e-6)]
    tolerance = TOLERANCE + np.abs(rounded[0] - rounded[1])
    wrong = ~(np.abs(actual - expected) <= tolerance).all(axis=1)
    if wrong.mean() > 0.01:
        raise ValueError(
            f"The calibration with method={member.method!r} is not exported correctly: "
            f"probabilities differ by up to {np.abs(actual - expected).max():.2g}. "
            "Nothing was written. Use another method, and please report this, with the "
            "output of skvision.show_versions()."
        )


def _grid(calibrator):
    """Return logits as float32 in all parts of a calibration, and beyond."""
    grid = np.sinh(np.linspace(-5, 5, 401))  # from -74 to 74, more near 0
    if isinstance(calibrator, IsotonicRegression):
        x = calibrator.X_thresholds_.astype(float)
        low, high = x[0] - 1, x[-1] + 1
        grid = np.r_[x, (x[:-1] + x[1:]) / 2, np.linspace(low, high, 201)]
    elif getattr(calibrator, "a_", 0) != 0:
        grid = (grid - calibrator.b_) / calibrator.a_
    return grid.astype(np.float32)


class _Logits(ClassifierMixin, BaseEstimator):
    """A classifier whose input are its logits."""

    def __init__(self, classes_):
        self.classes_ = classes_

    def decision_function(self, X):
        return X[:, 0] if X.shape[1] == 1 else X


def _probabilities(logits):
    if logits.shape[-1] == 1:
        # Not 1 - p, which is inaccurate near 0.
        return ops.sigmoid(ops.concatenate([-logits, logits], axis=1))
    return ops.softmax(logits, axis=1)


def _normalized_sigmoids(logits, calibrators):
    """Return sigmoids divided by their sum, from logarithms: all may be close to 0."""
    slopes, offsets = np.array([(c.a_, c.b_) for c in calibrators], np.float32).T
    z = logits * -slopes - offsets
    logarithms = ops.minimum(z, 0) - ops.log(1 + ops.exp(-ops.abs(z)))
    return ops.softmax(logarithms, axis=1)


def _calibrated(logits, calibrator):
    if not isinstance(calibrator, IsotonicRegression):
        return ops.sigmoid(logits * -float(calibrator.a_) - float(calibrator.b_))
    x, y = calibrator.X_thresholds_, calibrator.y_thresholds_
    if len(x) == 1:
        return logits * 0 + float(y[0])
    # A sum of ramps, each from 0 to 1: no difference of large numbers.
    slopes = (1 / np.maximum(np.diff(x.astype(float)), _SMALLEST)).astype(np.float32)
    ramps = ops.clip((logits - x[np.newaxis, :-1].astype(np.float32)) * slopes, 0, 1)
    steps = np.diff(y).astype(np.float32)
    return ops.sum(ramps * steps, axis=1, keepdims=True) + float(y[0])


def _normalized(values):
    total = ops.sum(values, axis=1, keepdims=True)
    uniform = ops.ones_like(values) / values.shape[1]
    return ops.where(total > 0, values / ops.maximum(total, _SMALLEST), uniform)
