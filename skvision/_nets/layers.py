"""Layers of the networks: those that are trained here, and Keras' own of the same.

A builder in `builders` takes its layers from a `TrainedLayers` or a `KerasLayers`.
Both give the same weights in the same order, and the same numbers but for rounding.
"""

from skvision._nets import winograd
from skvision._nets.backend import compiled, keras, on_cpu, tf

FLOAT = {"dtype": "float32"}
IMAGES = {"dtype": "float32", "data_format": "channels_last"}

# From here on a convolution is trained by `winograd`, twice as fast. The small convnet
# has fewer, and there the way to the points and back costs more than it saves.
MANY_MAPS = 128

# Longer ones, in a product of a row and a matrix, some processors split among threads.
LONGEST_SUM = 2**10


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

    def convolution(self, filters, name, padding):
        return keras.layers.Conv2D(
            filters,
            3,
            padding=padding,
            activation="relu",
            kernel_initializer="zeros",
            name=name,
            **IMAGES,
        )

    def pooled_convolution(self, filters, name, pool_name, padding):
        """A convolution, and the maximum over 2 x 2 pixels."""
        convolve = self.convolution(filters, name, padding)
        pool = keras.layers.MaxPooling2D(2, name=pool_name, **IMAGES)
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

    def convolution(self, filters, name, padding):
        return Convolution(filters, name, padding)

    def pooled_convolution(self, filters, name, pool_name, padding):
        return PooledConvolution(filters, name, padding)


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
    """A dense layer whose numbers depend neither on the batch nor on the threads.

    The product of two matrices rounds a row as its place among the others has it, and
    as the number of threads has it, on some processors; the products of each row and a
    matrix do not, and take no longer for as few rows as we have.
    """

    def call(self, inputs, training=False):
        products = _products_of_rows(inputs, self.kernel.value)
        return self.activation(tf.nn.bias_add(products, self.bias.value))


@tf.custom_gradient
def _products_of_rows(x, kernel):
    starts = range(0, x.shape[1], LONGEST_SUM)
    parts = [slice(start, start + LONGEST_SUM) for start in starts]
    products = tf.add_n([tf.matmul(x[:, None, p], kernel[None, p]) for p in parts])

    def gradients(gradient):
        of_x = tf.matmul(gradient, kernel, transpose_b=True)
        return of_x, _sum_of_outer_products(x, gradient)

    return products[:, 0], gradients


@compiled
def _sum_of_outer_products(x, gradient):
    return tf.reduce_sum(x[:, :, None] * gradient[:, None, :], axis=0)


class Convolution(keras.layers.Layer):
    """A convolution with 3 x 3 filters, and rectified linear units.

    The sums of its gradients do not depend on the number of threads, as those of Keras'
    layer do.
    """

    def __init__(self, filters, name, padding):
        super().__init__(name=name, dtype="float32")
        self.filters = filters
        self.padding = padding.upper()

    def build(self, input_shape):
        weight = {"dtype": "float32", "initializer": "zeros"}
        height, width, channels = input_shape[1:]
        border = 2 if self.padding == "VALID" else 0
        self.size = height - border, width - border
        self.n_values = self.size[0] * self.size[1] * self.filters
        shape = (3, 3, channels, self.filters)
        self.kernel = self.add_weight(shape=shape, name="kernel", **weight)
        self.bias = self.add_weight(shape=(self.filters,), name="bias", **weight)

    def compute_output_shape(self, input_shape):
        return input_shape[0], *self.size, self.filters

    def call(self, inputs, training=False):
        return _convolution(inputs, *self._settings(training))

    def _settings(self, training):
        is_large = self.padding == "SAME" and min(self.kernel.shape[2:]) >= MANY_MAPS
        is_quicker = training and is_large and on_cpu()
        method = winograd if is_quicker else _Direct(self.padding)
        return self.kernel.value, self.bias.value, method


