"""Functions that build the networks, as Keras models.

All weights are initialized with zeros and set by the caller, because without a seed,
Keras' initializers draw one from Python's global `random`. The dtype and data format of
each layer are explicit, so that Keras' global settings do not change results.
"""

import functools
import itertools

import numpy as np

from skvision._backbones.vgg16 import combined_digest, layer_digest, vgg16_layers
from skvision._backbones.weights import load_vgg16_weights
from skvision._features.normalization import LENGTH
from skvision._nets.backend import check_usable_here, keras, on_cpu, tf, traced
from skvision._nets.layers import FLOAT, IMAGES, KerasLayers, square_root

layers = keras.layers
N_BLOCKS = 5

POOLING_LAYERS = {
    None: layers.Flatten,
    "avg": layers.GlobalAveragePooling2D,
    "max": layers.GlobalMaxPooling2D,
}


def _input(shape, name):
    return keras.Input(shape, name=name, **FLOAT)


def dense_head(n_features, hidden_units, n_outputs, *, layer_factory):
    """Return the small dense network of Chollet (2016), from features to logits.

    `layer_factory` is a `TrainedLayers` or a `KerasLayers`.
    """
    x = inputs = _input((n_features,), "features")
    for i, units in enumerate(hidden_units, start=1):
        x = layer_factory.dense(units, f"dense_{i}", "relu")(x)
        x = layer_factory.dropout(f"dropout_{i}")(x)
    logits = layer_factory.dense(n_outputs, "logits")(x)
    return keras.Model(inputs, logits, name="dense_head")


def scratch_cnn(image_size, filters, dense_units, n_outputs, *, layer_factory):
    """Return the small convnet of Chollet (2016), from images (0 to 255) to logits."""
    inputs = _input((*image_size, 3), "images")
    x = layers.Rescaling(1 / 255, name="rescaling", **FLOAT)(inputs)
    for i, n_filters in enumerate(filters, start=1):
        names = f"conv_{i}", f"pool_{i}"
        x = layer_factory.pooled_convolution(n_filters, *names, padding="valid")(x)
    x = layers.Flatten(name="flatten", **IMAGES)(x)
    x = layer_factory.dense(dense_units, "dense", "relu")(x)
    x = layer_factory.dropout("dropout")(x)
    logits = layer_factory.dense(n_outputs, "logits")(x)
    return keras.Model(inputs, logits, name="scratch_cnn")


def with_probabilities(network):
    """Return `network` with a sigmoid or softmax after its logits."""
    activation = "sigmoid" if network.output.shape[-1] == 1 else "softmax"
    outputs = layers.Activation(activation, name="probabilities", **FLOAT)
    return keras.Model(network.input, outputs(network.output), name=network.name)


def grad_cam(network):
    """Return a function from an image (1, height, width, 3) and a class to a saliency.

    The saliency is the sum of the feature maps of the last convolution, weighted by the
    mean gradients of the logit of the class, of shape (height, width). `network` ends
    with probabilities.
    """
    convolutions = [x for x in network.layers if isinstance(x, layers.Conv2D)]
    logits = network.layers[-1].input
    model = keras.Model(network.input, [convolutions[-1].output, logits])

    @traced
    def saliency(images, code):
        with tf.GradientTape() as tape:
            maps, logits = model(images, training=False)
            if logits.shape[-1] == 1:  # the logit of the second class
                logits = tf.concat([-logits, logits], axis=1)
            logit = logits[0, code]
        weights = tf.reduce_mean(tape.gradient(logit, maps), axis=(1, 2), keepdims=True)
        return tf.reduce_sum(maps * weights, axis=-1)[0]

    def compute_saliency(images, code):
        return saliency(tf.constant(images, tf.float32), tf.constant(int(code))).numpy()

    return compute_saliency


def _vgg16_blocks(x, n_blocks, layer_factory):
    """Apply the last `n_blocks` blocks of VGG16's convolutional base."""
    first = N_BLOCKS - n_blocks + 1
    names = [layer for layer in vgg16_layers() if layer[1] >= first]
    for (name, _, n_filters), (following, _, _) in itertools.pairwise(names):
        if following.endswith("pool"):
            layer = layer_factory.pooled_convolution(n_filters, name, following, "same")
        elif not name.endswith("pool"):
            layer = layer_factory.convolution(n_filters, name, "same")
        else:
            continue
        x = layer(x)
    return x


def vgg16_base(dtype="float32"):
    """Return VGG16's convolutional base, with the layer names of Keras' VGG16.

    `dtype` is that of the weights and the computation.
    """
    inputs = _input((None, None, 3), "images")
    blocks = _vgg16_blocks(inputs, N_BLOCKS, KerasLayers(dropout=0, dtype=dtype))
    return keras.Model(inputs, blocks, name="vgg16")


