"""Exported models agree with the estimators, in their own runtimes."""

import copy
import itertools
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LogisticRegression,
    RidgeClassifier,
    RidgeCV,
    SGDClassifier,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from skvision import (
    DenseHeadClassifier,
    FineTunedVGGClassifier,
    ImageAugmenter,
    ImageEncoder,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
    read_image,
)
from skvision.export import export_model

SIZE = 32, 36
ENDINGS = {"onnx": ".onnx", "tflite": ".tflite", "keras": ".keras", "saved_model": ""}
TWO = np.tile(np.array(["cat", "dög"], dtype=object), 12)
THREE = np.tile([3, 5, 9], 8)
# scikit-learn 1.9 takes numbers as indices of classes when it fits a temperature.
INDICES = np.tile([0, 1, 2], 8)


def encoder(**parameters):
    """Return an encoder with few layers, which is exported quickly."""
    defaults = {"weights": None, "image_size": SIZE, "layer": "block2_pool"}
    return VGG16BottleneckTransformer(**defaults | parameters)


def pipeline(*steps, **parameters):
    return make_pipeline(encoder(**parameters), *steps)


def dense_head(**parameters):
    return DenseHeadClassifier(epochs=3, random_state=0, **parameters)


# Name -> (estimator, y), for images of the network's size.
CASES = {
    "linear": (
        pipeline(
            StandardScaler(),
            PCA(6, whiten=True),
            LogisticRegression(),
            flip_average=True,
        ),
        THREE,
    ),
    "lite": (
        make_pipeline(
            ImageEncoder(
                "EfficientNetLite0", weights=None, image_size=SIZE, layer="block3b_add"
            ),
            LogisticRegression(),
        ),
        TWO,
    ),
    "residual": (
        make_pipeline(
            ImageEncoder(
                "ResNet50",
                weights=None,
                image_size=SIZE,
                layer="conv2_block1_out",
                flip_average=True,
            ),
            LogisticRegression(),
        ),
        TWO,
    ),
    "dense": (
        pipeline(
            MinMaxScaler(),
            dense_head(hidden_units=(8,)),
            pooling=None,
            normalization="l2",
            preprocessing="rescale",
        ),
        TWO,
    ),
    "scratch": (
        ScratchCNNClassifier(
            image_size=SIZE,
            filters=(8, 8),
            epochs=2,
            augmenter=ImageAugmenter(horizontal_flip=True),
            random_state=0,
        ),
        TWO,
    ),
    "fine-tuned": (
        FineTunedVGGClassifier(
            weights=None, image_size=SIZE, epochs=1, hidden_units=(8,), random_state=0
        ),
        THREE,
    ),
    "discriminant": (pipeline(LinearDiscriminantAnalysis(), pooling="max"), TWO),
    "search": (
        GridSearchCV(
            pipeline(LogisticRegression()), {"logisticregression__C": [1, 9]}, cv=2
        ),
        THREE,
    ),
    "calibrated": (
        CalibratedClassifierCV(
            pipeline(StandardScaler(), LogisticRegression()), method="isotonic", cv=2
        ),
        THREE,
    ),
    "calibrated-network": (
        FixedThresholdClassifier(
            CalibratedClassifierCV(
                ScratchCNNClassifier(image_size=SIZE, filters=(4,), epochs=1),
                method="sigmoid",
                cv=2,
            ),
            threshold=0.52,
        ),
        TWO,
    ),
    "threshold": (
        FixedThresholdClassifier(
            pipeline(LogisticRegression()), threshold=0.52, pos_label="cat"
        ),
        TWO,
    ),
    "forest": (
        GridSearchCV(
            pipeline(RandomForestClassifier(random_state=0), normalization=None),
            {"randomforestclassifier__n_estimators": [5, 8]},
            cv=2,
        ),
        THREE,
    ),
    "calibrated-svm": (
        CalibratedClassifierCV(pipeline(StandardScaler(), SVC()), cv=2),
        THREE,
    ),
    "calibrated-step": (
        pipeline(CalibratedClassifierCV(SVC(), ensemble=False, cv=2)),
        THREE,
    ),
    "threshold-step": (pipeline(TunedThresholdClassifierCV(GaussianNB(), cv=2)), TWO),
}
ONLY_ONNX = "forest", "calibrated-svm", "calibrated-step", "threshold-step"


