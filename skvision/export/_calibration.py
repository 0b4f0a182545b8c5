"""Scikit-learn's calibration of probabilities, as operations of a network."""

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.pipeline import Pipeline

from skvision._nets.backend import keras
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
    columns = [
        _calibrated(logits[:, i : i + 1], calibrator)
        for i, calibrator in enumerate(member.calibrators)
    ]
    if len(columns) == 1:
        return ops.concatenate([1 - columns[0], columns[0]], axis=1)
    return _normalized(ops.concatenate(columns, axis=1))


def _probabilities(logits):
    if logits.shape[-1] == 1:
        # Not 1 - p, which is inaccurate near 0.
        return ops.sigmoid(ops.concatenate([-logits, logits], axis=1))
    return ops.softmax(logits, axis=1)


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
