"""Tests of `FineTunedVGGClassifier`."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import time

import joblib
import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skvision import (
    FineTunedVGGClassifier,
    ImageAugmenter,
    VGG16BottleneckTransformer,
)
from skvision._backbones.weights import load_vgg16_weights
from skvision._features.store import FeatureStore
from skvision._nets import builders
from skvision._training import loop
from skvision._training.frozen_maps import (
    FLIPS,
    flips_of,
    numbers_of_views,
    random_views,
)
from skvision.exceptions import SkvisionWarning
from skvision.plot import TrainingHistoryDisplay

ZOOM = ImageAugmenter(zoom_range=0.2, rotation_range=10)


def vgg(**parameters):
    """Return a small `FineTunedVGGClassifier` with a hidden layer."""
    defaults = {"weights": None, "image_size": (32, 32), "preprocessing": "rescale"}
    defaults |= {"hidden_units": (16,), "head_epochs": 4, "epochs": 3}
    defaults |= {"learning_rate": 1e-3, "ema_momentum": None}
    defaults |= {"n_augmented_views": 2, "random_state": 0}
    return FineTunedVGGClassifier(**defaults | parameters)


def logistic(**parameters):
    """Return a small `FineTunedVGGClassifier` that stays at its logistic regression."""
    defaults = {"weights": None, "image_size": (32, 32), "random_state": 0}
    return FineTunedVGGClassifier(
        **defaults | {"epochs": 1, "learning_rate": 1e-12} | parameters
    )


def second_approach(**parameters):
    defaults = {"weights": None, "image_size": (32, 32)}
    return make_pipeline(
        VGG16BottleneckTransformer(**defaults | parameters), LogisticRegression()
    )


@pytest.fixture(scope="module")
def images():
    """24 images whose left or right half is dark, and which one it is."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    X[::2, :, :16] //= 4
    X[1::2, :, 16:] //= 4
    return X, np.array(["left", "right"] * 12)


@pytest.fixture(scope="module")
def fitted(images):
    """A fitted classifier. Tests must not modify it."""
    return vgg(augmenter=ZOOM, head_epochs=20).fit(*images)


@pytest.mark.parametrize(("phase", "n_epochs"), [("head", 20), ("fine_tuning", 3)])
def test_history_display_of_each_phase(fitted, phase, n_epochs):
    pytest.importorskip("matplotlib")
    display = TrainingHistoryDisplay.from_estimator(fitted, phase=phase)
    assert len(display.lines_["loss"].get_xdata()) == n_epochs
    with pytest.raises(ValueError, match=r"'phase' must be one of .*Got 'first'"):
        TrainingHistoryDisplay.from_estimator(fitted, phase="first")


@pytest.fixture
def passes(monkeypatch):
    """Number of images in each forward pass of the frozen blocks."""
    original, numbers = builders.vgg16_extractor, []

    def counting(*args):
        extract = original(*args)

        def run(images):
            numbers.append(sum(image.any() for image in images))
            return extract(images)

        return run

    monkeypatch.setattr(builders, "vgg16_extractor", counting)
    return numbers


@pytest.fixture
def float32_activations(monkeypatch):
    """Do not round the activations of the frozen blocks to float16."""
    original = FineTunedVGGClassifier._base
    monkeypatch.setattr(
        FineTunedVGGClassifier,
        "_base",
        lambda self: original(self).set_params(dtype="float32"),
    )


