"""Reading of PyTorch's older file format (before 1.6) without PyTorch.

Such a file is a row of pickles, followed by the numbers of each storage:

    magic number, protocol version, system, state dict, keys of the storages,
    then for each key the number of elements (int64), and the elements.

A pickle may name any function to be called. Here only four names are known, none of
which runs code of the file; any other one is an error. Files are only read after their
SHA-256 was compared with the recorded one, so this is a second line of defence.
"""

import collections
import io
import math
import pickle

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Tensor:
    """A tensor before its storage is read: a view of some of its elements."""

    def __init__(self, storage, offset, shape, strides, *_):
        self.storage, self.offset = storage, int(offset)
        self.shape = tuple(map(int, shape))
        self.strides = tuple(map(int, strides))

    def array(self, storages):
        dtype, key = self.storage
        elements = storages[key]
        steps = list(zip(self.shape, self.strides, strict=True))
        last = self.offset + sum((n - 1) * stride for n, stride in steps)
        # `as_strided` reads whatever memory it is told to.
        if min(self.offset, *self.shape, *self.strides, last) < 0 or (
            max(last + 1, math.prod(self.shape)) > len(elements)
        ):
            raise ValueError("a tensor is not within its storage")
        strides = [stride * dtype.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(
            elements[self.offset :], self.shape, strides, writeable=False
        )
        return np.ascontiguousarray(view)


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows the names in a file of tensors, and no others."""

    _NAMES = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch", "FloatStorage"): "FloatStorage",
        ("torch", "LongStorage"): "LongStorage",
        ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    }

    def find_class(self, module, name):
        try:
            return self._NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it refers to {module}.{name}, which is not allowed in a file of "
                "weights"
            ) from None

    def persistent_load(self, pid):
        """Return (dtype, key) of a storage."""
        kind, storage, key, *_ = pid
        if kind != "storage" or storage not in _DTYPES:
            raise pickle.UnpicklingError(f"it refers to an unknown object {kind!r}")
        return _DTYPES[storage], key


def read_state_dict(content):
    """Read the tensors of a state dict.

    Parameters
    ----------
    content : bytes
        The content of the file.

    Returns
    -------
    arrays : dict of str to ndarray
        float32 and int64 arrays, in the order of the file.

    Raises
    ------
    ValueError
        If it is not such a file, is truncated, or refers to other names.

    Examples
    --------
    >>> from skvision._backbones.torch_files import read_state_dict
    >>> read_state_dict(b"not a file of weights")
    Traceback (most recent call last):
    ValueError: it is not a file of PyTorch's older format: ...
    """
    stream = io.BytesIO(content)
    try:
        header = [_Unpickler(stream).load() for _ in range(2)]
        if header != [_MAGIC, _PROTOCOL]:
            raise ValueError(f"it starts with {header!r}")
        _Unpickler(stream).load()  # the system on which it was written
        tensors = _Unpickler(stream).load()
        keys = _Unpickler(stream).load()
        storages = _read_storages(stream, keys, tensors)
        return {name: tensor.array(storages) for name, tensor in tensors.items()}
    # A damaged pickle raises almost anything.
    except Exception as error:
        raise ValueError(
            f"it is not a file of PyTorch's older format: {error}"
        ) from error


def _read_storages(stream, keys, tensors):
    """Return key -> elements, which follow the pickles in the order of the keys."""
    dtypes = {key: dtype for dtype, key in (t.storage for t in tensors.values())}
    storages = {}
    for key in keys:
        size = int.from_bytes(stream.read(8), "little", signed=True)
        n_bytes = size * dtypes[key].itemsize
        data = stream.read(max(0, n_bytes))
        if len(data) != n_bytes:
            raise ValueError("it is truncated")
        storages[key] = np.frombuffer(data, dtypes[key])
    return storages
