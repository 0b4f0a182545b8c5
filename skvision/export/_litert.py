"""Export to LiteRT (TFLite)."""

import os
import tempfile
import warnings

from skvision._nets.backend import tf
from skvision._utils.process import quiet_tensorflow
from skvision.export._agreement import check_agreement
from skvision.export._keras import write_with_metadata
from skvision.export._networks import as_labels, classifying_network
from skvision.export._saved_model import save


def write(parts, path, metadata):
    """Write the model, and its metadata to a file next to it."""
    network = classifying_network(parts, required_by="LiteRT")
    with tempfile.TemporaryDirectory() as parent, quiet_tensorflow():
        folder = os.path.join(parent, "model")
        save(network, folder, parts, metadata, with_labels=False)
        model = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    serve = _interpreter(model).get_signature_runner()

    def run(images):
        return as_labels(serve(images=images), metadata)

    check_agreement(parts, run, "LiteRT")
    write_with_metadata(path, model, metadata)


def _interpreter(model):
    """Return an interpreter of LiteRT or, if it is not installed, of TensorFlow."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter
    with quiet_tensorflow(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Interpreter is deprecated", UserWarning)
        return Interpreter(model_content=model)
