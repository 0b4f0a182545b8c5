import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import warnings

import joblib
import keras
import numpy as np
import pytest
import sklearn
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)

from skvision import DenseHeadClassifier
from skvision._nets import layers, programs
from skvision._training import checkpoint, loop
from skvision.exceptions import SkvisionWarning, TrainingDivergedError

ACCURACY_EXPECTED = 0.9


def data(n_classes=2, n_samples=120, random_state=0):
    X, y = make_classification(
        n_samples=n_samples,
        n_features=10,
        n_informative=6,
        n_classes=n_classes,
        class_sep=2.0,
        random_state=random_state,
    )
    return X.astype(np.float32), y


def head(**parameters):
    defaults = {"hidden_units": (16,), "epochs": 6, "random_state": 0}
    return DenseHeadClassifier(**defaults | {"learning_rate": 0.01} | parameters)


@pytest.fixture(scope="module", params=[2, 3], ids=["binary", "multi-class"])
def fitted(request):
    """A fitted classifier and its data; not to be changed."""
    X, y = data(request.param)
    y = np.array(["cat", "dog", "eel"])[y]
    return head(epochs=30).fit(X, y), X, y


# The official checks

EXPECTED_FAILED_CHECKS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "Training in mini-batches: a repeated sample lands in other batches than one "
        "with a weight of 2."
    )
}


