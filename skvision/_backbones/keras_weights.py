"""ImageNet weights of `keras.applications`, from Keras' cache or its download."""

import functools
import hashlib
import io

import h5py

from skvision._backbones.sources import (
    check_digest,
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
    return first_of(
        sources,
        backbone.name,
        f"save the file {backbone.url}\n"
        f"as {paths[-1]}; or pass weights='/path/to/file.weights.h5'.",
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
        return content
    return check_digest(content, expected)


def _download(backbone, folder):
    folder.mkdir(parents=True, exist_ok=True)
    remove_stale_files(folder, backbone.file)
    content = _verified(backbone, fetch(backbone.url))
    write_to_cache(content, folder / backbone.file)
    return content
