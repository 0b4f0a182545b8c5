"""EfficientNet-Lite as a Keras model."""

from skvision._backbones.efficientnet_lite import (
    EPSILON,
    STEM_FILTERS,
    TOP_FILTERS,
    lite_blocks,
)
from skvision._nets.backend import keras
from skvision._nets.layers import FLOAT, IMAGES

layers = keras.layers


def efficientnet_lite(name, image_size):
    """Return the network from images (0 to 255) to the last feature map.

    All weights are zeros, but the variances of batch normalization.
    """
    x = inputs = keras.Input((*image_size, 3), name="images", **FLOAT)
    scale, offset = 1 / 128, -127 / 128
    x = layers.Rescaling(scale, offset, name="rescaling", **FLOAT)(x)
    x = _convolution(x, STEM_FILTERS, 3, 2, "stem_conv")
    x = _activation(_norm(x, "stem_bn"), "stem_activation")
    for block in lite_blocks(name):
        x = _inverted_residual(x, block)
    x = _convolution(x, TOP_FILTERS, 1, 1, "top_conv")
    x = _activation(_norm(x, "top_bn"), "top_activation")
    return keras.Model(inputs, x, name=name.lower())


def _inverted_residual(inputs, block):
    """Expand the channels, convolve each on its own, and project to fewer channels."""
    name, x = block.name, inputs
    if block.has_expansion:
        x = _convolution(x, block.n_expanded, 1, 1, f"{name}_expand_conv")
        x = _activation(_norm(x, f"{name}_expand_bn"), f"{name}_expand_activation")
    x = layers.DepthwiseConv2D(
        block.kernel_size,
        block.stride,
        padding="same",
        depthwise_initializer="zeros",
        use_bias=False,
        name=f"{name}_dwconv",
        **IMAGES,
    )(x)
    x = _activation(_norm(x, f"{name}_bn"), f"{name}_activation")
    x = _convolution(x, block.n_outputs, 1, 1, f"{name}_project_conv")
    x = _norm(x, f"{name}_project_bn")
    if block.has_shortcut:
        x = layers.Add(name=f"{name}_add", **FLOAT)([x, inputs])
    return x


def _convolution(x, filters, kernel_size, stride, name):
    # "same" pads as TensorFlow does: with a stride of 2, more below and on the right.
    return layers.Conv2D(
        filters,
        kernel_size,
        stride,
        padding="same",
        kernel_initializer="zeros",
        use_bias=False,
        name=name,
        **IMAGES,
    )(x)


def _norm(x, name):
    return layers.BatchNormalization(axis=-1, epsilon=EPSILON, name=name, **FLOAT)(x)


def _activation(x, name):
    return layers.ReLU(6, name=name, **FLOAT)(x)