def cases(names, formats):
    return [pytest.param(n, f, id=f"{n}-{f}") for n in names for f in formats]


@pytest.fixture(scope="module")
def images():
    """24 images; those of the first class of `TWO` are darker."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (24, 8, 9, 3), dtype=np.uint8)
    images = coarse.repeat(4, axis=1).repeat(4, axis=2)
    images[::2] //= 2
    return images


@pytest.fixture(scope="module")
def fitted(images):
    """Function that returns a fitted estimator of `CASES`, each fitted once."""
    estimators = {}

    def get(name):
        if name not in estimators:
            estimator, y = CASES[name]
            estimators[name] = estimator.fit(images, y)
        return estimators[name]

    return get


def run_onnx(path, images):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"images": images}), strict=True))


def run_tflite(path, images):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    return litert.Interpreter(str(path)).get_signature_runner()(images=images)


def run_keras(path, images):
    import keras

    return keras.models.load_model(path).predict(images, verbose=0)


def run_saved_model(path, images):
    import tensorflow as tf

    serve = tf.saved_model.load(path).signatures["serving_default"]
    outputs = {k: v.numpy() for k, v in serve(images=tf.constant(images)).items()}
    if outputs.get("label", images).dtype == object:
        outputs["label"] = [label.decode() for label in outputs["label"]]
    return outputs


def need(format):
    if format == "onnx":
        for name in ("onnx", "onnxruntime", "skl2onnx", "tf2onnx"):
            pytest.importorskip(name)


def need_method(method):
    methods = CalibratedClassifierCV._parameter_constraints["method"][0].options
    if method not in methods:
        pytest.skip("temperature scaling requires scikit-learn 1.8")


def exported(estimator, folder, format, **parameters):
    """Export to a file and return its path as str."""
    need(format)
    return export_model(estimator, folder / f"model{ENDINGS[format]}", **parameters)


def metadata(path, format):
    """Return the metadata of an exported model."""
    if format == "onnx":
        import onnx

        model = onnx.load(path)
        return json.loads({p.key: p.value for p in model.metadata_props}["skvision"])
    if format == "saved_model":
        return json.loads(Path(path, "assets.extra/skvision.json").read_bytes())
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("skvision.json"))


def check(estimator, path, format, images, tolerance=1e-4):
    """Compare an exported model with the estimator, also for a single image."""
    run = globals()[f"run_{format}"]
    outputs = run(path, images)
    expected = estimator.predict_proba(images)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=tolerance)
    labels = np.asarray(outputs["label"])
    if format in ("keras", "tflite"):
        labels = np.array(metadata(path, format)["classes"])[labels]
    assert labels.tolist() == estimator.predict(images).tolist()
    one = run(path, images[:1])["probabilities"]
    np.testing.assert_allclose(one, expected[:1], atol=tolerance)


@pytest.mark.parametrize(
    "name, format",
    [
        *cases(["linear"], ENDINGS),
        *cases(["dense"], ["tflite"]),
        *cases(["scratch"], ["onnx"]),
        *cases(["threshold", "calibrated"], ["keras"]),
        *cases(["threshold-step"], ["onnx"]),
    ],
)
def test_agrees_with_the_estimator(name, format, fitted, images, tmp_path):
    path = exported(fitted(name), tmp_path, format)
    check(fitted(name), path, format, images)


RUN_ALONE = """
import importlib.abc, json, pathlib, sys, zipfile

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
import numpy as np
{code}
images = np.load("images.npy")
outputs = {}
for path in map(str, sys.argv[1:]):
    found = run(path)
    labels = found["label"]
    if path.endswith((".keras", ".tflite")):
        metadata = json.loads(zipfile.ZipFile(path).read("skvision.json"))
        labels = np.array(metadata["classes"])[labels]
    outputs[path + "/label"] = np.array(labels).astype(str)
    outputs[path + "/probabilities"] = found["probabilities"]
np.savez("outputs.npz", **outputs)
"""
TENSORFLOW = """
import keras, tensorflow as tf
def run(path):
    if path.endswith(".keras"):
        return keras.models.load_model(path).predict(images, verbose=0)
    serve = tf.saved_model.load(path).signatures["serving_default"]
    outputs = {k: v.numpy() for k, v in serve(images=tf.constant(images)).items()}
    if outputs["label"].dtype == object:
        outputs["label"] = [label.decode() for label in outputs["label"]]
    return outputs
