"""Checks of outputs: shapes, reproducibility, and use inside meta-estimators."""

import numpy as np
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from skvision.estimator_checks._data import (
    Sample,
    assert_same,
    fit_clone,
    module_or_skip,
    outputs,
    sample,
    seeded_clone,
    select_rows,
    to_array,
)


def check_outputs(name, estimator):
    """There is one row per image, and all numbers are finite."""
    data = sample(3)
    results = outputs(fit_clone(estimator, data), data.paths)
    assert results, f"{name} has neither predict nor transform."
    for method, values in results.items():
        assert len(values) == len(data.y), (
            f"{name}.{method} returns {len(values)} rows."
        )
        n_dimensions = 1 if method == "predict" else 2
        shape = f"{name}.{method} has shape {values.shape}."
        assert values.ndim == n_dimensions, shape
        if method != "predict":
            assert np.isfinite(values).all(), f"{name}.{method} is not finite."


def check_sample_order_invariance(name, estimator):
    """Permuting the images permutes the output rows."""
    data = sample(3)
    fitted = fit_clone(estimator, data)
    expected = outputs(fitted, data.paths)
    order = np.random.default_rng(0).permutation(len(data.y))
    X = [data.paths[i] for i in order]
    what = f"{name} on permuted images"
    assert_same(outputs(fitted, X), select_rows(expected, order), what)


def check_subset_invariance(name, estimator):
    """The output for an image does not depend on the other images in X."""
    data = sample(3)
    fitted = fit_clone(estimator, data)
    expected = outputs(fitted, data.paths)
    for chosen in ([0], [7], [1, 2, 4, 5, 8], [3, 3], [0, 6, 0]):
        X = [data.paths[i] for i in chosen]
        what = f"{name} on images {chosen} of {len(data.y)}"
        assert_same(outputs(fitted, X), select_rows(expected, chosen), what)


def check_many_images(name, estimator):
    """Outputs do not change when X has several batches."""
    data, fitted = sample(3), fit_clone(estimator, sample(3))
    expected = outputs(fitted, data.paths)
    indices = np.arange(67) % len(data.y)
    X = [data.paths[i] for i in indices]
    assert_same(
        outputs(fitted, X), select_rows(expected, indices), f"{name} on 67 images"
    )


def check_predict_is_reproducible(name, estimator):
    """Repeated calls give bitwise identical results."""
    data = sample()
    fitted = fit_clone(estimator)
    expected = outputs(fitted, data.paths)
    what = f"{name}, called twice"
    assert_same(outputs(fitted, data.paths), expected, what, rtol=0, atol=0)


def check_fit_is_reproducible(name, estimator):
    """Two fits with the same seed give the same results, within 1e-6."""
    data = sample()
    expected = outputs(fit_clone(estimator), data.paths)
    results = outputs(fit_clone(estimator), data.paths)
    what = f"{name}, fitted twice with the same seed"
    assert_same(results, expected, what, rtol=1e-6, atol=1e-6)


def check_refit_resets(name, estimator):
    """Refitting on other data is equivalent to fitting a new estimator."""
    first, second = sample(3), sample(2)
    second = Sample(second.paths[::-1][:5], None, np.array(["b", "a", "b", "b", "a"]))
    estimator = seeded_clone(estimator).fit(first.paths, first.y)
    refitted = outputs(estimator.fit(second.paths, second.y), first.paths)
    expected = outputs(fit_clone(estimator, second), first.paths)
    assert_same(refitted, expected, f"{name}, refitted on other data")


def check_in_pipeline(name, estimator):
    """In a pipeline the estimator gives the same results as alone."""
    data = sample()
    pipeline = make_pipeline(seeded_clone(estimator))
    if hasattr(estimator, "transform"):  # test fit_transform, not the last step
        pipeline = make_pipeline(seeded_clone(estimator), "passthrough")
    try:
        results = outputs(pipeline.fit(data.paths, data.y), data.paths)
    except Exception as error:
        raise AssertionError(f"{name} fails in a pipeline.") from error
    expected = outputs(fit_clone(estimator), data.paths)
    assert_same(results, expected, f"{name} in a pipeline")