class Interrupt(keras.callbacks.Callback):
    """Interrupt the fit at the start of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_learns(fitted, images):
    X, y = images
    assert fitted.score(X, y) >= 0.9
    assert len(fitted.history_["head"]["loss"]) == 20
    assert fitted.history_["fine_tuning"]["loss"] == fitted.loss_curve_
    assert fitted.n_iter_ == len(fitted.loss_curve_) == 3


@pytest.mark.slow
@pytest.mark.usefixtures("float32_activations")
@pytest.mark.parametrize("n_blocks", [0, 2, 5])
@pytest.mark.parametrize("preprocessing", ["imagenet", "rescale"])
def test_model_is_the_whole_network(images, n_blocks, preprocessing, tmp_path):
    X, y = images
    classifier = vgg(
        n_trainable_blocks=n_blocks, preprocessing=preprocessing, epochs=1
    ).fit(X, y)
    model = classifier.model_
    assert model.input_shape == (None, 32, 32, 3)
    n_centring = 12 if preprocessing == "imagenet" else 0
    assert model.count_params() == 14_714_688 + n_centring + 512 * 16 + 16 + 16 + 1
    expected = classifier.predict_proba(X)[:, 1]
    proba = model.predict(X.astype("float32"), verbose=0)[:, 0]
    assert_allclose(proba, expected, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    again = loaded.predict(X.astype("float32"), verbose=0)[:, 0]
    assert_allclose(again, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "normalization",
    [pytest.param(n, marks=pytest.mark.slow) for n in ("power", "l2", None)],
)
def test_model_can_be_saved_in_the_old_format_of_keras(images, normalization, tmp_path):
    X, y = images
    classifier = logistic(normalization=normalization).fit(X, y)
    model = classifier.model_
    model.save(tmp_path / "model.h5")
    loaded = keras.models.load_model(tmp_path / "model.h5", compile=False)
    expected, proba = (m.predict(X, verbose=0)[:, 0] for m in (model, loaded))
    assert_allclose(proba, expected, rtol=1e-6)
    assert_allclose(proba, classifier.predict_proba(X)[:, 1], atol=1e-3)


@pytest.mark.slow
def test_model_loads_in_a_new_process_without_skvision(images, tmp_path):
    X, y = images[0], np.array(list("abc") * 8)
    classifier = logistic(augmenter=ZOOM, learning_rate=1e-3).fit(X, y)
    for ending in ("keras", "h5"):
        classifier.model_.save(tmp_path / f"model.{ending}")
    np.save(tmp_path / "X.npy", X.astype("float32"))
    code = """
import sys
sys.modules["skvision"] = None
import keras, numpy
for ending in ("keras", "h5"):
    model = keras.models.load_model("model." + ending, compile=False)
    numpy.save(ending, model.predict(numpy.load("X.npy"), verbose=0))
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    for ending in ("keras", "h5"):
        proba = np.load(tmp_path / f"{ending}.npy")
        assert_allclose(proba, classifier.predict_proba(X), atol=1e-3)
        assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "n_blocks", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 5))]
)
def test_flip_average_is_the_mean_of_both_logits(images, n_blocks, tmp_path):
    X, y = images
    plain = vgg(n_trainable_blocks=n_blocks, epochs=1, flip_average=False)
    plain.fit(X, y)
    both = copy.copy(plain).set_params(flip_average=True, cache_dir=tmp_path)
    mean = (plain.decision_function(X) + plain.decision_function(X[:, :, ::-1])) / 2
    assert np.abs(mean - plain.decision_function(X)).max() > 0.01
    for _ in range(2):  # computed, then read
        assert_allclose(both.decision_function(X), mean, rtol=1e-4, atol=1e-5)
    assert_allclose(
        both.decision_function(X[3:5]), both.decision_function(X)[3:5], rtol=1e-4
    )


@pytest.mark.parametrize(
    ("augmenter", "n_views"),
    [(None, 1), (ZOOM, 1), (ImageAugmenter(horizontal_flip=True), 2)],
)
def test_flip_average_follows_the_augmenter(augmenter, n_views, fitted, images, passes):
    classifier = copy.copy(fitted).set_params(augmenter=augmenter)
    classifier.predict(images[0])
    assert sum(passes) == n_views * len(images[0])


