"""Weights as Keras' `save_weights` writes them, read without Keras.

Arrays are a dict from the name of the dataset, such as ``layers/conv2d_1/vars/0``, to
an array. Nothing but plain arrays is read: no pickle, no model.
"""

import hashlib
import io

import h5py
import numpy as np

from skvision._backbones.hdf5 import (
    MAX_ITEMSIZE,
    SIGNATURE,
    read_dataset,
    read_signature,
    walk,
)

# In Keras' EfficientNetB0 to B7, the ImageNet weights come with a second rescaling by
# 1 / sqrt(deviation), which models built without weights do not have.
DEVIATIONS = np.array([0.229, 0.224, 0.225])
VARIANCE = "layers/normalization/vars/1"
_MARGIN = 10**8  # bytes; a file of a whole network gets an error that names its layer


def read_keras_file(path, backbone):
    """Read the arrays of a `.weights.h5` file.

    Parameters
    ----------
    path : str
    backbone : Backbone
        The network that they belong to.

    Returns
    -------
    arrays : dict of str to ndarray
        Sorted by name; floating point as float32.

    Raises
    ------
    ValueError
        If it is another file, or is damaged.
    """
    if read_signature(path) != SIGNATURE:
        raise ValueError("it is not an HDF5 file")
    n_left = int(8e6 * backbone.n_parameters) + _MARGIN
    arrays = {}
    with h5py.File(path, "r") as file:
        for dataset, _ in walk(file, enter=_without_optimizer):
            # Many links to the same data could exhaust the memory.
            if (n_left := n_left - dataset.nbytes) < 0:
                raise ValueError(f"it has more data than {backbone.name} has weights")
            arrays[dataset.name.lstrip("/")] = _read(dataset)
        has_second_rescaling = "layers/rescaling_1" in file
    is_efficientnet = backbone.module == "efficientnet"
    if is_efficientnet and has_second_rescaling and VARIANCE in arrays:
        arrays[VARIANCE] = with_second_rescaling(arrays[VARIANCE])
    return dict(sorted(arrays.items()))


def with_second_rescaling(variance):
    """Return the variance with which normalization includes the second rescaling."""
    return (variance * DEVIATIONS).astype(np.float32)


def _without_optimizer(key, group, context):
    return False if key in ("optimizer", "metrics", "optimizer_weights") else None


def _read(dataset):
    name = dataset.name.lstrip("/")
    if not name.startswith("layers/"):
        raise ValueError(
            f"{name} is not in the group 'layers', where Keras' save_weights writes"
        )
    if dataset.dtype.kind not in "fiu" or dataset.dtype.itemsize > MAX_ITEMSIZE:
        raise ValueError(f"{name} has dtype {dataset.dtype}, not a number")
    array = np.asarray(read_dataset(name, dataset))
    if dataset.dtype.kind != "f":
        return array
    with np.errstate(over="ignore"):  # reported below
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are NaN or infinite in float32")
    return array


def arrays_digest(arrays):
    """Return the SHA-256 of the names, shapes and little-endian values."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {array.shape} {array.dtype.str}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def as_keras_file(arrays):
    """Return the content of a file with the arrays, built in memory.

    HDF5 cannot close a file on a full disk.
    """
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return image.getbuffer()
