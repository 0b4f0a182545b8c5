"""Time and memory of the transformer, relative to Keras or scikit-learn.

``python -m pytest tests/benchmarks/bench_bottleneck.py -m "slow or weights" -s`` prints
the results.
"""

import io
import os
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skvision import VGG16BottleneckTransformer, read_image
from skvision._backbones.weights import load_vgg16_weights
from skvision._nets import builders
from skvision._nets.arithmetic import effective_dtype
from skvision.datasets import load_image_files

pytestmark = pytest.mark.slow


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def keras_vgg16(weights):
    model = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(224, 224, 3), pooling="avg"
    )
    for name, values in load_vgg16_weights(weights).items():
        model.get_layer(name).set_weights(values)
    return model


@pytest.mark.weights
def test_features_of_photos_equal_those_of_keras(cats_vs_dogs, imagenet):
    files = load_image_files(cats_vs_dogs / "validation")
    paths = files.data[:64]
    transformer = VGG16BottleneckTransformer()
    features = transformer.transform(paths)
    pixels = np.stack(
        [
            np.asarray(Image.open(p).resize((224, 224), Image.Resampling.BILINEAR))
            for p in paths
        ]
    )
    inputs = keras.applications.vgg16.preprocess_input(pixels.astype("float32"))
    expected = np.sqrt(keras_vgg16("imagenet").predict(inputs, verbose=0))
    expected *= 5 / np.linalg.norm(expected, axis=1, keepdims=True)
    error = np.abs(features - expected).max() / np.abs(expected).max()
    print(f"\nmax relative error to keras.applications.VGG16: {error:.1e}")
    assert error <= 1e-5


@pytest.mark.parametrize("side", [150, 224])
def test_features_do_not_depend_on_the_batch(cats_vs_dogs, tmp_path, side):
    files = load_image_files(cats_vs_dogs / "validation", random_state=1)
    paths = files.data[:22]
    settings = {"weights": None, "image_size": (side, side)}
    transformer = VGG16BottleneckTransformer(**settings)
    features = transformer.transform(paths)
    order = np.random.default_rng(0).permutation(22)
    cached = VGG16BottleneckTransformer(**settings, cache_dir=tmp_path)
    others = [
        transformer.transform(paths[order])[np.argsort(order)],
        np.vstack([transformer.transform([p]) for p in paths[:5]] + [features[5:]]),
        transformer.transform(np.repeat(paths, 2))[::2],
        transformer.transform(paths[3:])[[0, *range(19)]][1:].repeat(1, axis=0),
        cached.transform(paths),
        cached.transform(paths),
    ]
    others[3] = np.vstack([features[:3], others[3]])
    errors = [np.abs(o - features).max() / features.max() for o in others]
    print(f"\n{side} pixels, largest relative difference: {max(errors):.1e}")
    assert max(errors) <= 1e-5


