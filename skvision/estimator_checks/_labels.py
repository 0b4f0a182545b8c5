"""Checks of classifiers: labels, probabilities and small datasets."""

import numpy as np
from sklearn.utils import get_tags

from skvision.estimator_checks._data import (
    Sample,
    assert_raises,
    assert_same,
    fit_clone,
    module_or_skip,
    outputs,
    sample,
    seeded_clone,
    select_rows,
)

_LABELS = {
    "str": np.array(["dog", "cat"]),
    "str in an object array": np.array(["dog", "cat"], dtype=object),
    "str of different lengths": np.array(["a", "a much longer name"]),
    "int": np.array([7, 3]),
    "int8": np.array([1, 0], dtype=np.int8),
    "negative int": np.array([1, -1]),
    "bool": np.array([True, False]),
    "float": np.array([1.0, 0.0]),
}


def check_label_types(name, estimator):
    """`predict` returns labels of the type of `y`, and `classes_` is sorted."""
    data = sample()
    expected = fit_clone(estimator, data._replace(y=1 - data.y)).predict(data.paths)
    expected = expected.astype(int)
    for kind, labels in _LABELS.items():
        order = np.argsort(labels)
        y = labels[order][1 - data.y]
        what = f"{name} with labels that are {kind}"
        try:
            fitted = fit_clone(estimator, data._replace(y=y))
        except Exception as error:
            raise AssertionError(f"{what}: fit fails.") from error
        sorted_ = [value.item() if hasattr(value, "item") else value for value in y]
        assert list(fitted.classes_) == sorted(set(sorted_)), (
            f"{what}: classes_ differ."
        )
        predicted = fitted.predict(data.paths)
        assert predicted.dtype == y.dtype, f"{what}: predict returns {predicted.dtype}."
        assert (predicted == labels[order][expected]).all(), f"{what}: predict differs."


def check_y_containers(name, estimator):
    """`y` may be a list, a tuple or an object array."""
    y = np.array(["dog", "cat"])[sample().y]
    forms = {
        "a list": y.tolist(),
        "a tuple": tuple(y),
        "an object array": y.astype(object),
    }
    _check_forms_of_y(name, estimator, y, forms)


def check_y_in_pandas(name, estimator):
    """A series of labels is used by position, ignoring its index."""
    pandas = module_or_skip("pandas")
    y = np.array(["dog", "cat"])[sample().y]
    series = pandas.Series(y, index=np.arange(len(y))[::-1])
    forms = {"a series": series, "an object series": series.astype(object)}
    _check_forms_of_y(name, estimator, y, forms)


def _check_forms_of_y(name, estimator, y, forms):
    """Assert that all `forms` of the labels are equivalent to the array `y`."""
    data = sample()
    expected = outputs(fit_clone(estimator, data._replace(y=y)), data.paths)
    for form, values in forms.items():
        try:
            results = outputs(fit_clone(estimator, data._replace(y=values)), data.paths)
        except Exception as error:
            raise AssertionError(f"{name} does not accept {form} as y.") from error
        assert_same(results, expected, f"{name} with {form} as y")


def check_invalid_y_raises(name, estimator):
    """Missing, continuous, NaN and too few labels raise an error."""
    data = sample()
    wrong = {
        "no y": None,
        "y of a different length": data.y[:-1],
        "continuous y": np.linspace(0, 1.7, len(data.y)),
        "y with NaN": np.where(np.arange(len(data.y)) == 3, np.nan, data.y),
        "an empty y": data.y[:0],
    }
    for form, y in wrong.items():
        new = seeded_clone(estimator)
        call = lambda new=new, y=y: new.fit(data.paths, y)  # noqa: E731
        assert_raises(call, f"{name}.fit with {form}")


def check_learns(name, estimator):
    """The classifier separates red, blue and green images."""
    for n_classes in (2, 3):
        if n_classes == 3 and not get_tags(estimator).classifier_tags.multi_class:
            continue
        data = sample(n_classes)
        accuracy = (fit_clone(estimator, data).predict(data.paths) == data.y).mean()
        assert accuracy > 0.83 or get_tags(estimator).classifier_tags.poor_score, (
            f"{name} has accuracy {accuracy:.2f} on images of {n_classes} colours. "
            "Train for more epochs, or set the tag classifier_tags.poor_score."
        )


