"""Minimal image estimators that pass all checks, using only NumPy and Pillow."""

import os
from io import BytesIO

import numpy as np
from PIL import Image
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)


def check_paths(X):
    """Validate X and return it as a list of str."""
    if isinstance(X, str | os.PathLike):
        raise ValueError("X must be a sequence of paths, got a single path.")
    values = np.asarray(X, dtype=object) if isinstance(X, list | tuple) else X
    values = np.asarray(values)
    if values.size == 0 or not (values.ndim == 1 or values.shape[1:] == (1,)):
        raise ValueError("X must be a non-empty sequence or column of paths.")
    paths = [os.fspath(x) if isinstance(x, os.PathLike) else x for x in values.flat]
    if not all(isinstance(path, str) and path for path in paths):
        raise ValueError("X must contain only paths.")
    return [str(path) for path in paths]


def mean_colours(paths):
    """Return the mean colour of each image, from 0 to 1."""
    colours = []
    for path in paths:
        try:
            with Image.open(path) as image:
                colours.append(np.asarray(image.convert("RGB")).mean(axis=(0, 1)))
        except Exception as error:
            raise ValueError(f"cannot read {path}") from error
    return np.array(colours) / 255


class _PathEstimator(BaseEstimator):
    def _mean_colours(self, X, reset=False):
        colours = mean_colours(check_paths(X))
        if reset:
            vars(self).pop("n_features_in_", None)
        if reset or hasattr(self, "n_features_in_"):
            column = len(getattr(X, "shape", ())) == 2
            validate_data(self, X, reset=reset, skip_check_array=True, ensure_2d=column)
        return colours

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


class TinyClassifier(ClassifierMixin, _PathEstimator):
    """Classifier that predicts the class with the nearest mean colour."""

    def __init__(self, *, sharpness=20.0, class_weight=None, random_state=None):
        self.sharpness = sharpness
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        y = validate_data(self, y=y)
        check_classification_targets(y)
        check_consistent_length(X, y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError("y must have at least two classes.")
        weight = self._check_weight(sample_weight, y)
        colours = self._mean_colours(X, reset=True)
        means = [
            np.average(colours[codes == i], axis=0, weights=weight[codes == i])
            for i in range(len(classes))
        ]
        self.classes_, self.means_ = classes, np.array(means)
        self.prior_ = np.bincount(codes, weight) / weight.sum()
        return self

    def _check_weight(self, sample_weight, y):
        weight = _check_sample_weight(sample_weight, y, dtype=float, copy=True)
        for label, factor in (self.class_weight or {}).items():
            weight[y == label] *= factor
        if not weight.any():
            raise ValueError("All weights are zero.")
        return weight

    def _scores(self, X):
        check_is_fitted(self)
        colours = self._mean_colours(X)
        distances = ((colours[:, np.newaxis] - self.means_) ** 2).sum(axis=2)
        return np.log(self.prior_) - self.sharpness * distances

    def predict_proba(self, X):
        scores = np.exp(self._scores(X))
        return scores / scores.sum(axis=1, keepdims=True)

    def predict(self, X):
        check_is_fitted(self)
        return self.classes_[self._scores(X).argmax(axis=1)]


class TinyTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, _PathEstimator
):
    """Transformer to the mean colour, centred on that of the training images."""

    def __init__(self, *, scale=1.0):
        self.scale = scale

    def fit(self, X, y=None):
        self.mean_ = self._mean_colours(X, reset=True).mean(axis=0)
        self._n_features_out = 3
        return self

    def transform(self, X):
        check_is_fitted(self)
        return (self._mean_colours(X) - self.mean_) * self.scale


def _decoded(image):
    return Image.open(BytesIO(image)) if isinstance(image, bytes) else image


class TinyPixelTransformer(TinyTransformer):
    """Like `TinyTransformer`, but also accepts images in memory."""

    def _mean_colours(self, X, reset=False):
        if isinstance(X, list) and isinstance([*X, 0][0], bytes | np.ndarray):
            try:
                X = np.stack([np.asarray(_decoded(image)) for image in X])
            except Exception as error:
                raise ValueError("X must contain images.") from error
        if getattr(X, "dtype", None) != np.uint8:
            return super()._mean_colours(X, reset)
        return X.mean(axis=(1, 2)) / 255

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
