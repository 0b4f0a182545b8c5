"""Backbones as functions from images to features.

A network is built as Keras builds it, and its weights are set. For extraction, it is
cut at a layer and copied, with batch normalization folded into the convolutions.
"""

import collections
import difflib
import functools
import math
import os
import random
import re
import tempfile

import numpy as np

from skvision._backbones.keras_files import arrays_digest, with_second_rescaling
from skvision._backbones.keras_weights import imagenet_digest, keras_content
from skvision._backbones.weights import RANDOM_SEED, load_arrays
from skvision._nets import builders
from skvision._nets.backend import check_usable_here, keras, tf, traced
from skvision._nets.efficientnet_lite import efficientnet_lite
from skvision._nets.folding import inference_copy


def image_extractor(
    backbone, weights, digest, layer, pooling, preprocessing, image_size, dtype
):
    """Return a function from uint8 images (n, height, width, 3) to features (n, d).

    `weights` and their `digest` are as in `weights_digest`; `dtype` is that of the
    convolutions. `preprocessing` only matters for VGG16.
    """
    if backbone.kind == "vgg16":
        return builders.vgg16_extractor(
            weights, digest, layer, pooling, preprocessing, image_size, dtype
        )
    check_usable_here()
    extract = _traced_extractor(
        backbone, weights, digest, layer, pooling, image_size, dtype
    )
    return lambda images: extract(images).numpy()


@functools.lru_cache(maxsize=16)
def _traced_extractor(backbone, weights, digest, layer, pooling, image_size, dtype):
    parts = _inference_network(backbone, weights, digest, layer, image_size, dtype)
    network, normalize = parts
    pool = builders.POOLING[pooling]

    def extract(images):
        images = _preprocess(tf.cast(images, tf.float32), backbone.preprocessing)
        maps = tf.cast(network(images, training=False), tf.float32)
        return pool(normalize(maps)) if pooling is None else normalize(pool(maps))

    return traced(extract)


def _preprocess(images, mode):
    if mode == "inside":
        return images
    return keras.applications.imagenet_utils.preprocess_input(
        images, data_format="channels_last", mode=mode
    )


@functools.lru_cache(maxsize=4)
def _inference_network(backbone, weights, digest, layer, image_size, dtype):
    network = loaded_network(backbone, weights, digest, image_size)
    network, normalize = cut(network, layer, backbone.name)
    with _PythonSeedKept():
        return inference_copy(network, dtype), normalize


def cut(network, layer, backbone_name):
    """Return the network up to a layer, and a function of its pooled output.

    ConvNeXt ends with a normalization, which Keras applies after pooling. Where there
    is none, the function returns what it gets.
    """
    layer, normalize = find_layer(network, layer, backbone_name), lambda x: x
    output = layer.output
    is_norm = isinstance(layer, keras.layers.LayerNormalization)
    if is_norm and output is network.output:
        output = layer.input
        with _PythonSeedKept():
            normalize = type(layer).from_config(layer.get_config())
        normalize.build(output.shape)
        normalize.set_weights(layer.get_weights())
    return keras.Model(network.input, output), normalize


@functools.lru_cache(maxsize=64)
def map_shape(backbone, layer, image_size):
    """Return (height, width, channels) of the output of a layer."""
    network = build_network(backbone, image_size)
    return find_layer(network, layer, backbone.name).output.shape[1:]


def loaded_network(backbone, weights, digest, image_size):
    """Return the network with its weights; the file must still have that digest."""
    network = build_network(backbone, image_size)
    if weights is None:
        _set_random_weights(network)
    elif backbone.kind == "keras" and weights == "imagenet":
        _load_keras_weights(network, backbone, digest)
    else:
        arrays = load_arrays(backbone, weights)
        _check_digest(arrays_digest(arrays), digest, weights)
        _set_arrays(network, arrays, backbone, weights)
    for layer in network.layers:
        if hasattr(layer, "finalize_state"):  # normalization caches its mean
            layer.finalize_state()
    return network


def build_network(backbone, image_size):
    """Return the network as Keras builds it, from images to the last feature map.

    Keras' global settings could change its data type and the order of its channels.
    """
    _check_setting("image_data_format", "channels_last")
    if backbone.kind == "keras":
        _check_setting("floatx", "float32")
        _check_setting("dtype_policy", "float32")
    if backbone.kind == "lite":
        return efficientnet_lite(backbone.name, image_size)
    build = getattr(keras.applications, backbone.name)
    with _PythonSeedKept():
        return build(include_top=False, weights=None, input_shape=(*image_size, 3))


def _check_setting(name, required):
    """Raise unless a global setting of Keras has the required value."""
    value = getattr(keras.config, name)()
    value = getattr(value, "name", value)
    if value != required:
        raise ValueError(
            f"This network can only be built with Keras' {name} {required!r}. Got "
            f"{value!r}. Change it with keras.config.set_{name}({required!r}); the "
            "'compute_dtype' parameter chooses the data type of the convolutions."
        )


class _PythonSeedKept:
    """Keep the state of Python's `random`, from which Keras draws seeds."""

    def __enter__(self):
        self._state = random.getstate()

    def __exit__(self, *_):
        random.setstate(self._state)