@pytest.mark.slow
@pytest.mark.usefixtures("float32_activations")
def test_training_steps_equal_those_of_keras_on_the_whole_model(images):
    X, y = images
    common = {"dropout": 0.0, "batch_size": 8, "epochs": 4}
    common |= {"learning_rate_schedule": "constant"}
    start = vgg(**common, callbacks=[lambda: Interrupt(0)])
    with pytest.warns(SkvisionWarning, match="in epoch 1 of 4.*as after epoch 0"):
        model = start.fit(X, y).model_
    ours = vgg(**common).fit(X, y)

    for layer in model.layers:
        layer.trainable = not layer.name.startswith(("block1", "block2", "block3"))
        layer.trainable &= not layer.name.startswith("block4")
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), "binary_crossentropy")
    seed = np.random.RandomState(0).randint(2**31 - 1)
    for epoch in range(4):
        rng = np.random.default_rng([seed, loop.SHUFFLE, epoch])
        order = rng.permutation(len(y))
        inputs, targets = X[order].astype("float32"), (y[order] == "right") * 1.0
        model.fit(inputs, targets, batch_size=8, shuffle=False, verbose=0)
    assert len(model.trainable_variables) == len(ours._weights) == 10
    for weights, variable in zip(ours._weights, model.trainable_variables, strict=True):
        difference = np.abs(weights - variable.numpy()).max()
        assert difference <= 1e-3 * np.abs(weights).max()


@pytest.mark.parametrize(
    ("labels", "settings"),
    [
        ("abc", {}),
        pytest.param("ab", {}, marks=pytest.mark.slow),
        pytest.param(
            "ab",
            {"normalization": "l2", "pooling": "max", "image_size": (32, 64)},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "abc",
            {"normalization": None, "pooling": None, "image_size": (64, 32)},
            marks=pytest.mark.slow,
        ),
    ],
    ids=str,
)
def test_first_epoch_starts_from_the_second_approach(images, labels, settings):
    X, y = images[0], np.resize(list(labels), 24)
    classifier = logistic(**settings).fit(X, y)
    pipeline = second_approach(**settings)
    if settings.get("normalization", "power") is None:
        pipeline.set_params(logisticregression__max_iter=10_000)
    expected = pipeline.fit(X, y).predict_proba(X)
    assert np.ptp(expected[:, 0]) > 0.05
    # The network adds 1e-3 to each value before the root, and rounds to float16.
    assert_allclose(classifier.predict_proba(X), expected, atol=0.01)
    head = classifier.history_["head"]
    assert head["loss"] == pytest.approx([log_loss(y, expected)], abs=0.01)
    assert head["accuracy"] == [classifier.score(X, y)]


@pytest.mark.parametrize(
    ("flip_average", "augmenter", "is_mirrored"),
    [
        ("auto", ImageAugmenter(horizontal_flip=True), True),
        pytest.param(True, None, True, marks=pytest.mark.slow),
        pytest.param(
            False, ImageAugmenter(horizontal_flip=True), False, marks=pytest.mark.slow
        ),
    ],
)
def test_head_is_trained_on_mirror_images_if_predictions_average_over_them(
    images, flip_average, augmenter, is_mirrored
):
    X, y = images
    mirrored = X[:, :, ::-1]
    classifier = logistic(flip_average=flip_average, augmenter=augmenter).fit(X, y)
    pipeline = second_approach()
    logits = pipeline.fit(X, y).decision_function(X)
    if is_mirrored:
        # Both together count as one sample.
        pipeline.set_params(logisticregression__C=0.5)
        pipeline.fit(np.concatenate([X, mirrored]), np.concatenate([y, y]))
        logits = pipeline.decision_function(X) + pipeline.decision_function(mirrored)
        logits /= 2
    assert_allclose(classifier.decision_function(X), logits, atol=0.01)


@pytest.mark.parametrize("given", ["sample_weight", "class_weight"])
def test_weights_reach_the_logistic_regression(images, given):
    X, y = images[0], np.array(list("abc") * 8)
    classes = {"a": 1.0, "b": 5.0, "c": 0.2}
    weight = np.array([classes[label] for label in y])
    if given == "class_weight":
        classifier = logistic(class_weight=classes).fit(X, y)
    else:
        classifier = logistic().fit(X, y, sample_weight=1e6 * weight)
    pipeline = second_approach()
    pipeline.fit(X, y, logisticregression__sample_weight=weight / weight.mean())
    expected = pipeline.predict_proba(X)
    assert expected[:, 1].min() > 0.6
    assert_allclose(classifier.predict_proba(X), expected, atol=1e-3)


