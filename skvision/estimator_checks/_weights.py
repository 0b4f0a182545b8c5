"""Checks of sample weights and class weights."""

import numpy as np

from skvision.estimator_checks._data import (
    assert_raises,
    assert_same,
    module_or_skip,
    outputs,
    outputs_differ,
    sample,
    seeded_clone,
)

# Sample weights are exact only without dropout and with full-batch training.
_DETERMINISTIC = {"batch_size": 1000, "dropout": 0.0, "early_stopping": False}
_TOLERANCE = {"rtol": 1e-2, "atol": 1e-2}


def _outputs(estimator, paths, y, weight, **params):
    """Fit with weights and return the outputs for all images."""
    estimator = seeded_clone(estimator, **_DETERMINISTIC | params)
    estimator.fit(paths, y, sample_weight=weight)
    return outputs(estimator, sample(3).paths)


def _contradictory_sample():
    """Return paths and contradictory labels, so that the result depends on weights."""
    data = sample(3)
    return data.paths, np.array([0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1])


def check_zero_sample_weight_equals_removal(name, estimator):
    """A weight of 0 is equivalent to removing the sample."""
    paths, y = _contradictory_sample()
    weight = np.where(np.arange(len(y)) % 4 == 3, 0.0, 1.0)
    kept = np.flatnonzero(weight)
    results = _outputs(estimator, paths, y, weight)
    expected = _outputs(estimator, [paths[i] for i in kept], y[kept], None)
    what = f"{name} with zero weights, compared with samples removed"
    assert_same(results, expected, what, **_TOLERANCE)


def check_sample_weight_two_equals_repetition(name, estimator):
    """A weight of 2 is equivalent to repeating the sample."""
    paths, y = _contradictory_sample()
    weight = np.where(np.arange(len(y)) % 3 == 2, 2.0, 1.0)
    twice = np.repeat(np.arange(len(y)), weight.astype(int))
    results = _outputs(estimator, paths, y, weight)
    expected = _outputs(estimator, [paths[i] for i in twice], y[twice], None)
    what = f"{name} with weights of 2, compared with repeated samples"
    assert_same(results, expected, what, **_TOLERANCE)


def check_sample_weight_matters(name, estimator):
    """Sample weights affect the result."""
    paths, y = _contradictory_sample()
    weight = np.where(np.arange(len(y)) % 3 == 2, 20.0, 1.0)
    results = _outputs(estimator, paths, y, weight)
    expected = _outputs(estimator, paths, y, None)
    assert outputs_differ(results, expected), f"{name} ignores sample_weight."


def check_unit_sample_weight_equals_none(name, estimator):
    """`sample_weight=None` is equivalent to weights of 1."""
    paths, y = _contradictory_sample()
    expected = _outputs(estimator, paths, y, None)
    results = _outputs(estimator, paths, y, np.ones(len(y)))
    assert_same(results, expected, f"{name} with weights of 1")


def check_sample_weight_containers(name, estimator):
    """Weights may be a list, or an integer, float32 or read-only array."""
    paths, y = _contradictory_sample()
    weight = np.where(np.arange(len(y)) % 3 == 2, 2.0, 1.0)
    expected = _outputs(estimator, paths, y, weight)
    read_only = weight.copy()
    read_only.flags.writeable = False
    forms = {
        "a list": weight.tolist(),
        "an integer array": weight.astype(int),
        "a float32 array": weight.astype(np.float32),
        "a read-only array": read_only,
    }
    for form, values in forms.items():
        try:
            results = _outputs(estimator, paths, y, values)
        except Exception as error:
            raise AssertionError(
                f"{name} does not accept {form} as weights."
            ) from error
        assert_same(results, expected, f"{name} with {form} as weights", **_TOLERANCE)
    assert (read_only == weight).all(), f"{name} modifies sample_weight."


def check_sample_weight_in_pandas(name, estimator):
    """A series of weights is used by position, ignoring its index."""
    pandas = module_or_skip("pandas")
    paths, y = _contradictory_sample()
    weight = np.where(np.arange(len(y)) % 3 == 2, 2.0, 1.0)
    series = pandas.Series(weight, index=np.arange(len(y))[::-1])
    expected = _outputs(estimator, paths, y, weight)
    results = _outputs(estimator, paths, y, series)
    assert_same(results, expected, f"{name} with a series as weights")


def check_invalid_sample_weight_raises(name, estimator):
    """Weights that are too few, NaN, all zero, strings or two-dimensional raise."""
    paths, y = _contradictory_sample()
    wrong = {
        "too few": np.ones(len(y) - 1),
        "NaN": np.where(np.arange(len(y)) == 1, np.nan, 1.0),
        "all zero": np.zeros(len(y)),
        "strings": ["much"] * len(y),
        "two-dimensional": np.ones((len(y), 2)),
    }
    for form, weight in wrong.items():
        call = lambda weight=weight: _outputs(estimator, paths, y, weight)  # noqa: E731
        assert_raises(call, f"{name}.fit with weights that are {form}")


def check_class_weight_is_sample_weight(name, estimator):
    """A class weight is equivalent to weighting each sample of the class."""
    if "class_weight" not in estimator.get_params(deep=False):
        return
    paths, y = _contradictory_sample()
    y = np.array(["dog", "cat"])[y]
    weight = np.where(y == "cat", 5.0, 1.0)
    expected = _outputs(estimator, paths, y, weight, class_weight=None)
    class_weight = {"class_weight": {"cat": 5.0, "dog": 1.0}}
    results = _outputs(estimator, paths, y, None, **class_weight)
    what = f"{name} with class_weight, compared with sample_weight"
    assert_same(results, expected, what, **_TOLERANCE)


CHECKS = (
    check_zero_sample_weight_equals_removal,
    check_sample_weight_two_equals_repetition,
    check_sample_weight_matters,
    check_unit_sample_weight_equals_none,
    check_sample_weight_containers,
    check_sample_weight_in_pandas,
    check_invalid_sample_weight_raises,
)
CLASSIFIER_CHECKS = (check_class_weight_is_sample_weight,)