def test_throughput(cats_vs_dogs):
    # Keras as in its guides, in float32, fed by tf.data; both sides are warmed up.
    n = 96
    files = load_image_files(cats_vs_dogs / "train", shuffle=False)
    model = keras_vgg16(None)
    preprocess = keras.applications.vgg16.preprocess_input
    dataset = keras.utils.image_dataset_from_directory(
        str(cats_vs_dogs / "train"),
        image_size=(224, 224),
        batch_size=32,
        shuffle=False,
        verbose=False,
    )
    dataset = dataset.take(n // 32).map(lambda x, y: (preprocess(x), y))
    model.predict(dataset.take(1), verbose=0)
    for dtype in sorted({"float32", effective_dtype("auto")}):
        transformer = VGG16BottleneckTransformer(weights=None, compute_dtype=dtype)
        transformer.transform(files.data[:32])
        ours, theirs = [], []
        for _ in range(3):
            ours.append(seconds(transformer.transform, files.data[:n]))
            theirs.append(seconds(lambda: model.predict(dataset, verbose=0)))
        ratio = min(theirs) / min(ours)
        print(
            f"\n{n} images: {n / min(ours):.1f} images/s in {dtype}, Keras "
            f"{n / min(theirs):.1f}, ratio {ratio:.2f}"
        )
        # Measured with 256: 1.16 in float32, 6.8 in bfloat16; less beside other work.
        assert ratio >= (4 if dtype == "bfloat16" else 0.7)


def test_one_image(cats_vs_dogs):
    path = load_image_files(cats_vs_dogs / "validation").data[0]
    model = keras_vgg16(None)
    pixels = read_image(path, image_size=(224, 224))
    pixels = pixels[np.newaxis].astype("float32")
    transformer = VGG16BottleneckTransformer(weights=None)
    ours, theirs = [], []
    for _ in range(12):
        ours.append(seconds(transformer.transform, [path]))
        theirs.append(seconds(lambda: model.predict(pixels, verbose=0)))
    ours, theirs = np.median(ours), np.median(theirs)
    print(
        f"\none path: {1000 * ours:.0f} ms, keras.Model.predict on its pixels "
        f"{1000 * theirs:.0f} ms, ratio {ours / theirs:.2f}"
    )
    assert ours / theirs <= 1.3


def photo(width, height):
    """Return a JPEG of 1.4 MB; at the same resolution, larger files gain less."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    noisy = smooth + rng.normal(0, 2, smooth.shape)
    buffer = io.BytesIO()
    image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_decode_a_12_megapixel_jpeg(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo(4000, 3000))
    # In a new process: Keras allocates 36 MB per image and is up to twice as fast
    # where the process already has freed memory of that size.
    code = f"""
import time
import keras
from skvision import read_image
def with_keras():  # what ImageDataGenerator.flow_from_directory calls
    image = keras.utils.load_img({str(path)!r}, target_size=(150, 150))
    return keras.utils.img_to_array(image)
def ours():
    return read_image({str(path)!r}, image_size=(150, 150))
seconds = dict()
for _ in range(9):
    for function in (ours, with_keras):
        start = time.thread_time()
        function()
        seconds.setdefault(function, []).append(time.thread_time() - start)
print(min(seconds[with_keras]) / min(seconds[ours]))
"""
    output = subprocess.check_output([sys.executable, "-c", code])
    ratio = float(output.splitlines()[-1])
    ours = read_image(path, image_size=(150, 150)).astype(float)
    full = Image.open(path).resize((150, 150), Image.Resampling.BILINEAR)
    difference = np.abs(ours - np.asarray(full)).mean()
    print(
        f"\nKeras' loader takes {ratio:.1f} times as long; "
        f"mean difference {difference:.2f}"
    )
    assert ratio >= 2.5  # measured: 3.4
    assert difference <= 1


@pytest.mark.weights
def test_second_fit_in_a_new_process(cats_vs_dogs, imagenet, tmp_path):
    code = f"""
import time
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from skvision import VGG16BottleneckTransformer
from skvision.datasets import load_image_files
train = load_image_files({str(cats_vs_dogs / "train")!r}, shuffle=False)
model = make_pipeline(
    VGG16BottleneckTransformer(cache_dir={str(tmp_path)!r}),
    LogisticRegression(max_iter=1000),
)
start = time.perf_counter()
model.fit(train.data[::5], train.target[::5])
print(time.perf_counter() - start)
"""
    first, *later = (
        float(subprocess.check_output([sys.executable, "-c", code]).splitlines()[-1])
        for _ in range(4)
    )
    second = min(later)  # the machine may be busy
    print(
        f"\nfirst fit {first:.1f} s, second {second:.2f} s, {first / second:.0f} times"
    )
    assert first / second >= 50


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux")
def test_memory_of_20000_images(tmp_path):
    # The network is replaced by the mean of the pixels: this measures the data flow
    # around it, and 20,000 forward passes would take ten minutes.
    rng = np.random.default_rng(0)
    paths = []
    for i in range(200):
        paths.append(str(tmp_path / f"{i}.jpg"))
        image = rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)
        Image.fromarray(image).save(paths[-1])
    code = f"""
import sys
import numpy as np
from skvision import VGG16BottleneckTransformer
from skvision._nets import builders
paths = {paths!r} * (int(sys.argv[1]) // 200)
real, n_passes = builders.vgg16_extractor, 0
def extractor(*args):
    extract = real(*args)
    def run(images):
        global n_passes
        n_passes += 1
        # The first passes and every 50th are real, to include the network's memory.
        if n_passes <= 12 or n_passes % 50 == 0:
            return extract(images)
        return np.tile(images.mean(axis=(1, 2, 3), dtype="float32")[:, None], 512)
    return run
builders.vgg16_extractor = extractor
features = VGG16BottleneckTransformer(weights=None)
features = features.transform(paths)
# `resource.getrusage` would start at the maximum of the parent process.
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(peak.split()[1]) / 2**10, features.nbytes / 2**20)
"""

    def peak(n):
        command = [sys.executable, "-c", code, str(n)]
        output = subprocess.check_output(command).splitlines()[-1]
        return map(float, output.split())

    few, _ = peak(200)
    many, features = peak(20_000)
    print(f"\npeak {few:.0f} MB for 200, {many:.0f} MB for 20,000 ({features:.0f} MB)")
    assert many - few <= features + 200


def test_import_is_fast():
    def best(module):
        code = f"import {module}, sys; assert 'tensorflow' not in sys.modules"
        return min(
            seconds(subprocess.check_call, [sys.executable, "-c", code])
            for _ in range(5)
        )

    nothing = best("sys")
    ours, theirs = best("skvision") - nothing, best("sklearn") - nothing
    print(f"\nimport skvision takes {ours / theirs:.2f} times the time of sklearn")
    assert ours < 10 * theirs


@pytest.mark.weights
def test_grid_search_computes_each_image_once(
    cats_vs_dogs, imagenet, tmp_path, monkeypatch
):
    passes = []  # appended to by several threads
    original = builders.vgg16_extractor

    def counting(*args):
        extract = original(*args)

        def run(images):
            passes.append(sum(image.any() for image in images))
            return extract(images)

        return run

    monkeypatch.setattr(builders, "vgg16_extractor", counting)
    train = load_image_files(cats_vs_dogs / "train", shuffle=False)
    search = GridSearchCV(
        make_pipeline(
            # Small images to save time: the count does not depend on the size.
            VGG16BottleneckTransformer(image_size=(48, 48), cache_dir=tmp_path),
            RidgeClassifier(),
        ),
        {"ridgeclassifier__alpha": np.logspace(-1, 6, 8)},
        cv=5,
    )
    search.fit(train.data, train.target)
    print(f"\nimages through VGG16: {sum(passes)}; accuracy {search.best_score_:.3f}")
    assert sum(passes) == 2000
