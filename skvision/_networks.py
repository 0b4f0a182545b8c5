"""Networks as functions that build them: Keras and TensorFlow, no scikit-learn.

Initial values are zeros everywhere: Keras' default initializers, built without a seed,
draw one from Python's global `random`. Whoever builds a network here sets its weights.
"""

import functools

from skvision._backend import check_usable_here, keras, tf
from skvision._vgg16_tables import BLOCKS
from skvision._weights import load_vgg16_weights

layers = keras.layers


def dense_head(n_features, hidden_units, n_outputs, *, dropout):
    """The post's small fully-connected network, from features to logits.

    `dropout` makes a dropout layer from a name.
    """
    inputs = keras.Input((n_features,), name="features")
    x = inputs
    for i, units in enumerate(hidden_units, start=1):
        x = layers.Dense(
            units, activation="relu", kernel_initializer="zeros", name=f"dense_{i}"
        )(x)
        x = dropout(name=f"dropout_{i}")(x)
    logits = layers.Dense(n_outputs, kernel_initializer="zeros", name="logits")(x)
    return keras.Model(inputs, logits, name="dense_head")


def scratch_cnn(image_size, filters, dense_units, n_outputs, *, dropout):
    """The post's small convnet, from images with values 0 to 255 to logits."""
    inputs = keras.Input((*image_size, 3), name="images")
    x = layers.Rescaling(1 / 255, name="rescaling")(inputs)
    for i, n_filters in enumerate(filters, start=1):
        x = layers.Conv2D(
            n_filters,
            3,
            activation="relu",
            kernel_initializer="zeros",
            name=f"conv_{i}",
        )(x)
        x = layers.MaxPooling2D(2, name=f"pool_{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(
        dense_units, activation="relu", kernel_initializer="zeros", name="dense"
    )(x)
    x = dropout(name="dropout")(x)
    logits = layers.Dense(n_outputs, kernel_initializer="zeros", name="logits")(x)
    return keras.Model(inputs, logits, name="scratch_cnn")


def with_probabilities(network):
    """`network` with its logits turned into probabilities: sigmoid or softmax."""
    activation = "sigmoid" if network.output.shape[-1] == 1 else "softmax"
    outputs = layers.Activation(activation, name="probabilities")(network.output)
    return keras.Model(network.input, outputs, name=network.name)


def vgg16_base():
    """VGG16's convolution base with the layer names of `keras.applications.VGG16`."""
    x = inputs = keras.Input((None, None, 3), name="images")
    for block, (n_convolutions, filters) in enumerate(BLOCKS, start=1):
        for i in range(1, n_convolutions + 1):
            x = layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                kernel_initializer="zeros",
                name=f"block{block}_conv{i}",
            )(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    return keras.Model(inputs, x, name="vgg16")


@functools.lru_cache(maxsize=2)
def _vgg16(weights, digest):
    """The base with `weights`, once per process; `digest` tells a file's versions."""
    base = vgg16_base()
    for name, (kernel, bias) in load_vgg16_weights(weights).items():
        base.get_layer(name).set_weights([kernel, bias])
    return base


PREPROCESSING = {
    "imagenet": keras.applications.vgg16.preprocess_input,
    "rescale": lambda images: images / 255.0,
}

POOLING = {
    None: lambda maps: tf.reshape(maps, (tf.shape(maps)[0], -1)),
    "avg": lambda maps: tf.reduce_mean(maps, axis=(1, 2)),
    "max": lambda maps: tf.reduce_max(maps, axis=(1, 2)),
}


@functools.lru_cache(maxsize=16)
def _traced_extractor(weights, digest, layer, pooling, preprocessing):
    base = _vgg16(weights, digest)
    network = keras.Model(base.input, base.get_layer(layer).output)

    # XLA halves the speed of convolutions on a CPU, hence no jit_compile.
    @tf.function(jit_compile=False, autograph=False)
    def extract(images):
        images = PREPROCESSING[preprocessing](tf.cast(images, tf.float32))
        return POOLING[pooling](network(images, training=False))

    return extract


def vgg16_extractor(weights, digest, layer, pooling, preprocessing):
    """A function from uint8 images (n, height, width, 3) to features (n, d)."""
    check_usable_here()
    extract = _traced_extractor(weights, digest, layer, pooling, preprocessing)
    return lambda images: extract(images).numpy()


def rows_per_pass(batch_size):
    """Images in one forward pass: few on a CPU, `batch_size` on a GPU.

    A CPU is as fast with 4 as with 32 (within 4 %, and several passes run at once), and
    a single image then costs no more than 4: every pass has one shape, padded, so that
    the features of an image do not depend on its neighbours.
    """
    return batch_size if tf.config.list_physical_devices("GPU") else 4


def progress_bar(total, unit, verbose):
    """Keras' own progress bar on `total` units; silent with `verbose=0`."""
    return keras.utils.Progbar(total, unit_name=unit, verbose=verbose)
