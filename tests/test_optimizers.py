"""Tests of optimizers, learning rates and schedules."""

import keras
import numpy as np
import pytest
from _heads import ACCURACY_EXPECTED, data, head
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone


def test_optimizer_as_name_and_as_object():
    X, y = data()
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    config = optimizer.get_config()
    by_object = head(optimizer=optimizer, learning_rate=None, epochs=15).fit(X, y)
    assert by_object.score(X, y) > ACCURACY_EXPECTED
    assert optimizer.get_config() == config
    assert not optimizer.built
    again = clone(by_object).fit(X, y)
    assert_array_equal(again.predict_proba(X), by_object.predict_proba(X))


NAMES = ["AdamW", "Nadam", "Adam", "Adagrad", "Ftrl", "Adamax", "Lion", "Lamb"]
NAMES += ["Adadelta", "Adafactor", "RMSprop", "SGD", "Muon"]
NAMES += ["ScheduleFreeAdamW"]


@pytest.mark.parametrize(
    "name",
    [NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])],
)
def test_variables_of_optimizers_are_reset(name):
    X, y = data()
    if not hasattr(keras.optimizers, name):
        pytest.skip(f"this version of Keras has no {name}")
    optimizer = getattr(keras.optimizers, name)(weight_decay=1e-3)
    common = {"optimizer": optimizer, "epochs": 2}
    one, two = (head(**common).fit(X, y) for _ in range(2))
    assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    # A callback does not change an attribute that Keras sets itself.
    other = head(**common, callbacks=[keras.callbacks.Callback]).fit(X, y)
    assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_optimizer_with_use_ema():
    X, y = data()
    plain, averaged = (
        keras.optimizers.SGD(0.05, use_ema=use_ema, ema_momentum=0.9)
        for use_ema in (False, True)
    )
    plain = head(optimizer=plain, learning_rate=None).fit(X, y)
    averaged = head(optimizer=averaged, learning_rate=None).fit(X, y)
    assert plain.loss_curve_ == averaged.loss_curve_
    assert (plain.predict_proba(X) != averaged.predict_proba(X)).any()


def test_unregistered_optimizer_raises():
    class Custom(keras.optimizers.SGD):
        pass

    X, y = data()
    with pytest.raises(ValueError, match=r"'optimizer' parameter.*register_keras"):
        head(optimizer=Custom(), learning_rate=None).fit(X, y)


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


def learning_rates(classifier, X, y):
    """Fit a clone and return the learning rate of each epoch."""
    rates = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))

    clone(classifier).set_params(callbacks=[Watch]).fit(X, y)
    return rates


def test_cosine_schedule():
    X, y = data()
    falling = head(learning_rate_schedule="cosine", epochs=4)
    expected = 0.01 * (1 + np.cos(np.pi * np.arange(4) / 4)) / 2
    assert_allclose(learning_rates(falling, X, y), expected, rtol=1e-6)
    assert_allclose(learning_rates(head(), X, y), 6 * [0.01], rtol=1e-6)
    again = clone(falling).set_params(warm_start=True).fit(X, y)
    rates = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(
            float(watch.model.optimizer.learning_rate)
        )
    )
    again.set_params(callbacks=[lambda: watch]).fit(X, y)
    assert_allclose(rates, expected, rtol=1e-6)  # a warm start restarts it
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
    falling.set_params(optimizer=keras.optimizers.SGD(schedule), learning_rate=None)
    with pytest.raises(
        ValueError, match="learning_rate_schedule='cosine' needs a rate"
    ):
        falling.fit(X, y)
