"""Tests of warm_start."""

import keras
import numpy as np
import pytest
from _heads import data, head, trainable
from numpy.testing import assert_array_equal


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


def test_warm_start_continues_training():
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


def test_warm_start_continues_from_the_averaged_weights():
    X, y = data()
    classifier = head(ema_momentum=0.9, warm_start=True).fit(X, y)
    first = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: first.append(watch.model.get_weights())
    )
    average = classifier._weights
    classifier.set_params(callbacks=[lambda: watch]).fit(X, y)
    for a, b in zip(trainable(first[0]), average, strict=True):
        assert_array_equal(a, b)