@parametrize_with_checks(
    [head(hidden_units=(32,), epochs=40, batch_size=8, dropout=0.0)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILED_CHECKS,
)
def test_scikit_learn_checks(estimator, check):
    try:
        check(estimator)
    except estimator_checks.SkipTest as skip:
        pytest.fail(f"skipped: {skip}")


def test_so_many_checks_run():
    is_1_9 = hasattr(estimator_checks, "check_all_zero_sample_weights_error")
    assert len(list(estimator_checks_generator(head()))) == 62 + is_1_9


# What it learns and returns


def test_learns(fitted):
    classifier, X, y = fitted
    assert classifier.score(X, y) > ACCURACY_EXPECTED
    assert is_classifier(classifier)
    assert list(classifier.classes_) == sorted(set(y))


def test_outputs_agree(fitted):
    classifier, X, _ = fitted
    proba = classifier.predict_proba(X)
    logits = classifier.decision_function(X)
    assert proba.shape == (len(X), len(classifier.classes_))
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    assert_array_equal(classifier.classes_[proba.argmax(axis=1)], classifier.predict(X))
    if len(classifier.classes_) == 2:
        assert logits.shape == (len(X),)
        assert_allclose(proba[:, 1], 1 / (1 + np.exp(-logits)), rtol=1e-5, atol=1e-7)
    else:
        assert logits.shape == proba.shape
        exp = np.exp(logits)
        expected = exp / exp.sum(axis=1, keepdims=True)
        assert_allclose(proba, expected, rtol=1e-5, atol=1e-7)


def test_model_is_the_network_with_keras_layers(fitted):
    classifier, X, _ = fitted
    model = classifier.model_
    assert [type(layer).__name__ for layer in model.layers] == [
        "InputLayer",
        "Dense",
        "Dropout",
        "Dense",
        "Activation",
    ]
    proba = model.predict(X, verbose=0)
    if proba.shape[1] == 1:
        proba = np.hstack([1 - proba, proba])
    assert_allclose(proba, classifier.predict_proba(X), rtol=1e-5, atol=1e-6)
    before = classifier.predict_proba(X)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    assert_array_equal(classifier.predict_proba(X), before)


def test_prediction_does_not_depend_on_the_batch(fitted):
    classifier, X, _ = fitted
    proba = classifier.predict_proba(X)
    assert_array_equal(classifier.predict_proba(X[::-1])[::-1], proba)
    for i in (0, 17, 118):
        assert_array_equal(classifier.predict_proba(X[i : i + 1])[0], proba[i])


def test_same_steps_as_keras(monkeypatch):
    # Without dropout, with the same initial weights and order, Keras' own training
    # loop must end with the same weights.
    X, y = data(n_samples=56)
    classifier = head(
        dropout=0.0, epochs=3, l1=1e-3, l2=1e-2, class_weight={0: 1.0, 1: 3.0}
    )
    initial = []
    original = programs.Program.initial_weights
    monkeypatch.setattr(
        programs.Program,
        "initial_weights",
        lambda self, seed: initial.append(original(self, seed)) or initial[0],
    )
    classifier.fit(X, y)

    regularizer = keras.regularizers.L1L2(1e-3, 1e-2)
    dense = keras.layers.Dense
    model = keras.Sequential(
        [
            dense(16, activation="relu", kernel_regularizer=regularizer),
            dense(1, activation="sigmoid", kernel_regularizer=regularizer),
        ]
    )
    model.build((None, 10))
    model.set_weights(initial[0])
    model.compile(
        keras.optimizers.RMSprop(0.01), "binary_crossentropy", metrics=["accuracy"]
    )
    weight = np.where(y == 1, 3.0, 1.0)
    weight /= weight.mean()
    seed = np.random.RandomState(0).randint(2**31 - 1)
    for epoch in range(3):
        order = np.random.default_rng([seed, loop.SHUFFLE, epoch])
        order = order.permutation(len(y))
        history = model.fit(
            X[order],
            y[order],
            sample_weight=weight[order],
            batch_size=16,
            shuffle=False,
            verbose=0,
        )
    for ours, theirs in zip(classifier._weights, model.get_weights(), strict=True):
        assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert_allclose(classifier.loss_curve_[-1], history.history["loss"], rtol=1e-3)


def test_dropout_drops_and_keeps_the_mean():
    layer = layers.Dropout("dropout", position=0)
    layer.rate.assign(0.3)
    layer.seed.assign([1, 2])
    ones = tf.ones((200, 100))
    dropped = layer(ones, training=True).numpy()
    assert abs((dropped == 0).mean() - 0.3) < 0.02
    assert_allclose(dropped[dropped > 0], 1 / 0.7, rtol=1e-6)
    assert_array_equal(layer(ones, training=True).numpy(), dropped)
    layer.seed.assign([1, 3])
    assert (layer(ones, training=True).numpy() != dropped).any()
    assert_array_equal(layer(ones).numpy(), ones)


def test_dropout_and_penalties_do_something():
    X, y = data()
    plain = head(dropout=0.0).fit(X, y)
    size = sum(np.abs(w).sum() for w in plain._weights)
    assert (
        head(dropout=0.9).fit(X, y).history_["accuracy"][-1]
        < (plain.history_["accuracy"][-1])
    )
    for name in ("l1", "l2"):
        penalized = head(dropout=0.0, **{name: 0.1}).fit(X, y)
        assert sum(np.abs(w).sum() for w in penalized._weights) < 0.5 * size


@pytest.mark.parametrize(
    "labels",
    [
        np.array([True, False]),
        np.array(["a", "b"]),
        np.array(["a", "b"], dtype=object),
        np.array([-3, 7]),
        np.array([0.0, 1.0]),
        [4, 2],
        np.array([1, 2], dtype=np.int8),
    ],
    ids=["bool", "str", "object", "negative", "float", "list", "int8"],
)
def test_labels_of_any_type(labels):
    X, y = data()
    labels = np.asarray(labels)
    given = labels[y] if not isinstance(labels, list) else [labels[i] for i in y]
    predicted = head(epochs=15).fit(X, given).predict(X)
    assert predicted.dtype == np.asarray(given).dtype
    assert np.mean(predicted == np.asarray(given)) > ACCURACY_EXPECTED


def test_float16_features():
    X, y = data()
    classifier = head(epochs=15).fit(X.astype(np.float16), y)
    assert classifier.score(X, y) > ACCURACY_EXPECTED


# Randomness


def test_same_seed_same_bits_and_other_seed_other_bits(fitted):
    classifier, X, y = fitted
    again = clone(classifier).fit(X, y)
    assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    assert again.history_ == classifier.history_
    other = clone(classifier).set_params(random_state=1).fit(X, y)
    assert (other.predict_proba(X) != classifier.predict_proba(X)).any()


@pytest.mark.slow
def test_two_searches_in_threads_and_processes_are_alike():
    X, y = data()
    results = []
    for backend, n_jobs in [("threading", 1), ("threading", 2), ("loky", 2)]:
        search = GridSearchCV(head(), {"dropout": [0.0, 0.5], "l2": [0, 1e-3]}, cv=2)
        with joblib.parallel_backend(backend):
            results.append(search.set_params(n_jobs=n_jobs).fit(X, y))
    for other in results[1:]:
        for name in ("mean_test_score", "split0_test_score", "rank_test_score"):
            assert_array_equal(other.cv_results_[name], results[0].cv_results_[name])
        assert_array_equal(other.predict_proba(X), results[0].predict_proba(X))


def test_no_global_state_is_touched():
    X, y = data()
    head().fit(X, y)  # imports are done
    random.seed(1)
    np.random.seed(1)
    keras.utils.set_random_seed(1)
    before = (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        dict(os.environ),
        list(warnings.filters),
        keras.config.floatx(),
        keras.config.image_data_format(),
    )
    head(hidden_units=(11, 7)).fit(X, y).model_  # noqa: B018
    after = (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        dict(os.environ),
        list(warnings.filters),
        keras.config.floatx(),
        keras.config.image_data_format(),
    )
    assert after == before
    drawn = tf.random.uniform((3,)).numpy()
    tf.random.set_seed(1)
    assert_array_equal(tf.random.uniform((3,)).numpy(), drawn)


# Weights of samples and classes


def test_a_weight_of_zero_is_leaving_out():
    X, y = data()
    weight = np.ones(len(y))
    weight[::3] = 0
    with_zeros = head().fit(X, y, sample_weight=weight)
    without = head().fit(X[weight > 0], y[weight > 0])
    assert_array_equal(with_zeros.predict_proba(X), without.predict_proba(X))


def test_the_scale_of_weights_does_not_matter():
    X, y = data()
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    one, *others = (
        head(early_stopping=True).fit(X, y, sample_weight=scale * weight)
        for scale in (1, 8, 1e307, 1e-307)
    )
    for other in others:
        assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-4)


