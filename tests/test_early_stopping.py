"""Tests of early stopping and validation data."""

import numpy as np
import pytest
import sklearn
from _heads import data, head
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvision._training import loop


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
    # The result equals training for that number of epochs.
    expected = head(epochs=classifier.best_epoch_, dropout=0.0).fit(X, flipped)
    assert_array_equal(expected.predict_proba(X), classifier.predict_proba(X))


def test_validation_split_is_stratified(monkeypatch):
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


def test_validation_data_without_early_stopping_do_not_change_training():
    X, y = data()
    plain = head().fit(X, y)
    watched = head().fit(X, y, X_val=X[:30], y_val=y[:30], sample_weight_val=y[:30] + 1)
    assert_array_equal(watched.predict_proba(X), plain.predict_proba(X))
    assert len(watched.history_["val_loss"]) == watched.n_iter_ == 6
    assert plain.validation_scores_ is plain.best_epoch_ is None


def test_validation_data_in_a_pipeline():
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


def test_ties_in_accuracy_are_broken_by_the_loss():
    X, y = data()
    classifier = head(epochs=20, early_stopping=True, n_iter_no_change=20)
    classifier.fit(X, y, X_val=X[:10], y_val=y[:10])
    scores, losses = (classifier.history_[n] for n in ("val_accuracy", "val_loss"))
    best = max(range(20), key=lambda i: (scores[i], -losses[i]))
    assert classifier.best_epoch_ == best + 1
    assert best != int(np.argmax(scores))  # otherwise the tie-break is not tested


def test_sample_weight_val_is_used():
    X, y = data()
    wrong = 1 - y[:40]
    weight = np.r_[np.zeros(20), np.ones(20)]
    mixed = np.r_[wrong[:20], y[20:40]]
    half = head().fit(X, y, X_val=X[:40], y_val=mixed, sample_weight_val=weight)
    right = head().fit(X, y, X_val=X[20:40], y_val=y[20:40].reshape(-1, 1).ravel())
    assert_allclose(half.validation_scores_, right.validation_scores_)
    assert_allclose(half.history_["val_loss"], right.history_["val_loss"], rtol=1e-5)


def test_validation_loss_of_extreme_logits_is_exact():
    from skvision._training.probabilities import log_probabilities, probabilities

    logits = np.array([[-800.0], [-40.0], [0.0], [40.0], [800.0]])
    expected = -np.maximum(logits[:, 0], 0) - np.log1p(np.exp(-abs(logits[:, 0])))
    assert_allclose(log_probabilities(logits)[:, 0], expected)
    assert probabilities(logits)[3, 0] == pytest.approx(np.exp(-40.0))
    three = np.array([[0.0, 500.0, -500.0]])
    assert_allclose(log_probabilities(three), [[-500.0, 0.0, -1000.0]])
