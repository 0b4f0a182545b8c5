"""Tests of `compute_dtype`, and of modes that round float32 to a shorter type."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skvision import (
    FineTunedVGGClassifier,
    ImageAugmenter,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)
from skvision._nets import arithmetic
from skvision._nets.arithmetic import describe_arithmetic, effective_dtype
from skvision.exceptions import SkvisionWarning

FPMATH_MODES = [
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "TF_SET_ONEDNN_FPMATH_MODE",
]
ENVIRONMENT = [
    *FPMATH_MODES,
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "TF_ENABLE_ONEDNN_OPTS",
    "NVIDIA_TF32_OVERRIDE",
]


def vgg16(**parameters):
    return VGG16BottleneckTransformer(weights=None, image_size=(32, 32), **parameters)


CLASSIFIERS = {
    "scratch": ScratchCNNClassifier(
        image_size=(32, 32), filters=(8, 8), dense_units=8, epochs=3, random_state=0
    ),
    "fine-tuned": FineTunedVGGClassifier(
        weights=None,
        image_size=(32, 32),
        augmenter=ImageAugmenter(horizontal_flip=True),
        epochs=1,
        random_state=0,
    ),
}
NAMES = ["scratch", pytest.param("fine-tuned", marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def _no_gpu_and_no_settings(monkeypatch):
    monkeypatch.setattr(arithmetic, "_may_have_gpu", lambda: False)
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def with_amx(monkeypatch):
    monkeypatch.setattr(arithmetic, "processor_features", lambda: {"sse", "amx_bf16"})


@pytest.fixture
def without_amx(monkeypatch):
    monkeypatch.setattr(arithmetic, "processor_features", lambda: {"sse", "avx2"})


@pytest.fixture(scope="module")
def stripes():
    """40 images that are brighter in one half, and in which."""
    X = np.random.default_rng(0).integers(0, 150, (40, 32, 32, 3), dtype=np.uint8)
    X[::2, :, :16] += 100
    X[1::2, :, 16:] += 100
    return X, np.array(["left", "right"] * 20)


@pytest.mark.usefixtures("with_amx")
@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "bfloat16"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, "float32"),
        ({"DNNL_MAX_CPU_ISA": "avx512_core_bf16"}, "float32"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}, "bfloat16"),
        ({"ONEDNN_MAX_CPU_ISA": "all"}, "bfloat16"),
        ({"ONEDNN_MAX_CPU_ISA": ""}, "bfloat16"),
        # The name of old versions counts only if the other is not set.
        ({"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "ALL"}, "float32"),
        ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "float32"),
        ({"TF_ENABLE_ONEDNN_OPTS": "False"}, "float32"),
        ({"TF_ENABLE_ONEDNN_OPTS": "1"}, "bfloat16"),
    ],
    ids=str,
)
def test_auto_is_bfloat16_where_amx_is_used(monkeypatch, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert effective_dtype("auto") == expected
    assert effective_dtype("float32") == "float32"
    if expected == "bfloat16":
        assert effective_dtype("bfloat16") == "bfloat16"  # without a warning
        return
    with pytest.warns(SkvisionWarning, match="compute_dtype='bfloat16' is slow here"):
        assert effective_dtype("bfloat16") == "bfloat16"


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (
            "processor\t: 0\nflags\t\t: fpu amx_bf16\nbugs\t\t: sse\n\n"
            "processor\t: 1\nflags\t\t: fpu amx_tile\n",
            {"fpu", "amx_bf16"},
        ),
        ("processor\t: 0\nFeatures\t: asimd bf16\n", set()),  # ARM
        (None, set()),  # other systems
    ],
)
def test_processor_features(monkeypatch, tmp_path, cpuinfo, expected):
    file = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    monkeypatch.setattr(arithmetic, "Path", lambda path: file)
    arithmetic._cpuinfo.cache_clear()
    try:
        assert arithmetic.processor_features() == expected
    finally:
        arithmetic._cpuinfo.cache_clear()


@pytest.mark.usefixtures("without_amx")
def test_auto_without_amx_reads_what_float32_has_stored(paths, tmp_path):
    stored = vgg16(cache_dir=tmp_path / "cache")
    features = stored.transform(paths)
    auto = vgg16(cache_dir=tmp_path / "cache", compute_dtype="auto")
    assert_array_equal(auto.transform(paths), features)
    assert stored.cache_info().n_entries == len(paths)


@pytest.mark.usefixtures("without_amx")
def test_bfloat16_without_amx_gives_one_warning_and_works(pixels):
    message = (
        r"compute_dtype='bfloat16' is slow here.*\(amx_bf16\).*'float32', or 'auto'"
    )
    with pytest.warns(SkvisionWarning, match=message) as warned:
        features = vgg16(compute_dtype="bfloat16").transform(pixels)
    assert [w.filename for w in warned] == [__file__]
    assert features.dtype == np.float32
    assert_is_close(features, vgg16().transform(pixels))


def assert_is_close(features, expected):
    """Check that they differ by rounding to 8 bits, and do differ."""
    error = np.linalg.norm(features - expected, axis=1)
    error /= np.linalg.norm(expected, axis=1)
    assert 1e-4 < error.max() < 0.03


@pytest.mark.usefixtures("with_amx")
@pytest.mark.parametrize("normalization", ["power", None])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_features_in_bfloat16_are_close_and_stored_apart(
    paths, tmp_path, dtype, normalization
):
    settings = {"dtype": dtype, "normalization": normalization}
    expected = vgg16(**settings, cache_dir=tmp_path / "cache").transform(paths)
    bfloat16 = vgg16(**settings, compute_dtype="bfloat16")
    features = bfloat16.transform(paths)
    assert features.dtype == dtype
    assert_is_close(features.astype(float), expected.astype(float))
    bfloat16.set_params(cache_dir=tmp_path / "cache")
    for compute_dtype in ("bfloat16", "bfloat16", "auto"):
        bfloat16.set_params(compute_dtype=compute_dtype)
        assert_array_equal(bfloat16.transform(paths), features)
        assert bfloat16.cache_info().n_entries == 2 * len(paths)


@pytest.mark.usefixtures("with_amx")
def test_features_in_bfloat16_do_not_depend_on_order_or_neighbours(pixels):
    bfloat16 = vgg16(compute_dtype="bfloat16")
    features = bfloat16.transform(pixels)
    order = np.random.default_rng(1).permutation(len(pixels))
    assert_array_equal(bfloat16.transform(pixels[order]), features[order])
    others = np.concatenate([pixels[:5], 255 - pixels[5:]])
    assert_array_equal(bfloat16.transform(others)[:5], features[:5])


# Modes in which float32 is rounded


@pytest.mark.parametrize("name", FPMATH_MODES)
def test_rounding_modes_of_onednn_are_part_of_the_key(monkeypatch, name):
    exact = describe_arithmetic("float32")
    assert exact != describe_arithmetic("bfloat16")
    for value in ("", "strict", "STRICT"):
        monkeypatch.setenv(name, value)
        assert describe_arithmetic("float32") == exact
    monkeypatch.setenv(name, "bf16")
    rounded = describe_arithmetic("float32")
    assert rounded != exact
    monkeypatch.setenv(name, "BF16")
    assert describe_arithmetic("float32") == rounded
    monkeypatch.setenv(name, "any")
    assert describe_arithmetic("float32") not in (rounded, exact)


def test_features_of_another_mode_are_stored_apart(paths, tmp_path, monkeypatch):
    transformer = vgg16(cache_dir=tmp_path / "cache")
    transformer.transform(paths[:3])
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    transformer.transform(paths[:3])
    assert transformer.cache_info().n_entries == 6
    monkeypatch.delenv("ONEDNN_DEFAULT_FPMATH_MODE")
    transformer.transform(paths[:3])
    assert transformer.cache_info().n_entries == 6


def test_mixed_precision_of_tensorflow_is_part_of_the_key():
    from skvision._nets.backend import tf

    exact, name = describe_arithmetic("float32"), "auto_mixed_precision_onednn_bfloat16"
    tf.config.optimizer.set_experimental_options({name: True})
    try:
        assert describe_arithmetic("float32") == f"{exact} {name}"
    finally:
        tf.config.optimizer.set_experimental_options({name: False})
    assert describe_arithmetic("float32") == exact


@pytest.mark.parametrize("tensor_float_32", [True, False])
@pytest.mark.parametrize(
    ("capability", "has_bfloat16"), [((8, 0), True), ((9, 0), True), ((7, 5), False)]
)
def test_gpus(monkeypatch, capability, has_bfloat16, tensor_float_32):
    from skvision._nets.backend import tf

    monkeypatch.setattr(arithmetic, "_may_have_gpu", lambda: True)
    monkeypatch.setattr(arithmetic, "_gpus", lambda: ["GPU:0"])
    experimental = tf.config.experimental
    details = {"compute_capability": capability}
    monkeypatch.setattr(experimental, "get_device_details", lambda gpu: details)
    name = "tensor_float_32_execution_enabled"
    monkeypatch.setattr(experimental, name, lambda: tensor_float_32)
    assert effective_dtype("auto") == ("bfloat16" if has_bfloat16 else "float32")
    rounds = has_bfloat16 and tensor_float_32
    expected = "float32 tf32" if rounds else "float32"
    assert describe_arithmetic("float32") == expected
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert (describe_arithmetic("float32") != expected) == has_bfloat16


# Classifiers


@pytest.mark.slow
@pytest.mark.usefixtures("with_amx")
@pytest.mark.parametrize("name", NAMES)
def test_training_in_bfloat16(stripes, name):
    X, y = stripes
    classifier = clone(CLASSIFIERS[name])
    in_float32 = clone(classifier).fit(X, y).predict_proba(X)
    classifier.set_params(compute_dtype="bfloat16").fit(X, y)
    proba = classifier.predict_proba(X)
    assert proba.dtype == np.float32
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert (proba != in_float32).any()
    assert_allclose(proba, in_float32, atol=0.1)

    # Weights and the model of the user are float32.
    assert {w.dtype.name for w in classifier._weights} == {"float32"}
    rounded = [(w.view(np.uint32) & 0xFFFF == 0).all() for w in classifier._weights]
    assert not all(rounded)
    model = classifier.model_
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert {layer.variable_dtype for layer in model.layers} == {"float32"}
    plain = copy_without_flip_average(classifier)
    expected = plain.predict_proba(X)[:, 1]
    modelled = model.predict(X.astype("float32"), verbose=0)[:, 0]
    assert_allclose(modelled, expected, atol=0.05)

    # Nothing but the seed determines the result, and pickles keep it.
    loaded = pickle.loads(pickle.dumps(classifier))
    assert_array_equal(loaded.predict_proba(X), proba)
    assert_array_equal(clone(classifier).fit(X, y).predict_proba(X), proba)
    again = clone(CLASSIFIERS[name]).fit(X, y)
    assert_array_equal(again.predict_proba(X), in_float32)


def copy_without_flip_average(classifier):
    copy = pickle.loads(pickle.dumps(classifier))
    return copy.set_params(flip_average=False)


@pytest.mark.usefixtures("with_amx")
def test_scratch_cnn_learns_in_bfloat16(stripes):
    X, y = stripes
    classifier = clone(CLASSIFIERS["scratch"]).set_params(compute_dtype="auto")
    assert classifier.set_params(epochs=20).fit(X, y).score(X, y) > 0.9


@pytest.mark.usefixtures("without_amx")
@pytest.mark.parametrize("name", NAMES)
def test_classifiers_without_amx(stripes, name):
    X, y = stripes
    classifier = clone(CLASSIFIERS[name]).set_params(epochs=1)
    auto = clone(classifier).set_params(compute_dtype="auto")
    expected = classifier.fit(X, y).predict_proba(X)
    assert_array_equal(auto.fit(X, y).predict_proba(X), expected)
    classifier.set_params(compute_dtype="bfloat16")
    for use in (lambda: classifier.predict_proba(X), lambda: classifier.fit(X, y)):
        with pytest.warns(SkvisionWarning, match="'bfloat16' is slow here") as warned:
            use()
        assert {w.filename for w in warned} == {__file__}


@pytest.mark.slow
@pytest.mark.usefixtures("with_amx")
def test_fine_tuning_stores_activations_apart(stripes, tmp_path):
    X, y = stripes
    classifier = clone(CLASSIFIERS["fine-tuned"])
    classifier.set_params(cache_dir=tmp_path / "cache", augmenter=None, epochs=1)
    store = vgg16(cache_dir=tmp_path / "cache")
    for compute_dtype, n_entries in [("float32", 40), ("bfloat16", 80), ("auto", 80)]:
        classifier.set_params(compute_dtype=compute_dtype).fit(X, y)
        assert store.cache_info().n_entries == n_entries


@pytest.mark.usefixtures("with_amx")
def test_checkpoint_is_not_resumed_with_another_type(stripes, tmp_path):
    import keras

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    X, y = stripes
    classifier = clone(CLASSIFIERS["scratch"])
    expected = clone(classifier).fit(X, y).predict_proba(X)
    classifier.set_params(checkpoint_dir=tmp_path)
    interrupted = clone(classifier).set_params(compute_dtype="bfloat16")
    with pytest.warns(SkvisionWarning, match="in epoch 2 of 3"):
        interrupted.set_params(callbacks=[Interrupt]).fit(X, y)
    assert_array_equal(classifier.fit(X, y).predict_proba(X), expected)
