"""Export to LiteRT (TFLite)."""

import contextlib
import os
import tempfile
import warnings

import numpy as np

from skvision._nets.backend import tf
from skvision.export._agreement import check_agreement, check_quantized
from skvision.export._keras import write_with_metadata
from skvision.export._networks import (
    BASE,
    HIDDEN,
    NETWORK,
    as_labels,
    classifying_network,
)
from skvision.export._quiet import quiet_conversion
from skvision.export._saved_model import save

# TensorFlow's interpreter; its calibration of converters uses it.
_DEPRECATED = r"(?s).*Interpreter is deprecated"


def write(parts, path, metadata, calibration_images=None):
    """Write the model, and its metadata in a ZIP archive at the end of the file.

    With `calibration_images`, uint8 of the size of the network, it is quantized.
    """
    network = classifying_network(parts, required_by="LiteRT")
    with tempfile.TemporaryDirectory() as parent, quiet_conversion():
        folder = os.path.join(parent, "model")
        place = f"{parent!r}, for temporary files of path={path!r}"
        save(network, folder, parts, metadata, place, with_labels=False)
        with _conversion_errors("convert"):
            model = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
        if calibration_images is not None:
            with _conversion_errors("quantize"):
                model = _quantized(folder, model, calibration_images)
    serve = _interpreter(model).get_signature_runner()

    def run(images):
        with quiet_conversion():
            return as_labels(serve(images=images), metadata)

    if calibration_images is None:
        check_agreement(parts, run, "LiteRT")
    else:
        _check_int8(model)
        change = check_quantized(parts, run, calibration_images)
        metadata["quantization"] |= change
    write_with_metadata(path, model, metadata)


@contextlib.contextmanager
def _conversion_errors(action):
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of any type, from a converter
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"TensorFlow cannot {action} the network for LiteRT: "
            f"{type(error).__name__}: {reason}. Nothing was written. Export "
            "to another format, or use another network."
        ) from error


def _quantized(folder, model, images):
    """Return the model with convolutions that compute in int8, the rest in float32.

    After the convolutions, 256 different values would make probabilities coarse, and
    labels ambiguous.
    """
    lite = tf.lite

    def examples():
        for image in images:
            yield {"images": image[None]}

    names = [tensor["name"] for tensor in _interpreter(model).get_tensor_details()]
    others = [name for name in names if not name.startswith((BASE, NETWORK, HIDDEN))]
    converter = lite.TFLiteConverter.from_saved_model(folder)
    converter.optimizations = [lite.Optimize.DEFAULT]
    converter.representative_dataset = examples
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _DEPRECATED, UserWarning)
        # The only public way to leave operations out.
        quantizer = lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=examples,
            debug_options=lite.experimental.QuantizationDebugOptions(
                denylisted_nodes=others
            ),
        )
        return quantizer.get_nondebug_quantized_model()


def _check_int8(model):
    """Raise if nothing is quantized, as if no name of a tensor were as expected."""
    types = {tensor["dtype"] for tensor in _interpreter(model).get_tensor_details()}
    if np.int8 not in types:
        raise ValueError(
            "quantize='int8' left the whole network in float32. Nothing was written. "
            "Export with quantize=None. Please report this, with the output of "
            "skvision.show_versions()."
        )


def _interpreter(model):
    """Return the model in LiteRT or, without it, in TensorFlow."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter
    with quiet_conversion(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", _DEPRECATED, UserWarning)
        return Interpreter(model_content=model)