def test_class_weight_moves_the_boundary():
    X, y = data()
    X = X[:, :1] * 0 + np.random.default_rng(0).normal(size=X.shape)
    rare = np.flatnonzero(y == 1)[:10]
    rows = np.concatenate([np.flatnonzero(y == 0), rare])
    plain = head().fit(X[rows], y[rows]).predict_proba(X)[:, 1].mean()
    balanced = head(class_weight="balanced").fit(X[rows], y[rows])
    assert balanced.predict_proba(X)[:, 1].mean() > plain + 0.15
    by_hand = head(class_weight={0: 10 / 60, 1: 1}).fit(X[rows], y[rows])
    assert by_hand.predict_proba(X)[:, 1].mean() > plain + 0.15


# Validation, early stopping, warm start


def test_early_stopping_keeps_the_best_epoch():
    X, y = data(n_samples=200)
    X_val, y_val = data(n_samples=200)
    rng = np.random.default_rng(0)
    flipped = np.where(rng.random(200) < 0.3, 1 - y, y)
    classifier = head(
        epochs=60, early_stopping=True, n_iter_no_change=5, dropout=0.0, l2=0.0
    )
    classifier.fit(X, flipped, X_val=X_val, y_val=y_val)
    scores = classifier.validation_scores_
    assert classifier.n_iter_ == len(scores) == classifier.best_epoch_ + 5 < 60
    assert classifier.best_validation_score_ == max(scores)
    assert scores[classifier.best_epoch_ - 1] == max(scores)
    assert classifier.score(X_val, y_val) == pytest.approx(max(scores))
    # The same as if it had been told when to stop.
    told = head(epochs=classifier.best_epoch_, dropout=0.0).fit(X, flipped)
    assert_array_equal(told.predict_proba(X), classifier.predict_proba(X))


def test_held_out_part_is_stratified(monkeypatch):
    X, y = data(n_samples=120)
    y[:100], y[100:] = 0, 1
    plans = []
    original = loop.train
    monkeypatch.setattr(
        loop,
        "train",
        lambda plan, state: plans.append(plan) or original(plan, state),
    )
    classifier = head(early_stopping=True, validation_fraction=0.2).fit(X, y)
    (plan,) = plans
    assert np.bincount(plan.validation[1]).tolist() == [20, 4]
    assert np.bincount(plan.data[1]).tolist() == [80, 16]
    assert set(classifier.history_) == {"loss", "accuracy", "val_loss", "val_accuracy"}


def test_validation_data_without_early_stopping_are_only_recorded():
    X, y = data()
    plain = head().fit(X, y)
    watched = head().fit(X, y, X_val=X[:30], y_val=y[:30], sample_weight_val=y[:30] + 1)
    assert_array_equal(watched.predict_proba(X), plain.predict_proba(X))
    assert len(watched.history_["val_loss"]) == watched.n_iter_ == 6
    assert plain.validation_scores_ is plain.best_epoch_ is None


def test_validation_data_pass_through_a_pipeline():
    X, y = data()
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(
            StandardScaler(),
            head().set_fit_request(X_val=True, y_val=True),
            transform_input=["X_val"],
        )
        pipeline.fit(X, y, X_val=1000 * X[:20], y_val=y[:20])
    scaled = StandardScaler().fit(X)
    expected = head().fit(
        scaled.transform(X), y, X_val=scaled.transform(1000 * X[:20]), y_val=y[:20]
    )
    assert pipeline[-1].history_ == expected.history_


def test_of_equal_accuracies_the_one_with_less_loss_is_best():
    X, y = data()
    classifier = head(epochs=20, early_stopping=True, n_iter_no_change=20)
    classifier.fit(X, y, X_val=X[:10], y_val=y[:10])
    scores, losses = (classifier.history_[n] for n in ("val_accuracy", "val_loss"))
    best = max(range(20), key=lambda i: (scores[i], -losses[i]))
    assert classifier.best_epoch_ == best + 1
    assert best != int(np.argmax(scores))  # or this would test nothing


def test_validation_weights_count():
    X, y = data()
    wrong = 1 - y[:40]
    weight = np.r_[np.zeros(20), np.ones(20)]
    mixed = np.r_[wrong[:20], y[20:40]]
    half = head().fit(X, y, X_val=X[:40], y_val=mixed, sample_weight_val=weight)
    right = head().fit(X, y, X_val=X[20:40], y_val=y[20:40].reshape(-1, 1).ravel())
    assert_allclose(half.validation_scores_, right.validation_scores_)
    assert_allclose(half.history_["val_loss"], right.history_["val_loss"], rtol=1e-5)