# Layers by name


def find_layer(network, name, backbone_name):
    """Return the layer of that name, which must have a feature map as its output.

    Layers that Keras has to number, such as ``activation_7``, are numbered as in a
    process that builds only this network: in others, Keras counts on.
    """
    layers = {_name: layer for layer, _name in _canonical_names(network)}
    maps = {n for n, layer in layers.items() if _is_map(layer)}
    if name in maps:
        return layers[name]
    similar = difflib.get_close_matches(name, maps, n=3, cutoff=0.4)
    problem = "has no layer of that name"
    if name in layers:
        problem = "has a layer of that name, whose output is not a feature map"
    raise ValueError(
        f"The 'layer' parameter is {name!r}, but {backbone_name} {problem}. Similar "
        f"ones: {', '.join(map(repr, similar)) or 'none'}. Expected a layer with an "
        f"output of shape (height, width, channels), by its name in Keras."
    )


def _is_map(layer):
    shape = getattr(layer.output, "shape", ())
    return len(shape) == 4 and None not in shape[1:]


def _canonical_names(network):
    """Yield (layer, name), with the numbers of automatic names counted from 0."""
    numbered = {}
    for layer in network.layers[1:]:
        prefix, number = re.fullmatch(r"(.*?)(?:_(\d+))?", layer.name).groups()
        # Such as "max_pooling2d_1", of the type MaxPooling2D.
        if prefix.replace("_", "") == type(layer).__name__.lower():
            numbered.setdefault(prefix, []).append((int(number or 0), layer))
        else:
            yield layer, layer.name
    for prefix, items in numbered.items():
        items.sort(key=lambda item: item[0])
        for i, (_, layer) in enumerate(items):
            yield layer, f"{prefix}_{i}" if i else prefix


# Weights


def _set_random_weights(network):
    """Set random kernels that keep the scale of activations; all else is neutral."""
    rng = np.random.default_rng(RANDOM_SEED)
    for variable in network.variables:
        if "kernel" not in variable.name:
            continue
        shape = variable.shape
        is_depthwise = shape[-1] == 1  # one kernel per channel
        fan_in = math.prod(shape[:2] if is_depthwise else shape[:-1])
        # Between 2, right for ReLU, and 1, right without an activation: so activations
        # neither vanish nor saturate in networks that have both.
        scale = np.float32(math.sqrt(1.4 / fan_in))
        variable.assign(scale * rng.standard_normal(shape, dtype=np.float32))


def _check_digest(found, expected, weights):
    """Raise unless what was read is what the key of the store stands for."""
    if found != expected:
        raise ValueError(
            f"The file with weights={weights!r} changed while it was read. Call again "
            "when no process writes to it."
        )


def _load_keras_weights(network, backbone, digest):
    """Load Keras' own file, after its digest was compared."""
    content = keras_content(backbone)
    _check_digest(imagenet_digest(backbone, content), digest, "imagenet")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, backbone.file)
        with open(path, "wb") as stream:
            stream.write(content)
        network.load_weights(path)
    if backbone.module == "efficientnet":
        [layer] = (x for x in network.layers if _is_normalization(x))
        mean, variance, *rest = layer.get_weights()
        layer.set_weights([mean, with_second_rescaling(variance), *rest])


def _is_normalization(layer):
    return isinstance(layer, keras.layers.Normalization)


def _set_arrays(network, arrays, backbone, weights):
    """Set arrays by the names that Keras gives them in a file of weights."""
    names, shapes = {}, {}
    for path, layer in _layers_by_path(network):
        variables = {}
        layer.save_own_variables(variables)
        names[layer] = {key: f"{path}/vars/{key}" for key in variables}
        shapes |= {f"{path}/vars/{key}": v.shape for key, v in variables.items()}
    _check_arrays(arrays, shapes, backbone, weights)
    for layer, keys in names.items():
        if keys:
            layer.load_own_variables({key: arrays[name] for key, name in keys.items()})


def _layers_by_path(network, group="layers"):
    """Yield (path, layer) of all layers; Keras counts those of one type."""
    counts = collections.Counter()
    for layer in network.layers:
        kind = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
        kind = re.sub("([a-z])([A-Z])", r"\1_\2", kind).lower()
        path = f"{group}/{kind}_{counts[kind]}" if counts[kind] else f"{group}/{kind}"
        counts[kind] += 1
        if hasattr(layer, "layers"):
            yield from _layers_by_path(layer, f"{path}/layers")
        else:
            yield path, layer


def _check_arrays(arrays, shapes, backbone, weights):
    """Raise unless the arrays are those of the network."""
    found = {name: array.shape for name, array in arrays.items()}
    for name in sorted(shapes.keys() | found.keys()):
        if shapes.get(name) != found.get(name):
            raise ValueError(
                f"weights={weights!r} does not fit {backbone.name}: {name} has shape "
                f"{found.get(name, 'none (it is missing)')}, expected "
                f"{shapes.get(name, 'no such array')}. Expected a file saved from that "
                "network without its last layers (include_top=False), by its own "
                "save_weights if it is a part of another model."
            )
