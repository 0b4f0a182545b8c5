"""Tests of `ScratchCNNClassifier`."""

import contextlib
import copy
import os
import platform
import subprocess
import sys
from pathlib import Path

import joblib
import keras
import numpy as np
import pytest
from _optional import pd
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV

from skvision import ImageAugmenter, ScratchCNNClassifier
from skvision._images.inputs import check_images
from skvision._images.resize import ImageSettings
from skvision._training import image_data
from skvision.exceptions import ImageReadError, TrainingDivergedError

ACCURACY_EXPECTED = 0.9
AUGMENTER = ImageAugmenter(rotation_range=10, horizontal_flip=True)


def cnn(**parameters):
    """Return a small `ScratchCNNClassifier`."""
    defaults = {"image_size": (24, 24), "filters": (8, 8), "dense_units": 16}
    defaults |= {"epochs": 3, "learning_rate": 0.005, "random_state": 0}
    return ScratchCNNClassifier(**defaults | parameters)


@pytest.fixture(scope="module")
def images():
    """90 images with a bright stripe, and its position: left, middle or right."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 100, (90, 28, 30, 3), dtype=np.uint8)
    y = np.arange(90) % 3
    for image, position in zip(X, y, strict=True):
        image[:, 10 * position : 10 * position + 10] += 120
    return X, np.array(["left", "middle", "right"])[y]


@pytest.fixture(scope="module")
def fitted(images):
    """A fitted classifier. Tests must not modify it."""
    X, y = images
    return cnn(epochs=25, augmenter=ImageAugmenter(zoom_range=0.1)).fit(X, y)


def test_learns(fitted, images):
    X, y = images
    assert is_classifier(fitted)
    assert fitted.score(X, y) > ACCURACY_EXPECTED
    proba = fitted.predict_proba(X)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    assert_array_equal(fitted.classes_[proba.argmax(axis=1)], fitted.predict(X))


def test_default_network_is_that_of_chollet_2016(images):
    X, y = images
    classifier = ScratchCNNClassifier(epochs=1, image_size=(150, 150))
    model = classifier.fit(X[:4], y[:4] == "left").model_
    layers = keras.layers
    chollet = keras.Sequential(
        [
            keras.Input((150, 150, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(1),
            layers.Activation("sigmoid"),
        ]
    )
    ours = [(type(layer), layer.output.shape) for layer in model.layers[1:]]
    theirs = [(type(layer), layer.output.shape) for layer in chollet.layers]
    assert ours == theirs
    assert model.count_params() == chollet.count_params()


def test_model_accepts_unscaled_pixels(fitted, images):
    X, _ = images
    model = fitted.model_
    pixels = image_data.ImageData(check_images(X), ImageSettings((24, 24)), None).batch(
        np.arange(len(X))
    )
    proba = model.predict(pixels.astype("float32"), verbose=0)
    assert_allclose(proba, fitted.predict_proba(X), rtol=1e-4, atol=1e-6)


def test_flip_average_is_the_mean_of_both_logits(fitted, images):
    X, _ = images
    mean = (fitted.decision_function(X) + fitted.decision_function(X[:, :, ::-1])) / 2
    assert np.abs(mean - fitted.decision_function(X)).max() > 0.01
    flips = AUGMENTER, True
    for augmenter, flip_average in [(AUGMENTER, "auto"), (None, True), flips]:
        both = copy.copy(fitted)
        both.set_params(augmenter=augmenter, flip_average=flip_average)
        assert_allclose(both.decision_function(X), mean, rtol=1e-4, atol=1e-5)
    both.set_params(flip_average=False)
    assert_array_equal(both.decision_function(X), fitted.decision_function(X))


def test_predictions_do_not_depend_on_the_batch(fitted, images):
    X, _ = images
    proba = fitted.predict_proba(X)
    for i in (0, 31, 89):
        assert_allclose(fitted.predict_proba(X[i : i + 1])[0], proba[i], atol=1e-6)


def test_network_must_be_that_of_fit(fitted, images):
    X, _ = images
    changed = copy.copy(fitted).set_params(batch_size=7, dense_units=5, dropout=0)
    assert_array_equal(changed.predict_proba(X), fitted.predict_proba(X))
    with pytest.raises(ValueError, match=r"for \(24, 24\).*'image_size'.*\(32, 32\)"):
        changed.set_params(image_size=(32, 32)).predict(X)


def test_augmenter_must_keep_the_shape_of_images(images):
    class Lossy(ImageAugmenter):
        def apply(self, images, parameters):
            return images[:1]

    with pytest.raises(ValueError, match=r"Lossy\(\), returned an array of shape \(1,"):
        cnn(augmenter=Lossy(), epochs=1).fit(*images)


def test_all_types_of_X(paths, pixels):
    y = [0, 1] * 12
    expected = cnn().fit(pixels, y).predict_proba(pixels)
    frame = pd.DataFrame({"path": paths})
    for X in (paths, [Path(p) for p in paths], frame, frame["path"]):
        assert_array_equal(cnn().fit(X, y).predict_proba(X), expected)
    assert list(cnn().fit(frame, y).feature_names_in_) == ["path"]


def test_unreadable_image_is_named(paths):
    Path(paths[7]).write_bytes(b"not an image")
    with pytest.raises(ImageReadError, match=r"07\.png. \(X\[7\]\)"):
        cnn().fit(paths, [0, 1] * 12)


def test_divergence_error_names_epoch_and_remedy(images):
    X, y = images
    with pytest.raises(TrainingDivergedError, match=r"epoch 1:.*'learning_rate'"):
        cnn(learning_rate=1e30).fit(X, y)
    # A smaller rate may leave all units dead instead: then the loss stays finite.
    with contextlib.suppress(TrainingDivergedError):
        assert np.isfinite(cnn(learning_rate=1e6).fit(X, y).predict_proba(X)).all()


FITS = {
    "scratch": "cnn = ScratchCNNClassifier(epochs=2, **settings)\n",
    "fine-tuned": "cnn = FineTunedVGGClassifier(weights=None, image_size=(64, 64), "
    "preprocessing='rescale', learning_rate=1e-3, epochs=2, **settings)\n",
}


def fit_in_a_fresh_process(fit, result, **environment):
    """Return the probabilities of a fit in a new process."""
    code = (
        "import os, sys, numpy as np\n"
        "from skvision import *\n"
        "X = np.random.default_rng(0).integers(0, 256, (40, 150, 150, 3), np.uint8)\n"
        "settings = {'augmenter': ImageAugmenter(zoom_range=0.2), 'random_state': 0}\n"
        f"{fit}"
        "before = dict(os.environ)\n"
        "cnn.fit(X, [0, 1] * 20)\n"
        "assert os.environ == before\n"
        "np.save(sys.argv[1], cnn.predict_proba(X))\n"
    )
    kept = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    command = [sys.executable, "-c", code, result]
    subprocess.run(command, check=True, env=kept | environment)
    return np.load(result)


@pytest.mark.slow
@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="x86")
@pytest.mark.parametrize("fit", FITS.values(), ids=FITS.keys())
def test_other_numbers_of_threads_change_only_the_rounding(fit, tmp_path):
    results = [
        fit_in_a_fresh_process(fit, tmp_path / "n.npy", TF_NUM_INTRAOP_THREADS=n)
        for n in ("1", "2", "2")
    ]
    assert_array_equal(results[1], results[2])
    assert_allclose(results[0], results[1], atol=1e-3)


# Augmentation


def test_same_seed_gives_the_same_bits_in_memory_and_streamed(images, monkeypatch):
    X, y = images
    expected = cnn(augmenter=AUGMENTER).fit(X, y)
    proba = expected.predict_proba(X)
    again = clone(expected).fit(X, y)
    assert_array_equal(again.predict_proba(X), proba)
    monkeypatch.setattr(image_data, "MAX_BYTES_IN_MEMORY", 1000)
    streamed = clone(expected).fit(X, y)
    assert_array_equal(streamed.predict_proba(X), proba)
    other = clone(expected).set_params(random_state=1).fit(X, y)
    assert (other.predict_proba(X) != proba).any()


def test_augmentation_depends_on_seed_epoch_and_index_only(images):
    X, _ = images
    data = image_data.ImageData(check_images(X), ImageSettings((24, 24)), AUGMENTER)
    some = data.load().batch(np.array([3, 50, 8]), (7, 2))
    part = data.take(np.arange(40, 60))
    assert_array_equal(part.batch(np.array([10]), (7, 2))[0], some[1])
    assert (data.batch(np.array([3]), (7, 3))[0] != some[0]).any()
    assert (data.batch(np.array([3]), (8, 2))[0] != some[0]).any()
    plain = data.batch(np.array([3, 50, 8]))
    assert plain.dtype == np.uint8
    assert (plain != some).any()


def test_only_training_images_are_augmented(images, monkeypatch):
    X, y = images
    calls = []
    original = ImageAugmenter.apply
    monkeypatch.setattr(
        ImageAugmenter,
        "apply",
        lambda self, images, drawn: (
            calls.append(len(images)) or original(self, images, drawn)
        ),
    )
    classifier = cnn(augmenter=AUGMENTER, epochs=2)
    classifier.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    classifier.predict(X)
    assert sum(calls) == 2 * 60


@pytest.mark.slow
def test_grid_over_augmentation_and_dropout(images):
    X, y = images
    search = GridSearchCV(
        cnn(augmenter=ImageAugmenter(), epochs=2, early_stopping=True),
        [
            {"augmenter__rotation_range": [0, 30], "dropout": [0.3, 0.5]},
            {"augmenter": [None], "l2": [0, 1e-4]},
        ],
        cv=2,
    )
    one = search.fit(X, y).cv_results_["mean_test_score"]
    two = search.set_params(n_jobs=2).fit(X, y).cv_results_["mean_test_score"]
    assert_allclose(two, one, atol=1e-6)


# Persistence and errors


@pytest.mark.slow
def test_joblib_in_a_fresh_process(fitted, images, tmp_path):
    X, _ = images
    joblib.dump(fitted, tmp_path / "cnn.joblib")
    size = sum(w.nbytes for w in fitted._weights)
    assert (tmp_path / "cnn.joblib").stat().st_size < 1.2 * size + 6000
    np.save(tmp_path / "X.npy", X)
    code = f"""
