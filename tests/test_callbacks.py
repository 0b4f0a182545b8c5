"""Tests of Keras and scikit-learn callbacks, and of verbose."""

import pickle

import keras
import numpy as np
import pytest
from _heads import data, head
from numpy.testing import assert_array_equal


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
    # Programs are shared: changes made by a callback must not persist.
    assert head().fit(X, y).history_ == before.history_


class ReplaceLearningRate(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        decay = keras.optimizers.schedules.CosineDecay(0.01, 10)
        self.model.optimizer.learning_rate = decay


def test_program_modified_by_a_callback_is_not_reused():
    X, y = data()
    before = head().fit(X, y)
    with pytest.raises(ValueError, match="'callbacks' exchanged a part of the model"):
        head(callbacks=[ReplaceLearningRate]).fit(X, y)
    assert head().fit(X, y).history_ == before.history_


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


def test_verbose_prints_epochs(capsys):
    X, y = data()
    head(verbose=2, epochs=2).fit(X, y)
    assert "Epoch 2/2" in capsys.readouterr().out
    head(epochs=2).fit(X, y)
    assert capsys.readouterr().out == ""