class PooledConvolution(Convolution):
    """The same, and then the maximum over 2 x 2 pixels.

    The maximum comes before bias and units, on which it has no influence, and which
    have less to do then; all gradients but those of the convolution are compiled to
    one loop. Together this makes a step of the training of the small convnet twice as
    fast (docs/benchmarks.md).
    """

    def compute_output_shape(self, input_shape):
        return input_shape[0], *(n // 2 for n in self.size), self.filters

    def call(self, inputs, training=False):
        return _pooled_convolution(inputs, *self._settings(training))


class _Direct:
    """Convolutions by TensorFlow's own kernels, as `winograd` has them."""

    def __init__(self, padding):
        self.settings = {"strides": [1, 1, 1, 1], "padding": padding}

    def convolution(self, x, kernel):
        return tf.raw_ops.Conv2D(input=x, filter=kernel, **self.settings), (x, kernel)

    def gradients(self, kept, of_maps):
        x, kernel = kept
        of_x = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x),
            filter=kernel,
            out_backprop=of_maps,
            **self.settings,
        )
        return of_x, self._gradient_of_kernel(x, tf.shape(kernel), of_maps)

    def _gradient_of_kernel(self, x, shape, of_maps):
        """The sum over images, on a CPU each for itself.

        Over several images at once oneDNN adds up in another order with one thread than
        with two. One by one it does not, and several of them run at the same time.
        Small images pay for it with their speed (docs/benchmarks.md).
        """
        n = x.shape[0] if on_cpu() else 1
        parts = zip(tf.split(x, n), tf.split(of_maps, n), strict=True)
        gradients = [
            tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=shape, out_backprop=of_maps, **self.settings
            )
            for x, of_maps in parts
        ]
        return tf.add_n(gradients)


def _convolution(x, kernel, bias, method):
    @tf.custom_gradient
    def convolve(x, kernel, bias):
        maps, kept = method.convolution(x, kernel)
        outputs = tf.nn.relu(maps + bias)

        def gradients(gradient):
            of_maps, of_bias = _where_positive(gradient, outputs)
            return *method.gradients(kept, of_maps), of_bias

        return outputs, gradients

    return convolve(x, kernel, bias)


def _pooled_convolution(x, kernel, bias, method):
    @tf.custom_gradient
    def convolve(x, kernel, bias):
        maps, kept = method.convolution(x, kernel)
        size = maps.shape[1:3]
        outputs, places = _rectified_maximum(maps, bias)

        def gradients(gradient):
            of_maps = _spread(gradient, places, size)
            of_bias = _sum_of_placed(gradient, places)
            return *method.gradients(kept, of_maps), of_bias

        return outputs, gradients

    return convolve(x, kernel, bias)


@compiled
def _where_positive(gradient, outputs):
    """Return the gradient of the maps, and its sum, the gradient of the bias."""
    of_maps = tf.where(outputs > 0, gradient, 0.0)
    return of_maps, tf.reduce_sum(of_maps, axis=(0, 1, 2))


@compiled
def _rectified_maximum(maps, bias):
    """Return max(0, maximum + bias), and the place of each maximum among its four.

    Of equal values the first counts; where the result is 0 the place is -1.
    """
    n, height, width, channels = maps.shape
    height, width = height // 2, width // 2
    quads = (n, height, 2, width, 2, channels)
    quads = tf.reshape(maps[:, : 2 * height, : 2 * width], quads)
    values = [quads[:, :, i, :, j] for i in (0, 1) for j in (0, 1)]
    maximum = tf.maximum(
        tf.maximum(values[0], values[1]), tf.maximum(values[2], values[3])
    )
    places = 3
    for i in (2, 1, 0):
        places = tf.where(values[i] == maximum, i, places)
    outputs = tf.nn.relu(maximum + bias)
    return outputs, tf.where(outputs > 0, places, -1)


@compiled
def _spread(gradient, places, size):
    """Put `gradient` where the maxima were, and 0 elsewhere."""
    n, half_height, half_width, channels = gradient.shape
    height, width = size
    values = [tf.where(places == i, gradient, 0.0) for i in range(4)]
    rows = (n, half_height, 2 * half_width, channels)
    rows = [tf.reshape(tf.stack(values[i : i + 2], axis=3), rows) for i in (0, 2)]
    maps = (n, 2 * half_height, 2 * half_width, channels)
    maps = tf.reshape(tf.stack(rows, axis=2), maps)
    return tf.pad(maps, [(0, 0), (0, height % 2), (0, width % 2), (0, 0)])


@compiled
def _sum_of_placed(gradient, places):
    return tf.reduce_sum(tf.where(places >= 0, gradient, 0.0), axis=(0, 1, 2))