def test_validation_loss_of_very_sure_predictions_is_exact():
    from skvision._training.probabilities import log_probabilities, probabilities

    logits = np.array([[-800.0], [-40.0], [0.0], [40.0], [800.0]])
    expected = -np.maximum(logits[:, 0], 0) - np.log1p(np.exp(-abs(logits[:, 0])))
    assert_allclose(log_probabilities(logits)[:, 0], expected)
    assert probabilities(logits)[3, 0] == pytest.approx(np.exp(-40.0))
    three = np.array([[0.0, 500.0, -500.0]])
    assert_allclose(log_probabilities(three), [[-500.0, 0.0, -1000.0]])


def test_warm_start_with_validation_in_one_fit_only():
    X, y = data()
    classifier = head(warm_start=True, epochs=2).fit(X, y)
    classifier.fit(X, y, X_val=X, y_val=y)
    assert (
        np.isnan(classifier.history_["val_loss"]).tolist() == [True] * 2 + [False] * 2
    )
    assert classifier.best_epoch_ in (3, 4)
    classifier.fit(X, y)
    assert np.isnan(classifier.history_["val_loss"][4:]).all()
    assert classifier.n_iter_ == 6


def test_warm_start_goes_on():
    X, y = data()
    classifier = head(warm_start=True, epochs=2).fit(X, y)
    first = classifier.loss_curve_
    classifier.fit(X, y)
    assert classifier.n_iter_ == 4
    assert classifier.loss_curve_[:2] == first
    assert classifier.loss_curve_[-1] < first[0]
    with pytest.raises(ValueError, match=r"warm_start=True, y must have the classes"):
        classifier.fit(X, y + 5)
    with pytest.raises(ValueError, match=r"warm_start=True, the network"):
        classifier.set_params(hidden_units=(3,)).fit(X, y)


# Callbacks


class Stopper(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append((epoch, sorted(logs)))
        self.model.stop_training = epoch == 2


def test_keras_callbacks():
    X, y = data()
    before = head().fit(X, y)
    stopper = Stopper()
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    classifier = head(callbacks=[stopper, Stopper]).fit(X, y)
    assert classifier.n_iter_ == 3
    assert stopper.epochs == [(i, ["accuracy", "loss"]) for i in range(3)]
    assert pickle.loads(pickle.dumps(classifier)).n_iter_ == 3
    frozen = head(callbacks=[schedule]).fit(X, y)
    one = head(callbacks=[schedule], epochs=1).fit(X, y)
    assert_array_equal(frozen.predict_proba(X), one.predict_proba(X))
    # A shared program must not keep what a callback did to it.
    assert head().fit(X, y).history_ == before.history_


class ExchangeLearningRate(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        decay = keras.optimizers.schedules.CosineDecay(0.01, 10)
        self.model.optimizer.learning_rate = decay


def test_a_program_that_a_callback_took_apart_is_not_used_again():
    X, y = data()
    before = head().fit(X, y)
    with pytest.raises(ValueError, match="'callbacks' exchanged a part of the model"):
        head(callbacks=[ExchangeLearningRate]).fit(X, y)
    assert head().fit(X, y).history_ == before.history_


def test_keras_early_stopping_knows_that_more_accuracy_is_better():
    X, y = data()
    stop = keras.callbacks.EarlyStopping(monitor="val_accuracy", patience=2)
    classifier = head(epochs=60, callbacks=[stop]).fit(X, y, X_val=X, y_val=y)
    scores = classifier.validation_scores_
    assert len(scores) == int(np.argmax(scores)) + 1 + 2 < 60


def test_keras_early_stopping_restores_its_weights():
    X, y = data()
    stop = keras.callbacks.EarlyStopping(
        monitor="val_loss", mode="max", patience=2, restore_best_weights=True
    )
    classifier = head(callbacks=[stop]).fit(X, y, X_val=X, y_val=y)
    assert classifier.n_iter_ == 3  # the loss falls, which this one dislikes
    first = head(epochs=1).fit(X, y)
    assert_array_equal(classifier.predict_proba(X), first.predict_proba(X))


def test_scikit_learn_callbacks():
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")
    X, y = data()
    monitor = callback.ScoringMonitor(scoring="accuracy")
    head().set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs().data
    epochs = [row for row in log if row["task_name"] == "epoch"]
    accuracy = [row["accuracy"] for row in epochs]
    assert [row["task_id"] for row in epochs] == list(range(6))
    for n in (1, 4, 6):
        assert accuracy[n - 1] == head(epochs=n).fit(X, y).score(X, y)


def test_a_scikit_learn_callback_can_stop_the_training():
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")

    class StopAfterTwo(callback.ScoringMonitor):
        def on_fit_task_end(self, estimator, context, **data):
            return context.task_name == "epoch" and context.task_id == 1

    X, y = data()
    stop = StopAfterTwo(scoring="accuracy")
    assert head().set_callbacks(stop).fit(X, y).n_iter_ == 2


def test_verbose_shows_epochs(capsys):
    X, y = data()
    head(verbose=2, epochs=2).fit(X, y)
    assert "Epoch 2/2" in capsys.readouterr().out
    head(epochs=2).fit(X, y)
    assert capsys.readouterr().out == ""


# Optimizers


def test_optimizer_by_name_and_as_object():
    X, y = data()
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    config = optimizer.get_config()
    by_object = head(optimizer=optimizer, learning_rate=None, epochs=15).fit(X, y)
    assert by_object.score(X, y) > ACCURACY_EXPECTED
    assert optimizer.get_config() == config
    assert not optimizer.built
    again = clone(by_object).fit(X, y)
    assert_array_equal(again.predict_proba(X), by_object.predict_proba(X))
    for name in ("adam", "adagrad", "ftrl", "nadam", "adamax", "lion"):
        one, two = (head(optimizer=name, epochs=2).fit(X, y) for _ in range(2))
        assert_array_equal(one.predict_proba(X), two.predict_proba(X), err_msg=name)


def test_optimizer_with_averaged_weights():
    X, y = data()
    plain, averaged = (
        keras.optimizers.SGD(0.05, use_ema=use_ema, ema_momentum=0.9)
        for use_ema in (False, True)
    )
    plain = head(optimizer=plain, learning_rate=None).fit(X, y)
    averaged = head(optimizer=averaged, learning_rate=None).fit(X, y)
    assert plain.loss_curve_ == averaged.loss_curve_
    assert (plain.predict_proba(X) != averaged.predict_proba(X)).any()


def test_an_optimizer_that_cannot_be_rebuilt_is_refused():
    class Own(keras.optimizers.SGD):
        pass

    X, y = data()
    with pytest.raises(ValueError, match=r"'optimizer' parameter.*register_keras"):
        head(optimizer=Own(), learning_rate=None).fit(X, y)


def test_learning_rate_and_schedule():
    X, y = data()
    slow, fast = (head(learning_rate=r).fit(X, y) for r in (1e-6, 1e-2))
    assert slow.loss_curve_[-1] > fast.loss_curve_[-1] + 0.1
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
    optimizer = keras.optimizers.RMSprop(schedule)
    one, two = (
        head(optimizer=optimizer, learning_rate=None).fit(X, y) for _ in range(2)
    )
    assert one.history_ == two.history_
    assert one.history_ != fast.history_


def rates_of(classifier, X, y):
    """The learning rate in each epoch of a fit."""
    rates = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))

    clone(classifier).set_params(callbacks=[Watch]).fit(X, y)
    return rates


