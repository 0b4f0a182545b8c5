"""Checks of classifiers: labels, few samples, probabilities."""

import numpy as np
from sklearn.utils import get_tags

from skvision.estimator_checks._data import (
    Sample,
    assert_raises,
    assert_same,
    fitted,
    module_or_skip,
    outputs,
    prepared,
    rows,
    sample,
)

_LABELS = {
    "str": np.array(["dog", "cat"]),
    "str as objects": np.array(["dog", "cat"], dtype=object),
    "str of several lengths": np.array(["a", "a much longer name"]),
    "int": np.array([7, 3]),
    "int8": np.array([1, 0], dtype=np.int8),
    "negative int": np.array([1, -1]),
    "bool": np.array([True, False]),
    "float": np.array([1.0, 0.0]),
}


def check_types_of_labels(name, estimator):
    """Labels of any type come back as they were given, and sorted in `classes_`."""
    data = sample()
    expected = fitted(estimator, data._replace(y=1 - data.y)).predict(data.paths)
    expected = expected.astype(int)
    for kind, labels in _LABELS.items():
        order = np.argsort(labels)
        y = labels[order][1 - data.y]
        what = f"{name} with labels that are {kind}"
        try:
            ready = fitted(estimator, data._replace(y=y))
        except Exception as error:
            raise AssertionError(f"{what}: fit fails.") from error
        sorted_ = [value.item() if hasattr(value, "item") else value for value in y]
        assert list(ready.classes_) == sorted(set(sorted_)), f"{what}: classes_ differ."
        predicted = ready.predict(data.paths)
        assert predicted.dtype == y.dtype, f"{what}: predict gives {predicted.dtype}."
        assert (predicted == labels[order][expected]).all(), f"{what}: predict differs."


def check_forms_of_y(name, estimator):
    """`y` may be a list, a tuple or an array of objects."""
    y = np.array(["dog", "cat"])[sample().y]
    forms = {"a list": y.tolist(), "a tuple": tuple(y), "objects": y.astype(object)}
    _check_forms_of_y(name, estimator, y, forms)


def check_y_in_pandas(name, estimator):
    """Labels in a series count by position, whatever its index."""
    pandas = module_or_skip("pandas")
    y = np.array(["dog", "cat"])[sample().y]
    series = pandas.Series(y, index=np.arange(len(y))[::-1])
    forms = {"a series": series, "a series of objects": series.astype(object)}
    _check_forms_of_y(name, estimator, y, forms)


def _check_forms_of_y(name, estimator, y, forms):
    """Assert that all forms of the labels give the same as the array `y`."""
    data = sample()
    expected = outputs(fitted(estimator, data._replace(y=y)), data.paths)
    for form, values in forms.items():
        try:
            results = outputs(fitted(estimator, data._replace(y=values)), data.paths)
        except Exception as error:
            raise AssertionError(f"{name} does not take {form} as y.") from error
        assert_same(results, expected, f"{name} with {form} as y")


def check_wrong_y_refused(name, estimator):
    """Missing, continuous and NaN labels, and too few of them, raise an error."""
    data = sample()
    wrong = {
        "no y": None,
        "y of another length": data.y[:-1],
        "continuous y": np.linspace(0, 1.7, len(data.y)),
        "y with NaN": np.where(np.arange(len(data.y)) == 3, np.nan, data.y),
        "an empty y": data.y[:0],
    }
    for form, y in wrong.items():
        new = prepared(estimator)
        call = lambda new=new, y=y: new.fit(data.paths, y)  # noqa: E731
        assert_raises(call, f"{name}.fit with {form}")


def check_learns(name, estimator):
    """Red, blue and green images are told apart, also with one label wrong."""
    for n_classes in (2, 3):
        if n_classes == 3 and not get_tags(estimator).classifier_tags.multi_class:
            continue
        data = sample(n_classes)
        accuracy = (fitted(estimator, data).predict(data.paths) == data.y).mean()
        assert accuracy > 0.83 or get_tags(estimator).classifier_tags.poor_score, (
            f"{name} has an accuracy of {accuracy:.2f} on {n_classes} plain colours. "
            "Give it more epochs, or set the tag classifier_tags.poor_score."
        )


