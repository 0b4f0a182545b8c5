"""Tests of Keras and scikit-learn callbacks."""

import pickle
import threading

import keras
import numpy as np
import pytest
from _heads import data, head
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score


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
    classifier = head(callbacks=[lambda: stopper, Stopper]).fit(X, y)
    assert classifier.n_iter_ == 3
    assert stopper.epochs == [(i, ["accuracy", "loss"]) for i in range(3)]
    frozen = head(callbacks=[schedule]).fit(X, y)
    one = head(callbacks=[schedule], epochs=1).fit(X, y)
    assert_array_equal(frozen.predict_proba(X), one.predict_proba(X))
    # Programs are shared: changes made by a callback must not persist.
    assert head().fit(X, y).history_ == before.history_


def test_fit_uses_copies_of_callbacks():
    X, y = data()
    stopper = Stopper()
    for _ in range(2):
        assert head(callbacks=[stopper]).fit(X, y).n_iter_ == 3
    assert stopper.epochs == []


def test_callback_may_monitor_what_another_one_measures():
    class Measure(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_f1"] = 1 - epoch

    X, y = data()
    stop = keras.callbacks.EarlyStopping("val_f1", mode="max", patience=1)
    classifier = head(callbacks=[Measure(), stop]).fit(X, y)
    assert classifier.n_iter_ == 2
    assert list(classifier.history_) == ["loss", "accuracy"]


def test_learning_rate_that_the_schedule_would_replace_is_an_error():
    X, y = data()
    plateau = keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=9)
    classifier = head(learning_rate_schedule="cosine", callbacks=[plateau])
    with pytest.raises(ValueError, match=r"before epoch 3.*learning_rate_schedule"):
        classifier.fit(X, y)
    assert classifier.set_params(epochs=2).fit(X, y).n_iter_ == 2  # after the last
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    classifier.set_params(callbacks=[schedule]).fit(X, y)
    one = head(callbacks=[schedule], epochs=1).fit(X, y)
    assert_array_equal(classifier.predict_proba(X), one.predict_proba(X))


def log_to_csv(folder):
    return keras.callbacks.CSVLogger(folder / "log.csv")


@pytest.mark.parametrize(
    "make",
    [
        log_to_csv,
        lambda folder: keras.callbacks.BackupAndRestore(folder / "backup"),
        lambda folder: keras.callbacks.ModelCheckpoint(folder / "model.keras"),
        lambda folder: keras.callbacks.EarlyStopping("loss", restore_best_weights=True),
        lambda folder: keras.callbacks.ReduceLROnPlateau("loss"),
        lambda folder: Stopper(),
    ],
)
def test_fit_leaves_callbacks_that_can_be_copied_and_saved(make, tmp_path):
    X, y = data()
    classifier = head(callbacks=[make(tmp_path)]).fit(X, y)
    expected = classifier.predict_proba(X)
    assert_array_equal(clone(classifier).fit(X, y).predict_proba(X), expected)
    loaded = pickle.loads(pickle.dumps(classifier))
    assert_array_equal(loaded.predict_proba(X), expected)
    assert_array_equal(loaded.fit(X, y).predict_proba(X), expected)
    assert cross_val_score(classifier, X, y, cv=2).min() > 0.5
    search = GridSearchCV(classifier, {"dropout": [0.1]}, cv=2).fit(X, y)
    pickle.loads(pickle.dumps(search)).best_estimator_.predict(X)


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        ("EarlyStopping", r"callbacks\[0\] must be an instance of keras.callbacks"),
        (object(), r"callbacks\[0\] must be an instance of keras.callbacks"),
        (dict, r"callbacks\[0\] must be a keras.callbacks.Callback.*returned {}"),
    ],
)
def test_what_is_no_callback_is_an_error(callback, message):
    X, y = data()
    with pytest.raises(ValueError, match=message):
        head(callbacks=[callback]).fit(X, y)


def test_methods_of_a_callback_do_not_make_one():
    class Duck:
        set_model = set_params = on_epoch_end = lambda self, *args: None

    X, y = data()
    with pytest.raises(
        ValueError, match=r"callbacks\[1\] must .* Derive its class from"
    ):
        head(callbacks=[Stopper, Duck()]).fit(X, y)


def test_scikit_learn_callback_among_those_of_keras():
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")
    X, y = data()
    with pytest.raises(ValueError, match=r"callbacks\[0\] must .* 'set_callbacks'"):
        head(callbacks=[callback.ScoringMonitor(scoring="accuracy")]).fit(X, y)


def test_class_that_needs_arguments_is_an_error():
    X, y = data()
    with pytest.raises(ValueError, match=r"callbacks\[0\].*without arguments"):
        head(callbacks=[keras.callbacks.LearningRateScheduler]).fit(X, y)


def test_callback_may_use_the_model_in_set_model():
    class Watch(keras.callbacks.Callback):
        def set_model(self, model):
            self.n_layers = len(model.layers)
            super().set_model(model)

    X, y = data()
    assert head(callbacks=[Watch]).fit(X, y).n_iter_ == 6


def test_callback_that_cannot_be_copied_is_an_error():
    class Locked(keras.callbacks.Callback):
        lock = property(lambda self: self._lock)

        def __init__(self):
            super().__init__()
            self._lock = threading.Lock()

    X, y = data()
    with pytest.raises(ValueError, match=r"callbacks\[0\], a Locked, cannot be copied"):
        head(callbacks=[Locked()]).fit(X, y)
    head(callbacks=[Locked], epochs=1).fit(X, y)


def test_keras_early_stopping_maximizes_accuracy():
    X, y = data()
    stop = keras.callbacks.EarlyStopping(monitor="val_accuracy", patience=2)
    classifier = head(epochs=60, callbacks=[stop]).fit(X, y, X_val=X, y_val=y)
    scores = classifier.validation_scores_
    assert len(scores) == int(np.argmax(scores)) + 1 + 2 < 60


def test_keras_early_stopping_restores_the_best_weights():
    X, y = data()
    stop = keras.callbacks.EarlyStopping(
        monitor="val_loss", mode="max", patience=2, restore_best_weights=True
    )
    classifier = head(callbacks=[stop]).fit(X, y, X_val=X, y_val=y)
    assert classifier.n_iter_ == 3  # the loss decreases, so mode="max" stops early
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


def test_scikit_learn_callback_can_stop_training():
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")

    class StopAfterTwo(callback.ScoringMonitor):
        def on_fit_task_end(self, estimator, context, **data):
            return context.task_name == "epoch" and context.task_id == 1

    X, y = data()
    stop = StopAfterTwo(scoring="accuracy")
    assert head().set_callbacks(stop).fit(X, y).n_iter_ == 2
