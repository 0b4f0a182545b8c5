"""EfficientNet-Lite: blocks, layer names, and shapes of the weights.

The networks are those of TensorFlow's EfficientNet-Lite: EfficientNet without
squeeze-and-excitation and with ReLU6, so that mobile processors run them fast. Layers
have the names that `keras.applications` uses for EfficientNet.
"""

import math
from dataclasses import dataclass

# (repeats, kernel size, stride, expansion, filters) of each stage of Lite0.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Backbone -> (factor of the filters, factor of the repeats).
_FACTORS = {
    "EfficientNetLite0": (1.0, 1.0),
    "EfficientNetLite1": (1.0, 1.1),
    "EfficientNetLite2": (1.1, 1.2),
}
STEM_FILTERS, TOP_FILTERS = 32, 1280
EPSILON = 1e-3  # of batch normalization


@dataclass(frozen=True)
class Block:
    """An inverted residual block.

    Attributes
    ----------
    name : str
        As in "block2a".
    kernel_size, stride : int
        Of the depthwise convolution.
    n_inputs, n_expanded, n_outputs : int
        Channels before the block, within it, and after it.
    """

    name: str
    kernel_size: int
    stride: int
    n_inputs: int
    n_expanded: int
    n_outputs: int

    @property
    def has_expansion(self):
        return self.n_expanded != self.n_inputs

    @property
    def has_shortcut(self):
        return self.stride == 1 and self.n_inputs == self.n_outputs


def lite_blocks(name):
    """Yield the blocks of a network, in order."""
    width, depth = _FACTORS[name]
    n_inputs, last = STEM_FILTERS, len(_STAGES)
    for stage, (repeats, kernel_size, stride, expansion, filters) in enumerate(
        _STAGES, start=1
    ):
        n_outputs = _rounded(filters * width)
        # The first and the last stage keep their depth.
        n_blocks = repeats if stage in (1, last) else math.ceil(depth * repeats)
        for i in range(n_blocks):
            yield Block(
                f"block{stage}{'abcdefghij'[i]}",
                kernel_size,
                stride if i == 0 else 1,
                n_inputs,
                n_inputs * expansion,
                n_outputs,
            )
            n_inputs = n_outputs


def _rounded(filters):
    """Round to a multiple of 8, but not down by more than 10 %."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded


def lite_weights(name):
    """Yield (key, name in PyTorch, shape) of each array of weights.

    The keys are those of a file that Keras' `save_weights` writes, in which layers are
    counted by type. Shapes are Keras': kernels (height, width, in, out), depthwise ones
    (height, width, in, 1).
    """
    counts = {"conv2d": 0, "depthwise_conv2d": 0, "batch_normalization": 0}
    for kind, torch_name, shape in _weighted_layers(name):
        number = counts[kind]
        counts[kind] += 1
        key = f"layers/{kind}_{number}" if number else f"layers/{kind}"
        parts = ("weight",)
        if kind == "batch_normalization":
            parts = ("weight", "bias", "running_mean", "running_var")
        for i, part in enumerate(parts):
            yield f"{key}/vars/{i}", f"{torch_name}.{part}", shape


def _weighted_layers(name):
    """Yield (type, name in PyTorch, shape of its arrays) of each layer with weights."""

    def convolution(prefix, norm, kind, shape, n_outputs):
        yield kind, prefix, shape
        yield "batch_normalization", norm, (n_outputs,)

    yield from convolution(
        "_conv_stem", "_bn0", "conv2d", (3, 3, 3, STEM_FILTERS), STEM_FILTERS
    )
    for i, block in enumerate(lite_blocks(name)):
        at, size = f"_blocks.{i}.", block.kernel_size
        expanded = block.n_expanded
        if block.has_expansion:
            shape = (1, 1, block.n_inputs, expanded)
            names = f"{at}_expand_conv", f"{at}_bn0"
            yield from convolution(*names, "conv2d", shape, expanded)
        shape = (size, size, expanded, 1)
        names = f"{at}_depthwise_conv", f"{at}_bn1"
        yield from convolution(*names, "depthwise_conv2d", shape, expanded)
        shape = (1, 1, expanded, block.n_outputs)
        names = f"{at}_project_conv", f"{at}_bn2"
        yield from convolution(*names, "conv2d", shape, block.n_outputs)
    shape = (1, 1, block.n_outputs, TOP_FILTERS)
    yield from convolution("_conv_head", "_bn1", "conv2d", shape, TOP_FILTERS)
