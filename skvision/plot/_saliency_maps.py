"""Saliency maps: Grad-CAM for networks, Ablation-CAM for pipelines."""

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skvision._backbones.vgg16 import LAYERS
from skvision._bottleneck import VGG16BottleneckTransformer
from skvision._features.normalization import normalized
from skvision._fine_tuned_vgg import FineTunedVGGClassifier
from skvision._scratch_cnn import ScratchCNNClassifier
from skvision._training.image_data import ImageData
from skvision._utils.parallel import chunks
from skvision._utils.validation import check_image_size

NETWORKS = ScratchCNNClassifier, FineTunedVGGClassifier

# Largest batch of ablated features that is classified at once.
_MAX_BATCH_BYTES = 64 * 2**20


def class_scores(estimator, X):
    """Return class scores that do not saturate, unlike probabilities.

    Parameters
    ----------
    estimator : fitted classifier
    X : array-like
        Its input.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_classes)
        The output of `decision_function` if available, otherwise log-probabilities.
    """
    if not hasattr(estimator, "decision_function"):
        proba = np.asarray(estimator.predict_proba(X))
        return np.log(np.maximum(proba, 1e-12))
    scores = np.asarray(estimator.decision_function(X))
    return np.column_stack([-scores, scores]) if scores.ndim == 1 else scores


def compute_saliencies(estimator, images, X, codes):
    """Return a saliency map of one class for each image.

    Parameters
    ----------
    estimator : fitted classifier of images
        One of `NETWORKS`, or a pipeline of `VGG16BottleneckTransformer` and any
        classifier.
    images : Images
        The images.
    X : array-like
        The same images, as passed by the user.
    codes : ndarray of int of shape (n_images,)
        Index in `classes_` of the class to explain, for each image.

    Returns
    -------
    saliencies : ndarray of shape (n_images, height, width)
        Values from 0 to 1, with the spatial size of the layer's feature maps; all 0 if
        no region supports the class.
    """
    steps = estimator.steps if isinstance(estimator, Pipeline) else [("", estimator)]
    steps = [step for _, step in steps if step not in (None, "passthrough")]
    if len(steps) == 1 and isinstance(steps[0], NETWORKS):
        return _normalized(_grad_cam(steps[0], images, codes))
    if len(steps) > 1 and isinstance(steps[0], VGG16BottleneckTransformer):
        return _normalized(_ablation_cam(steps[0], estimator[1:], X, codes))
    raise ValueError(
        "'estimator' must be a ScratchCNNClassifier, a FineTunedVGGClassifier, or a "
        "pipeline of a VGG16BottleneckTransformer and a classifier of its features. "
        f"Got {estimator!r} instead."
    )


def _grad_cam(classifier, images, codes):
    """Sum the feature maps of the last convolution, weighted by their mean gradient."""
    from skvision._nets import builders

    grad_cam = builders.grad_cam(classifier.model_)
    data = ImageData(images, classifier._image_settings(), None)
    return [grad_cam(data.batch(np.array([i])), code) for i, code in enumerate(codes)]


def _ablation_cam(transformer, classifier, X, codes):
    """Sum the feature maps of the layer, weighted by the score drop without each.

    No gradient is needed, so any classifier can be used.
    """
    n_halvings, n_channels = LAYERS[transformer.layer]
    height, width = (
        side >> n_halvings for side in check_image_size(transformer.image_size)
    )
    extractor = clone(transformer).set_output(transform="default")
    extractor.set_params(normalization=None)
    features = feature_maps = extractor.transform(X)
    if transformer.pooling is not None:
        feature_maps = extractor.set_params(pooling=None).transform(X)
    feature_maps = feature_maps.reshape(-1, height, width, n_channels)
    batch_size = max(1, _MAX_BATCH_BYTES // features[0].nbytes)

    def scores(features):
        rows = normalized(features.copy(), transformer.normalization)
        return class_scores(classifier, rows)

    saliencies = []
    for maps, row, code in zip(feature_maps, features, codes, strict=True):
        score = scores(row[np.newaxis])[0, code]
        weights = np.empty(n_channels, dtype=np.float32)
        for batch in chunks(np.arange(n_channels), batch_size):
            ablated = np.repeat(row[np.newaxis], len(batch), axis=0)
            # A row is (height, width, channels) flattened, or one value per channel.
            per_channel = ablated.reshape(len(batch), -1, n_channels)
            per_channel[np.arange(len(batch)), :, batch] = 0
            weights[batch] = score - scores(ablated)[:, code]
        saliencies.append(maps @ weights)
    return saliencies


def _normalized(saliencies):
    """Clip negative values to 0 and scale the maximum of each image to 1."""
    saliencies = np.maximum(np.array(saliencies, dtype=np.float32), 0)
    largest = saliencies.max(axis=(1, 2), keepdims=True)
    return saliencies / np.where(largest > 0, largest, 1)
