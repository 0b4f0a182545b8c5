"""Layers of the networks: Keras' own, and two that make training faster.

The functions in `builders` create layers with a layer factory: `KerasLayers` for models
returned to the user, `TrainedLayers` for training. Both have the same weights in the
same order and compute the same values up to rounding.
"""

from skvision._nets.backend import compiled, keras, on_cpu, tf, xla_compiles

FLOAT = {"dtype": "float32"}
IMAGES = {"dtype": "float32", "data_format": "channels_last"}


def square_root(name):
    """Return a layer that computes the square root.

    Keras has no such activation function, and a model that contains `keras.ops.sqrt`
    itself cannot be loaded from `.h5` files, nor one with a layer of ours without
    skvision. But activations may be operations: this is that of `keras.ops.sqrt`.
    """
    operation = keras.ops.sqrt(keras.KerasTensor((1,)))._keras_history.operation
    return keras.layers.Activation(operation, name=name, **FLOAT)


class KerasLayers:
    """Factory of standard Keras layers.

    `dtype` is that of convolutions and pooling; everything else is float32.
    """

    def __init__(self, dropout, dtype="float32"):
        self.rate = dropout
        self.images = {"dtype": dtype, "data_format": "channels_last"}

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
            **self.images,
        )

    def pooled_convolution(self, filters, name, pool_name, padding):
        """Return a 3 x 3 convolution with ReLU, followed by 2 x 2 max pooling."""
        convolve = self.convolution(filters, name, padding)
        pool = keras.layers.MaxPooling2D(2, name=pool_name, **self.images)
        return lambda x: pool(convolve(x))


class TrainedLayers(KerasLayers):
    """Factory of the layers of a `Program`, with the two faster ones.

    With the dtype "bfloat16" weights and their updates are float32, and cast for each
    convolution.
    """

    def __init__(self, dtype="float32"):
        super().__init__(None, "mixed_bfloat16" if dtype == "bfloat16" else dtype)
        self.dropouts = []

    def dropout(self, name):
        self.dropouts.append(Dropout(name, position=len(self.dropouts)))
        return self.dropouts[-1]

    def pooled_convolution(self, filters, name, pool_name, padding):
        if not (on_cpu() and xla_compiles()):
            return super().pooled_convolution(filters, name, pool_name, padding)
        return PooledConvolution(filters, name, padding, self.images["dtype"])


class Dropout(keras.layers.Layer):
    """Dropout whose rate and seed are variables of the program.

    In Keras' layer, the rate is a constant in the graph, so that each rate of a search
    would need another trace, and the seed generator has a state.
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


class PooledConvolution(keras.layers.Layer):
    """A 3 x 3 convolution, 2 x 2 max pooling, bias and ReLU, with a fast gradient.

    Max pooling commutes with adding the bias and with ReLU, so it comes first, which
    leaves a quarter of the values for them. XLA compiles everything except the
    convolutions; TensorFlow's gradient of max pooling is slow on a CPU.
    """

    def __init__(self, filters, name, padding, dtype):
        super().__init__(name=name, dtype=dtype)
        self.filters = filters
        self.padding = padding.upper()

    def build(self, input_shape):
        shape = (3, 3, input_shape[-1], self.filters)
        self.kernel = self.add_weight(shape, "zeros", name="kernel")
        self.bias = self.add_weight((self.filters,), "zeros", name="bias")

    def compute_output_shape(self, input_shape):
        border = 2 if self.padding == "VALID" else 0
        size = ((side - border) // 2 for side in input_shape[1:3])
        return input_shape[0], *size, self.filters

    def call(self, inputs):
        conv = {"strides": [1, 1, 1, 1], "padding": self.padding}

        @tf.custom_gradient
        def convolve_and_pool(x, kernel, bias):
            maps = tf.raw_ops.Conv2D(input=x, filter=kernel, **conv)
            outputs, position = _max_pool_bias_relu(maps, bias)

            def gradients(gradient):
                grad_maps, grad_bias = _max_pool_gradients(
                    gradient, position, maps.shape[1:3]
                )
                backward = {"out_backprop": grad_maps, **conv}
                grad_x = tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=tf.shape(x), filter=kernel, **backward
                )
                grad_kernel = tf.raw_ops.Conv2DBackpropFilter(
                    input=x, filter_sizes=tf.shape(kernel), **backward
                )
                return grad_x, grad_kernel, grad_bias

            return outputs, gradients

        dtype = self.compute_dtype
        kernel, bias = (tf.cast(w.value, dtype) for w in (self.kernel, self.bias))
        return convolve_and_pool(inputs, kernel, bias)


@compiled
def _max_pool_bias_relu(maps, bias):
    """Return ReLU(max + bias), and the position of each maximum in its 2 x 2 window.

    Among equal values, the first counts. The position is -1 where the output is 0.
    """
    n, height, width, channels = maps.shape
    height, width = height // 2, width // 2
    windows = tf.reshape(
        maps[:, : 2 * height, : 2 * width], (n, height, 2, width, 2, channels)
    )
    values = [windows[:, :, i, :, j] for i in (0, 1) for j in (0, 1)]
    maximum = tf.maximum(
        tf.maximum(values[0], values[1]), tf.maximum(values[2], values[3])
    )
    position = 3
    for i in (2, 1, 0):
        position = tf.where(values[i] == maximum, i, position)
    outputs = tf.nn.relu(maximum + bias)
    return outputs, tf.cast(tf.where(outputs > 0, position, -1), tf.int8)


@compiled
def _max_pool_gradients(gradient, position, size):
    """Return the gradients w.r.t. the feature maps before pooling and the bias.

    The gradient is nonzero only at the positions of the maxima.
    """
    n, half_height, half_width, channels = gradient.shape
    in_window = tf.reshape(tf.constant([0, 1, 2, 3], tf.int8), (1, 1, 2, 1, 2, 1))
    grad_maps = tf.where(
        position[:, :, None, :, None] == in_window,
        gradient[:, :, None, :, None],
        tf.zeros((), gradient.dtype),
    )
    grad_maps = tf.reshape(grad_maps, (n, 2 * half_height, 2 * half_width, channels))
    height, width = size
    padding = [(0, 0), (0, height % 2), (0, width % 2), (0, 0)]
    grad_bias = tf.where(position >= 0, gradient, tf.zeros((), gradient.dtype))
    return tf.pad(grad_maps, padding), tf.reduce_sum(grad_bias, axis=(0, 1, 2))
