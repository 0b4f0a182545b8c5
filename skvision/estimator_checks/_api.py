"""Checks of tags, parameters, cloning and the `fit` method."""

import joblib
import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skvision.estimator_checks._data import (
    assert_raises,
    assert_same,
    attribute_hashes,
    fit_clone,
    module_or_skip,
    outputs,
    sample,
    seeded_clone,
)


def check_path_tags(name, estimator):
    """The tags declare that X is a sequence of strings, not a numeric table."""
    tags = get_tags(estimator).input_tags
    assert tags.string, f"{name} accepts paths: its tag input_tags.string must be True."
    assert tags.one_d_array, f"{name}: the tag input_tags.one_d_array must be True."
    assert not tags.two_d_array, (
        f"{name}: with the tag input_tags.two_d_array, scikit-learn's checks would "
        "pass numeric tables to it."
    )


def check_constructor_only_assigns(name, estimator):
    """The constructor stores each parameter unchanged and sets nothing else."""
    params = estimator.get_params(deep=False)
    for key in params:
        given = object()
        try:
            made = type(estimator)(**params | {key: given})
        except Exception as error:
            message = (
                f"The constructor of {name} must accept any {key!r}: validate in fit."
            )
            raise AssertionError(message) from error
        assert getattr(made, key) is given, (
            f"The constructor of {name} modifies {key!r}."
        )
    extra = sorted(vars(type(estimator)(**params)).keys() - params.keys())
    assert not extra, f"The constructor of {name} sets other attributes: {extra}."


def check_set_params_get_params(name, estimator):
    """`get_params` returns the objects passed to `set_params`."""
    estimator = clone(estimator)
    for key in estimator.get_params(deep=False):
        given = object()
        returned = estimator.set_params(**{key: given})
        assert returned is estimator, f"set_params of {name} must return self."
        got = estimator.get_params(deep=False)[key]
        assert got is given, f"{name}: get_params returns a different {key!r} than set."


def check_unknown_param_raises(name, estimator):
    """`set_params` rejects unknown parameters."""
    what = f"{name}.set_params(no_such_parameter=1)"
    assert_raises(lambda: clone(estimator).set_params(no_such_parameter=1), what)


def check_clone(name, estimator):
    """A clone of a fitted estimator has the same parameters and is not fitted."""
    original = fit_clone(estimator)
    copy = clone(original)
    params, expected = copy.get_params(), original.get_params()
    assert params.keys() == expected.keys(), (
        f"A clone of {name} has different parameters."
    )
    for key in params:
        if not hasattr(params[key], "get_params"):
            same = joblib.hash(params[key]) == joblib.hash(expected[key])
            assert same, f"A clone of {name} has a different {key!r}."
    kept = sorted(vars(copy).keys() - vars(clone(estimator)).keys())
    assert not kept, f"A clone of {name} keeps fitted attributes: {kept}."


def check_fit_returns_self(name, estimator):
    """`fit` returns self."""
    data, estimator = sample(), seeded_clone(estimator)
    assert estimator.fit(data.paths, data.y) is estimator, (
        f"fit of {name} must return self."
    )


def check_dont_overwrite_parameters(name, estimator):
    """`fit` and the prediction methods do not modify parameters."""
    data, estimator = sample(), seeded_clone(estimator)
    before = estimator.get_params(deep=False)
    digests = {key: joblib.hash(value) for key, value in before.items()}
    estimator.fit(data.paths, data.y)
    outputs(estimator, data.paths)
    for key, value in estimator.get_params(deep=False).items():
        is_same = value is before[key] and joblib.hash(value) == digests[key]
        assert is_same, f"fit of {name} modifies the parameter {key!r}."


def check_unfitted(name, estimator):
    """Before `fit` all methods raise NotFittedError, unless `fit` is optional."""
    data, new = sample(), seeded_clone(estimator)
    if not get_tags(estimator).requires_fit:
        expected = outputs(fit_clone(estimator), data.paths)
        assert_same(outputs(new, data.paths), expected, f"{name} before fit")
        return
    for method in ("predict", "predict_proba", "decision_function", "transform"):
        if hasattr(new, method):
            call = getattr(new, method)
            what = f"{name}.{method} before fit"
            assert_raises(lambda call=call: call(data.paths), what, (NotFittedError,))
    check_is_fitted(fit_clone(estimator))


def check_fitted_names(name, estimator):
    """Attributes set by `fit` start or end with an underscore."""
    new = sorted(vars(fit_clone(estimator)).keys() - vars(clone(estimator)).keys())
    wrong = [key for key in new if not (key.endswith("_") or key.startswith("_"))]
    assert not wrong, f"fit of {name} sets attributes without an underscore: {wrong}."


def check_feature_names_in(name, estimator):
    """`fit` sets `n_features_in_` for columns, `feature_names_in_` for data frames."""
    data, estimator = sample(), seeded_clone(estimator)
    estimator.fit(np.array(data.paths)[:, np.newaxis], data.y)
    assert getattr(estimator, "n_features_in_", None) == 1, (
        f"fit of {name} on a column must set n_features_in_ = 1."
    )
    frame = module_or_skip("pandas").DataFrame({"path": data.paths})
    estimator.fit(frame, data.y)
    assert list(getattr(estimator, "feature_names_in_", [])) == ["path"], (
        f"fit of {name} on a data frame must set feature_names_in_."
    )
    estimator.fit(data.paths, data.y)
    assert not hasattr(estimator, "feature_names_in_"), (
        f"fit of {name} on a list must delete feature_names_in_ of an earlier fit."
    )


def check_failed_fit_changes_nothing(name, estimator):
    """A failed fit leaves the state of an earlier fit unchanged."""
    data, estimator = sample(), fit_clone(estimator)
    before = attribute_hashes(estimator)
    broken = {"numbers": ([1.0] * len(data.y), data.y)}
    if get_tags(estimator).requires_fit:  # stateless ones may not read the images
        missing = [*data.paths[:-1], data.paths[-1] + ".missing"]
        broken["a missing file"] = missing, data.y
    if is_classifier(estimator):
        broken["too few labels"] = data.paths, data.y[:-1]
    for form, (X, y) in broken.items():
        what = f"{name}.fit with {form}"
        call = lambda X=X, y=y: estimator.fit(X, y)  # noqa: E731
        assert_raises(call, what, (Exception,))
        assert attribute_hashes(estimator) == before, (
            f"{what} fails and modifies {name}."
        )


CHECKS = (
    check_path_tags,
    check_constructor_only_assigns,
    check_set_params_get_params,
    check_unknown_param_raises,
    check_clone,
    check_fit_returns_self,
    check_dont_overwrite_parameters,
    check_unfitted,
    check_fitted_names,
    check_feature_names_in,
    check_failed_fit_changes_nothing,
)