"""
# Formats -> (modules that their runtime does not need, code that runs them).
ALONE = {
    ("onnx",): (
        ["skvision", "sklearn", "tensorflow", "keras", "skl2onnx", "tf2onnx", "onnx"],
        """
import onnxruntime
def run(path):
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"images": images})))
""",
    ),
    ("tflite",): (
        ["skvision", "sklearn", "tensorflow", "keras"],
        """
from ai_edge_litert.interpreter import Interpreter
def run(path):
    return Interpreter(path).get_signature_runner()(images=images)
""",
    ),
    ("keras", "saved_model"): (["skvision", "sklearn"], TENSORFLOW),
}


@pytest.mark.slow
@pytest.mark.parametrize("formats", ALONE, ids="-".join)
def test_all_agree_in_a_process_without_skvision(formats, fitted, images, tmp_path):
    if formats == ("tflite",):
        pytest.importorskip("ai_edge_litert")
    exported_from = {}
    names = [name for name in CASES if formats == ("onnx",) or name not in ONLY_ONNX]
    for name, format in zip(names, itertools.cycle(formats)):
        need(format)
        path = f"{name}{ENDINGS[format]}"
        export_model(fitted(name), tmp_path / path)
        exported_from[path] = fitted(name)
    np.save(tmp_path / "images.npy", images)
    blocked, run = ALONE[formats]
    code = RUN_ALONE.replace("{blocked}", repr(set(blocked))).replace("{code}", run)
    subprocess.run(
        [sys.executable, "-c", code, *exported_from], cwd=tmp_path, check=True
    )
    outputs = np.load(tmp_path / "outputs.npz")
    for path, estimator in exported_from.items():
        np.testing.assert_allclose(
            outputs[f"{path}/probabilities"],
            estimator.predict_proba(images),
            atol=1e-4,
            err_msg=path,
        )
        labels = estimator.predict(images).astype(str)
        assert outputs[f"{path}/label"].tolist() == labels.tolist(), path


@pytest.mark.slow
@pytest.mark.parametrize(
    "form, method, y",
    [
        ("ensemble", "sigmoid", TWO),
        ("one member", "temperature", INDICES),
        ("frozen", "isotonic", TWO),
        ("step", "sigmoid", THREE),
        ("step", "temperature", TWO),
    ],
)
def test_calibrations(form, method, y, images, tmp_path):
    need_method(method)
    linear = pipeline(LogisticRegression())
    if form == "frozen":
        linear = FrozenEstimator(linear.fit(images, y))
    elif form == "step":
        linear = LogisticRegression()
    more = {"cv": 3, "ensemble": False} if form == "one member" else {"cv": 2}
    estimator = CalibratedClassifierCV(linear, method=method, **more)
    estimator = pipeline(estimator) if form == "step" else estimator
    path = exported(estimator.fit(images, y), tmp_path, "keras")
    check(estimator, path, "keras", images)


@pytest.mark.parametrize("y", [TWO, INDICES], ids=["two", "three"])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibration_on_many_logits(method, y):
    from skvision.export._calibration import calibrated_probabilities

    need_method(method)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(600, 3)), np.resize(y, 600)
    X[:, 0] += y == y[0]
    linear = LogisticRegression().fit(X[:300], y[:300])
    calibrated = CalibratedClassifierCV(FrozenEstimator(linear), method=method)
    (member,) = calibrated.fit(X, y).calibrated_classifiers_
    X = rng.uniform(-5, 5, (2000, 3))
    for shift in (0, -100):  # then the probabilities of all classes are close to 0
        linear.intercept_ += shift
        logits = linear.decision_function(X).astype(np.float32).reshape(2000, -1)
        actual = calibrated_probabilities(logits, member)
        np.testing.assert_allclose(actual, calibrated.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("name", ["calibrated", "calibrated-network"])
def test_wrong_calibration_is_refused(name, fitted, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "skvision.export._calibration.calibrated_probabilities",
        lambda logits, member: member.predict_proba(0.99 * logits),
    )
    with pytest.raises(
        ValueError, match=r"calibration with method=.*not exported corr"
    ):
        export_model(fitted(name), tmp_path / "model.keras")


@pytest.mark.slow
def test_onnx_runtime_of_another_age_than_onnx(fitted, monkeypatch, tmp_path):
    need("onnx")
    import onnx
    from onnxruntime import InferenceSession

    def session(content, **parameters):
        assert onnx.load_from_string(content).ir_version <= 8
        return InferenceSession(content, **parameters)

    monkeypatch.setattr("skvision.export._onnx.onnxruntime.InferenceSession", session)
    exported(fitted("calibrated-svm"), tmp_path, "onnx")


@pytest.mark.parametrize(
    "name, n_images",
    [("scratch", 24), pytest.param("linear", 240, marks=pytest.mark.slow)],
)
def test_int8(name, n_images, fitted, images, tmp_path):
    estimator = fitted(name)
    examples = np.resize(images, (n_images, *images.shape[1:]))
    path = exported(
        estimator, tmp_path, "tflite", quantize="int8", calibration_images=examples
    )
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(path)
    types = [tensor["dtype"] for tensor in interpreter.get_tensor_details()]
    assert np.mean([dtype == np.int8 for dtype in types]) > 0.3
    outputs = run_tflite(path, images[:1])
    expected = estimator.predict_proba(images[:1])
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=0.05)
    found = metadata(path, "tflite")
    assert found["quantization"]["type"] == "int8"
    assert found["quantization"]["n_images"] == min(n_images, 100)


@pytest.mark.parametrize(
    "changed, message",
    [
        # No name of a tensor is that of a part to quantize.
        (dict.fromkeys(("BASE", "NETWORK", "HIDDEN"), "?"), "cannot quantize.*LiteRT"),
        ({"_quantized": lambda folder, model, images: model}, "network in float32"),
    ],
)
def test_int8_that_quantizes_nothing_is_refused(
    changed, message, fitted, images, monkeypatch, tmp_path
):
    for name, value in changed.items():
        monkeypatch.setattr(f"skvision.export._litert.{name}", value)
    parameters = {"quantize": "int8", "calibration_images": images}
    with pytest.raises(ValueError, match=message):
        exported(fitted("scratch"), tmp_path, "tflite", **parameters)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("n_images, n_accepted", [(10, 2), (40, 2), (100, 5)])
@pytest.mark.parametrize("with_labels", [True, False])
def test_int8_that_changes_labels_is_refused(with_labels, n_images, n_accepted):
    from skvision.export._agreement import check_quantized

    def classify(images):
        p = np.array([[0.49, 0.51] if image else [0.51, 0.49] for image in images])
        return p.argmax(axis=1) if with_labels else None, p

    def check(n_changed):
        label = np.arange(n_images) >= n_changed
        parts = SimpleNamespace(predict=lambda images: classify(label))
        return check_quantized(parts, classify, np.ones(n_images))

    assert check(n_accepted)["same_labels"] == 1 - n_accepted / n_images
    with pytest.raises(ValueError, match=f"labels of {n_accepted + 1} of them"):
        check(n_accepted + 1)


LEAVES_NO_TRACE = """
import logging, os
import numpy as np
from skvision import ScratchCNNClassifier
from skvision.export import export_model
images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype="uint8")
model = ScratchCNNClassifier(image_size=(16, 16), filters=(4,), epochs=1)
model.fit(images, [0, 1, 0, 1])
before = dict(os.environ), logging.root.handlers[:], logging.root.level
for name in ("model.onnx", "model.tflite", "model.keras", "model"):
    export_model(model, name)
