"""ImageNet weights of `keras.applications`, from Keras' cache or its download."""

import functools
import hashlib
import io

import h5py

from skvision._backbones.sources import (
    fetch,
    first_of,
    model_folders,
    remove_stale_files,
    write_to_cache,
)


def keras_content(backbone):
    """Return the verified content of Keras' file, from its cache or downloaded."""
    folders = model_folders()
    paths = [folder / backbone.file for folder in folders]
    sources = [
        *((str(path), functools.partial(_cached, backbone, path)) for path in paths),
        (
            f"download of {backbone.url}",
            functools.partial(_download, backbone, folders[-1]),
        ),
    ]
    return first_of(sources, lambda tried: _message(backbone, tried, paths[-1]))


def _message(backbone, tried, path):
    return "\n".join(
        [
            f"weights='imagenet': no source has the weights of {backbone.name}. Tried:",
            *(f"- {line}" for line in tried),
            f"To fix this: save the file {backbone.url}",
            f"as {path}; or pass weights='/path/to/file.weights.h5'.",
        ]
    )


def imagenet_digest(backbone, content=None):
    """Identify the weights: by the digest that Keras records, or else by the content.

    Keras records none for two networks, whose files are then read (and downloaded), if
    `content` is None.
    """
    digest = backbone.file_digest
    if digest is None:
        content = keras_content(backbone) if content is None else content
        digest = hashlib.sha256(content).hexdigest()
    return f"{backbone.file}-{digest}"


def _cached(backbone, path):
    return _verified(backbone, path.read_bytes())


def _verified(backbone, content):
    expected = backbone.file_digest
    if expected is None:  # at least, HDF5 notices if the file is incomplete
        h5py.File(io.BytesIO(content), "r").close()
    else:
        algorithm = "md5" if len(expected) == 32 else "sha256"
        found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
        if found != expected:
            raise ValueError(
                f"incomplete or damaged: {len(content)} bytes with the "
                f"{algorithm.upper()} {found} instead of {expected}"
            )
    return content


def _download(backbone, folder):
    folder.mkdir(parents=True, exist_ok=True)
    remove_stale_files(folder, backbone.file)
    content = _verified(backbone, fetch(backbone.url))
    write_to_cache(content, folder / backbone.file)
    return content
