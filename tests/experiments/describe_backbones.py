"""Print what `keras_applications.py` records of each network, from Keras itself.

    python describe_backbones.py [NAME ...]

Weights are neither loaded nor initialized. A line has the module, the class, pixels,
features, millions of parameters and GFLOP per image, the last layers, and the file of
the ImageNet weights with its address and digest.
"""

import math
import sys

import keras
from keras.src.layers.layer import Layer
from keras.src.utils import file_utils

from skvision._backbones.table import BACKBONES


def gigaflop(model):
    """Return billions of operations; a product and a sum are two."""
    total = 0
    for layer in model._flatten_layers():
        if "Conv" in type(layer).__name__ or type(layer).__name__ == "Dense":
            n_positions = math.prod(layer.output.shape[1:-1])
            kernels = (w for w in layer.weights if "kernel" in w.name)
            total += sum(2 * n_positions * math.prod(w.shape) for w in kernels)
    return total / 1e9


def record_downloads(asked):
    """Make Keras record which files it asks for, and neither load nor draw weights."""
    add_weight = Layer.add_weight

    def get_file(name, origin, **options):
        asked.append((name, origin, options.get("file_hash")))
        return name

    def add_zeros(self, shape=None, initializer=None, *args, **options):
        return add_weight(self, shape, "zeros", *args, **options)

    file_utils.get_file = get_file
    Layer.add_weight = add_zeros
    keras.Model.load_weights = lambda self, path, **options: None


def main(names):
    asked = []
    record_downloads(asked)
    for name in names or [n for n in dir(keras.applications) if n[0].isupper()]:
        build = getattr(keras.applications, name)
        size = BACKBONES[name].image_size
        model = build(include_top=False, weights="imagenet", input_shape=(*size, 3))
        module = build.__module__.rpartition(".")[2]
        last = [layer.name for layer in model.layers[-2:]]
        parameters = f"{model.count_params() / 1e6:.1f}"
        print(module, name, size[0], model.output.shape[-1], parameters, end=" ")
        print(f"{gigaflop(model):.2f}", last, *asked.pop(), flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    main(sys.argv[1:])
