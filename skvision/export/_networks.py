"""Keras models of what is exported, from pixels to labels and probabilities."""

import numpy as np

from skvision._backbones.weights import digest_as_fitted
from skvision._features.normalization import LENGTH
from skvision._nets import backbones, builders
from skvision._nets.backend import keras, tf
from skvision._nets.folding import inference_copy
from skvision._nets.layers import FLOAT, IMAGES, KerasLayers
from skvision.export._calibration import (
    calibrated_probabilities,
    check_calibration,
    heads,
    is_complete,
)
from skvision.export._parts import NETWORKS, head_name

layers = keras.layers
ops = keras.ops

# Beginnings of the names of parts that `quantize` may quantize.
BASE, NETWORK, HIDDEN = "base", "network", "hidden"


def classifying_network(parts, *, required_by=None):
    """Return a Keras model from uint8 images to probabilities.

    Returns None if `parts.rest` has no equivalent layers, or raises if a format
    requires them.
    """
    if isinstance(parts.network, NETWORKS):
        images = _input(parts.network)
        return _averaged(images, _calibrated_networks(parts, images))
    found = heads(parts.rest)
    if found is not None:
        features = feature_network(parts.network)
        values = [
            (_dense(features.output, head, f"_{i}"), member)
            for i, (head, member) in enumerate(found)
        ]
        return _averaged(features.input, values)
    if required_by is None:
        return None
    raise ValueError(
        f"{head_name(parts)}, or a step before it, cannot be exported to "
        f"{required_by}: only linear models, DenseHeadClassifier, their calibration, "
        "scaling and PCA have equivalent layers. Export to ONNX, in a file that ends "
        "with '.onnx'."
    )


def feature_network(encoder):
    """Return a Keras model from uint8 images to the features of an encoder."""
    images = _input(encoder)
    views = _views(images, encoder.flip_average)
    base, normalize = _base(encoder)
    pooling = encoder.pooling
    features = _mean([_pooled(base(view), pooling, normalize) for view in views])
    return keras.Model(images, _normalized(features, encoder.normalization))


def _base(encoder):
    """Return what `backbones.cut` returns, as a model from images (0 to 255)."""
    backbone, name, *_, preprocessing = encoder._network()
    image_size = encoder._image_settings().image_size
    fitted = getattr(encoder, "weights_digest_", None)
    digest = digest_as_fitted(encoder.weights, fitted, backbone)
    if backbone.kind == "vgg16":
        return _vgg16(encoder.weights, digest, name, preprocessing), lambda x: x
    network = backbones.loaded_network(backbone, encoder.weights, digest, image_size)
    network, normalize = backbones.cut(network, name, backbone.name)
    network = inference_copy(network, "float32")
    images = keras.Input((*image_size, 3), **FLOAT)
    x = _preprocessed(images, backbone.preprocessing)
    return keras.Model(images, network(x), name=BASE), normalize


def _preprocessed(x, mode):
    """Preprocess images by layers that all converters know, unlike Keras' function."""
    if mode == "inside":
        return x
    if mode == "caffe":
        return builders.to_centred_bgr(x)
    if mode == "tf":
        return layers.Rescaling(1 / 127.5, offset=-1, **FLOAT)(x)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    scale, offset = 1 / (255 * deviation), -mean / deviation
    return layers.Rescaling(scale.tolist(), offset.tolist(), **FLOAT)(x)


def _vgg16(weights, digest, layer, preprocessing):
    settings = (None, None, 3), builders.N_BLOCKS, preprocessing, "avg", None
    whole = builders.vgg16_top(*settings, layer_factory=KerasLayers(dropout=0))
    arrays = builders.vgg16_weights(weights, digest)
    for variable, value in zip(whole.trainable_variables, arrays, strict=True):
        variable.assign(value)
    return keras.Model(whole.input, whole.get_layer(layer).output, name=BASE)


