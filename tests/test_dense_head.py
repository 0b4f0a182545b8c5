"""Tests of `DenseHeadClassifier`: predictions, labels, parameters and errors."""

import numpy as np
import pytest
from _heads import ACCURACY_EXPECTED, data, head
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import cross_validate
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)

EXPECTED_FAILED_CHECKS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "Training uses mini-batches: repeating a sample changes the batches, giving it "
        "a weight of 2 does not."
    )
}


@parametrize_with_checks(
    [head(hidden_units=(32,), epochs=12, dropout=0.0)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILED_CHECKS,
)
def test_scikit_learn_checks(estimator, check):
    try:
        check(estimator)
    except estimator_checks.SkipTest as skip:
        pytest.fail(f"skipped: {skip}")


def test_number_of_scikit_learn_checks():
    is_1_9 = hasattr(estimator_checks, "check_all_zero_sample_weights_error")
    assert len(list(estimator_checks_generator(head()))) == 62 + is_1_9


def test_learns(fitted_head):
    classifier, X, y = fitted_head
    assert classifier.score(X, y) > ACCURACY_EXPECTED
    assert is_classifier(classifier)
    assert list(classifier.classes_) == sorted(set(y))


def test_predict_predict_proba_and_decision_function_agree(fitted_head):
    classifier, X, _ = fitted_head
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


def test_model_has_keras_layers_and_predicts_the_same(fitted_head):
    classifier, X, _ = fitted_head
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


def test_prediction_does_not_depend_on_the_batch(fitted_head):
    classifier, X, _ = fitted_head
    proba = classifier.predict_proba(X)
    assert_array_equal(classifier.predict_proba(X[::-1])[::-1], proba)
    for i in (0, 17, 118):
        assert_array_equal(classifier.predict_proba(X[i : i + 1])[0], proba[i])


def test_dropout_and_penalties_have_an_effect():
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


def test_missing_labels_are_named():
    X, _ = data(n_samples=4)
    with pytest.raises(ValueError, match=r"y\[2\] is None, and 2 of 4 labels"):
        head().fit(X, np.array(["a", "b", None, None], dtype=object))


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
def test_invalid_parameters_are_named(parameters, message):
    X, y = data()
    with pytest.raises(ValueError, match=message):
        head(**parameters).fit(X, y)


def test_invalid_data_raise():
    X, y = data()
    with pytest.raises(ValueError, match=r"at least 2 classes.*only one class: 'cat'"):
        head().fit(X, ["cat"] * len(X))
    with pytest.raises(ValueError, match="zero"):
        head().fit(X, y, sample_weight=np.zeros(len(X)))
    with pytest.raises(ValueError, match=r"accepts features, not paths: put a VGG16"):
        head().fit(["a.jpg", "b.jpg"], [0, 1])
    with pytest.raises(ValueError, match=r"accepts features, not paths: put a VGG16"):
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
    validation = {"X_val": X, "y_val": y}
    for wrong in (
        {"X_val": X[:, :5]},
        {"y_val": np.eye(2)[y]},
        {"y_val": y[:4]},
        {"sample_weight_val": -np.ones(len(X))},
    ):
        with pytest.raises(ValueError, match=r"^X_val, y_val or sample_weight_val"):
            head().fit(X, y, **validation | wrong)
    with pytest.raises(ValueError, match=r"early_stopping=True holds out.*has 1\)"):
        head(early_stopping=True).fit(X, [1] + [0] * (len(X) - 1))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_features_that_overflow_raise(fitted_head, method):
    classifier, X, _ = fitted_head
    large = X[:5].copy()
    large[3] = 3e38
    with pytest.raises(ValueError, match=r"logits of sample 3 of X.*Scale"):
        getattr(classifier, method)(large)