assert before == (dict(os.environ), logging.root.handlers, logging.root.level)
"""


@pytest.mark.slow
def test_is_quiet_and_leaves_the_process_as_it_was(tmp_path):
    need("onnx")
    command = [sys.executable, "-W", "ignore", "-c", LEAVES_NO_TRACE]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_resizing_is_that_of_the_estimator(images, tmp_path):
    estimator = pipeline(LogisticRegression(), pooling=None).fit(images, TWO)
    path = exported(estimator, tmp_path, "onnx", image_size="any")
    rng = np.random.default_rng(0)
    for size in [(101, 67), (20, 90), SIZE]:
        other = rng.integers(0, 256, (3, *size, 3), dtype=np.uint8)
        outputs = run_onnx(path, other)
        expected = estimator.predict_proba(other)
        np.testing.assert_allclose(outputs["probabilities"], expected, atol=2e-3)
        assert outputs["label"].tolist() == estimator.predict(other).tolist()
    properties = metadata(path, "onnx")
    assert properties["image_size"] is None
    assert properties["network_image_size"] == list(SIZE)


@pytest.mark.parametrize("interpolation, error", [("bilinear", 1), ("bicubic", 4)])
def test_resized_pixels_are_those_of_pillow(interpolation, error):
    need("onnx")
    from onnxruntime import InferenceSession

    from skvision._images.resize import ImageSettings
    from skvision.export._onnx_graph import finish, resizing

    model = resizing(ImageSettings(SIZE, interpolation))
    finish(model, "{}")
    session = InferenceSession(model.SerializeToString())
    rng = np.random.default_rng(0)
    for size in [(101, 67), (20, 90), (32, 70)]:
        images = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
        (resized,) = session.run(None, {"images": images})
        for image, actual in zip(images, resized, strict=True):
            expected = read_image(image, image_size=SIZE, interpolation=interpolation)
            assert np.abs(actual.astype(int) - expected).max() <= error


@pytest.mark.parametrize("format", ["onnx", "keras"])
def test_metadata_and_no_classes(format, fitted, images, tmp_path):
    estimator = fitted("linear")
    found = metadata(exported(estimator, tmp_path, format), format)
    assert found["classes"] == [3, 5, 9]
    assert found["image_size"] == list(SIZE)
    assert found["interpolation"] == "bilinear"
    assert found["resize_mode"] == "stretch"
    assert found["weights"] == {"origin": "random", "license": None}
    assert {"skvision", "keras", "scikit-learn"} <= found["versions"].keys()
    path = exported(estimator, tmp_path, format, classes=False)
    outputs = globals()[f"run_{format}"](path, images)
    assert list(outputs) == ["probabilities"]
    assert metadata(path, format)["classes"] is None


def test_licence_of_the_imagenet_weights():
    from skvision.export._metadata import describe
    from skvision.export._parts import Parts

    parts = Parts(encoder(weights="imagenet"), None, np.array(["cat", "dog"]))
    assert "CC BY 4.0" in describe(parts, "fixed", True)["weights"]["license"]


@pytest.mark.slow
def test_network_with_normalization_inside_to_onnx(images, tmp_path):
    encoder = ImageEncoder(
        "EfficientNetB0", weights=None, image_size=SIZE, layer="stem_activation"
    )
    model = make_pipeline(encoder, LogisticRegression()).fit(images, TWO)
    outputs = run_onnx(exported(model, tmp_path, "onnx"), images)
    assert list(outputs["label"]) == list(model.predict(images))


def test_weights_of_the_user_are_described_without_those_of_imagenet(tmp_path):
    from skvision._backbones.keras_files import as_keras_file
    from skvision.export._metadata import describe
    from skvision.export._parts import Parts

    path = tmp_path / "own.weights.h5"
    path.write_bytes(as_keras_file({"layers/conv2d/vars/0": np.ones(3)}))
    # Keras records no digest for this network.
    encoder = ImageEncoder("MobileNetV2", weights=path)
    parts = Parts(encoder, None, np.array(["cat", "dog"]))
    assert describe(parts, "fixed", True)["weights"]["origin"] == "a file of the user"


def calibrated_members(*estimators, images, y=TWO):
    """Return a calibration with one member for each of these fitted estimators."""
    whole = CalibratedClassifierCV(FrozenEstimator(estimators[0])).fit(images, y)
    (member,) = whole.calibrated_classifiers_
    members = [copy.copy(member) for _ in estimators]
    for one, estimator in zip(members, estimators, strict=True):
        one.estimator = estimator
    whole.calibrated_classifiers_ = members
    return whole


def scratch(**parameters):
    return ScratchCNNClassifier(filters=(4,), epochs=1, random_state=0, **parameters)


# Each searches for the first parameter in one member, and the second in another.
DIFFERENT_MEMBERS = {
    "resize_mode='crop', 'stretch'": [
        GridSearchCV(scratch(image_size=SIZE), {"resize_mode": ["crop"]}, cv=2),
        scratch(image_size=SIZE),
    ],
    r"value_range=None, \(0.0, 9.0\)": [
        scratch(image_size=SIZE),
        FixedThresholdClassifier(scratch(image_size=SIZE, value_range=(0, 9))),
    ],
    r"image_size=\(32, 36\), \(32, 32\)": [
        make_pipeline(scratch(image_size=SIZE)),
        scratch(image_size=(32, 32)),
    ],
    "estimator='ScratchCNNClassifier', 'VGG16BottleneckTransformer'": [
        scratch(image_size=SIZE),
        pipeline(LogisticRegression()),
    ],
    "pooling='avg', 'max'": [
        pipeline(LogisticRegression()),
        pipeline(LogisticRegression(), pooling="max"),
    ],
}


@pytest.mark.parametrize("message", DIFFERENT_MEMBERS)
def test_members_of_a_calibration_that_read_images_differently(
    message, images, tmp_path
):
    estimators = [member.fit(images, TWO) for member in DIFFERENT_MEMBERS[message]]
    calibrated = calibrated_members(*estimators, images=images)
    with pytest.raises(ValueError, match=f"(?s)differently: .*{message}.*ensemble=F"):
        export_model(calibrated, tmp_path / "model.keras")


def fit_features(*steps, y=TWO, **parameters):
    """Return a function that fits a pipeline to images."""
    return lambda images: pipeline(*steps, **parameters).fit(images, y)


REFUSED = {
    "regressor": (fit_features(RidgeCV(), y=THREE), {}, "RidgeCV|a regressor"),
    "no probabilities": (
        fit_features(RidgeClassifier()),
        {},
        "RidgeClassifier, has no method 'predict_proba'.*CalibratedClassifierCV",
    ),
    "no classifier": (
        lambda images: make_pipeline(encoder()).fit(images),
        {},
        "has no classifier. Expected",
    ),
    "transformer": (
        fit_features(StandardScaler()),
        {},
        "last step of the pipeline, StandardScaler, is no classifier. Expected",
    ),
    "forest in layers": (
        fit_features(RandomForestClassifier(2)),
        {"format": "keras"},
        "RandomForestClassifier.*format of Keras.*ONNX",
    ),
    "function in layers": (
        fit_features(FunctionTransformer(np.sqrt), LogisticRegression()),
        {"format": "tflite"},
        "step before it, cannot be exported to LiteRT",
    ),
    "function": (
        fit_features(FunctionTransformer(np.cos), LogisticRegression()),
        {"format": "onnx"},
        "skl2onnx cannot convert LogisticRegression, or a step before it",
    ),
    "wrong conversion": (
        fit_features(
            StandardScaler(),
            CalibratedClassifierCV(
                SGDClassifier(random_state=0), method="isotonic", cv=2
            ),
            y=THREE,
        ),
        {"format": "onnx"},
        "does not convert CalibratedClassifierCV.*correctly.*method='sigmoid'",
    ),
    "labels": (
        fit_features(LogisticRegression(), y=TWO == "cat"),
        {},
        r"strings or integers.*\[False, True\].*classes=False",
    ),
    "calibrated twice": (
        lambda images: CalibratedClassifierCV(
            FrozenEstimator(
                CalibratedClassifierCV(FrozenEstimator(scratch().fit(images, TWO))).fit(
                    images, TWO
                )
            )
        ).fit(images, TWO),
        {},
        "CalibratedClassifierCV in a CalibratedClassifierCV.*Calibrate once",
    ),
    "columns": (
        lambda images: make_pipeline(
            ColumnTransformer([("image", "passthrough", [0, 1])]), LogisticRegression()
        ).fit(images[:, 0, 0], TWO),
        {},
        "ColumnTransformer.*must be images",
    ),
    "features": (
        lambda images: dense_head().fit(np.eye(24, 3), TWO),
        {},
        "DenseHeadClassifier cannot be exported. Expected .*pipeline",
    ),
    "search without refit": (
        lambda images: GridSearchCV(
            pipeline(LogisticRegression()), {}, cv=2, refit=False
        ).fit(images, TWO),
        {},
        "refit=False.*refit=True",
    ),
    "int8 of another format": (
        fit_features(LogisticRegression()),
        {"quantize": "int8"},
        "quantize='int8'.*format='tflite'. Got 'keras'",
    ),
    "int8 without images": (
        fit_features(LogisticRegression()),
        {"quantize": "int8", "format": "tflite"},
        "requires calibration_images.*100",
    ),
    "int8 with few images": (
        fit_features(LogisticRegression()),
        {"quantize": "int8", "format": "tflite", "calibration_images": ["a.jpg"] * 9},
        "contains 9 images. Expected at least 10",
    ),
    "images without int8": (
        fit_features(LogisticRegression()),
        {"format": "tflite", "calibration_images": ["a.jpg"] * 10},
        "only used with quantize='int8'",
    ),
    "quantize": (
        fit_features(LogisticRegression()),
        {"format": "tflite", "quantize": "int4"},
        "'quantize' parameter must be one of 'int8'",
    ),
    "size of another format": (
        fit_features(LogisticRegression()),
        {"format": "keras", "image_size": "any"},
        "image_size='any'.*format='onnx'",
    ),
    "crop": (
        fit_features(LogisticRegression(), resize_mode="crop"),
        {"format": "onnx", "image_size": "any"},
        "resize_mode='stretch'.*resize_mode='crop'",
    ),
    "nearest": (
        fit_features(LogisticRegression(), interpolation="nearest"),
        {"format": "onnx", "image_size": "any"},
        "interpolation='bilinear' or 'bicubic'.*'nearest'",
    ),
    "image_size": (
        fit_features(LogisticRegression()),
        {"image_size": (32, 32)},
        "'image_size' parameter must be one of 'fixed', 'any'",
    ),
    "format": (
        fit_features(LogisticRegression()),
        {"format": "pdf"},
        "'format' parameter must be one of 'onnx', 'tflite'",
    ),
    "classes": (
        fit_features(LogisticRegression()),
        {"classes": ["a", "b"]},
        "'classes' parameter must be True or False",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, images, tmp_path):
    fit, parameters, message = REFUSED[name]
    need(parameters.get("format"))
    path = tmp_path / "model.keras"
    path.write_text("previous")
    estimator = fit(images)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        export_model(estimator, path, **parameters)
    assert path.read_text() == "previous"
    assert list(tmp_path.iterdir()) == [path]


def test_unfitted_estimator_and_wrong_paths(fitted, tmp_path):
    with pytest.raises(NotFittedError, match="not fitted"):
        export_model(pipeline(LogisticRegression()), tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=r"ending of path='model\.pdf'.*'\.onnx'"):
        export_model(fitted("linear"), "model.pdf")
    with pytest.raises(FileNotFoundError, match=r"folder of path=.*does not exist"):
        export_model(fitted("linear"), tmp_path / "missing" / "model.onnx")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        export_model(fitted("linear"), tmp_path, format="onnx")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(FileExistsError, match="not a SavedModel"):
        export_model(fitted("linear"), tmp_path / "photos")
    assert (tmp_path / "photos" / "cat.jpg").exists()


def test_replaces_a_saved_model(fitted, images, tmp_path):
    path = exported(fitted("linear"), tmp_path, "saved_model")
    Path(path, "old").touch()
    assert exported(fitted("linear"), tmp_path, "saved_model") == path
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]
    assert not Path(path, "old").exists()


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(28, "No space left")], ids=repr
)
@pytest.mark.parametrize("format", ["keras", "saved_model"])
def test_what_was_there_stays_if_the_export_fails(
    format, error, fitted, monkeypatch, tmp_path
):
    path = Path(exported(fitted("linear"), tmp_path, format))
    (marked := path / "old" if format == "saved_model" else path).write_text("old")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(f"skvision.export._{format}.check_agreement", fail)
    with pytest.raises(type(error)) as raised:
        export_model(fitted("linear"), path)
    assert raised.value is error
    assert marked.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files")
@pytest.mark.parametrize("format", ["keras", "saved_model", "tflite"])
def test_full_disk(format, fitted, tmp_path):
    import resource

    path = Path(exported(fitted("linear"), tmp_path, format))
    before = {p: p.stat().st_size for p in tmp_path.rglob("*")}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            export_model(fitted("linear"), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {p: p.stat().st_size for p in tmp_path.rglob("*")} == before
    assert format == "keras" or f"path='{path}'" in str(caught.value)


def test_network_that_tf2onnx_cannot_convert(fitted, monkeypatch, tmp_path):
    need("onnx")
    from skvision.export import _onnx

    def fail(*arguments, **parameters):
        raise NotImplementedError("unknown operator")

    monkeypatch.setattr(_onnx.tf2onnx.convert, "from_function", fail)
    with pytest.raises(ValueError, match=r"tf2onnx cannot convert .*unknown operator"):
        export_model(fitted("linear"), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("library", ["onnx", "tf2onnx"])
def test_missing_library(library, fitted, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"scikit-vision\[export\]"):
        export_model(fitted("linear"), tmp_path / "model.onnx")
