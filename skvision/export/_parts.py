"""The parts of an estimator that are exported: a network, and what follows it."""

import copy
from dataclasses import asdict, dataclass, replace

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    FixedThresholdClassifier,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skvision._base_encoder import BaseImageEncoder
from skvision._dense_head import DenseHeadClassifier
from skvision._fine_tuned_vgg import FineTunedVGGClassifier
from skvision._scratch_cnn import ScratchCNNClassifier
from skvision._utils.validation import positive_label

NETWORKS = (ScratchCNNClassifier, FineTunedVGGClassifier)

# Parameters of encoders that do not change features.
_IRRELEVANT = {"batch_size", "cache_dir", "max_cache_bytes", "verbose"}

_EXPECTED = (
    "Expected a fitted ScratchCNNClassifier, FineTunedVGGClassifier, or a pipeline of "
    "an ImageEncoder or VGG16BottleneckTransformer and a classifier, alone or in a "
    "search, a CalibratedClassifierCV or a threshold classifier."
)


@dataclass(frozen=True)
class Parts:
    """A fitted classifier of images, taken apart.

    Attributes
    ----------
    network : estimator
        A `BaseImageEncoder`, or one of `NETWORKS`.
    rest : estimator or None
        The fitted classifier of the features of an encoder; None after a network
        that classifies images itself.
    classes : ndarray of shape (n_classes,)
    threshold : tuple of (int, float) or None
        Index of a class, and the probability from which on it is predicted.
    calibrated : CalibratedClassifierCV or None
        The calibration of networks that classify images, of which `network` is the
        first.
    """

    network: object
    rest: object
    classes: np.ndarray
    threshold: tuple[int, float] | None = None
    calibrated: CalibratedClassifierCV | None = None

    @property
    def settings(self):
        """Return the `ImageSettings` of the network."""
        return self.network._image_settings()

    def predict(self, images):
        """Return labels and probabilities of images, as the estimator computes them.

        Convolutions compute in float32, as exported models do, and nothing is stored.
        """
        if self.calibrated is not None:
            members = self.calibrated.calibrated_classifiers_
            networks = [_as_exported(member.estimator) for member in members]
            calibrated = with_members(self.calibrated, members, networks)
            return self._labelled(calibrated, images)
        if self.rest is None:
            return self._labelled(_as_exported(self.network), images)
        features = _as_exported(self.network, dtype="float32").transform(images)
        return self.predict_features(features)

    def predict_features(self, features):
        """Return labels and probabilities of the features of images."""
        return self._labelled(self.rest, features)

    def _labelled(self, classifier, X):
        probabilities = classifier.predict_proba(X)
        if self.threshold is None:
            return classifier.predict(X), probabilities
        index, threshold = self.threshold
        above = probabilities[:, index] >= threshold
        return self.classes[np.where(above, index, 1 - index)], probabilities


def _as_exported(network, **changed):
    """Return a copy of a network that computes as exported models do."""
    changed |= {"compute_dtype": "float32", "verbose": 0, "cache_dir": None}
    possible = network.get_params(deep=False)
    return copy.copy(network).set_params(
        **{name: value for name, value in changed.items() if name in possible}
    )


def with_members(calibrated, members, estimators):
    """Return a calibration with these members, which calibrate `estimators`."""
    calibrated = copy.copy(calibrated)
    calibrated.calibrated_classifiers_ = [copy.copy(member) for member in members]
    pairs = zip(calibrated.calibrated_classifiers_, estimators, strict=True)
    for member, estimator in pairs:
        member.estimator = estimator
    return calibrated


def take_apart(estimator, *, is_calibrated=False):
    """Return the parts of a fitted estimator, or raise if it cannot be exported.

    It must have probabilities, unless they are those of a calibration around it.
    """
    if is_regressor(estimator):
        raise ValueError(
            f"Only classifiers can be exported, and {_name(estimator)} is a regressor. "
            f"{_EXPECTED}"
        )
    inner, threshold = _unwrap(estimator)
    if isinstance(inner, NETWORKS):
        parts = Parts(inner, None, inner.classes_)
    elif isinstance(inner, Pipeline):
        parts = _from_pipeline(inner, is_calibrated)
    elif isinstance(inner, CalibratedClassifierCV):
        parts = _from_calibration(inner)
    else:
        raise ValueError(f"{_name(inner)} cannot be exported. {_EXPECTED}")
    return parts if threshold is None else replace(parts, threshold=threshold)


def _unwrap(estimator):
    """Return the classifier inside searches and thresholds, and the outer threshold."""
    threshold = None
    while True:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif hasattr(estimator, "cv_results_") and hasattr(estimator, "refit"):
            estimator = _best(estimator)
        elif isinstance(
            estimator, (FixedThresholdClassifier, TunedThresholdClassifierCV)
        ):
            threshold = threshold or _threshold(estimator)
            estimator = estimator.estimator_
        else:
            check_is_fitted(estimator)
            return estimator, threshold


