"""Tests of `VGG16BottleneckTransformer`."""

import errno
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import sklearn
from _optional import pd, pl
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from skvision import VGG16BottleneckTransformer
from skvision._backbones.vgg16 import LAYERS
from skvision._backbones.weights import load_vgg16_weights
from skvision._features.normalization import normalized
from skvision._nets import arithmetic, builders
from skvision.exceptions import FeatureStoreError, ImageReadError, SkvisionWarning


def small(**parameters):
    return VGG16BottleneckTransformer(
        **{"weights": None, "image_size": (32, 32)} | parameters
    )


def raw(**parameters):
    """Return a small transformer to features that are not normalized."""
    return small(**{"normalization": None} | parameters)


@pytest.fixture(scope="module")
def reference():
    """`keras.applications.VGG16` with the random weights of ``weights=None``."""
    model = keras.applications.VGG16(include_top=False, weights=None)
    for name, values in load_vgg16_weights(None).items():
        model.get_layer(name).set_weights(values)
    return model


@pytest.fixture
def count_images(monkeypatch):
    """Count the images that go through the network, without padding."""
    counted = []
    original = builders.vgg16_extractor

    def counting(*args):
        extract = original(*args)

        def run(images):
            counted.extend(image.any() for image in images)
            return extract(images)

        return run

    monkeypatch.setattr(builders, "vgg16_extractor", counting)
    return lambda: sum(counted)


@pytest.mark.parametrize("layer", ["block1_conv2", "block3_conv3", "block5_pool"])
@pytest.mark.parametrize("preprocessing", ["imagenet", "rescale"])
def test_features_equal_those_of_keras_applications(
    pixels, reference, layer, preprocessing
):
    images = pixels[:3, :32, :32]
    network = keras.Model(reference.input, reference.get_layer(layer).output)
    inputs = images.astype("float32")
    if preprocessing == "imagenet":
        inputs = keras.applications.vgg16.preprocess_input(inputs)
    else:
        inputs /= 255
    activations = network.predict(inputs, verbose=0)
    for pooling, expected in [
        (None, activations.reshape(3, -1)),
        ("avg", activations.mean(axis=(1, 2))),
        ("max", activations.max(axis=(1, 2))),
    ]:
        transformer = raw(layer=layer, pooling=pooling, preprocessing=preprocessing)
        features = transformer.fit_transform(images)
        assert features.dtype == np.float32
        assert_allclose(features, expected, rtol=1e-5, atol=1e-5 * expected.max())


def test_all_layers_of_vgg16_are_accepted():
    vgg16 = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(64, 40, 3)
    )
    assert set(LAYERS) == {layer.name for layer in vgg16.layers[1:]}
    for layer in vgg16.layers[1:]:
        transformer = small(layer=layer.name, pooling=None, image_size=(64, 40))
        names = transformer.fit(["image.jpg"]).get_feature_names_out()
        assert len(names) == np.prod(layer.output.shape[1:])


def test_flip_average_is_the_mean_of_the_image_and_its_mirror_image(pixels):
    images = pixels[:5]
    mirrored = images[:, :, ::-1]
    expected = (raw().transform(images) + raw().transform(mirrored)) / 2
    both = raw(flip_average=True).transform(images)
    assert_allclose(both, expected, rtol=1e-6)
    assert_allclose(both, raw(flip_average=True).transform(mirrored), rtol=1e-6)


def reference_normalization(features, normalization):
    """Normalize rows that are not all zeros."""
    if normalization == "power":
        features = np.sign(features) * np.sqrt(np.abs(features))
    return 5 * features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("pooling", ["avg", "max", None])
@pytest.mark.parametrize("normalization", ["power", "l2"])
def test_normalization(pixels, normalization, pooling, dtype):
    # A layer with several pixels, so that flattened features are more than averages.
    settings = {"layer": "block4_pool", "pooling": pooling, "dtype": dtype}
    features = small(**settings, normalization=normalization).transform(pixels)
    assert features.dtype == dtype
    unnormalized = raw(**settings).transform(pixels).astype(np.float64)
    expected = reference_normalization(unnormalized, normalization)
    # The smallest positive float16 is 6e-8.
    rtol, atol = (1e-5, 0) if dtype == "float32" else (1e-3, 1e-7)
    assert_allclose(features, expected, rtol=rtol, atol=atol)
    assert_allclose(np.linalg.norm(features.astype(float), axis=1), 5, rtol=rtol)


