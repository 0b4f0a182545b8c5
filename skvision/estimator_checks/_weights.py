"""Checks of the weights of samples and of classes."""

import numpy as np

from skvision.estimator_checks._data import (
    assert_raises,
    assert_same,
    differ,
    module_or_skip,
    outputs,
    prepared,
    sample,
)

# Without chance, and with all samples in each step: a weight is exact only then.
_WITHOUT_CHANCE = {"batch_size": 1000, "dropout": 0.0, "early_stopping": False}
_TOLERANCE = {"rtol": 1e-2, "atol": 1e-2}


def _outputs(estimator, paths, y, weight, **params):
    """Fit with weights, and return what the methods make of all images."""
    estimator = prepared(estimator, **_WITHOUT_CHANCE | params)
    estimator.fit(paths, y, sample_weight=weight)
    return outputs(estimator, sample(3).paths)


def _confusing_sample():
    """Return paths and labels that contradict each other, so that weights decide."""
    data = sample(3)
    return data.paths, np.array([0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1])


def check_weight_of_zero_is_leaving_out(name, estimator):
    """A sample of weight 0 has no influence."""
    paths, y = _confusing_sample()
    weight = np.where(np.arange(len(y)) % 4 == 3, 0.0, 1.0)
    kept = np.flatnonzero(weight)
    results = _outputs(estimator, paths, y, weight)
    expected = _outputs(estimator, [paths[i] for i in kept], y[kept], None)
    what = f"{name} with weights of 0, beside these samples left out"
    assert_same(results, expected, what, **_TOLERANCE)


def check_weight_of_two_is_twice(name, estimator):
    """A sample of weight 2 is as good as the same sample twice."""
    paths, y = _confusing_sample()
    weight = np.where(np.arange(len(y)) % 3 == 2, 2.0, 1.0)
    twice = np.repeat(np.arange(len(y)), weight.astype(int))
    results = _outputs(estimator, paths, y, weight)
    expected = _outputs(estimator, [paths[i] for i in twice], y[twice], None)
    what = f"{name} with weights of 2, beside these samples twice"
    assert_same(results, expected, what, **_TOLERANCE)


def check_weights_matter(name, estimator):
    """Other weights give another result."""
    paths, y = _confusing_sample()
    weight = np.where(np.arange(len(y)) % 3 == 2, 20.0, 1.0)
    results = _outputs(estimator, paths, y, weight)
    expected = _outputs(estimator, paths, y, None)
    assert differ(results, expected), f"{name} ignores sample_weight."


def check_no_weights_are_ones(name, estimator):
    """None is a weight of 1 for all."""
    paths, y = _confusing_sample()
    expected = _outputs(estimator, paths, y, None)
    results = _outputs(estimator, paths, y, np.ones(len(y)))
    assert_same(results, expected, f"{name} with weights of 1")


def check_forms_of_weights(name, estimator):
    """Weights may be a list, integers, float32, read-only or a series."""
    paths, y = _confusing_sample()
    weight = np.where(np.arange(len(y)) % 3 == 2, 2.0, 1.0)
    expected = _outputs(estimator, paths, y, weight)
    read_only = weight.copy()
    read_only.flags.writeable = False
    forms = {
        "a list": weight.tolist(),
        "int": weight.astype(int),
        "float32": weight.astype(np.float32),
        "a read-only array": read_only,
    }
    for form, values in forms.items():
        try:
            results = _outputs(estimator, paths, y, values)
        except Exception as error:
            raise AssertionError(f"{name} does not take {form} as weights.") from error
        assert_same(results, expected, f"{name} with {form} as weights", **_TOLERANCE)
    assert (read_only == weight).all(), f"{name} changes sample_weight."


def check_weights_in_pandas(name, estimator):
    """Weights in a series count by position, whatever its index."""
    pandas = module_or_skip("pandas")
    paths, y = _confusing_sample()
    weight = np.where(np.arange(len(y)) % 3 == 2, 2.0, 1.0)
    series = pandas.Series(weight, index=np.arange(len(y))[::-1])
    expected = _outputs(estimator, paths, y, weight)
    results = _outputs(estimator, paths, y, series)
    assert_same(results, expected, f"{name} with a series of weights")


def check_wrong_weights_refused(name, estimator):
    """Too few weights, NaN, all zero, words or a table raise an error."""
    paths, y = _confusing_sample()
    wrong = {
        "too few": np.ones(len(y) - 1),
        "NaN": np.where(np.arange(len(y)) == 1, np.nan, 1.0),
        "all zero": np.zeros(len(y)),
        "words": ["much"] * len(y),
        "a table": np.ones((len(y), 2)),
    }
    for form, weight in wrong.items():
        call = lambda weight=weight: _outputs(estimator, paths, y, weight)  # noqa: E731
        assert_raises(call, f"{name}.fit with weights that are {form}")


def check_class_weight_is_sample_weight(name, estimator):
    """A weight of a class is that weight for each of its samples."""
    if "class_weight" not in estimator.get_params(deep=False):
        return
    paths, y = _confusing_sample()
    y = np.array(["dog", "cat"])[y]
    weight = np.where(y == "cat", 5.0, 1.0)
    expected = _outputs(estimator, paths, y, weight, class_weight=None)
    by_class = {"class_weight": {"cat": 5.0, "dog": 1.0}}
    results = _outputs(estimator, paths, y, None, **by_class)
    what = f"{name} with class_weight, beside the same sample_weight"
    assert_same(results, expected, what, **_TOLERANCE)


CHECKS = (
    check_weight_of_zero_is_leaving_out,
    check_weight_of_two_is_twice,
    check_weights_matter,
    check_no_weights_are_ones,
    check_forms_of_weights,
    check_weights_in_pandas,
    check_wrong_weights_refused,
)
CHECKS_OF_CLASSIFIERS = (check_class_weight_is_sample_weight,)