def _calibrated_networks(parts, images):
    """Return logits of networks that classify images, with their calibrations."""
    if parts.calibrated is None:
        return [(_network_logits(parts.network, images), None)]
    members = parts.calibrated.calibrated_classifiers_
    if not all(map(is_complete, members)):
        raise ValueError(
            "A member of the CalibratedClassifierCV was trained without images of some "
            "classes. Fit it again, with more images of each class or a smaller cv."
        )
    return [
        (_network_logits(member.estimator, images, f"_{i}"), member)
        for i, member in enumerate(members)
    ]


def _network_logits(classifier, images, suffix=""):
    """Return the logits of a classifier with a network of its own."""
    flip_average = classifier.flip_average
    if flip_average == "auto":
        augmenter = classifier.augmenter
        flip_average = augmenter is not None and augmenter.horizontal_flip
    model = classifier.model_
    network = keras.Model(model.input, model.layers[-1].input, name=NETWORK + suffix)
    return _mean([network(view) for view in _views(images, flip_average)])


def _input(estimator):
    size = estimator._image_settings().image_size
    return keras.Input((*size, 3), name="images", dtype="uint8")


def _views(images, flip_average):
    """Return images as float32, with their mirror images."""
    x = ops.cast(images, "float32")
    return [x, ops.flip(x, axis=2)] if flip_average else [x]


def _mean(values):
    return values[0] if len(values) == 1 else layers.Average(**FLOAT)(values)


def _pooled(maps, pooling, normalize):
    pool = builders.POOLING_LAYERS[pooling](**IMAGES)
    return pool(normalize(maps)) if pooling is None else normalize(pool(maps))


def _normalized(x, normalization):
    if normalization == "power":
        x = ops.sign(x) * ops.sqrt(ops.abs(x))
    if normalization is not None:
        x = layers.UnitNormalization(**FLOAT)(x)
        x = layers.Rescaling(LENGTH, **FLOAT)(x)
    return x


def _dense(x, head, suffix):
    for i, (kernel, bias) in enumerate(head):
        is_hidden = i < len(head) - 1
        layer = layers.Dense(
            kernel.shape[1],
            "relu" if is_hidden else None,
            name=f"{HIDDEN}_{i}{suffix}" if is_hidden else f"logits{suffix}",
            **FLOAT,
        )
        layer.build((None, kernel.shape[0]))
        layer.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
        x = layer(x)
    return x


def _averaged(images, values):
    """Return a Keras model of the mean of probabilities from logits, calibrated."""
    for logits, member in values:
        if member is not None:
            check_calibration(member, logits.shape[-1])
    probabilities = [calibrated_probabilities(*value) for value in values]
    return keras.Model(images, _mean(probabilities), name="exported")


def outputs(probabilities, parts, metadata, library=tf):
    """Return the outputs of a model as a dict.

    The label is the index of the class, int32; there is none if classes are not
    exported. `library` is TensorFlow or `keras.ops`: converters do not know all that
    Keras computes for `argmax`.
    """
    if metadata["classes"] is None:
        return {"probabilities": probabilities}
    if parts.threshold is None:
        label = library.argmax(probabilities, axis=1)
    else:
        index, least = parts.threshold
        label = probabilities[:, index] >= least
    label = library.cast(label, "int32")
    if parts.threshold is not None and parts.threshold[0] == 0:
        label = 1 - label
    return {"label": label, "probabilities": probabilities}


def as_function(network, name_outputs):
    """Return a network as a TensorFlow function, and the signature of its input.

    Its weights are constants of the graph: the converter to LiteRT of TensorFlow 2.21
    does not initialize the variables of Keras' layers. `name_outputs` is a function
    from the output of the network to a dict.
    """
    signature = tf.TensorSpec(network.input.shape, tf.uint8, name="images")
    variables = network.trainable_variables, network.non_trainable_variables
    weights = [[variable.numpy() for variable in some] for some in variables]

    @tf.function(input_signature=[signature], autograph=False)
    def call(images):
        constants = [[tf.constant(value) for value in some] for some in weights]
        values, _ = network.stateless_call(*constants, images, training=False)
        return name_outputs(values)

    return call, signature


def as_labels(values, metadata):
    """Return labels, the indices of classes, as labels, and the probabilities."""
    label = values.get("label")
    if label is not None:
        label = np.array(metadata["classes"])[np.asarray(label)]
    return label, np.asarray(values["probabilities"])
