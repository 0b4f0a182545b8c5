"""Saliency maps: Grad-CAM for networks, Ablation-CAM for features of a network."""

import copy

import numpy as np

from skvision._base_encoder import BaseImageEncoder
from skvision._features.normalization import normalized
from skvision._images.inputs import check_images
from skvision._training.image_data import ImageData
from skvision._utils.parallel import chunks
from skvision.plot._composites import (
    Tap,
    class_scores,
    is_network,
    known_classes,
    names_inside,
    predictors,
    same_images,
)

# Largest batch of ablated features that is classified at once.
_MAX_BATCH_BYTES = 64 * 2**20


class Explainer:
    """Predictions of a classifier, and saliency maps that explain them.

    Parameters
    ----------
    estimator : fitted classifier
        A network, or a composite with one or with an `ImageEncoder` or
        `VGG16BottleneckTransformer`.
    X : array-like
        Its input.

    Attributes
    ----------
    images : array-like
        The images in `X`, as the network gets them.
    image_settings : ImageSettings
        How it reads them.

    Raises
    ------
    ValueError
        If the estimator is not supported.
    """

    def __init__(self, estimator, X):
        self._tap, self._X = Tap(estimator), X
        self._networks = predictors(estimator)
        if not all(is_network(network) for network in self._networks):
            self._networks = []
            _check_transformers(estimator, self._tap.parts)
        self._predicted = self._tap.call("predict", X).tolist()
        if not self._tap.inputs:
            raise ValueError(
                "Saliency maps need a network that 'predict' runs, and it runs none of "
                f"those in {names_inside(estimator)}. Pass the fitted estimator inside "
                f"{type(estimator).__name__}."
            )
        self.images = self._tap.inputs[0]
        self.image_settings = self._tap.parts[0]._image_settings()
        if not all(same_images(self.images, other) for other in self._tap.inputs):
            raise ValueError(
                "Saliency maps need transformers that get the same images, and those "
                f"in {names_inside(estimator)} get different ones. Pass a pipeline "
                "with one of them."
            )

    def codes(self, target):
        """Return the index in `classes_` of `target`, or of each predicted class."""
        classes = known_classes(self._tap.model).tolist()
        explained = self._predicted
        if target is not None:
            explained = [target] * len(self._predicted)
        unknown = [label for label in explained if label not in classes]
        if unknown:
            raise ValueError(
                f"The output of predict must be in 'classes_', {classes}. Got "
                f"{unknown[0]!r}."
            )
        return [classes.index(label) for label in explained]

    def probabilities(self, codes):
        """Return the probability of a class of each image, or None if unknown."""
        proba, _ = class_scores(self._tap, self._X, "predict_proba")
        return None if proba is None else proba[np.arange(len(codes)), codes]

    def saliencies(self, codes):
        """Return a saliency map of a class of each image.

        Parameters
        ----------
        codes : list of int of length n_images
            Indices in `classes_`.

        Returns
        -------
        saliencies : ndarray of shape (n_images, height, width)
            Values from 0 to 1, with the spatial size of the layer's feature maps; all 0
            if no region supports the class.
        """
        if not self._networks:
            return _normalized(self._ablation_cam(codes))
        labels = known_classes(self._tap.model)[codes].tolist()
        images = check_images(self.images)
        maps = [_grad_cam(network, images, labels) for network in self._networks]
        return _normalized(np.mean(maps, axis=0))

    def _ablation_cam(self, codes):
        """Sum the feature maps of the layer, weighted by the score drop without each.

        No gradient is needed, so any classifier can be used.
        """
        transformer = self._tap.parts[0]
        n_channels = transformer._map_shape()[-1]
        features, feature_maps = _features(transformer, self.images)
        batch_size = max(1, _MAX_BATCH_BYTES // features[0].nbytes)

        saliencies = []
        for i, (maps, row) in enumerate(zip(feature_maps, features, strict=True)):
            score = self._scores(i, row[np.newaxis])[0, codes[i]]
            weights = np.empty(n_channels, dtype=np.float32)
            for batch in chunks(np.arange(n_channels), batch_size):
                ablated = np.repeat(row[np.newaxis], len(batch), axis=0)
                # A row is (height, width, channels) flattened, or a value per channel.
                per_channel = ablated.reshape(len(batch), -1, n_channels)
                per_channel[np.arange(len(batch)), :, batch] = 0
                weights[batch] = score - self._scores(i, ablated)[:, codes[i]]
            saliencies.append(maps @ weights)
        return saliencies

    def _scores(self, i, features):
        """Return the class scores of sample `i` with other features of its image.

        The output of `decision_function` if possible, since probabilities saturate,
        otherwise log-probabilities.
        """
        normalization = self._tap.parts[0].normalization
        self._tap.replay = normalized(features.copy(), normalization)
        try:
            rows = _repeated(self._X, i, len(features))
            scores, method = class_scores(
                self._tap, rows, "decision_function", "predict_proba"
            )
        finally:
            self._tap.replay = None
        if scores is None:
            raise ValueError(
                "Saliency maps need a score for each class, and "
                f"{type(self._tap.model).__name__} has neither 'predict_proba' nor a "
                "'decision_function' with one column per class. Use a classifier that "
                "has one, for example LogisticRegression, "
                "SVC(decision_function_shape='ovr') or VotingClassifier(voting='soft')."
            )
        return (
            np.log(np.maximum(scores, 1e-12)) if method == "predict_proba" else scores
        )


def _check_transformers(estimator, parts):
    """Raise unless `parts` are transformers of images with the same parameters."""
    if not parts:
        problem = f"There is no network of skvision in {names_inside(estimator)}."
    elif not all(isinstance(part, BaseImageEncoder) for part in parts):
        kinds = ", ".join(sorted({type(part).__name__ for part in parts}))
        problem = f"{type(estimator).__name__} combines {kinds} with others."
    elif any(part.get_params() != parts[0].get_params() for part in parts):
        problem = f"The transformers inside have different parameters: {parts}."
    else:
        return
    raise ValueError(
        f"{problem} Saliency maps are for ScratchCNNClassifier, FineTunedVGGClassifier "
        "and any classifier with one ImageEncoder or VGG16BottleneckTransformer "
        "inside, for example in a pipeline or ColumnTransformer, and for searches, "
        "CalibratedClassifierCV and threshold classifiers over them. Pass one of "
        "these, for example a part of 'estimator'."
    )


def _grad_cam(classifier, images, labels):
    """Sum the feature maps of the last convolution, weighted by their mean gradient.

    0 for a class that the classifier does not know, as in a fold without it.
    """
    from skvision._nets import builders

    grad_cam = builders.grad_cam(classifier.model_)
    data = ImageData(images, classifier._image_settings(), None)
    codes = {label: code for code, label in enumerate(classifier.classes_.tolist())}
    return [
        grad_cam(data.batch(np.array([i])), codes.get(label, 0)) * (label in codes)
        for i, label in enumerate(labels)
    ]


def _features(transformer, images):
    """Return features before normalization, and the feature maps behind them."""
    extractor = copy.deepcopy(transformer).set_output(transform="default")
    features = extractor.set_params(normalization=None).transform(images)
    maps = features
    if transformer.pooling is not None or transformer.flip_average:
        # Not averaged with those of the mirror image, which have other positions. And
        # not stored: they are much larger than the features.
        extractor.set_params(pooling=None, flip_average=False, cache_dir=None)
        maps = extractor.transform(images)
    return features, maps.reshape(-1, *transformer._map_shape())


def _repeated(X, i, n):
    """Return an input with sample `i` of X, `n` times."""
    if hasattr(X, "iloc"):
        return X.iloc[[i] * n]
    if isinstance(X, np.ndarray):
        return np.broadcast_to(X[i : i + 1], (n, *X.shape[1:]))  # without a copy
    return [X[i]] * n if isinstance(X, (list, tuple)) else X[[i] * n]


def _normalized(saliencies):
    """Clip negative values to 0 and scale the maximum of each image to 1."""
    saliencies = np.maximum(np.array(saliencies, dtype=np.float32), 0)
    largest = saliencies.max(axis=(1, 2), keepdims=True)
    return saliencies / np.where(largest > 0, largest, 1)