@pytest.mark.parametrize("labels", ["ab", "abc"])
def test_class_whose_samples_all_have_a_weight_of_zero_is_not_predicted(images, labels):
    X, y = images[0], np.resize(list(labels), 24)
    classifier = logistic(class_weight={"b": 0}).fit(X, y)
    proba = classifier.predict_proba(X)
    assert proba.shape == (24, len(labels))
    assert proba[:, 1].max() < 0.01
    if labels == "abc":
        others = second_approach().fit(X[y != "b"], y[y != "b"]).predict_proba(X)
        assert_allclose(proba[:, [0, 2]], others, atol=0.05)


def test_logistic_regression_is_kept_if_fine_tuning_is_worse(images):
    X, y = images
    classifier = logistic(early_stopping=True, learning_rate=10.0, epochs=9)
    classifier.set_params(n_iter_no_change=1).fit(X, y, X_val=X[:8], y_val=y[:8])
    assert (classifier.best_epoch_, classifier.n_iter_) == (0, 1)
    pipeline = second_approach().fit(X, y)
    expected = pipeline.predict_proba(X)
    assert_allclose(classifier.predict_proba(X), expected, atol=1e-3)
    head = classifier.history_["head"]
    assert {len(values) for values in head.values()} == {1}
    assert head["val_accuracy"] == [pipeline.score(X[:8], y[:8])]
    expected = log_loss(y[:8], pipeline.predict_proba(X[:8]))
    assert head["val_loss"] == pytest.approx([expected], abs=1e-3)