def _best(search):
    if not hasattr(search, "best_estimator_"):
        raise ValueError(
            f"{_name(search)} has refit={search.refit!r}, so it keeps no fitted model. "
            "Fit it again with refit=True."
        )
    return search.best_estimator_


def _threshold(estimator):
    if estimator.response_method == "decision_function":
        raise ValueError(
            f"{_name(estimator)} has response_method='decision_function', and exported "
            "models return probabilities. Fit it with response_method='predict_proba'."
        )
    value = getattr(estimator, "best_threshold_", getattr(estimator, "threshold", 0.5))
    label = positive_label(estimator)
    index = 1 if label is None else int(np.flatnonzero(estimator.classes_ == label)[0])
    return index, 0.5 if value == "auto" else float(value)


def _from_pipeline(pipeline, is_calibrated):
    encoder, *steps = flat_steps(pipeline)
    if isinstance(encoder, NETWORKS) and not steps:
        return Parts(encoder, None, encoder.classes_)
    if not isinstance(encoder, BaseImageEncoder) or not steps:
        reason = "it has no classifier" if not steps else "its input must be images"
        raise ValueError(
            f"A pipeline of {', '.join(map(_name, (encoder, *steps)))} cannot be "
            f"exported: {reason}. {_EXPECTED}"
        )
    classifier, threshold = _unwrap(steps.pop())
    if not is_classifier(classifier):
        raise ValueError(
            f"The last step of the pipeline, {_name(classifier)}, is no classifier. "
            f"{_EXPECTED}"
        )
    if not is_calibrated and not hasattr(classifier, "predict_proba"):
        raise ValueError(
            f"The last step of the pipeline, {_name(classifier)}, has no method "
            "'predict_proba', and exported models return probabilities. Put it in a "
            "CalibratedClassifierCV and fit again, or choose another classifier."
        )
    if isinstance(classifier.classes_, list):
        raise ValueError(
            f"{_name(classifier)} predicts several outputs. Only classifiers with one "
            "can be exported: fit one for each output."
        )
    steps = [(f"step_{i}", step) for i, step in enumerate((*steps, classifier))]
    rest = Pipeline(steps) if len(steps) > 1 else classifier
    return Parts(encoder, rest, classifier.classes_, threshold)


def flat_steps(estimator):
    """Return an estimator, or the steps of a pipeline and those inside it, in order."""
    if isinstance(estimator, FrozenEstimator):
        return flat_steps(estimator.estimator)
    if isinstance(estimator, Pipeline):
        return [step for _, inner in estimator.steps for step in flat_steps(inner)]
    return [] if estimator in (None, "passthrough") else [estimator]


def _from_calibration(calibrated):
    """Move the network out of a calibration: all members read images as it does."""
    members = calibrated.calibrated_classifiers_
    parts = [take_apart(member.estimator, is_calibrated=True) for member in members]
    _check_members(parts)
    network = parts[0].network
    if parts[0].rest is None:
        networks = [part.network for part in parts]
        calibrated = with_members(calibrated, members, networks)
        return Parts(network, None, calibrated.classes_, calibrated=calibrated)
    rest = with_members(calibrated, members, [part.rest for part in parts])
    return Parts(network, rest, calibrated.classes_)


def _check_members(parts):
    """Raise unless the members of a calibration can be one model of the same images."""
    if any(part.calibrated is not None for part in parts):
        raise ValueError(
            "A CalibratedClassifierCV in a CalibratedClassifierCV cannot be exported. "
            "Calibrate once: fit the outer one with the estimator of the inner one."
        )
    differences = _differences([_in_common(part.network) for part in parts])
    if differences:
        raise ValueError(
            "The members of the CalibratedClassifierCV have different networks, or "
            f"read images differently: {differences}. An exported model reads an image "
            "once. Fit it without a search for these parameters in it, or with "
            "ensemble=False, so that it has one member."
        )


def _in_common(network):
    """Return what must be the same in all members: all that determines features."""
    settings = asdict(network._image_settings())
    if isinstance(network, NETWORKS):
        # The metadata names one estimator, and the origin of its weights.
        parameters = {"weights": getattr(network, "weights", None)}
    else:
        parameters = network.get_params() | {
            "weights_digest_": getattr(network, "weights_digest_", None)
        }
        parameters = {k: v for k, v in parameters.items() if k not in _IRRELEVANT}
    return {"estimator": _name(network)} | parameters | settings


def _differences(members):
    """Return which values of dicts differ, as text such as "pooling='avg', 'max'"."""
    differences = []
    for name in members[0]:
        values = dict.fromkeys(repr(member.get(name)) for member in members)
        if len(values) > 1:
            differences.append(f"{name}={', '.join(values)}")
    return "; ".join(differences)


def head_name(parts):
    """Return the name of the last estimator, for messages."""
    rest = parts.rest
    return _name(rest[-1] if isinstance(rest, Pipeline) else rest)


def _name(estimator):
    return type(estimator).__name__


def is_dense_head(estimator):
    """Return whether an estimator is skvision's dense network on features."""
    return isinstance(estimator, DenseHeadClassifier)
