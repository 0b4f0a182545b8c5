"""A copy of a network for inference: faster, and in another data type."""

import collections

import numpy as np

from skvision._nets.backend import keras

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_DEPTHWISE_SETTINGS = (
    *("name", "dtype", "kernel_size", "strides", "padding", "dilation_rate"),
    *("activation", "use_bias"),
)


def inference_copy(network, dtype):
    """Return a copy that computes in `dtype`, with batch normalization folded.

    At inference, batch normalization after a convolution is a factor and an offset for
    each channel. They become part of the kernel and a bias. `Conv2D` with one group per
    channel, as in ConvNeXt, becomes `DepthwiseConv2D`: TensorFlow on a CPU computes it
    a hundred times faster, and it can be converted to ONNX. So can `Rescaling`, which
    replaces `Normalization`.
    """
    folded = _foldable(network)
    norms = {norm.name for norm in folded.values()}

    def copy(layer):
        if isinstance(layer, keras.layers.InputLayer):
            return layer
        if layer.name in norms:
            return keras.layers.Activation("linear", name=layer.name, dtype=dtype)
        if isinstance(layer, keras.layers.Normalization):
            return _as_rescaling(layer)
        config = layer.get_config()
        # What reads pixels from 0 to 255 stays in float32.
        if "dtype" in config and not isinstance(layer, keras.layers.Rescaling):
            config["dtype"] = dtype
        if layer.name in folded:
            config["use_bias"] = True
        if _is_depthwise(layer):
            settings = {name: config[name] for name in _DEPTHWISE_SETTINGS}
            return keras.layers.DepthwiseConv2D(**settings)
        return type(layer).from_config(config)

    def call(layer, *args, **kwargs):
        # Arguments of normalization, such as a mask, are none of `Activation`.
        return layer(*args) if layer.name in norms else layer(*args, **kwargs)

    clone = keras.models.clone_model(network, clone_function=copy, call_function=call)
    for layer, new in zip(network.layers, clone.layers, strict=True):
        if layer.name in norms or not new.weights:
            continue
        weights = layer.get_weights()
        if layer.name in folded:
            weights = _folded(layer, folded[layer.name])
        if _is_depthwise(layer):
            weights[0] = weights[0].swapaxes(2, 3)
        new.set_weights(weights)
    return clone


def _is_depthwise(layer):
    """Return whether it is a `Conv2D` with as many groups as channels."""
    return (
        type(layer) is keras.layers.Conv2D
        and layer.groups == layer.filters == layer.input.shape[-1] > 1
    )


def _as_rescaling(norm):
    mean, variance = (np.ravel(values) for values in (norm.mean, norm.variance))
    scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
    return keras.layers.Rescaling(
        scale.tolist(), (-mean * scale).tolist(), name=norm.name, dtype="float32"
    )


def _foldable(network):
    """Return name of a convolution -> the batch normalization that alone reads it."""
    producers, readers = {}, collections.Counter()
    for layer in network.layers[1:]:
        readers.update(id(tensor) for tensor in keras.tree.flatten(layer.input))
        producers[id(layer.output)] = layer
    readers[id(network.output)] += 1
    pairs = {}
    for layer in network.layers:
        if type(layer) is not keras.layers.BatchNormalization:
            continue
        convolution = producers.get(id(layer.input))
        if (
            type(convolution) in _CONVOLUTIONS
            and readers[id(layer.input)] == 1
            and convolution.activation is keras.activations.linear
            and layer.axis in (-1, 3)
        ):
            pairs[convolution.name] = layer
    return pairs


def _folded(convolution, norm):
    """Return the weights of the convolution with those of the normalization."""
    *depthwise, kernel = convolution.get_weights()[: 1 + _has_two_kernels(convolution)]
    bias = convolution.bias.numpy() if convolution.use_bias else 0.0
    # In float64, so that a folded network differs by less than it rounds itself.
    values = {
        name: np.float64(getattr(norm, name).numpy())
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
        if getattr(norm, name, None) is not None
    }
    factor = values.get("gamma", 1.0) / np.sqrt(
        values["moving_variance"] + norm.epsilon
    )
    bias = (bias - values["moving_mean"]) * factor + values.get("beta", 0.0)
    is_depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
    kernel = kernel * (factor.reshape(kernel.shape[2:]) if is_depthwise else factor)
    return [*depthwise, kernel, bias]


def _has_two_kernels(convolution):
    return isinstance(convolution, keras.layers.SeparableConv2D)
