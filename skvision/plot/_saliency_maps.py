"""Where in an image a class is seen: Grad-CAM, and Ablation-CAM for pipelines."""

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skvision._bottleneck import LAYERS, VGG16BottleneckTransformer
from skvision._fine_tuned_vgg import FineTunedVGGClassifier
from skvision._scratch_cnn import ScratchCNNClassifier
from skvision._training.image_data import ImageData
from skvision._utils.parallel import chunks
from skvision._utils.validation import check_image_size

NETWORKS = ScratchCNNClassifier, FineTunedVGGClassifier

# Features with one map left out each, that are classified at once.
_MAX_BYTES = 64 * 2**20


def class_scores(estimator, X):
    """Return scores of the classes, (n, n_classes), that no sigmoid has flattened.

    Parameters
    ----------
    estimator : fitted classifier
    X : array-like
        Its data.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_classes)
        Those of `decision_function`, or else logarithms of the probabilities.
    """
    if not hasattr(estimator, "decision_function"):
        proba = np.asarray(estimator.predict_proba(X))
        return np.log(np.maximum(proba, 1e-12))
    scores = np.asarray(estimator.decision_function(X))
    return np.column_stack([-scores, scores]) if scores.ndim == 1 else scores


def saliency_of(estimator, images, X, codes):
    """Return where each image shows what speaks for a class.

    Parameters
    ----------
    estimator : fitted classifier of images
        One that trains a network on images, or a pipeline from
        `VGG16BottleneckTransformer` to any classifier.
    images : ImageFiles or ImageArrays
        The images.
    X : array-like
        The same, as they were given.
    codes : ndarray of int of shape (n_images,)
        For each image, the position of the class in `classes_`.

    Returns
    -------
    saliencies : ndarray of shape (n_images, height, width)
        As large as the maps of the layer, from 0 to 1; all 0 where nothing speaks for
        the class.
    """
    steps = estimator.steps if isinstance(estimator, Pipeline) else [("", estimator)]
    steps = [step for _, step in steps if step not in (None, "passthrough")]
    if len(steps) == 1 and isinstance(steps[0], NETWORKS):
        return _normalized(_grad_cam(steps[0], images, codes))
    if len(steps) > 1 and isinstance(steps[0], VGG16BottleneckTransformer):
        return _normalized(_ablation_cam(steps[0], estimator[1:], X, codes))
    raise ValueError(
        "A saliency needs a ScratchCNNClassifier, a FineTunedVGGClassifier, or a "
        "pipeline of a VGG16BottleneckTransformer and whatever classifies its "
        f"features. Got {estimator!r} instead."
    )


def _grad_cam(classifier, images, codes):
    """Maps of the last convolution, weighted by their mean gradient."""
    from skvision._nets import builders

    grad_cam = builders.grad_cam(classifier.model_)
    size = check_image_size(classifier.image_size)
    data = ImageData(images, size, classifier.interpolation, None)
    return [grad_cam(data.batch(np.array([i])), code) for i, code in enumerate(codes)]


def _ablation_cam(transformer, classifier, X, codes):
    """Maps of the transformer's layer, weighted by what the score falls without them.

    No gradient is needed, so any classifier will do.
    """
    n_halvings, n_maps = LAYERS[transformer.layer]
    height, width = (
        side >> n_halvings for side in check_image_size(transformer.image_size)
    )
    extractor = clone(transformer).set_output(transform="default")
    pooled = all_maps = extractor.transform(X)
    if transformer.pooling is not None:
        all_maps = extractor.set_params(pooling=None).transform(X)
    all_maps = all_maps.reshape(-1, height, width, n_maps)
    saliencies = []
    for maps, features, code in zip(all_maps, pooled, codes, strict=True):
        score = class_scores(classifier, features[np.newaxis])[0, code]
        weights = np.empty(n_maps, dtype=np.float32)
        for some in chunks(np.arange(n_maps), max(1, _MAX_BYTES // features.nbytes)):
            ablated = np.repeat(features[np.newaxis], len(some), axis=0)
            # Features are (height, width, maps) in a row, or one for each map.
            by_map = ablated.reshape(len(some), -1, n_maps)
            by_map[np.arange(len(some)), :, some] = 0
            weights[some] = score - class_scores(classifier, ablated)[:, code]
        saliencies.append(maps @ weights)
    return saliencies


def _normalized(saliencies):
    """Keep what speaks for the class, and scale the largest of each image to 1."""
    saliencies = np.maximum(np.array(saliencies, dtype=np.float32), 0)
    largest = saliencies.max(axis=(1, 2), keepdims=True)
    return saliencies / np.where(largest > 0, largest, 1)
