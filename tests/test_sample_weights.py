"""Tests of sample_weight and class_weight."""

import numpy as np
from _heads import data, head
from numpy.testing import assert_allclose, assert_array_equal


def test_zero_weight_equals_removing_the_sample():
    X, y = data()
    weight = np.ones(len(y))
    weight[::3] = 0
    with_zeros = head().fit(X, y, sample_weight=weight)
    without = head().fit(X[weight > 0], y[weight > 0])
    assert_array_equal(with_zeros.predict_proba(X), without.predict_proba(X))


def test_scale_of_sample_weights_does_not_matter():
    X, y = data()
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    one, *others = (
        head(early_stopping=True).fit(X, y, sample_weight=scale * weight)
        for scale in (1, 8, 1e307, 1e-307)
    )
    for other in others:
        assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-4)


def test_class_weight_shifts_the_probabilities():
    X, y = data()
    X = X[:, :1] * 0 + np.random.default_rng(0).normal(size=X.shape)
    rare = np.flatnonzero(y == 1)[:10]
    rows = np.concatenate([np.flatnonzero(y == 0), rare])
    plain = head().fit(X[rows], y[rows]).predict_proba(X)[:, 1].mean()
    balanced = head(class_weight="balanced").fit(X[rows], y[rows])
    assert balanced.predict_proba(X)[:, 1].mean() > plain + 0.15
    by_hand = head(class_weight={0: 10 / 60, 1: 1}).fit(X[rows], y[rows])
    assert by_hand.predict_proba(X)[:, 1].mean() > plain + 0.15
