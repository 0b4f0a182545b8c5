"""Checks for image estimators, following `sklearn.utils.estimator_checks`.

`check_image_estimator` and `parametrize_with_image_checks` follow the conventions of
`sklearn.utils.estimator_checks`; `rows_as_images` adapts an image estimator so that
scikit-learn's own checks can run on it.
"""

import warnings
from functools import partial
from unittest import SkipTest

from sklearn.base import is_classifier
from sklearn.exceptions import EstimatorCheckFailedWarning, SkipTestWarning
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from skvision.estimator_checks import _api as api
from skvision.estimator_checks import _inputs as inputs
from skvision.estimator_checks import _labels as labels
from skvision.estimator_checks import _results as results
from skvision.estimator_checks import _state as state
from skvision.estimator_checks import _weights as weights
from skvision.estimator_checks._rows import rows_as_images

__all__ = [
    "check_image_estimator",
    "image_checks_generator",
    "parametrize_with_image_checks",
    "rows_as_images",
]


def image_checks_generator(estimator):
    """Yield the checks that apply to an image estimator.

    Parameters
    ----------
    estimator : estimator object
        Estimator instance. Its tags, methods and parameters determine which checks
        apply.

    Yields
    ------
    estimator : estimator object
        The same instance; checks only fit clones of it.
    check : callable
        ``check(estimator)`` raises an exception if the check fails and
        :class:`unittest.SkipTest` if it cannot be run. ``check.func.__name__`` is the
        name of the check and ``check.func.__doc__`` describes what it requires.

    Examples
    --------
    >>> from skvision import ScratchCNNClassifier
    >>> from skvision.estimator_checks import image_checks_generator
    >>> checks = [check for _, check in image_checks_generator(ScratchCNNClassifier())]
    >>> checks[2].func.__name__
    'check_set_params_get_params'
    >>> checks[2].func.__doc__
    '`get_params` returns the objects passed to `set_params`.'
    """
    name = type(estimator).__name__
    for check in _applicable_checks(estimator):
        yield estimator, partial(check, name)


def _applicable_checks(estimator):
    """Yield the functions of all applicable checks."""
    tags = get_tags(estimator)
    yield from api.CHECKS + inputs.CHECKS
    if tags.input_tags.three_d_array:
        yield from inputs.IN_MEMORY_CHECKS
    yield from results.CHECKS + state.CHECKS
    if is_classifier(estimator):
        yield from labels.CLASSIFIER_CHECKS + results.CLASSIFIER_CHECKS
    if hasattr(estimator, "transform"):
        yield from results.TRANSFORMER_CHECKS
    if has_fit_parameter(estimator, "sample_weight"):
        yield from weights.CHECKS
        if is_classifier(estimator):
            yield from weights.CLASSIFIER_CHECKS


def check_image_estimator(
    estimator,
    *,
    expected_failed_checks=None,
    on_skip="warn",
    on_fail="raise",
    callback=None,
):
    """Check that an image estimator follows the conventions of scikit-learn.

    The checks fit clones on 8 or 12 small noisy images, one colour per class, with two
    or three classes. There are about a hundred fits, so set the number of epochs just
    high enough for the estimator to learn these images.

    Parameters
    ----------
    estimator : estimator object
        Estimator instance, not a class. It is not modified.

    expected_failed_checks : dict of {str: str}, default=None
        Names of checks that are expected to fail, with the reason.

    on_skip : {"warn"} or None, default="warn"
        Whether to warn with a :class:`~sklearn.exceptions.SkipTestWarning` when a check
        is skipped because pandas or polars is not installed, or because a new process
        cannot import the class of the estimator.

    on_fail : {"raise", "warn"} or None, default="raise"
        What to do when a check fails unexpectedly: raise its exception, warn with an
        :class:`~sklearn.exceptions.EstimatorCheckFailedWarning`, or nothing.

    callback : callable or None, default=None
        Called after each check with the items of its result as keyword arguments.

    Returns
    -------
    results : list of dict
        One dict per check, with the keys "estimator", "check_name", "exception",
        "status" ("passed", "failed", "xfail" or "skipped"), "expected_to_fail" and
        "expected_to_fail_reason".

    See Also
    --------
    parametrize_with_image_checks : Run the checks with pytest.
    rows_as_images : Adapt an image estimator to scikit-learn's own checks.

    Examples
    --------
    >>> from skvision import VGG16BottleneckTransformer
    >>> from skvision.estimator_checks import check_image_estimator
    >>> transformer = VGG16BottleneckTransformer(
    ...     weights=None, layer="block1_pool", pooling="avg", image_size=(32, 32)
    ... )
    >>> results = check_image_estimator(transformer, on_skip=None)
    >>> {result["status"] for result in results} <= {"passed", "skipped"}
    True
    """
    _reject_class(estimator)
    expected = expected_failed_checks or {}
    results = []
    for _, check in image_checks_generator(estimator):
        result = _run(estimator, check, expected)
        if result["status"] == "failed" and on_fail == "raise":
            raise result["exception"]
        _warn(result, on_skip, on_fail)
        results.append(result)
        if callback is not None:
            callback(**result)
    return results