@pytest.mark.parametrize("normalization", ["power", "l2"])
def test_normalization_of_negative_values_and_rows_of_zeros(normalization):
    # Features are the outputs of ReLU, but the weights of a file may be anything.
    rows = np.random.default_rng(0).normal(size=(300, 7)).astype(np.float32)
    expected = reference_normalization(rows.astype(float), normalization)
    rows[[0, 255, 299]] = expected[[0, 255, 299]] = 0
    features = normalized(rows.copy(), normalization)
    assert_allclose(features, expected, rtol=1e-5)
    assert_array_equal(features[[0, 255, 299]], 0)


def test_features_that_are_all_zero_stay_zero(pixels, tmp_path):
    weights = write_weights(tmp_path / "weights.npz", scale=0.0)
    features = small(weights=weights).transform(pixels[:3])
    assert_array_equal(features, np.zeros((3, 512)))


@pytest.mark.parametrize("normalization", ["power", "l2"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_normalization_of_a_row_does_not_depend_on_the_others(
    paths, tmp_path, normalization, dtype
):
    cached = small(normalization=normalization, dtype=dtype, cache_dir=tmp_path)
    # More than 8192 features, because np.einsum sums fewer in the same order anyway.
    cached.set_params(layer="block1_pool", pooling=None)
    features = cached.transform(paths)
    for i in (0, 7, 23):  # from the store: the network may round a row differently
        assert_array_equal(cached.transform(paths[i : i + 1]), features[i : i + 1])


@pytest.mark.parametrize("pooling", ["avg", None])
def test_normalization_is_applied_to_stored_features(
    paths, tmp_path, count_images, pooling
):
    choices = ("power", "l2", None)
    uncached = [
        small(pooling=pooling, normalization=choice).transform(paths)
        for choice in choices
    ]
    n_images = count_images()
    for choice, expected in zip(choices, uncached, strict=True):
        transformer = small(pooling=pooling, normalization=choice)
        transformer.set_params(cache_dir=tmp_path / "cache")
        assert_array_equal(transformer.transform(paths), expected)
        assert count_images() == n_images + len(paths)
        assert transformer.cache_info().n_entries == len(paths)


def test_recommended_pipeline_learns(pixels):
    brightness = pixels // 2
    brightness[::2] //= 3
    y = np.array(["dark", "light"] * 12)
    model = make_pipeline(small(), LogisticRegression())
    assert model.fit(brightness, y).score(brightness, y) == 1


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_features_are_the_same_without_a_store_and_with_a_cold_or_warm_one(
    pixels, tmp_path, dtype
):
    cached = small(dtype=dtype, cache_dir=tmp_path, flip_average=True)
    features = small(dtype=dtype, flip_average=True).transform(pixels)
    assert features.dtype == dtype
    assert_array_equal(cached.transform(pixels), features)
    assert_array_equal(cached.transform(pixels), features)


def test_features_do_not_depend_on_the_batch_or_the_order(pixels):
    features = small().transform(pixels)
    order = np.random.default_rng(1).permutation(len(pixels))
    assert_allclose(small().transform(pixels[order]), features[order], rtol=1e-5)
    for i in (0, 7, 23):
        assert_allclose(small().transform(pixels[i : i + 1])[0], features[i], rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batch_size_does_not_matter(pixels, tmp_path, batch_size):
    features = small(batch_size=batch_size, cache_dir=tmp_path).transform(pixels)
    assert_array_equal(features, small().transform(pixels))


def test_all_types_of_X_give_the_same_features(paths, pixels):
    expected = small().transform(pixels)
    frame = pd.DataFrame({"path": paths})
    for X in (
        paths,
        tuple(map(Path, paths)),
        np.array(paths),
        frame["path"],
        frame,
        frame.to_numpy(),
        pl.Series(paths),
        pl.DataFrame({"path": paths}),
    ):
        assert_array_equal(small().fit_transform(X), expected)


def test_grid_search_computes_each_image_once(paths, tmp_path, count_images):
    search = GridSearchCV(
        make_pipeline(small(cache_dir=tmp_path / "cache"), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0, 10.0]},
        cv=3,
    )
    search.fit(paths, [0, 1] * 12)
    assert count_images() == len(paths)
    small(cache_dir=tmp_path / "cache").transform([*paths[::-1], paths[3]])
    assert count_images() == len(paths)


def test_repeated_images_are_computed_once(paths, tmp_path, count_images):
    features = small(cache_dir=tmp_path).transform([paths[0]] * 9)
    assert count_images() == 1
    assert_array_equal(features, features[:1].repeat(9, axis=0))


@pytest.mark.parametrize(
    "change",
    [
        {"layer": "block4_pool"},
        {"pooling": "max"},
        {"image_size": (32, 33)},
        {"interpolation": "nearest"},
        {"preprocessing": "rescale"},
        {"dtype": "float16"},
    ],
    ids=str,
)
def test_settings_are_part_of_the_cache_key(paths, tmp_path, change):
    small(cache_dir=tmp_path).transform(paths[:4])
    changed = small(cache_dir=tmp_path, **change).transform(paths[:4])
    assert_array_equal(changed, small(**change).transform(paths[:4]))


def write_weights(path, scale=1.0):
    """Write the weights of ``weights=None``, multiplied by `scale`."""
    arrays = {
        f"{name}/{part}": scale * values
        for name, pair in load_vgg16_weights(None).items()
        for part, values in zip(("kernel", "bias"), pair, strict=True)
    }
    np.savez(path, **arrays)
    return path


def test_weights_are_part_of_the_cache_key(paths, tmp_path):
    other = write_weights(tmp_path / "weights.npz", scale=0.9)
    raw(cache_dir=tmp_path).transform(paths[:4])
    features = raw(cache_dir=tmp_path, weights=other).transform(paths[:4])
    assert_array_equal(features, raw(weights=other).transform(paths[:4]))
    assert not np.allclose(features, raw().transform(paths[:4]), rtol=0.1)


def test_weights_that_change_while_being_read_raise(pixels, tmp_path, monkeypatch):
    weights = write_weights(tmp_path / "weights.npz")
    original = builders.load_vgg16_weights

    def replaced(path):
        write_weights(path, scale=0.8)
        return original(path)

    monkeypatch.setattr(builders, "load_vgg16_weights", replaced)
    with pytest.raises(ValueError, match=r"weights\.npz.*changed while it was read"):
        small(weights=weights).transform(pixels)


@pytest.mark.slow
def test_features_do_not_depend_on_the_keras_configuration(paths, tmp_path):
    code = f"""
import keras, numpy, sys
from skvision import DenseHeadClassifier
from skvision import VGG16BottleneckTransformer
keras.config.set_floatx(sys.argv[1])
keras.config.set_image_data_format(sys.argv[2])
keras.config.set_dtype_policy(sys.argv[3])
features = VGG16BottleneckTransformer(
    weights=None, image_size=(32, 32)).transform({paths!r})
numpy.save({str(tmp_path / "features.npy")!r}, features)
head = DenseHeadClassifier(epochs=2, random_state=0).fit(features, [0, 1] * 12)
print(head.predict_proba(features).sum())
"""
    sums = set()
    for settings in [
        ("float32", "channels_last", "float32"),
        ("float16", "channels_first", "mixed_bfloat16"),
    ]:
        command = [sys.executable, "-c", code, *settings]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        sums.add(done.stdout)
        assert_array_equal(np.load(tmp_path / "features.npy"), small().transform(paths))
    assert len(sums) == 1


def test_float16_features_are_clipped(pixels, tmp_path):
    weights = write_weights(tmp_path / "weights.npz", scale=30.0)
    settings = {"weights": weights, "layer": "block2_pool"}
    assert raw(**settings).transform(pixels[:2]).max() > 1e5
    assert raw(**settings, dtype="float16").transform(pixels[:2]).max() == 65504


def test_flip_average_reuses_stored_features(paths, tmp_path, count_images):
    small(cache_dir=tmp_path).transform(paths)
    small(cache_dir=tmp_path, flip_average=True).transform(paths)
    assert count_images() == 2 * len(paths)


def test_overwritten_image_gives_new_features(paths, tmp_path, pixels):
    transformer = small(cache_dir=tmp_path / "cache").fit(paths)
    transformer.transform(paths)
    for i in range(20):
        Image.fromarray(255 - pixels[i]).save(paths[i])
        new = transformer.transform([paths[i]])
        assert_array_equal(new, small().transform(255 - pixels[i : i + 1]))


def test_unreadable_image_is_named_and_computed_features_are_stored(paths, tmp_path):
    Path(paths[20]).write_bytes(b"not an image")
    transformer = small(cache_dir=tmp_path / "cache", batch_size=4)
    with pytest.raises(ImageReadError, match=r"20\.png. \(X\[20\]\)") as info:
        transformer.transform(paths)
    assert (info.value.index, info.value.path) == (20, paths[20])
    assert transformer.cache_info().n_entries >= 12


def test_image_that_changes_while_being_read_raises(paths, tmp_path, monkeypatch):
    from skvision._images.inputs import Images

    original = Images.read_bytes

    def changing(self, i):
        return original(self, i) + b"0"

    monkeypatch.setattr(Images, "read_bytes", changing)
    with pytest.raises(ImageReadError, match=r"\(X\[0\]\) changed while it was"):
        small(cache_dir=tmp_path / "cache").transform(paths[:1])


def test_entries_cleared_during_transform_are_recomputed(paths, tmp_path, monkeypatch):
    from skvision._features.store import FeatureStore

    transformer = small(cache_dir=tmp_path / "cache", batch_size=4)
    features = transformer.transform(paths)
    original = FeatureStore.contains

    def cleared_after(self, keys):
        present = original(self, keys)
        small(cache_dir=tmp_path / "cache").clear_cache(max_bytes=10 * 2048)
        return present

    monkeypatch.setattr(FeatureStore, "contains", cleared_after)
    assert_array_equal(transformer.transform(paths), features)


@pytest.mark.skipif(arithmetic._may_have_gpu(), reason="must ask TensorFlow for GPUs")
@pytest.mark.parametrize("compute_dtype", ["float32", "auto"])
def test_warm_transform_does_not_start_tensorflow(paths, tmp_path, compute_dtype):
    settings = {"cache_dir": str(tmp_path / "cache"), "compute_dtype": compute_dtype}
    small(**settings).transform(paths)
    code = f"""
import sys
from skvision import VGG16BottleneckTransformer
transformer = VGG16BottleneckTransformer(
    weights=None, image_size=(32, 32), **{settings!r})
print(transformer.fit_transform({paths!r}).shape, "tensorflow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "(24, 512) False\n", done.stderr


@pytest.mark.slow
def test_pickle_is_small_and_loads_in_a_new_process(paths, tmp_path):
    transformer = small().fit(paths)
    features = transformer.transform(paths)
    assert len(pickle.dumps(transformer)) < 2000
    (tmp_path / "t.pickle").write_bytes(pickle.dumps(transformer))
    code = f"""
import pickle, pathlib, numpy
folder = pathlib.Path({str(tmp_path)!r})
transformer = pickle.loads((folder / "t.pickle").read_bytes())
numpy.save(folder / "features.npy", transformer.transform({paths!r}))
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert_array_equal(np.load(tmp_path / "features.npy"), features)


def test_weights_that_change_after_fit_raise(pixels, tmp_path):
    write_weights(tmp_path / "weights.npz")
    transformer = raw(weights=tmp_path / "weights.npz").fit(pixels)
    assert_array_equal(transformer.transform(pixels), raw().transform(pixels))
    write_weights(tmp_path / "weights.npz", scale=0.9)
    with pytest.raises(ValueError, match=r"'weights' parameter.*weights\.npz"):
        transformer.transform(pixels)
    changed = transformer.fit(pixels).transform(pixels)
    assert not np.allclose(changed, raw().transform(pixels), rtol=0.1)


def test_feature_names_and_set_output(paths):
    frame = pd.DataFrame({"path": paths}, index=range(100, 124))
    transformer = small().set_output(transform="pandas").fit(frame)
    features = transformer.transform(frame)
    assert list(features.columns[:2]) == [
        "vgg16bottlenecktransformer0",
        "vgg16bottlenecktransformer1",
    ]
    assert list(features.index) == list(frame.index)
    assert transformer.n_features_in_ == 1
    assert list(transformer.feature_names_in_) == ["path"]
    with pytest.raises(ValueError, match="feature names should match"):
        transformer.transform(frame.rename(columns={"path": "file"}))


def test_column_transformer_and_feature_union(paths):
    frame = pd.DataFrame({"path": paths, "age": range(24), "weight": range(24)})
    columns = ColumnTransformer(
        [("image", small(), ["path"]), ("table", StandardScaler(), ["age", "weight"])]
    )
    features = columns.fit_transform(frame)
    assert features.shape == (24, 514)
    union = make_union(small(), small(layer="block4_pool"))
    assert union.fit_transform(paths).shape == (24, 1024)


def test_clone_and_parameters():
    transformer = small(cache_dir="somewhere", flip_average=True)
    assert clone(transformer).get_params() == transformer.get_params()
    with sklearn.config_context(print_changed_only=True):
        assert "flip_average=True" in repr(transformer)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"layer": "fc1"}, "'layer' parameter"),
        ({"pooling": "mean"}, "'pooling' parameter"),
        ({"normalization": "max"}, "'normalization' parameter"),
        ({"compute_dtype": "float16"}, "'compute_dtype' parameter"),
        ({"image_size": (16, 32)}, r"'image_size' parameter.*at least 32.*\(16, 32\)"),
        ({"image_size": (32.0, 32)}, "'image_size' parameter"),
        ({"image_size": 150}, "'image_size' parameter"),
        ({"interpolation": "linear"}, "'interpolation' parameter"),
        ({"preprocessing": "caffe"}, "'preprocessing' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"dtype": "float64"}, "'dtype' parameter"),
        ({"weights": 3}, "'weights' parameter"),
        ({"cache_dir": 3}, "'cache_dir' parameter"),
    ],
)
def test_invalid_parameters_are_named_by_fit_and_transform(pixels, parameters, message):
    transformer = small(**parameters)
    with pytest.raises(ValueError, match=message):
        transformer.fit(pixels)
    with pytest.raises(ValueError, match=message):
        transformer.transform(pixels)


