"""Layers of the networks: those that are trained here, and Keras' own of the same.

A builder in `_networks` takes its layers from a `TrainedLayers` or a `KerasLayers`.
Both give the same weights in the same order, and the same numbers.
"""

from skvision._backend import compiled, keras, tf

FLOAT = {"dtype": "float32"}
IMAGES = {"dtype": "float32", "data_format": "channels_last"}


def convolution(filters, name, padding):
    """A convolution with 3 x 3 filters and rectified linear units."""
    return keras.layers.Conv2D(
        filters,
        3,
        padding=padding,
        activation="relu",
        kernel_initializer="zeros",
        name=name,
        **IMAGES,
    )


class KerasLayers:
    """Standard layers, for a model that the user is to have."""

    def __init__(self, dropout):
        self.rate = dropout

    def dense(self, units, name, activation=None):
        return keras.layers.Dense(
            units, activation, kernel_initializer="zeros", name=name, **FLOAT
        )

    def dropout(self, name):
        return keras.layers.Dropout(self.rate, seed=0, name=name, **FLOAT)

    def pooled_convolution(self, filters, number):
        """A convolution, and the maximum over 2 x 2 pixels."""
        convolve = convolution(filters, f"conv_{number}", padding="valid")
        pool = keras.layers.MaxPooling2D(2, name=f"pool_{number}", **IMAGES)
        return lambda x: pool(convolve(x))


class TrainedLayers:
    """Layers that are quick to train, and whose settings are inputs of the graph."""

    def __init__(self):
        self.dropouts = []

    def dense(self, units, name, activation=None):
        return Dense(units, activation, kernel_initializer="zeros", name=name, **FLOAT)

    def dropout(self, name):
        self.dropouts.append(Dropout(name, position=len(self.dropouts)))
        return self.dropouts[-1]

    def pooled_convolution(self, filters, number):
        return PooledConvolution(filters, f"conv_{number}")


class Dropout(keras.layers.Layer):
    """Dropout whose rate and seed are inputs of the program.

    Keras' own layer holds its rate in the graph, so each rate of a search would need
    a graph of its own, and its seed in a generator with a state.
    """

    def __init__(self, name, position):
        super().__init__(name=name, dtype="float32")
        self.position = position
        self.rate = self.add_weight(
            shape=(),
            dtype="float32",
            initializer="zeros",
            trainable=False,
            name="rate",
        )
        self.seed = self.add_weight(
            shape=(2,), dtype="int32", initializer="zeros", trainable=False, name="seed"
        )

    def call(self, inputs, training=False):
        if not training:
            return inputs
        seed = self.seed.value + tf.constant([self.position, 0])
        drawn = tf.random.stateless_uniform(tf.shape(inputs), seed)
        return tf.where(drawn >= self.rate, inputs / (1 - self.rate), 0)


class Dense(keras.layers.Dense):
    """A dense layer that predicts the same for a row wherever it stands in a batch.

    The product of two matrices rounds a row as its place among the others has it, on
    some processors; the products of each row and a matrix do not, and cost little more.
    """

    def call(self, inputs, training=False):
        if training:
            return super().call(inputs)
        products = tf.matmul(inputs[:, None], self.kernel[None])[:, 0]
        return self.activation(tf.nn.bias_add(products, self.bias.value))


class PooledConvolution(keras.layers.Layer):
    """A convolution, rectified linear units and a maximum over 2 x 2 pixels.

    The maximum comes before bias and units, on which it has no influence, and which
    have less to do then; the gradients of the maximum and of the filters are compiled,
    for TensorFlow's own take three times and twice as long. Together this makes a step
    of the training twice as fast (docs/benchmarks.md).
    """

    def __init__(self, filters, name):
        super().__init__(name=name, dtype="float32")
        self.filters = filters

    def build(self, input_shape):
        weight = {"dtype": "float32", "initializer": "zeros"}
        _, height, width, channels = input_shape
        self.n_values = (height - 2) * (width - 2) * self.filters
        shape = (3, 3, channels, self.filters)
        self.kernel = self.add_weight(shape=shape, name="kernel", **weight)
        self.bias = self.add_weight(shape=(self.filters,), name="bias", **weight)

    def compute_output_shape(self, input_shape):
        n, height, width, _ = input_shape
        return n, (height - 2) // 2, (width - 2) // 2, self.filters

    def call(self, inputs):
        pooled = _pooled_convolution(inputs, self.kernel.value)
        return tf.nn.relu(tf.nn.bias_add(pooled, self.bias.value))


@tf.custom_gradient
def _pooled_convolution(x, kernel):
    maps = tf.nn.conv2d(x, kernel, 1, "VALID")
    pooled = tf.nn.max_pool2d(maps, 2, 2, "VALID")

    def gradients(gradient):
        maps_gradient = _pooling_gradient(maps, pooled, gradient)
        return (
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x),
                filter=kernel,
                out_backprop=maps_gradient,
                strides=[1, 1, 1, 1],
                padding="VALID",
            ),
            _filter_gradient(x, maps_gradient),
        )

    return pooled, gradients


@compiled
def _pooling_gradient(maps, pooled, gradient):
    """Give `gradient` to the first of the 2 x 2 values that is the maximum."""
    n, height, width, channels = maps.shape
    half_height, half_width = height // 2, width // 2
    quads = (n, half_height, 2, half_width, 2, channels)
    values = tf.reshape(maps[:, : 2 * half_height, : 2 * half_width], quads)
    is_maximum = values == pooled[:, :, None, :, None]
    places = tf.reshape(tf.range(4), (1, 1, 2, 1, 2, 1))
    places = tf.where(is_maximum, places, 4)
    first = tf.reduce_min(places, axis=(2, 4), keepdims=True)
    spread = tf.where(places == first, gradient[:, :, None, :, None], 0.0)
    spread = tf.reshape(spread, (n, 2 * half_height, 2 * half_width, channels))
    rest = [(0, 0), (0, height % 2), (0, width % 2), (0, 0)]
    return tf.pad(spread, rest)


@compiled
def _filter_gradient(x, gradient):
    return tf.raw_ops.Conv2DBackpropFilter(
        input=x,
        filter_sizes=[3, 3, x.shape[-1], gradient.shape[-1]],
        out_backprop=gradient,
        strides=[1, 1, 1, 1],
        padding="VALID",
    )