def _reject_class(estimator):
    if isinstance(estimator, type):
        raise TypeError(
            "'estimator' must be an estimator instance, got the class "
            f"{estimator.__name__}. Pass {estimator.__name__}() instead."
        )


def _run(estimator, check, expected):
    """Run one check and return its result."""
    name = check.func.__name__
    exception, status = None, "passed"
    try:
        check(estimator)
    except SkipTest as skip:
        exception, status = skip, "skipped"
    except Exception as error:
        exception, status = error, "xfail" if name in expected else "failed"
    return {
        "estimator": estimator,
        "check_name": name,
        "exception": exception,
        "status": status,
        "expected_to_fail": name in expected,
        "expected_to_fail_reason": expected.get(name, "Check is not expected to fail"),
    }


def _warn(result, on_skip, on_fail):
    name, exception = result["check_name"], result["exception"]
    if result["status"] == "skipped" and on_skip == "warn":
        warnings.warn(f"Skipping {name}: {exception}", SkipTestWarning, stacklevel=3)
    if result["status"] in ("failed", "xfail") and on_fail == "warn":
        warnings.warn(EstimatorCheckFailedWarning(**result), stacklevel=3)


def parametrize_with_image_checks(
    estimators, *, expected_failed_checks=None, xfail_strict=None
):
    """Pytest decorator that parametrizes a test with the image estimator checks.

    Parameters
    ----------
    estimators : list of estimator objects
        Estimator instances, not classes.

    expected_failed_checks : callable or None, default=None
        Callable that takes an estimator and returns a dict from the names of checks
        that are expected to fail to the reasons. These tests are marked as xfail.

    xfail_strict : bool or None, default=None
        Whether a check that is expected to fail but passes is reported as a failure. If
        None, the configuration of pytest applies.

    Returns
    -------
    decorator : pytest.MarkDecorator
        Decorator for a test with the arguments `estimator` and `check`.

    See Also
    --------
    check_image_estimator : Run the checks without pytest.

    Examples
    --------
    >>> from skvision import ScratchCNNClassifier
    >>> from skvision.estimator_checks import parametrize_with_image_checks
    >>> @parametrize_with_image_checks([ScratchCNNClassifier(image_size=(32, 32))])
    ... def test_conventions(estimator, check):
    ...     check(estimator)
    """
    import pytest

    cases = []
    for estimator in estimators:
        _reject_class(estimator)
        expected = expected_failed_checks(estimator) if expected_failed_checks else {}
        for _, check in image_checks_generator(estimator):
            marks = []
            if reason := expected.get(check.func.__name__):
                strict = {} if xfail_strict is None else {"strict": xfail_strict}
                marks = [pytest.mark.xfail(reason=reason, **strict)]
            label = f"{type(estimator).__name__}-{check.func.__name__}"
            cases.append(pytest.param(estimator, check, marks=marks, id=label))
    return pytest.mark.parametrize(("estimator", "check"), cases)
