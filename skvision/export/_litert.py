"""Export to LiteRT (TFLite)."""

import os
import tempfile
import warnings

from skvision._nets.backend import tf
from skvision.export._agreement import check_agreement
from skvision.export._keras import write_with_metadata
from skvision.export._networks import as_labels, classifying_network
from skvision.export._quiet import quiet_conversion
from skvision.export._saved_model import save


def write(parts, path, metadata):
    """Write the model, and its metadata to a file next to it."""
    network = classifying_network(parts, required_by="LiteRT")
    with tempfile.TemporaryDirectory() as parent, quiet_conversion():
        folder = os.path.join(parent, "model")
        save(network, folder, parts, metadata, with_labels=False)
        model = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    serve = _signature(model)

    def run(images):
        with quiet_conversion():
            return as_labels(serve(images=images), metadata)

    check_agreement(parts, run, "LiteRT")
    write_with_metadata(path, model, metadata)


def _signature(model):
    """Return the model as a function, by LiteRT or, without it, by TensorFlow."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter
    with quiet_conversion(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Interpreter is deprecated", UserWarning)
        return Interpreter(model_content=model).get_signature_runner()
