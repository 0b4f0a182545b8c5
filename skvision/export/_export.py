"""The public function: checks of its arguments, and the choice of the format."""

import importlib
import os

from sklearn.utils.validation import check_is_fitted

from skvision._utils.files import expand_path
from skvision._utils.optional import import_optional
from skvision._utils.validation import check_option
from skvision.export._metadata import check_classes, describe
from skvision.export._parts import take_apart
from skvision.export._quantization import check_quantization, read_some
from skvision.export._quiet import quiet_conversion

# Format -> the module that writes it.
_MODULES = {
    "onnx": "skvision.export._onnx",
    "tflite": "skvision.export._litert",
    "keras": "skvision.export._keras",
    "saved_model": "skvision.export._saved_model",
}
# Format -> libraries of the extra "export" that it needs.
_LIBRARIES = {"onnx": ("onnx", "onnxruntime", "skl2onnx", "tf2onnx")}
_ENDINGS = {".onnx": "onnx", ".tflite": "tflite", ".keras": "keras", "": "saved_model"}


def export_model(
    estimator,
    path,
    *,
    format=None,
    image_size="fixed",
    classes=True,
    quantize=None,
    calibration_images=None,
):
    """Write a fitted image classifier to a file that runs without skvision.

    The file contains everything between the pixels of an image and the probabilities
    of its classes: preprocessing, the network, averaging over mirror images,
    normalization of features and the classifier. Before it is written, it is loaded in
    its own runtime, and compared with `estimator` on generated images.

    Parameters
    ----------
    estimator : estimator
        A fitted `ScratchCNNClassifier` or `FineTunedVGGClassifier`, or a fitted
        pipeline of an `ImageEncoder` or `VGG16BottleneckTransformer` and a classifier
        with `predict_proba`. It may be inside a search, of which the best estimator is
        exported, a `CalibratedClassifierCV`, a `FixedThresholdClassifier` or a
        `TunedThresholdClassifierCV`. To "onnx", all steps can be exported that skl2onnx
        converts correctly: linear models, support vector machines, trees, scaling, PCA,
        calibration with sigmoids and others. To the other formats, these:
        `StandardScaler`, `MinMaxScaler`, `MaxAbsScaler`, `PCA`, `LogisticRegression`,
        `LogisticRegressionCV`, `LinearDiscriminantAnalysis`, `DenseHeadClassifier`, and
        a `CalibratedClassifierCV` of these with any method.

    path : str or path
        File to write. It is replaced when the new one is complete.

    format : {"onnx", "tflite", "keras", "saved_model"} or None, default=None
        Format of the file. None chooses it by the ending of `path`: ".onnx", ".tflite"
        (LiteRT), ".keras", or none for a folder in TensorFlow's SavedModel format.

    image_size : {"fixed", "any"}, default="fixed"
        "fixed" expects images of the size of the network: resize them as `estimator`
        does, or with Pillow. "any" also exports the resizing, for "onnx" only, with
        ``resize_mode="stretch"`` and ``interpolation="bilinear"`` or "bicubic": the
        resized pixels are those of Pillow, to about one grey level.

    classes : bool, default=True
        Whether to export the class labels, strings or integers. If not, the model only
        returns probabilities.

    quantize : {"int8"} or None, default=None
        "int8" makes a file for LiteRT a quarter of the size and two or more times as
        fast: the convolutions compute with integers of 8 bits, which changes
        probabilities by about 0.01. Input and outputs are the same. For "tflite" only.
        Networks with ReLU, such as EfficientNet-Lite, ResNet and VGG16, are suitable;
        those with swish, such as EfficientNetV2, may lose accuracy.

    calibration_images : array-like of shape (n_images,), (n_images, 1) or \
            (n_images, height, width, 3), or None, default=None
        With `quantize`, at least 10 images, better 100, like those that the model will
        classify: paths, pixels or others, as for ``estimator.fit``. They determine the
        range of values in each layer. Labels are not needed. Of more than 100 images,
        100 are used: evenly spaced ones, from the first to the last.

    Returns
    -------
    path : str
        Path of the file or folder.

    Raises
    ------
    ValueError
        If the estimator cannot be exported in this format, or the exported model does
        not agree with it; the message says which part is the reason, and what to do.
        After quantization, probabilities of the calibration images may differ by 0.05
        in the mean, and labels of 5 % of them, or of two.
    ImageReadError
        If a calibration image cannot be read.
    OSError
        If the folder of `path` does not exist, or `path` is a folder, and not the one
        of a SavedModel to be replaced.
    sklearn.exceptions.NotFittedError
        If `estimator` is not fitted.
    ImportError
        If a library that the format requires is not installed.
    WeightsNotFoundError
        If the weights of VGG16 are not found in any source.

    See Also
    --------
    skvision.read_image : An image as the estimators read it.

    Notes
    -----
    The models have one input, `images`: uint8 RGB pixels of shape (n_images, height,
    width, 3), for any number of images, of the same size. They have two outputs:

    - `label`, of shape (n_images,). In ONNX and SavedModel it is the label, a string or
      an integer; in LiteRT and Keras it is an integer, the position in `classes` of the
      metadata.
    - `probabilities`, float32 of shape (n_images, n_classes), in the order of
      `estimator.classes_`.

    All models compute in float32. If `compute_dtype` of the estimator is "bfloat16", or
    `dtype` of its features "float16", probabilities differ from those of
    `predict_proba` by their rounding. So do those of a `FineTunedVGGClassifier`, by
    less than 0.0001: it rounds the output of frozen blocks to float16.

    Metadata are a JSON object: classes, image size, interpolation, `resize_mode`,
    versions, and the origin and licence of the weights. An ONNX file has it in the
    property "skvision" of its metadata, a SavedModel in the file "skvision.json" in the
    folder "assets.extra". Files of Keras are ZIP archives, and those of LiteRT end with
    one; the metadata is their member "skvision.json", as `zipfile.ZipFile` reads it.

    Reading an image file is not exported. The estimators apply its EXIF orientation,
    put transparent pixels on white and scale more than 8 bits to 8;
    `skvision.read_image` does the same without TensorFlow.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skvision import VGG16BottleneckTransformer
    >>> from skvision.export import export_model
    >>> rng = np.random.default_rng(0)
    >>> images = rng.integers(0, 256, (6, 32, 32, 3), dtype="uint8")
    >>> model = make_pipeline(
    ...     VGG16BottleneckTransformer(weights=None, image_size=(32, 32)),
    ...     LogisticRegression(),
    ... )
    >>> model = model.fit(images, ["cat", "dog", "cat", "dog", "cat", "dog"])
    >>> export_model(model, "model.keras")
    'model.keras'

    Another process, without skvision:

    >>> import keras
    >>> outputs = keras.models.load_model("model.keras").predict(images, verbose=0)
    >>> np.allclose(outputs["probabilities"], model.predict_proba(images), atol=1e-4)
    True
    """
    path = expand_path(path, "path")
    format = _check_format(format, path)
    check_option("image_size", image_size, ("fixed", "any"))
    if not isinstance(classes, bool):
        raise ValueError(
            f"The 'classes' parameter must be True or False. Got {classes!r} instead."
        )
    if image_size == "any" and format != "onnx":
        raise ValueError(
            f"image_size='any' is only possible with format='onnx'. Got {format!r} "
            "instead. Export with image_size='fixed' and resize images before, or "
            "write a file that ends with '.onnx'."
        )
    calibration_images = check_quantization(quantize, calibration_images, format)
    _check_path(path, format)
    check_is_fitted(estimator)
    parts = take_apart(estimator)
    if classes:
        check_classes(parts.classes)
    metadata = describe(parts, image_size, classes)
    more = () if quantize is None else (read_some(calibration_images, parts.settings),)
    if quantize is not None:
        metadata["quantization"] = {"type": quantize, "n_images": len(more[0])}
    _import_libraries(format)
    writer = importlib.import_module(_MODULES[format])
    writer.write(parts, path, metadata, *more)
    return path