def test_cache_info_and_clear(paths, tmp_path):
    with pytest.raises(ValueError, match="'cache_dir' parameter is None"):
        small().cache_info()
    with pytest.raises(ValueError, match="'cache_dir' parameter is None"):
        small().clear_cache()
    transformer = small(cache_dir=tmp_path / "cache")
    transformer.transform(paths)
    info = transformer.cache_info()
    assert info.n_entries == 24
    assert info.n_bytes >= 24 * 512 * 4
    with pytest.raises(TypeError, match="max_bytes must be an instance of"):
        transformer.clear_cache("10MB")
    assert transformer.clear_cache(max_bytes=np.int64(10 * 512 * 4)) == 14
    assert transformer.clear_cache() == 10
    assert transformer.cache_info().n_entries == 0


def test_store_that_cannot_be_created_gives_a_warning(paths, tmp_path, monkeypatch):
    def read_only(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("os.makedirs", read_only)
    transformer = small(cache_dir=tmp_path / "missing")
    with pytest.warns(SkvisionWarning, match=r"features\.sqlite3.*cannot store new"):
        features = transformer.transform(paths)
    assert_array_equal(features, small().transform(paths))


def test_file_that_is_not_a_store_raises(paths, tmp_path):
    (tmp_path / "features.sqlite3").write_text("these are not features" * 100)
    with pytest.raises(FeatureStoreError, match=r"features\.sqlite3"):
        small(cache_dir=tmp_path).transform(paths)


def test_threads_share_a_transformer(pixels, tmp_path):
    expected = small().transform(pixels)
    transformer = small(cache_dir=tmp_path).fit(pixels)
    results = [None] * 4

    def work(i):
        results[i] = transformer.transform(pixels)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        assert_array_equal(result, expected)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_forked_child_raises_instead_of_hanging(tmp_path):
    # In a new process, in which TensorFlow is started by Keras and not by skvision.
    code = """
import os, sys, time, numpy as np, skvision, keras
keras.Sequential([keras.layers.Dense(2)]).predict(np.ones((1, 3)), verbose=0)
pid = os.fork()
if pid == 0:
    try:
        transformer = skvision.VGG16BottleneckTransformer(weights=None)
        transformer.transform(np.zeros((1, 32, 32, 3), dtype="uint8"))
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
deadline = time.monotonic() + 20
while os.waitpid(pid, os.WNOHANG) == (0, 0):
    if time.monotonic() > deadline:
        os.kill(pid, 9)
        sys.exit("the child process hangs")
    time.sleep(0.05)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "was forked" in done.stdout


@pytest.mark.slow
def test_concurrent_workers_share_the_work(tmp_path):
    # Two workers transform the same images at the same time, and each prints how many
    # it computed. They start together, once TensorFlow is loaded. Only batches that
    # both have begun are computed twice: few images, because the batches are small.
    n_images = 640
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n_images, 64, 64, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    code = f"""
import multiprocessing, numpy
from skvision import VGG16BottleneckTransformer
from skvision._nets import builders
multiprocessing.current_process().name = "Worker"
original, counted = builders.vgg16_extractor, []
def counting(*args):
    extract = original(*args)
    def run(images):
        counted.append(sum(image.any() for image in images))
        return extract(images)
    return run
images = numpy.load({str(tmp_path / "images.npy")!r})
small = VGG16BottleneckTransformer(
    weights=None, image_size=(64, 64), batch_size=4)
small.transform(images[:1])
builders.vgg16_extractor = counting
print("ready", flush=True)
input()
small.set_params(cache_dir={str(tmp_path / "cache")!r}).transform(images)
print(sum(counted))
"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 2
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    computed = [int(worker.communicate()[0]) for worker in workers]
    assert n_images <= sum(computed) < 1.7 * n_images