def test_learning_rate_falls_along_a_cosine():
    X, y = data()
    falling = head(learning_rate_schedule="cosine", epochs=4)
    expected = 0.01 * (1 + np.cos(np.pi * np.arange(4) / 4)) / 2
    assert_allclose(rates_of(falling, X, y), expected, rtol=1e-6)
    assert_allclose(rates_of(head(), X, y), 6 * [0.01], rtol=1e-6)
    again = clone(falling).set_params(warm_start=True).fit(X, y)
    rates = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(
            float(watch.model.optimizer.learning_rate)
        )
    )
    again.set_params(callbacks=[watch]).fit(X, y)
    assert_allclose(rates, expected, rtol=1e-6)  # anew, after another 4 epochs
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
    falling.set_params(optimizer=keras.optimizers.SGD(schedule), learning_rate=None)
    with pytest.raises(
        ValueError, match="learning_rate_schedule='cosine' needs a rate"
    ):
        falling.fit(X, y)


class Weights(keras.callbacks.Callback):
    """The weights after each step, and at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.of_steps, self.of_epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.of_steps.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.of_epochs.append(self.model.get_weights())


def trainable(arrays):
    """Without the seed and the rate of the dropout."""
    return [w for w in arrays if w.shape not in {(), (2,)}]


@pytest.mark.parametrize("momentum", [0.99, 0.5])
def test_predictions_take_the_average_of_the_weights(momentum):
    X, y = data()
    watch = Weights()
    classifier = head(ema_momentum=momentum, epochs=3, callbacks=[watch])
    classifier.fit(X, y, X_val=X[:40], y_val=y[:40])
    plain = head(epochs=3).fit(X, y)
    assert classifier.loss_curve_ == plain.loss_curve_  # the training is the same
    average = 0
    for n, weights in enumerate(watch.of_steps, start=1):
        m = min(momentum, n / (9 + n))
        average = [
            m * a + (1 - m) * w
            for a, w in zip(average or weights, weights, strict=True)
        ]
    expected = trainable(average)
    for found in (classifier.model_.get_weights(), watch.of_epochs[-1]):
        for one, other in zip(trainable(found), expected, strict=True):
            assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert classifier.score(X[:40], y[:40]) == classifier.validation_scores_[-1]
    assert (plain.predict_proba(X) != classifier.predict_proba(X)).any()


def test_without_momentum_the_average_is_the_latest_weights():
    X, y = data()
    expected, none = head().fit(X, y), head(ema_momentum=0).fit(X, y)
    assert_allclose(none.predict_proba(X), expected.predict_proba(X), rtol=1e-5)


def test_best_weights_are_averaged_too():
    X, y = data()
    classifier = head(ema_momentum=0.9, early_stopping=True, epochs=30)
    classifier.fit(X, y, X_val=X[:40], y_val=y[:40])
    until_then = head(ema_momentum=0.9, epochs=classifier.best_epoch_).fit(X, y)
    assert_array_equal(classifier.predict_proba(X), until_then.predict_proba(X))
    keras_stopping = keras.callbacks.EarlyStopping(
        "val_loss", patience=2, restore_best_weights=True
    )
    by_keras = head(ema_momentum=0.9, epochs=9, callbacks=[keras_stopping])
    by_keras.fit(X, y, X_val=-X[:40], y_val=y[:40])  # the first epoch is the best
    assert by_keras.n_iter_ == 3
    expected = head(ema_momentum=0.9, epochs=1).fit(X, y)
    assert_array_equal(by_keras.predict_proba(X), expected.predict_proba(X))


def test_a_callback_may_assign_weights_at_the_end_of_an_epoch():
    starts = []

    class Halve(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            starts.append(self.model.get_weights())

        def on_epoch_end(self, epoch, logs=None):
            for variable in self.model.trainable_variables:
                variable.assign(variable / 2)

    X, y = data()
    common = {"ema_momentum": 0.9, "epochs": 1}
    halved, plain = (head(callbacks=c, **common).fit(X, y) for c in ([Halve], None))
    for a, b in zip(halved._weights, plain._weights, strict=True):
        assert_allclose(a, b / 2, rtol=1e-6)
    common["epochs"] = 2  # and the training goes on from there
    head(callbacks=[Halve], **common).fit(X, y)
    for a, b in zip(trainable(starts[-1]), halved._weights, strict=True):
        assert_array_equal(a, b)


def test_warm_start_goes_on_from_the_average():
    X, y = data()
    classifier = head(ema_momentum=0.9, warm_start=True).fit(X, y)
    first = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: first.append(watch.model.get_weights())
    )
    average = classifier._weights
    classifier.set_params(callbacks=[watch]).fit(X, y)
    for a, b in zip(trainable(first[0]), average, strict=True):
        assert_array_equal(a, b)


def test_weights_are_averaged_once():
    X, y = data()
    twice = head(optimizer=keras.optimizers.SGD(use_ema=True), ema_momentum=0.9)
    with pytest.raises(ValueError, match=r"use_ema=True.*Set ema_momentum=None"):
        twice.fit(X, y)


# Interruption, divergence, checkpoints


class Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch, step):
        super().__init__()
        self.when = epoch, step
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.when:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    "common", [{}, {"early_stopping": True}, {"ema_momentum": 0.9}]
)
def test_interrupt_keeps_the_last_complete_epoch(common):
    X, y = data()
    classifier = head(callbacks=[Interrupt(3, 2)], **common)
    with pytest.warns(SkvisionWarning, match="in epoch 4 of 6.*as after epoch 3"):
        classifier.fit(X, y)
    expected = head(epochs=3, **common).fit(X, y)
    assert classifier.n_iter_ == 3
    assert_array_equal(classifier.predict_proba(X), expected.predict_proba(X))


def test_interrupt_in_the_first_epoch_is_raised():
    X, y = data()
    with pytest.raises(KeyboardInterrupt):
        head(callbacks=[Interrupt(0, 2)]).fit(X, y)
    assert_array_equal(
        head().fit(X, y).predict_proba(X), head().fit(X, y).predict_proba(X)
    )


def test_divergence_names_epoch_and_remedy():
    X, y = data()
    with pytest.raises(
        TrainingDivergedError,
        match=r"in epoch \d+: .*Lower the 'learning_rate'.*1e\+30",
    ):
        head(optimizer="sgd", learning_rate=1e30, dropout=0.0).fit(X, y)


def test_interrupt_in_the_first_epoch_of_a_warm_start_keeps_the_fit_before():
    X, y = data()
    classifier = head(warm_start=True, early_stopping=True).fit(X, y)
    proba = classifier.predict_proba(X)
    classifier.set_params(callbacks=[Interrupt(classifier.n_iter_, 2)])
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert_array_equal(classifier.predict_proba(X), proba)


def test_failed_refit_leaves_the_fit_before_usable():
    X, y = data()
    classifier = head().fit(X, y)
    proba = classifier.predict_proba(X)
    classifier.set_params(optimizer="sgd", learning_rate=1e30)
    with pytest.raises(TrainingDivergedError, match="diverged"):
        classifier.fit(X, y * 2 + 1)
    with pytest.raises(TrainingDivergedError, match="diverged"):
        classifier.fit(X[:, :4], y)
    assert list(classifier.classes_) == [0, 1]
    assert_array_equal(classifier.predict_proba(X), proba)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"early_stopping": True},
        {"learning_rate_schedule": "cosine"},
        {"ema_momentum": 0.9},
    ],
)
def test_a_broken_off_fit_goes_on(tmp_path, parameters):
    X, y = data()
    common = parameters | {"epochs": 8}
    expected = head(**common).fit(X, y)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="power cut"):
            head(checkpoint_dir=tmp_path / "c", callbacks=[PowerCut(3)], **common).fit(
                X, y
            )
    epochs = Stopper()
    epochs.on_epoch_end = lambda epoch, logs=None: epochs.epochs.append(epoch)
    resumed = head(checkpoint_dir=tmp_path / "c", callbacks=[epochs], **common)
    resumed.fit(X, y)
    assert epochs.epochs[0] == 3
    assert resumed.history_ == expected.history_
    assert_array_equal(resumed.predict_proba(X), expected.predict_proba(X))
    assert list((tmp_path / "c").iterdir()) == []


class PowerCut(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise RuntimeError("power cut")


def test_an_interrupted_fit_goes_on_and_may_be_watched(tmp_path):
    X, y = data()
    expected = head().fit(X, y)
    with pytest.warns(SkvisionWarning, match="in epoch 4 of 6"):
        head(checkpoint_dir=tmp_path, callbacks=[Interrupt(3, 2)]).fit(X, y)
    epochs = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: epochs.append(epoch)
    )
    resumed = head(checkpoint_dir=tmp_path, callbacks=[watch], verbose=2).fit(X, y)
    assert epochs == [3, 4, 5]
    assert resumed.history_ == expected.history_


def test_a_checkpoint_that_cannot_be_written_costs_one_warning(tmp_path, monkeypatch):

    def full(path):
        raise OSError(28, "No space left on device")

    X, y = data()
    expected = head().fit(X, y)
    monkeypatch.setattr(checkpoint, "replacing", full)
    with pytest.warns(SkvisionWarning, match=r"npz' cannot be written.*No space") as w:
        classifier = head(checkpoint_dir=tmp_path).fit(X, y)
    assert len(w) == 1
    assert_array_equal(classifier.predict_proba(X), expected.predict_proba(X))


def test_only_the_same_training_takes_up_a_checkpoint(tmp_path):
    X, y = data()
    common = {"checkpoint_dir": tmp_path}
    with pytest.raises(RuntimeError, match="power cut"):
        head(callbacks=[PowerCut(3)], **common).fit(X, y)
    for other, X_, y_ in [
        (head(dropout=0.4, **common), X, y),
        (head(random_state=1, **common), X, y),
        (head(learning_rate=0.02, **common), X, y),
        (head(learning_rate_schedule="cosine", **common), X, y),
        (head(ema_momentum=0.9, **common), X, y),
        (head(class_weight="balanced", **common), X[1:], y[1:]),
        (head(**common), X, 1 - y),
        (head(**common), -X, y),
    ]:
        assert other.fit(X_, y_).history_ == (
            clone(other).set_params(checkpoint_dir=None).fit(X_, y_).history_
        )


def test_checkpoint_errors(tmp_path):
    X, y = data()
    with pytest.raises(ValueError, match="'checkpoint_dir' needs a 'random_state'"):
        head(checkpoint_dir=tmp_path, random_state=None).fit(X, y)
    with pytest.raises(RuntimeError, match="power cut"):
        head(checkpoint_dir=tmp_path, callbacks=[PowerCut(3)]).fit(X, y)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for damaged in (b"", whole[:500], b"text"):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"npz.*cannot be read.*Remove the file"):
            head(checkpoint_dir=tmp_path).fit(X, y)
    with pytest.raises(ValueError, match="'checkpoint_dir' parameter must be a folder"):
        head(checkpoint_dir=file).fit(X, y)


# Persistence


@pytest.mark.slow
def test_joblib_in_a_fresh_process(fitted, tmp_path):
    classifier, X, _ = fitted
    joblib.dump(classifier, tmp_path / "model.joblib")
    size = sum(w.nbytes for w in classifier._weights)
    assert (tmp_path / "model.joblib").stat().st_size < 1.2 * size + 5000
    np.save(tmp_path / "X.npy", X)
    code = f"""
