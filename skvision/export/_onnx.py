"""Export to ONNX."""

import warnings
from dataclasses import replace

import numpy as np
import onnxruntime
import skl2onnx
import tf2onnx
from skl2onnx.common.data_types import FloatTensorType

from skvision._utils.files import replacing
from skvision.export import _onnx_graph as graph
from skvision.export._agreement import check_agreement, check_rest, probe_images
from skvision.export._calibration import separate
from skvision.export._metadata import to_json
from skvision.export._networks import (
    as_function,
    classifying_network,
    feature_network,
    outputs,
)
from skvision.export._parts import flat_steps, head_name
from skvision.export._quiet import quiet_conversion


def write(parts, path, metadata):
    """Write the model, with its metadata inside."""
    resizing = None
    if metadata["image_size"] is None:
        resizing = graph.resizing(parts.settings)
    network = classifying_network(parts)
    if network is None:
        model = _converted_rest(parts, metadata)
    else:
        model = _converted(network, lambda p: outputs(p, parts, metadata))
        if metadata["classes"] is not None:
            graph.look_up_labels(model, parts.classes)
    if resizing is not None:
        model = graph.joined(resizing, model, "resized", "images")
    graph.finish(model, to_json(metadata))
    content = model.SerializeToString()
    check_agreement(parts, _runner(content, "images"), "ONNX")
    with replacing(path) as file:
        file.write(content)


def _converted(network, name_outputs):
    """Return a Keras model as ONNX model."""
    function, signature = as_function(network, name_outputs)
    try:
        with quiet_conversion():
            model, _ = tf2onnx.convert.from_function(
                function, [signature], opset=graph.OPSETS[""]
            )
        graph.check(model)
    except Exception as error:  # of any type; operators it does not know, it keeps
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"tf2onnx cannot convert the network: {type(error).__name__}: {reason}. "
            "Export to another format, or use another network."
        ) from error
    return model


def _converted_rest(parts, metadata):
    """Return features by the network, and classes of them as skl2onnx converts it."""
    network = feature_network(parts.network)
    model = _converted(network, lambda features: {"features": features})
    n_features = network.output.shape[1]
    members = [_convert(rest, parts, n_features) for rest in separate(parts.rest)]
    is_average = len(members) > 1
    rest = graph.average(members) if is_average else members[0]
    features = np.asarray(network(probe_images(parts.settings.image_size)))
    check_rest(replace(parts, threshold=None), features, _rest_runner(parts, rest))
    if metadata["classes"] is None or parts.threshold is not None:
        graph.drop_output(rest, "label", "label/unused")
    elif is_average:
        graph.look_up_labels(rest, parts.classes)
    if metadata["classes"] is not None and parts.threshold is not None:
        graph.label_by_threshold(rest, *parts.threshold)
        graph.look_up_labels(rest, parts.classes)
    return graph.joined(model, rest, "features", "features")


def _rest_runner(parts, model):
    """Return a classifier of features as a function to labels and probabilities."""
    run = _runner(model.SerializeToString(), "features")
    if model.producer_name == "skl2onnx":
        return run

    def run_average(features):  # its labels are indices
        label, probabilities = run(features)
        return parts.classes[label], probabilities

    return run_average


def _convert(rest, parts, n_features):
    """Return a classifier of features, with its steps, as ONNX model."""
    try:
        with warnings.catch_warnings():
            # Of attributes of scikit-learn that skl2onnx still reads.
            warnings.simplefilter("ignore", FutureWarning)
            model = skl2onnx.convert_sklearn(
                rest,
                initial_types=[("features", FloatTensorType([None, n_features]))],
                target_opset=graph.OPSETS,
                options={id(rest): {"zipmap": False}},
            )
    except Exception as error:  # of any type, from a converter
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"skl2onnx cannot convert {head_name(parts)}, or a step before it: "
            f"{type(error).__name__}: {reason}. Use steps that skl2onnx supports, such "
            f"as StandardScaler, PCA and LogisticRegression.{_advice(rest)}"
        ) from error
    return model


def _advice(rest):
    last = flat_steps(rest)[-1]
    if getattr(last, "method", None) not in ("isotonic", "temperature"):
        return ""
    return (
        f" A calibration with method={last.method!r} can be exported after linear "
        "models and DenseHeadClassifier; other classifiers require method='sigmoid'."
    )


def _runner(content, name):
    """Return a function from inputs to labels, or None, and probabilities."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs):
        values = dict(zip(names, session.run(None, {name: inputs}), strict=True))
        return values.get("label"), values["probabilities"]

    return run