def test_interrupt_in_the_first_epoch_keeps_the_logistic_regression(images):
    X, y = images
    expected = logistic().fit(X, y).predict_proba(X)
    interrupted = logistic(callbacks=[lambda: Interrupt(0)])
    with pytest.warns(SkvisionWarning, match="in epoch 1 of 1.*as after epoch 0"):
        interrupted.fit(X, y)
    assert interrupted.n_iter_ == 0
    assert_allclose(interrupted.predict_proba(X), expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("l2", [[0], pytest.param([0, 1e-3], marks=pytest.mark.slow)])
def test_grid_search_computes_each_view_once(images, passes, tmp_path, l2):
    search = GridSearchCV(
        vgg(augmenter=ZOOM, cache_dir=tmp_path, head_epochs=1, epochs=2),
        {"dropout": [0.0, 0.5], "l2": l2, "learning_rate": [1e-3, 1e-4]},
        cv=3,
    ).fit(*images)
    assert sum(passes) == len(images[0]) * (1 + 2)
    search.predict(images[0])
    assert sum(passes) == len(images[0]) * (1 + 2)


def test_store_is_shared_with_the_transformer(images, passes, tmp_path):
    VGG16BottleneckTransformer(
        weights=None,
        layer="block4_pool",
        pooling=None,
        image_size=(32, 32),
        preprocessing="rescale",
        dtype="float16",
        cache_dir=tmp_path,
    ).transform(images[0])
    passes.clear()
    vgg(cache_dir=tmp_path, epochs=1).fit(*images)
    assert not passes


def test_results_are_the_same_with_and_without_a_store(images, fitted, tmp_path):
    X, y = images
    expected = fitted.predict_proba(X)
    for _ in "cold", "warm":
        classifier = vgg(augmenter=ZOOM, head_epochs=20, cache_dir=tmp_path)
        assert_array_equal(classifier.fit(X, y).predict_proba(X), expected)


def test_predictions_do_not_depend_on_the_batch(images, fitted):
    X = images[0]
    expected = fitted.predict_proba(X)
    for n in (1, 2, 3, 4, 13):  # passes of as many images
        assert_allclose(fitted.predict_proba(X[:n]), expected[:n], rtol=1e-5)
    assert_array_equal(fitted.predict_proba(X[::-1]), expected[::-1])


@pytest.mark.parametrize(
    "cache_dir", ["cache", pytest.param(None, marks=pytest.mark.slow)]
)
def test_limit_of_the_store_does_not_change_the_result(
    images, fitted, passes, tmp_path, monkeypatch, cache_dir
):
    X, y = images
    expected = fitted.predict_proba(X)
    monkeypatch.chdir(tmp_path)
    sizes = []

    def size_of_the_store():
        if cache_dir is not None:  # else it has no name
            sizes.append(os.path.getsize(tmp_path / cache_dir / "features.sqlite3"))
        return keras.callbacks.Callback()

    passes.clear()
    limited = clone(fitted).set_params(
        max_cache_bytes=300_000, cache_dir=cache_dir, callbacks=[size_of_the_store]
    )
    assert_array_equal(limited.fit(X, y).predict_proba(X), expected)
    assert len(sizes) == (cache_dir is not None)
    assert max(sizes, default=0) <= 300_000
    assert sum(passes) > len(X) * 3


def test_views_depend_on_content_and_seed_only(images):
    X = images[0]
    views = random_views(ZOOM, 3, seed=7)
    assert len(views) == 3
    drawn = [view(X[0]) for view in views.values()]
    again = [view(X[0].copy()) for view in random_views(ZOOM, 3, seed=7).values()]
    assert_array_equal(drawn, again)
    others = [view(X[0]) for view in random_views(ZOOM, 3, seed=8).values()]
    for a, b in [(drawn[0], drawn[1]), (drawn[0], others[0])]:
        assert (a != b).any()
    assert not views.keys() & random_views(ZOOM, 3, seed=8).keys()


def test_views_of_different_augmenters_have_different_keys():
    shifts = np.full(2000, 0.1)  # printed in short
    augmenters = [ImageAugmenter(width_shift_range=shifts)]
    augmenters += [ImageAugmenter(width_shift_range=np.append(0.2, shifts[1:]))]
    augmenters += [type("Other", (ImageAugmenter,), {})(width_shift_range=shifts)]
    keys = [key for augmenter in augmenters for key in random_views(augmenter, 1, 0)]
    assert len(set(keys)) == 3
    augmenters[0].width_shift_range = tuple(shifts)  # of np.float64
    assert list(random_views(augmenters[0], 1, 0)) == keys[:1]


def test_augmenter_of_a_subclass_is_used(images, tmp_path):
    def history(factor):
        class Darker(ImageAugmenter):
            def apply(self, images, parameters):
                return factor * super().apply(images, parameters)

        augmenter = Darker(horizontal_flip=True)
        classifier = vgg(augmenter=augmenter, cache_dir=tmp_path, epochs=1)
        return classifier.set_params(head_epochs=1).fit(*images).history_

    assert history(0.1) != history(1.0)


@pytest.mark.parametrize(
    ("flips", "names"),
    [
        ({}, ("plain",)),
        ({"horizontal_flip": True}, ("plain", "mirrored")),
        ({"vertical_flip": True}, ("plain", "upside down")),
        (
            {"horizontal_flip": True, "vertical_flip": True},
            ("plain", "mirrored", "upside down", "turned"),
        ),
    ],
)
def test_flips_are_all_different_copies(images, flips, names):
    views = flips_of(ImageAugmenter(**flips))
    assert views == names
    assert len({FLIPS[view](images[0][0]).tobytes() for view in views}) == len(names)


@pytest.mark.parametrize(
    ("settings", "n_views", "n_flips", "n_random"),
    [
        ({"horizontal_flip": True, "rotation_range": 5}, 3, 2, 3),
        pytest.param({"horizontal_flip": True}, None, 2, 0, marks=pytest.mark.slow),
        pytest.param(
            {"horizontal_flip": True, "vertical_flip": True},
            *(3, 4, 0),
            marks=pytest.mark.slow,
        ),
        pytest.param({"zoom_range": 0.2}, 3, 1, 3, marks=pytest.mark.slow),
    ],
)
def test_n_augmented_views_counts_random_views_only(
    images, passes, tmp_path, settings, n_views, n_flips, n_random
):
    augmenter = ImageAugmenter(**settings)
    classifier = logistic(augmenter=augmenter, n_augmented_views=n_views)
    classifier.set_params(cache_dir=tmp_path)
    for _ in "cold", "warm":
        classifier.fit(*images)
        assert sum(passes) == (n_flips + n_random) * len(images[0])
        classifier.predict(images[0])
        assert sum(passes) == (n_flips + n_random) * len(images[0])


def test_epochs_use_flipped_copies_and_random_views(images):
    flip = ImageAugmenter(horizontal_flip=True, zoom_range=0.1)
    data = vgg(augmenter=flip)._check_data(images[0], reset=True).load(seed=3)
    assert data.views[:2] == ("plain", "mirrored")
    assert len(data.views) == 4
    indices = np.arange(24)
    epochs = [data.batch(indices, (3, epoch)) for epoch in range(8)]
    # All four in four epochs, in another order for each image and cycle.
    for some in (epochs[:4], epochs[4:]):
        of_image = [{maps[i].tobytes() for maps in some} for i in indices]
        assert {len(views) for views in of_image} == {4}
    plain, mirrored = data.batch(indices), data.mirrored().batch(indices)
    for maps in (plain, mirrored):
        used = [(epoch == maps).all(axis=(1, 2, 3)) for epoch in epochs]
        assert_array_equal(np.sum(used, axis=0), 2)


def test_epochs_cycle_through_all_views():
    numbers = np.array([numbers_of_views(0, epoch, 3, 24) for epoch in range(6)])
    assert_array_equal(
        np.sort(numbers[:3], axis=0), np.arange(3)[:, None].repeat(24, 1)
    )
    assert (numbers[0] != numbers[0, 0]).any()
    assert (numbers[:3] != numbers[3:]).any()


def test_unlimited_views_are_new_in_each_epoch(images, passes, tmp_path):
    flip = clone(ZOOM).set_params(horizontal_flip=True)
    classifier = vgg(augmenter=flip, n_augmented_views=None, flip_average=False)
    classifier.set_params(cache_dir=tmp_path).fit(*images)
    assert sum(passes) == len(images[0]) * (1 + 3)
    with FeatureStore(tmp_path) as store:
        assert store.info().n_entries == len(images[0])


@pytest.mark.parametrize(
    "ema_momentum", [0.9, pytest.param(None, marks=pytest.mark.slow)]
)
def test_validation_data_and_early_stopping(images, ema_momentum):
    X, y = images
    classifier = vgg(early_stopping=True, n_iter_no_change=1, epochs=6)
    classifier.set_params(ema_momentum=ema_momentum)
    classifier.fit(X, y, X_val=X[:6], y_val=y[:6])
    assert classifier.n_iter_ <= 6
    assert 0 <= classifier.best_epoch_ <= classifier.n_iter_
    scores = classifier.history_["fine_tuning"]["val_accuracy"]
    assert classifier.validation_scores_ == scores
    head = classifier.history_["head"]
    best = max([head["val_accuracy"][-1], *scores])
    assert classifier.best_validation_score_ == best
    assert classifier.score(X[:6], y[:6]) == best
    assert len(head["val_loss"]) == 4


@pytest.mark.slow
def test_early_stopping_may_restore_the_head(images):
    X, y = images
    validation = {"X_val": X[:6], "y_val": y[:6]}
    head = vgg(callbacks=[lambda: Interrupt(0)], head_epochs=20)
    with pytest.warns(SkvisionWarning, match="as after epoch 0"):
        head.fit(X, y, **validation)
    diverging = clone(head).set_params(
        callbacks=None, early_stopping=True, n_iter_no_change=2, learning_rate=10.0
    )
    diverging.fit(X, y, **validation)
    assert (diverging.best_epoch_, diverging.n_iter_) == (0, 2)
    assert_array_equal(diverging.predict_proba(X), head.predict_proba(X))


@pytest.mark.parametrize(("hidden_units", "n_head_epochs"), [((16,), 4), ((), 1)])
def test_warm_start_continues_without_training_the_head_again(
    images, hidden_units, n_head_epochs
):
    classifier = vgg(warm_start=True, hidden_units=hidden_units).fit(*images)
    head = classifier.history_["head"]
    classifier.fit(*images)
    assert classifier.n_iter_ == 6
    assert classifier.history_["head"] == head
    assert len(head["loss"]) == n_head_epochs


@pytest.mark.slow
def test_more_classes_and_an_augmenter_in_a_grid(images):
    X = images[0]
    y = np.arange(24) % 3
    search = GridSearchCV(
        vgg(augmenter=ImageAugmenter(), epochs=1, head_epochs=1),
        {"augmenter__zoom_range": [0.0, 0.3]},
        cv=2,
    ).fit(X, y)
    assert search.predict_proba(X).shape == (24, 3)
    zoom = search.best_params_["augmenter__zoom_range"]
    assert clone(search.best_estimator_).augmenter.zoom_range == zoom


@pytest.mark.parametrize(
    "early_stopping", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_interrupt_restores_the_last_complete_epoch(images, early_stopping):
    X, y = images
    common = {"early_stopping": early_stopping, "augmenter": ZOOM}
    common |= {"learning_rate_schedule": "constant"}
    classifier = vgg(**common, callbacks=[lambda: Interrupt(2)])
    with pytest.warns(SkvisionWarning, match="in epoch 3 of 3.*as after epoch 2"):
        classifier.fit(X, y)
    expected = vgg(**common, epochs=2).fit(X, y)
    assert_array_equal(classifier.predict_proba(X), expected.predict_proba(X))


def test_interrupt_while_training_the_head_keeps_the_head(images, monkeypatch):
    X, y = images
    original, epochs = loop._Training._run_epoch, []

    def run_epoch(*args):
        epochs.append(args)
        if len(epochs) == 3:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(loop._Training, "_run_epoch", run_epoch)
    with pytest.warns(SkvisionWarning, match="in epoch 3 of 4.*as after epoch 2"):
        classifier = vgg().fit(X, y)
    assert classifier.n_iter_ == 0
    assert classifier.loss_curve_ == []
    assert len(classifier.history_["head"]["loss"]) == 2
    assert classifier.predict_proba(X).shape == (24, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hidden_units", "ema_momentum"),
    [((), None), pytest.param((16,), 0.9, marks=pytest.mark.slow)],
)
def test_interrupted_fit_resumes_from_the_checkpoint(
    images, tmp_path, hidden_units, ema_momentum
):
    X, y = images
    common = {"augmenter": ZOOM, "ema_momentum": ema_momentum}
    common["hidden_units"] = hidden_units
    expected = vgg(**common).fit(X, y)
    common["checkpoint_dir"] = tmp_path
    with pytest.warns(SkvisionWarning, match="in epoch 2 of 3"):
        vgg(callbacks=[lambda: Interrupt(1)], **common).fit(X, y)
    assert len(os.listdir(tmp_path)) == (2 if hidden_units else 1)
    resumed = vgg(**common).fit(X, y)
    assert resumed.history_ == expected.history_
    assert_array_equal(resumed.predict_proba(X), expected.predict_proba(X))
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_killed_fit_resumes(images, tmp_path):
    X, y = images
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    code = """
import pickle, sys, numpy
from skvision import FineTunedVGGClassifier
from skvision import ImageAugmenter
folder, name = sys.argv[1:]
X, y = numpy.load(f"{folder}/X.npy"), numpy.load(f"{folder}/y.npy")
classifier = FineTunedVGGClassifier(
    weights=None, image_size=(32, 32), preprocessing="rescale", hidden_units=(16,),
    head_epochs=30, epochs=40, learning_rate=1e-3, n_augmented_views=2, random_state=0,
    augmenter=ImageAugmenter(zoom_range=0.2), cache_dir=f"{folder}/{name}_store",
    checkpoint_dir=f"{folder}/{name}_checkpoints")
print("begin", flush=True)
classifier.fit(X, y)
with open(f"{folder}/{name}.pkl", "wb") as file:
    pickle.dump((classifier.history_, classifier.predict_proba(X)), file)
"""
    command = [sys.executable, "-c", code, tmp_path]
    # Also in a new process, so that it uses the same number of threads.
    subprocess.run([*command, "uninterrupted"], check=True)
    n_times = int(os.environ.get("SKVISION_TEST_KILLS", "4"))
    rng = np.random.default_rng(0)
    n_killed = 0
    while not (tmp_path / "killed.pkl").exists():
        process = subprocess.Popen(
            [*command, "killed"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "begin\n"
        if n_killed < n_times:
            time.sleep(rng.uniform(2, 7))
            process.send_signal(signal.SIGKILL)
            n_killed += process.wait() == -signal.SIGKILL
        process.communicate()
    results = [
        pickle.loads((tmp_path / f"{name}.pkl").read_bytes())
        for name in ("uninterrupted", "killed")
    ]
    print(f"\nkilled {n_killed} times")
    assert n_killed >= n_times / 2
    assert results[0][0] == results[1][0]
    assert_array_equal(results[0][1], results[1][1])


@pytest.mark.slow
def test_joblib_in_a_fresh_process(fitted, images, tmp_path):
    X, _ = images
    path = tmp_path / "fitted.joblib"
    joblib.dump(fitted, path)
    assert path.stat().st_size <= 1.2 * sum(w.nbytes for w in fitted._weights)
    np.save(tmp_path / "X.npy", X)
    code = (
        "import joblib, numpy, sys\n"
        f"X = numpy.load({str(tmp_path / 'X.npy')!r})\n"
        f"proba = joblib.load({str(path)!r}).predict_proba(X)\n"
        f"numpy.save({str(tmp_path / 'proba.npy')!r}, proba)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert_array_equal(np.load(tmp_path / "proba.npy"), fitted.predict_proba(X))


def test_pickle_of_an_unfitted_classifier_is_small():
    assert len(pickle.dumps(FineTunedVGGClassifier())) < 2000


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("image_size", (64, 64)),
        ("n_trainable_blocks", 2),
        ("preprocessing", "imagenet"),
        ("pooling", "max"),
    ],
)
def test_network_must_be_that_of_fit(images, fitted, parameter, value):
    changed = copy.copy(fitted).set_params(**{parameter: value})
    for call in lambda: changed.predict(images[0]), lambda: changed.model_:
        with pytest.raises(ValueError, match=r"was fitted with.*now describe"):
            call()


def test_predict_with_other_weights_than_fit_raises(images, fitted):
    other = pickle.loads(pickle.dumps(fitted))
    other.weights_digest_ = "0" * 64
    with pytest.raises(ValueError, match="'weights' parameter is None, and that means"):
        other.predict(images[0])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_trainable_blocks": 6}, "'n_trainable_blocks' parameter"),
        ({"n_augmented_views": 0}, "'n_augmented_views' parameter"),
        ({"learning_rate": None}, "'learning_rate' parameter"),
        ({"momentum": 1.0}, "'momentum' parameter"),
        ({"image_size": (16, 16)}, r"'image_size' parameter.*at least 32"),
        ({"hidden_units": 16}, "'hidden_units' parameter"),
        ({"pooling": "mean"}, "'pooling' parameter"),
        ({"normalization": True}, "'normalization' parameter"),
        ({"compute_dtype": "float16"}, "'compute_dtype' parameter"),
        ({"augmenter": "flip"}, "'augmenter' parameter"),
    ],
)
def test_invalid_parameters_are_named(images, parameters, message):
    with pytest.raises(ValueError, match=message):
        vgg(**parameters).fit(*images)


def save_weights(path, scale):
    layers = load_vgg16_weights(None)
    arrays = {
        f"{name}/{part}": scale * values
        for name, pair in layers.items()
        for part, values in zip(("kernel", "bias"), pair, strict=True)
    }
    np.savez(path, **arrays)


@pytest.mark.slow
def test_weights_that_change_during_a_fit_are_an_error(images, tmp_path):
    X, y = images
    path = tmp_path / "weights.npz"
    save_weights(path, 1)
    replace = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: save_weights(path, 0.9)
    )
    with pytest.raises(ValueError, match="means different weights"):
        vgg(weights=path, callbacks=[replace]).fit(X, y)
    classifier = vgg(weights=path, warm_start=True, epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="'weights' parameter is None, and that means"):
        classifier.set_params(weights=None).fit(X, y)