def _check_format(format, path):
    """Return the format, by the ending of the path if it is None."""
    if format is not None:
        return check_option("format", format, tuple(_MODULES))
    ending = os.path.splitext(path)[1].lower()
    if ending not in _ENDINGS:
        raise ValueError(
            f"The ending of path={path!r} is not that of a format. Expected '.onnx', "
            "'.tflite', '.keras', or no ending for a folder (SavedModel). Change it, "
            "or set the 'format' parameter."
        )
    return _ENDINGS[ending]


def _check_path(path, format):
    """Raise if nothing can be written to `path`, or something else is in its place."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"The folder of path={path!r} does not exist: {folder!r}. Create it first."
        )
    if not os.path.lexists(path):
        return
    is_folder = os.path.isdir(path)
    if format != "saved_model":
        if is_folder:
            raise IsADirectoryError(
                f"path={path!r} is a folder. Expected the path of a file for "
                f"format={format!r}."
            )
    elif not is_folder or (os.listdir(path) and not _is_saved_model(path)):
        raise FileExistsError(
            f"path={path!r} exists and is not a SavedModel, which would be replaced. "
            "Remove it, or pass the path of a new folder."
        )


def _is_saved_model(path):
    return os.path.isfile(os.path.join(path, "saved_model.pb"))


def _import_libraries(format):
    """Import what the format needs, or raise an error that says how to install it."""
    for library in _LIBRARIES.get(format, ()):
        requirement = "scikit-vision[export]"
        with quiet_conversion():
            import_optional(library, caller="export_model", requirement=requirement)
