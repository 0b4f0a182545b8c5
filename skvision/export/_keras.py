"""Export to the format of Keras."""

import io
import os
import tempfile
import zipfile
from pathlib import Path

from skvision._nets.backend import keras
from skvision._utils.files import replacing
from skvision.export._agreement import check_agreement
from skvision.export._metadata import to_json
from skvision.export._networks import as_labels, classifying_network, outputs


def write(parts, path, metadata):
    """Write the model, with its metadata inside."""
    network = classifying_network(parts, required_by="the format of Keras")
    network = keras.Model(
        network.input, outputs(network.output, parts, metadata, keras.ops)
    )
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "model.keras")
        network.save(file)
        loaded = keras.models.load_model(file)

        def run(images):
            return as_labels(loaded(images), metadata)

        check_agreement(parts, run, "Keras")
        write_with_metadata(path, Path(file).read_bytes(), metadata)


def write_with_metadata(path, content, metadata):
    """Write a model, with its metadata as a member of the ZIP archive in the file.

    A file in the format of Keras is one; readers of LiteRT ignore what follows a model.
    """
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("skvision.json", to_json(metadata))
    with replacing(path) as file:
        file.write(buffer.getbuffer())
