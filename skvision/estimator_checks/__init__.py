"""Checks for estimators of images, as scikit-learn has them for rows of numbers.

`check_image_estimator` and `parametrize_with_image_checks` have the conventions of
`sklearn.utils.estimator_checks`; `rows_as_images` lets the checks that stand there run
on estimators of images.
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
    """Yield the checks that apply to an estimator of images.

    Parameters
    ----------
    estimator : estimator object
        An instance. Its tags, methods and parameters decide which checks apply.

    Yields
    ------
    estimator : estimator object
        The same instance; checks work with clones.
    check : callable
        Raises an exception if ``check(estimator)`` fails, :class:`unittest.SkipTest` if
        it cannot be run. ``check.func.__name__`` is its name, and
        ``check.func.__doc__`` says what it demands.

    Examples
    --------
    >>> from skvision import ScratchCNNClassifier
    >>> from skvision.estimator_checks import image_checks_generator
    >>> checks = [check for _, check in image_checks_generator(ScratchCNNClassifier())]
    >>> checks[2].func.__name__, checks[2].func.__doc__
    ('check_params_come_back', '`get_params` returns the very objects that were set.')
    """
    name = type(estimator).__name__
    for check in _applying(estimator):
        yield estimator, partial(check, name)


def _applying(estimator):
    """Yield the functions of all checks that apply."""
    tags = get_tags(estimator)
    yield from api.CHECKS + inputs.CHECKS
    if tags.input_tags.three_d_array:
        yield from inputs.CHECKS_IN_MEMORY
    yield from results.CHECKS + state.CHECKS
    if is_classifier(estimator):
        yield from labels.CHECKS_OF_CLASSIFIERS + results.CHECKS_OF_CLASSIFIERS
    if hasattr(estimator, "transform"):
        yield from results.CHECKS_OF_TRANSFORMERS
    if has_fit_parameter(estimator, "sample_weight"):
        yield from weights.CHECKS
        if is_classifier(estimator):
            yield from weights.CHECKS_OF_CLASSIFIERS


def check_image_estimator(
    estimator,
    *,
    expected_failed_checks=None,
    on_skip="warn",
    on_fail="raise",
    callback=None,
):
    """Check that an estimator of images keeps the conventions.

    The checks fit clones to 8 or 12 small images in plain colours with some noise, in
    two or three classes. Give the estimator as many epochs as it needs for them, and no
    more: there are some hundred fits.

    Parameters
    ----------
    estimator : estimator object
        An instance, not a class. It is not changed.

    expected_failed_checks : dict of {str: str}, default=None
        Names of checks that are expected to fail, and why.

    on_skip : {"warn"} or None, default="warn"
        Whether to warn, with a :class:`~sklearn.exceptions.SkipTestWarning`, of a check
        that cannot be run, for want of pandas or polars, or because a new process
        cannot import the class of the estimator.

    on_fail : {"raise", "warn"} or None, default="raise"
        What to do when a check fails that is not expected to: raise its exception, warn
        with an :class:`~sklearn.exceptions.EstimatorCheckFailedWarning`, or nothing.

    callback : callable or None, default=None
        Called with the items of each result as keyword arguments.

    Returns
    -------
    results : list of dict
        For each check a dict with the keys "estimator", "check_name", "exception",
        "status" ("passed", "failed", "xfail" or "skipped"), "expected_to_fail" and
        "expected_to_fail_reason".

    See Also
    --------
    parametrize_with_image_checks : The same for pytest.
    rows_as_images : For the checks of scikit-learn itself.

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
    _refuse_class(estimator)
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


def _refuse_class(estimator):
    if isinstance(estimator, type):
        raise TypeError(
            f"The checks take an instance and not the class {estimator.__name__}: pass "
            f"{estimator.__name__}()."
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
    """Parametrize a test of pytest with the checks of estimators of images.

    Parameters
    ----------
    estimators : list of estimator objects
        Instances, not classes.

    expected_failed_checks : callable or None, default=None
        Called with an estimator, returns a dict from the names of checks that are
        expected to fail to the reasons. These tests are marked as xfail.

    xfail_strict : bool or None, default=None
        Whether a check that is expected to fail and passes is a failure. None leaves it
        to the configuration of pytest.

    Returns
    -------
    decorator : pytest.MarkDecorator
        For a test with the arguments `estimator` and `check`.

    See Also
    --------
    check_image_estimator : The same without pytest.

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
        _refuse_class(estimator)
        expected = expected_failed_checks(estimator) if expected_failed_checks else {}
        for _, check in image_checks_generator(estimator):
            marks = []
            if reason := expected.get(check.func.__name__):
                strict = {} if xfail_strict is None else {"strict": xfail_strict}
                marks = [pytest.mark.xfail(reason=reason, **strict)]
            label = f"{type(estimator).__name__}-{check.func.__name__}"
            cases.append(pytest.param(estimator, check, marks=marks, id=label))
    return pytest.mark.parametrize(("estimator", "check"), cases)