def check_cross_validation(name, estimator):
    """`cross_val_predict` on a list of paths matches fitting each fold directly."""
    data = sample()
    folds = [(np.arange(4, 8), np.arange(4)), (np.arange(4), np.arange(4, 8))]
    estimator = seeded_clone(estimator)
    try:
        got = cross_val_predict(estimator, data.paths, data.y, cv=folds)
    except Exception as error:
        raise AssertionError(f"{name} fails in cross-validation.") from error
    for train, test in folds:
        part = Sample([data.paths[i] for i in train], None, data.y[train])
        expected = fit_clone(estimator, part).predict([data.paths[i] for i in test])
        assert (got[test] == expected).all(), f"{name} differs in cross-validation."


def check_fit_transform(name, estimator):
    """`fit_transform` is equivalent to `fit` followed by `transform`."""
    data = sample()
    features = to_array(seeded_clone(estimator).fit_transform(data.paths, data.y))
    expected = {"transform": to_array(fit_clone(estimator).transform(data.paths))}
    assert_same({"transform": features}, expected, f"{name}.fit_transform")


def check_feature_names_out(name, estimator):
    """`get_feature_names_out` returns one unique name per column."""
    data, fitted = sample(), fit_clone(estimator)
    names = fitted.get_feature_names_out()
    n_columns = fitted.transform(data.paths).shape[1]
    assert len(names) == n_columns, (
        f"{name} has {len(names)} names for {n_columns} columns."
    )
    assert len(set(names)) == len(names), f"{name} has duplicate feature names."
    assert all(isinstance(key, str) for key in names), (
        f"{name}: feature names must be str."
    )


def check_set_output_pandas(name, estimator):
    """`set_output` gives pandas data frames with feature names and the index of X."""
    pandas = module_or_skip("pandas")
    data, fitted = sample(), fit_clone(estimator)
    index = np.arange(len(data.y))[::-1]
    X = pandas.DataFrame({"path": data.paths}, index=index)
    plain = fit_clone(estimator)
    expected = to_array(plain.fit(X, data.y).transform(X))
    frame = fitted.set_output(transform="pandas").fit(X, data.y).transform(X)
    assert isinstance(frame, pandas.DataFrame), f"{name} returns a {type(frame)}."
    assert list(frame.columns) == list(fitted.get_feature_names_out()), (
        f"{name}: data frame columns differ from get_feature_names_out."
    )
    assert list(frame.index) == list(index), f"{name} drops the index of X."
    assert (frame.to_numpy() == expected).all(), f"{name}: set_output changes values."


def check_set_output_polars(name, estimator):
    """`set_output` gives polars data frames with feature names."""
    polars = module_or_skip("polars")
    data, fitted = sample(), fit_clone(estimator)
    expected = to_array(fitted.transform(data.paths))
    frame = fitted.set_output(transform="polars").transform(data.paths)
    assert isinstance(frame, polars.DataFrame), f"{name} returns a {type(frame)}."
    assert frame.columns == list(fitted.get_feature_names_out()), (
        f"{name}: data frame columns differ from get_feature_names_out."
    )
    assert (frame.to_numpy() == expected).all(), f"{name}: set_output changes values."


def check_in_column_transformer(name, estimator):
    """`ColumnTransformer` columns may be ``"path"`` or ``["path"]``."""
    pandas = module_or_skip("pandas")
    from sklearn.compose import make_column_transformer

    data = sample()
    frame = pandas.DataFrame({"width": 1.0, "path": data.paths})
    expected = {"transform": to_array(fit_clone(estimator).transform(data.paths))}
    for column in ("path", ["path"]):
        what = f"{name} on the column {column!r}"
        both = make_column_transformer((seeded_clone(estimator), column))
        try:
            features = to_array(both.fit_transform(frame, data.y))
        except Exception as error:
            raise AssertionError(f"{what} fails.") from error
        assert_same({"transform": features}, expected, what)


CHECKS = (
    check_outputs,
    check_sample_order_invariance,
    check_subset_invariance,
    check_many_images,
    check_predict_is_reproducible,
    check_fit_is_reproducible,
    check_refit_resets,
    check_in_pipeline,
)
CLASSIFIER_CHECKS = (check_cross_validation,)
TRANSFORMER_CHECKS = (
    check_fit_transform,
    check_feature_names_out,
    check_set_output_pandas,
    check_set_output_polars,
    check_in_column_transformer,
)