def to_centred_bgr(x):
    """Reverse the channels and subtract ImageNet's means, as `preprocess_input` does.

    A convolution does this, because models with an indexing operation cannot be loaded
    from `.h5` files.
    """
    settings = {"kernel_initializer": "zeros", "trainable": False, **IMAGES}
    layer = layers.Conv2D(3, 1, name="centred_bgr", **settings)
    outputs = layer(x)
    means = np.array([103.939, 116.779, 123.68], dtype=np.float32)
    layer.set_weights([np.eye(3)[::-1].reshape(1, 1, 3, 3), -means])
    return outputs


def vgg16_top(shape, n_blocks, preprocessing, pooling, normalization, *, layer_factory):
    """Return the last blocks of VGG16, from the activations before them to features.

    With all 5 blocks the inputs are images with values 0 to 255, and are preprocessed.
    Features are pooled and normalized as by `VGG16BottleneckTransformer`.
    """
    inputs = _input(shape, "images" if n_blocks == N_BLOCKS else "maps")
    x = inputs
    if n_blocks == N_BLOCKS and preprocessing == "rescale":
        x = layers.Rescaling(1 / 255, name="rescaling", **FLOAT)(x)
    elif n_blocks == N_BLOCKS:
        x = to_centred_bgr(x)
    x = _vgg16_blocks(x, n_blocks, layer_factory)
    x = POOLING_LAYERS[pooling](name="features", **IMAGES)(x)
    if normalization == "power":
        # Near zero, the gradient of the square root would be too large.
        x = layers.Rescaling(1, offset=1e-3, name="offset", **FLOAT)(x)
        x = square_root("square_root")(x)
    if normalization is not None:
        x = layers.UnitNormalization(name="unit_length", **FLOAT)(x)
        x = layers.Rescaling(LENGTH, name="length", **FLOAT)(x)
    return keras.Model(inputs, x, name="vgg16_top")


def fine_tuned_vgg(top, hidden_units, n_outputs, *, layer_factory):
    """Return `vgg16_top(*top)` followed by the small dense network, to logits."""
    base = vgg16_top(*top, layer_factory=layer_factory)
    head = dense_head(
        base.output.shape[-1], hidden_units, n_outputs, layer_factory=layer_factory
    )
    x = base.output
    for layer in head.layers[1:]:
        x = layer(x)
    return keras.Model(base.input, x, name="fine_tuned_vgg")


@functools.lru_cache(maxsize=4)
def _vgg16(weights, digest, dtype):
    """Return the base with `weights`; the cache distinguishes files by `digest`."""
    arrays = load_vgg16_weights(weights)
    loaded = combined_digest(layer_digest(*layer) for layer in arrays.items())
    if weights is not None and loaded != digest:
        raise ValueError(
            f"The file in the 'weights' parameter, {weights!r}, changed while it was "
            "read. Call again when no process writes to it."
        )
    base = vgg16_base(dtype)
    for name, (kernel, bias) in arrays.items():
        base.get_layer(name).set_weights([kernel, bias])
    return base


def _preprocess(images, preprocessing):
    if preprocessing == "rescale":
        return images / 255.0
    return keras.applications.vgg16.preprocess_input(
        images, data_format="channels_last"
    )


POOLING = {
    None: lambda maps: tf.reshape(maps, (tf.shape(maps)[0], -1)),
    "avg": lambda maps: tf.reduce_mean(maps, axis=(1, 2)),
    "max": lambda maps: tf.reduce_max(maps, axis=(1, 2)),
}


@functools.lru_cache(maxsize=16)
def _traced_extractor(
    weights, digest, layer, pooling, preprocessing, image_size, dtype
):
    # Each size is another graph; as part of the key, it is freed when that is.
    base = _vgg16(weights, digest, dtype)
    network = keras.Model(base.input, base.get_layer(layer).output)

    def extract(images):
        images = _preprocess(tf.cast(images, tf.float32), preprocessing)
        maps = network(images, training=False)
        return POOLING[pooling](tf.cast(maps, tf.float32))

    return traced(extract)


def vgg16_weights(weights, digest):
    """Return all weights of the base: kernel and bias of each layer, in order."""
    base = _vgg16(weights, digest, "float32")
    return [v.numpy() for v in base.trainable_variables]


def vgg16_extractor(weights, digest, layer, pooling, preprocessing, image_size, dtype):
    """Return a function from uint8 images (n, height, width, 3) to features (n, d)."""
    check_usable_here()
    extract = _traced_extractor(
        weights, digest, layer, pooling, preprocessing, image_size, dtype
    )
    return lambda images: extract(images).numpy()


def max_rows_per_pass(batch_size, image_size, compute_dtype, relative_cost=1.0):
    """Return the maximum number of images in a forward pass.

    On a CPU, where several passes run at once, few are as fast as many and need less
    memory, and Ctrl-C stops within one pass: half a second of one core with VGG16.
    Networks of a smaller `relative_cost` (per pixel, compared with VGG16) take more.
    """
    if not on_cpu():
        return batch_size
    n_pixels = image_size[0] * image_size[1] * relative_cost
    limits = {64: 16, 128: 4, 320: 2}
    n_rows = next((n for size, n in limits.items() if n_pixels <= size**2), 1)
    return min(16, 8 * n_rows) if compute_dtype == "bfloat16" else n_rows
