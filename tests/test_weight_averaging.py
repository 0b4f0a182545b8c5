"""Tests of ema_momentum, the exponential moving average of the weights."""

import keras
import pytest
from _heads import data, head, trainable
from numpy.testing import assert_allclose, assert_array_equal


class RecordWeights(keras.callbacks.Callback):
    """Record the weights after each step and at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.by_step, self.by_epoch = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.by_step.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.by_epoch.append(self.model.get_weights())


@pytest.mark.parametrize("momentum", [0.99, 0.5])
def test_predictions_use_the_averaged_weights(momentum):
    X, y = data()
    watch = RecordWeights()
    classifier = head(ema_momentum=momentum, epochs=3, callbacks=[lambda: watch])
    classifier.fit(X, y, X_val=X[:40], y_val=y[:40])
    plain = head(epochs=3).fit(X, y)
    assert classifier.loss_curve_ == plain.loss_curve_  # training is unaffected
    average = 0
    for n, weights in enumerate(watch.by_step, start=1):
        m = min(momentum, n / (9 + n))
        average = [
            m * a + (1 - m) * w
            for a, w in zip(average or weights, weights, strict=True)
        ]
    expected = trainable(average)
    for found in (classifier.model_.get_weights(), watch.by_epoch[-1]):
        for one, other in zip(trainable(found), expected, strict=True):
            assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert classifier.score(X[:40], y[:40]) == classifier.validation_scores_[-1]
    assert (plain.predict_proba(X) != classifier.predict_proba(X)).any()


def test_zero_momentum_equals_no_averaging():
    X, y = data()
    expected, none = head().fit(X, y), head(ema_momentum=0).fit(X, y)
    assert_allclose(none.predict_proba(X), expected.predict_proba(X), rtol=1e-5)


def test_early_stopping_restores_averaged_weights():
    X, y = data()
    classifier = head(ema_momentum=0.9, early_stopping=True, epochs=30)
    classifier.fit(X, y, X_val=X[:40], y_val=y[:40])
    expected_best = head(ema_momentum=0.9, epochs=classifier.best_epoch_).fit(X, y)
    assert_array_equal(classifier.predict_proba(X), expected_best.predict_proba(X))
    keras_stopping = keras.callbacks.EarlyStopping(
        "val_loss", patience=2, restore_best_weights=True
    )
    by_keras = head(ema_momentum=0.9, epochs=9, callbacks=[keras_stopping])
    by_keras.fit(X, y, X_val=-X[:40], y_val=y[:40])  # epoch 1 is the best
    assert by_keras.n_iter_ == 3
    expected = head(ema_momentum=0.9, epochs=1).fit(X, y)
    assert_array_equal(by_keras.predict_proba(X), expected.predict_proba(X))


def test_callback_may_assign_weights_at_the_end_of_an_epoch():
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
    common["epochs"] = 2  # the second epoch starts from the assigned weights
    head(callbacks=[Halve], **common).fit(X, y)
    for a, b in zip(trainable(starts[-1]), halved._weights, strict=True):
        assert_array_equal(a, b)


def test_use_ema_and_ema_momentum_exclude_each_other():
    X, y = data()
    twice = head(optimizer=keras.optimizers.SGD(use_ema=True), ema_momentum=0.9)
    with pytest.raises(ValueError, match=r"use_ema=True.*Set ema_momentum=None"):
        twice.fit(X, y)
