"""Parts of ONNX graphs that no converter writes: resizing, labels, metadata."""

from onnx import TensorProto, checker, compose, helper

from skvision.export._metadata import are_strings

OPSETS = {"": 18, "ai.onnx.ml": 3}  # 18 is the first in which Resize is antialiased
_IR_VERSION = 8

# Pillow's filter -> attributes of Resize, which then gives the same pixels.
_FILTERS = {
    "bilinear": {"mode": "linear"},
    "bicubic": {"mode": "cubic", "cubic_coeff_a": -0.5},
}


def check_resizing(settings):
    """Raise unless images can be resized in ONNX as Pillow does."""
    for name, value, possible in (
        ("interpolation", settings.interpolation, tuple(_FILTERS)),
        ("resize_mode", settings.resize_mode, ("stretch",)),
    ):
        if value not in possible:
            raise ValueError(
                f"image_size='any' requires {name}={' or '.join(map(repr, possible))}, "
                f"which ONNX can compute. The estimator has {name}={value!r}: export "
                "it with image_size='fixed' and resize images before, or fit it with "
                "the other setting."
            )


def resizing(settings):
    """Return a model from uint8 images of any size to "resized", of the network's."""
    check_resizing(settings)
    nodes = [
        helper.make_node(
            "Transpose", ["images"], ["channels_first"], perm=[0, 3, 1, 2]
        ),
        helper.make_node("Shape", ["channels_first"], ["n_and_channels"], end=2),
        helper.make_node("Concat", ["n_and_channels", "size"], ["sizes"], axis=0),
        # On uint8, ONNX Runtime computes with the fixed-point numbers of Pillow.
        helper.make_node(
            "Resize",
            ["channels_first", "", "", "sizes"],
            ["small"],
            antialias=1,
            exclude_outside=1,  # as Pillow at the border
            coordinate_transformation_mode="half_pixel",
            **_FILTERS[settings.interpolation],
        ),
        helper.make_node("Transpose", ["small"], ["resized"], perm=[0, 2, 3, 1]),
    ]
    height, width = settings.image_size
    graph = helper.make_graph(
        nodes,
        "resizing",
        [_images("images", "height", "width")],
        [_images("resized", height, width)],
        [_constant("size", TensorProto.INT64, [height, width])],
    )
    return helper.make_model(graph)


def _images(name, height, width):
    shape = ["n_images", height, width, 3]
    return helper.make_tensor_value_info(name, TensorProto.UINT8, shape)


def _constant(name, type_, values):
    return helper.make_tensor(name, type_, [len(values)], values)


def drop_output(model, name, renamed):
    """Remove an output of a model, whose values stay in the graph under a new name."""
    outputs = [output for output in model.graph.output if output.name != name]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed if other == name else other for other in names]


def average(models):
    """Return a model with the mean of the probabilities of classifiers of features.

    Its label is the index of the class.
    """
    models = [
        compose.add_prefix(model, f"member_{i}/", rename_inputs=False)
        for i, model in enumerate(models)
    ]
    probabilities = [f"member_{i}/probabilities" for i in range(len(models))]
    nodes = [node for model in models for node in model.graph.node]
    nodes += [
        helper.make_node("Mean", probabilities, ["probabilities"]),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    first = models[0].graph
    probability = helper.make_tensor_value_info(
        "probabilities", TensorProto.FLOAT, ["n_images", None]
    )
    graph = helper.make_graph(
        nodes,
        "average",
        list(first.input),
        [_label(TensorProto.INT64), probability],
        [tensor for model in models for tensor in model.graph.initializer],
    )
    model = helper.make_model(graph)
    _set_versions(model)  # older ones of ONNX Runtime do not know onnx's latest
    return model


def label_by_threshold(model, index, least):
    """Add the output "label": `index` where its probability is at least `least`."""
    column, at_least, this, other = (
        f"threshold/{name}" for name in ("column", "least", "this", "other")
    )
    model.graph.initializer.extend(
        [
            helper.make_tensor(column, TensorProto.INT64, [], [index]),
            helper.make_tensor(at_least, TensorProto.FLOAT, [], [least]),
            helper.make_tensor(this, TensorProto.INT64, [], [index]),
            helper.make_tensor(other, TensorProto.INT64, [], [1 - index]),
        ]
    )
    chosen, above = "threshold/chosen", "threshold/above"
    model.graph.node.extend(
        [
            helper.make_node("Gather", ["probabilities", column], [chosen], axis=1),
            helper.make_node("GreaterOrEqual", [chosen, at_least], [above]),
            helper.make_node("Where", [above, this, other], ["label"]),
        ]
    )
    model.graph.output.insert(0, _label(TensorProto.INT64))


def look_up_labels(model, classes):
    """Replace the output "label", indices of classes, by the classes."""
    type_ = TensorProto.STRING if are_strings(classes) else TensorProto.INT64
    drop_output(model, "label", "label/index")
    model.graph.initializer.append(_constant("label/classes", type_, classes.tolist()))
    nodes = [helper.make_node("Gather", ["label/classes", "label/index"], ["label"])]
    model.graph.node.extend(nodes)
    model.graph.output.insert(0, _label(type_))


def _label(type_):
    return helper.make_tensor_value_info("label", type_, ["n_images"])


def joined(first, second, output, input):
    """Return a model in which an output of the first is an input of the second."""
    for model in (first, second):
        _set_versions(model)
    first = compose.add_prefix(first, f"to_{output}/", rename_inputs=False)
    second = compose.add_prefix(second, f"from_{output}/", rename_outputs=False)
    pair = f"to_{output}/{output}", f"from_{output}/{input}"
    return compose.merge_models(first, second, io_map=[pair])


def _set_versions(model):
    model.ir_version = _IR_VERSION
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*item) for item in OPSETS.items())


def finish(model, metadata_text):
    """Set versions, names of dimensions and metadata, and check the model."""
    _set_versions(model)
    model.producer_name, model.doc_string = "skvision", ""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n_images"
    helper.set_model_props(model, {"skvision": metadata_text})
    check(model)


def check(model):
    """Raise if a model is not valid, or has an input other than images."""
    checker.check_model(model)
    names = [value.name for value in model.graph.input]
    if len(names) != 1:
        raise ValueError(f"it has the inputs {names}, where one is expected")