import joblib, numpy, pathlib
folder = pathlib.Path({str(tmp_path)!r})
model = joblib.load(folder / "cnn.joblib")
numpy.save(folder / "proba.npy", model.predict_proba(numpy.load(folder / "X.npy")))
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert_array_equal(np.load(tmp_path / "proba.npy"), fitted.predict_proba(X))


def test_aborted_fit_resumes(images, tmp_path):
    class PowerCut(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("power cut")

    X, y = images
    expected = cnn(augmenter=AUGMENTER).fit(X, y)
    with pytest.raises(RuntimeError, match="power cut"):
        cnn(augmenter=AUGMENTER, checkpoint_dir=tmp_path, callbacks=[PowerCut]).fit(
            X, y
        )
    for other in (AUGMENTER.__class__(rotation_range=11), AUGMENTER):
        resumed = cnn(augmenter=other, checkpoint_dir=tmp_path, epochs=3).fit(X, y)
        same = resumed.history_ == expected.history_
        assert same == (other is AUGMENTER)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"image_size": (9, 24)}, r"'image_size' parameter.*at least 10.*\(9, 24\)"),
        ({"filters": 32}, "'filters' parameter"),
        ({"filters": (32, -1)}, "'filters' parameter"),
        ({"dense_units": 0}, "'dense_units' parameter"),
        ({"augmenter": "flip"}, "'augmenter' parameter"),
        ({"interpolation": "cubic"}, "'interpolation' parameter"),
    ],
)
def test_invalid_parameters_are_named(images, parameters, message):
    with pytest.raises(ValueError, match=message):
        cnn(**parameters).fit(*images)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("filters", (0,)),
        ("optimizer", "best"),
        ("augmenter", ImageAugmenter(zoom_range=(1.2, 0.8))),
        ("callbacks", ["EarlyStopping"]),
    ],
)
def test_parameters_are_checked_before_images_are_read(parameter, value):
    message = "zoom_range" if parameter == "augmenter" else parameter
    with pytest.raises(ValueError, match=message):
        ScratchCNNClassifier(**{parameter: value}).fit(["a.jpg", "b.jpg"], [0, 1])