def check_probabilities(name, estimator):
    """Probabilities sum to 1 and agree with `predict` and `decision_function`."""
    for n_classes in (2, 3):
        data = sample(n_classes)
        fitted = fit_clone(estimator, data)
        results, what = outputs(fitted, data.paths), f"{name}, {n_classes} classes"
        scores = results.get("decision_function", np.empty((len(data.y), n_classes)))
        if n_classes == 2 and "decision_function" in results:
            assert scores.ndim == 1, f"{what}: decision_function must have 1 dimension."
            scores = np.column_stack([-scores, scores])
        proba = results.get("predict_proba", np.full(scores.shape, 1 / n_classes))
        shape = (len(data.y), n_classes)
        assert scores.shape == proba.shape == shape, f"{what}: expected shape {shape}."
        sums = proba.sum(axis=1)
        is_valid = (proba >= 0).all() and np.allclose(sums, 1, atol=1e-5)
        assert is_valid, f"{what}: probabilities are negative or do not sum to 1."
        for method, values in (("predict_proba", proba), ("decision_function", scores)):
            if method in results:
                best = fitted.classes_[values.argmax(axis=1)]
                agree = (best == results["predict"]).all()
                assert agree, f"{what}: {method} and predict disagree."


def check_one_class(name, estimator):
    """With a single class `fit` raises ValueError, or `predict` returns that class."""
    paths = sample().paths[:3]
    try:
        fitted = seeded_clone(estimator).fit(paths, ["cat"] * 3)
    except ValueError as error:
        assert "class" in str(error), f"{name}, single class: unclear error: {error}"
        return
    except Exception as error:
        raise AssertionError(f"{name}, single class: must raise ValueError.") from error
    predicted = fitted.predict(paths)
    assert (predicted == "cat").all(), f"{name} predicts a class that is not in y."


def check_one_sample_per_class(name, estimator):
    """One image per class is enough to fit, and one image to predict."""
    data = sample()
    few = Sample(data.paths[:2], None, np.array(["dog", "cat"]))
    try:
        results = outputs(fit_clone(estimator, few), data.paths[:1])
    except Exception as error:
        raise AssertionError(f"{name} fails with one image per class.") from error
    assert all(len(values) == 1 for values in results.values()), (
        f"{name}: expected one row."
    )


def check_any_batch_size(name, estimator):
    """Any `batch_size` is accepted, and predictions do not depend on it."""
    if "batch_size" not in estimator.get_params(deep=False):
        return
    data = sample()
    for size in (1, 3, 1000):
        what = f"{name}, fitted with batch_size={size}"
        try:
            fitted = seeded_clone(estimator, batch_size=size).fit(data.paths, data.y)
        except Exception as error:
            raise AssertionError(f"{what}: fit fails.") from error
        expected = outputs(fitted, data.paths)
        alone = outputs(fitted.set_params(batch_size=2), data.paths[-1:])
        assert_same(
            alone, select_rows(expected, [-1]), f"{what}, predicting with batch_size=2"
        )


def check_rare_class(name, estimator):
    """A class with a single image is in `classes_` and in the output columns."""
    data = sample(3)
    y = np.where(np.arange(len(data.y)) == 2, "rare", "common")
    try:
        fitted = fit_clone(estimator, data._replace(y=y))
    except Exception as error:
        raise AssertionError(f"{name} fails with a single image of a class.") from error
    assert list(fitted.classes_) == ["common", "rare"], f"{name} drops the rare class."
    if hasattr(fitted, "predict_proba"):
        n_columns = fitted.predict_proba(data.paths).shape[1]
        assert n_columns == 2, f"{name}.predict_proba has {n_columns} columns, not 2."


CLASSIFIER_CHECKS = (
    check_label_types,
    check_y_containers,
    check_y_in_pandas,
    check_invalid_y_raises,
    check_learns,
    check_probabilities,
    check_one_class,
    check_one_sample_per_class,
    check_any_batch_size,
    check_rare_class,
)