def check_probabilities(name, estimator):
    """Probabilities sum to 1 and agree with `predict` and `decision_function`."""
    for n_classes in (2, 3):
        data = sample(n_classes)
        ready = fitted(estimator, data)
        results, what = outputs(ready, data.paths), f"{name}, {n_classes} classes"
        scores = results.get("decision_function", np.empty((len(data.y), n_classes)))
        if n_classes == 2 and "decision_function" in results:
            assert scores.ndim == 1, f"{what}: decision_function must have 1 dimension."
            scores = np.column_stack([-scores, scores])
        proba = results.get("predict_proba", np.full(scores.shape, 1 / n_classes))
        shape = (len(data.y), n_classes)
        assert scores.shape == proba.shape == shape, f"{what}: one column for a class."
        sums = proba.sum(axis=1)
        is_valid = (proba >= 0).all() and np.allclose(sums, 1, atol=1e-5)
        assert is_valid, f"{what}: these are no probabilities."
        for method, values in (("predict_proba", proba), ("decision_function", scores)):
            if method in results:
                best = ready.classes_[values.argmax(axis=1)]
                agree = (best == results["predict"]).all()
                assert agree, f"{what}: {method} and predict do not agree."


def check_one_class(name, estimator):
    """With one class `fit` says so in a ValueError, or `predict` gives that class."""
    paths = sample().paths[:3]
    try:
        ready = prepared(estimator).fit(paths, ["cat"] * 3)
    except ValueError as error:
        assert "class" in str(error), f"{name}, one class: {error}"
        return
    except Exception as error:
        raise AssertionError(f"{name}, one class: must be a ValueError.") from error
    predicted = ready.predict(paths)
    assert (predicted == "cat").all(), f"{name} predicts a class that it never saw."


def check_one_sample_per_class(name, estimator):
    """Two images of two classes are enough to fit, and one to predict."""
    data = sample()
    few = Sample(data.paths[:2], None, np.array(["dog", "cat"]))
    try:
        results = outputs(fitted(estimator, few), data.paths[:1])
    except Exception as error:
        raise AssertionError(f"{name} fails with one image of each class.") from error
    assert all(len(values) == 1 for values in results.values()), f"{name}: one image."


def check_any_batch_size(name, estimator):
    """Batches larger than the data, and of one, do; predictions do not depend on it."""
    if "batch_size" not in estimator.get_params(deep=False):
        return
    data = sample()
    for size in (1, 3, 1000):
        what = f"{name}, fitted with batch_size={size}"
        try:
            ready = prepared(estimator, batch_size=size).fit(data.paths, data.y)
        except Exception as error:
            raise AssertionError(f"{what}: it fails.") from error
        expected = outputs(ready, data.paths)
        alone = outputs(ready.set_params(batch_size=2), data.paths[-1:])
        assert_same(alone, rows(expected, [-1]), f"{what}, with 2 in predictions")


def check_rare_class(name, estimator):
    """A class with a single image among many is in `classes_` and in the columns."""
    data = sample(3)
    y = np.where(np.arange(len(data.y)) == 2, "rare", "common")
    try:
        ready = fitted(estimator, data._replace(y=y))
    except Exception as error:
        raise AssertionError(f"{name} fails with one image of a class.") from error
    assert list(ready.classes_) == ["common", "rare"], f"{name} loses the rare class."
    if hasattr(ready, "predict_proba"):
        n_columns = ready.predict_proba(data.paths).shape[1]
        assert n_columns == 2, f"{name}.predict_proba has {n_columns} columns, not 2."


CHECKS_OF_CLASSIFIERS = (
    check_types_of_labels,
    check_forms_of_y,
    check_y_in_pandas,
    check_wrong_y_refused,
    check_learns,
    check_probabilities,
    check_one_class,
    check_one_sample_per_class,
    check_any_batch_size,
    check_rare_class,
)