import joblib, numpy, pathlib
folder = pathlib.Path({str(tmp_path)!r})
model = joblib.load(folder / "model.joblib")
numpy.save(folder / "proba.npy", model.predict_proba(numpy.load(folder / "X.npy")))
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert_array_equal(np.load(tmp_path / "proba.npy"), classifier.predict_proba(X))


def test_unfitted_pickle_is_small():
    assert len(pickle.dumps(DenseHeadClassifier())) < 1000


def test_threads_predict_at_once(fitted):
    classifier, X, _ = fitted
    expected = classifier.predict_proba(X)
    wrong = []

    def work():
        for _ in range(10):
            if (classifier.predict_proba(X) != expected).any():
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_forked_child_raises_and_does_not_hang(fitted):
    classifier, X, _ = fitted
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of forks in threaded processes
        pid = os.fork()
    if pid == 0:
        try:
            classifier.predict(X)
        except RuntimeError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    deadline = time.monotonic() + 20
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            pytest.fail("the child hangs")
        time.sleep(0.05)
    assert b"forked child" in os.read(read, 1000)


# Composition and errors


def test_scoring_and_calibration():
    X, y = data(n_samples=200)
    scores = cross_validate(
        head(epochs=15), X, y, scoring=["roc_auc", "neg_log_loss"], cv=3
    )
    assert scores["test_roc_auc"].mean() > 0.95
    calibrated = CalibratedClassifierCV(head(), method="sigmoid", cv=2).fit(X, y)
    assert calibrated.predict_proba(X).shape == (200, 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"l1": -1}, "'l1' parameter"),
        ({"l2": "much"}, "'l2' parameter"),
        ({"optimizer": "fastest"}, "'optimizer' parameter.*'fastest'"),
        ({"optimizer": 3}, "'optimizer' parameter"),
        ({"learning_rate": 0}, "'learning_rate' parameter"),
        ({"epochs": 0}, "'epochs' parameter"),
        ({"batch_size": 1.5}, "'batch_size' parameter"),
        ({"learning_rate_schedule": "sine"}, "'learning_rate_schedule' parameter"),
        ({"ema_momentum": 1.0}, "'ema_momentum' parameter"),
        ({"class_weight": "even"}, "'class_weight' parameter"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
        ({"hidden_units": 256}, "'hidden_units' parameter"),
        ({"hidden_units": (16, 0)}, r"'hidden_units' parameter.*\(16, 0\)"),
        ({"callbacks": "tensorboard"}, "'callbacks' parameter"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    X, y = data()
    with pytest.raises(ValueError, match=message):
        head(**parameters).fit(X, y)


def test_wrong_data_are_refused():
    X, y = data()
    with pytest.raises(ValueError, match=r"at least 2 classes.*only one class: 'cat'"):
        head().fit(X, ["cat"] * len(X))
    with pytest.raises(ValueError, match="zero"):
        head().fit(X, y, sample_weight=np.zeros(len(X)))
    with pytest.raises(ValueError, match=r"takes features, not paths: put a VGG16"):
        head().fit(["a.jpg", "b.jpg"], [0, 1])
    with pytest.raises(ValueError, match=r"takes features, not paths: put a VGG16"):
        head().fit(np.array([["a.jpg"], ["b.jpg"]]), [0, 1])
    with pytest.raises(ValueError, match="All samples have a weight of zero"):
        head(class_weight={0: 0.0, 1: 0.0}).fit(X, y)
    with pytest.raises(ValueError, match=r"'class_weight' parameter.*not negative"):
        head(class_weight={0: -1, 1: 1}).fit(X, y)
    with pytest.raises(ValueError, match="Negative values in data passed to"):
        head().fit(X, y, sample_weight=-np.ones(len(X)))
    with pytest.raises(ValueError, match="y_val is missing"):
        head().fit(X, y, X_val=X)
    with pytest.raises(ValueError, match=r"y_val has classes that y does not.*\[7\]"):
        head().fit(X, y, X_val=X[:2], y_val=[0, 7])
    with pytest.raises(ValueError, match=r"early_stopping=True holds out.*has 1\)"):
        head(early_stopping=True).fit(X, [1] + [0] * (len(X) - 1))


def test_programs_are_reused_and_their_number_is_bounded(monkeypatch):
    X, y = data()
    built = []
    original = programs.Program.__init__

    def counting(self, *args):
        built.append(args)
        original(self, *args)

    monkeypatch.setattr(programs.Program, "__init__", counting)
    for dropout, l2, rate in [(0.1, 0, 0.1), (0.2, 0.1, 0.2), (0.3, 0.2, 0.3)]:
        classifier = head(
            hidden_units=(5, 4), dropout=dropout, l2=l2, learning_rate=rate
        )
        classifier.fit(X, y).predict(X)
    assert len(built) == 2  # one to train, one to predict
    for units in range(3, 3 + programs.MAX_IDLE_PROGRAMS + 3):
        head(hidden_units=(units,), epochs=1).fit(X, y)
    idle = sum(len(programs) for programs in programs._idle.values())
    assert idle <= programs.MAX_IDLE_PROGRAMS + 3


@pytest.mark.slow
def test_memory_of_repeated_fits_does_not_grow():
    psutil = pytest.importorskip("psutil")
    X, y = data()
    process = psutil.Process()
    memory = []
    for i in range(50):
        head(epochs=2, dropout=i / 100, l2=i / 1000).fit(X, y).predict(X)
        memory.append(process.memory_info().rss / 2**20)
    assert (memory[-1] - memory[5]) / 44 <= 0.5  # MB a fit
