"""Checks of what fits and predictions depend on, and of what they must not."""

import numpy as np
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from skvision.estimator_checks._data import (
    Sample,
    assert_same,
    fitted,
    module_or_skip,
    outputs,
    prepared,
    rows,
    sample,
    to_array,
)


def check_outputs(name, estimator):
    """There is one row for each image, and no number that is not finite."""
    data = sample(3)
    results = outputs(fitted(estimator, data), data.paths)
    assert results, f"{name} has neither predict nor transform."
    for method, values in results.items():
        assert len(values) == len(data.y), f"{name}.{method} gives {len(values)} rows."
        n_dimensions = 1 if method == "predict" else 2
        shape = f"{name}.{method} has the shape {values.shape}."
        assert values.ndim == n_dimensions, shape
        if method != "predict":
            assert np.isfinite(values).all(), f"{name}.{method} is not finite."


def check_order_does_not_matter(name, estimator):
    """Images in another order give the same rows in that order."""
    data = sample(3)
    ready = fitted(estimator, data)
    expected = outputs(ready, data.paths)
    order = np.random.default_rng(0).permutation(len(data.y))
    X = [data.paths[i] for i in order]
    what = f"{name} on images in another order"
    assert_same(outputs(ready, X), rows(expected, order), what)


def check_neighbours_do_not_matter(name, estimator):
    """An image gives the same alone, among others, and when it is there twice."""
    data = sample(3)
    ready = fitted(estimator, data)
    expected = outputs(ready, data.paths)
    for chosen in ([0], [7], [1, 2, 4, 5, 8], [3, 3], [0, 6, 0]):
        X = [data.paths[i] for i in chosen]
        what = f"{name} on images {chosen} of {len(data.y)}"
        assert_same(outputs(ready, X), rows(expected, chosen), what)


def check_many_images(name, estimator):
    """More images than fit in one pass give what they give one by one."""
    data, ready = sample(3), fitted(estimator, sample(3))
    expected = outputs(ready, data.paths)
    indices = np.arange(67) % len(data.y)
    X = [data.paths[i] for i in indices]
    assert_same(outputs(ready, X), rows(expected, indices), f"{name} on 67 images")


def check_predictions_repeat(name, estimator):
    """The same call gives the same result, to the bit."""
    data = sample()
    ready = fitted(estimator)
    expected = outputs(ready, data.paths)
    what = f"{name}, called twice"
    assert_same(outputs(ready, data.paths), expected, what, rtol=0, atol=0)


def check_fits_repeat(name, estimator):
    """Two fits of clones with the same seed give the same, to 1e-6."""
    data = sample()
    expected = outputs(fitted(estimator), data.paths)
    results = outputs(fitted(estimator), data.paths)
    what = f"{name}, fitted twice with one seed"
    assert_same(results, expected, what, rtol=1e-6, atol=1e-6)


def check_refit_forgets(name, estimator):
    """A second fit to other data is a first fit to them."""
    first, second = sample(3), sample(2)
    second = Sample(second.paths[::-1][:5], None, np.array(["b", "a", "b", "b", "a"]))
    estimator = prepared(estimator).fit(first.paths, first.y)
    refitted = outputs(estimator.fit(second.paths, second.y), first.paths)
    expected = outputs(fitted(estimator, second), first.paths)
    assert_same(refitted, expected, f"{name}, fitted to other data before")


def check_in_pipeline(name, estimator):
    """In a pipeline the estimator does what it does alone."""
    data = sample()
    pipeline = make_pipeline(prepared(estimator))
    if hasattr(estimator, "transform"):  # not the last: with fit_transform
        pipeline = make_pipeline(prepared(estimator), "passthrough")
    try:
        results = outputs(pipeline.fit(data.paths, data.y), data.paths)
    except Exception as error:
        raise AssertionError(f"{name} fails in a pipeline.") from error
    expected = outputs(fitted(estimator), data.paths)
    assert_same(results, expected, f"{name} in a pipeline")


def check_cross_validation(name, estimator):
    """Folds of a list of paths are predicted as by hand."""
    data = sample()
    folds = [(np.arange(4, 8), np.arange(4)), (np.arange(4), np.arange(4, 8))]
    estimator = prepared(estimator)
    try:
        got = cross_val_predict(estimator, data.paths, data.y, cv=folds)
    except Exception as error:
        raise AssertionError(f"{name} fails in a cross-validation.") from error
    for train, test in folds:
        part = Sample([data.paths[i] for i in train], None, data.y[train])
        expected = fitted(estimator, part).predict([data.paths[i] for i in test])
        assert (got[test] == expected).all(), f"{name} differs in a cross-validation."


def check_fit_transform(name, estimator):
    """`fit_transform` is `fit` and then `transform`."""
    data = sample()
    features = to_array(prepared(estimator).fit_transform(data.paths, data.y))
    expected = {"transform": to_array(fitted(estimator).transform(data.paths))}
    assert_same({"transform": features}, expected, f"{name}.fit_transform")


def check_names_of_features(name, estimator):
    """`get_feature_names_out` names each column, no two alike."""
    data, ready = sample(), fitted(estimator)
    names = ready.get_feature_names_out()
    n_columns = ready.transform(data.paths).shape[1]
    assert len(names) == n_columns, f"{name} names {len(names)} of {n_columns} columns."
    assert len(set(names)) == len(names), f"{name} gives two columns one name."
    assert all(isinstance(key, str) for key in names), f"{name}: names must be str."


def check_set_output_pandas(name, estimator):
    """`set_output` gives data frames with names, and with the index of X."""
    pandas = module_or_skip("pandas")
    data, ready = sample(), fitted(estimator)
    index = np.arange(len(data.y))[::-1]
    X = pandas.DataFrame({"path": data.paths}, index=index)
    plain = fitted(estimator)
    expected = to_array(plain.fit(X, data.y).transform(X))
    frame = ready.set_output(transform="pandas").fit(X, data.y).transform(X)
    assert isinstance(frame, pandas.DataFrame), f"{name} gives a {type(frame)}."
    assert list(frame.columns) == list(ready.get_feature_names_out()), (
        f"The frames of {name} have other columns than get_feature_names_out says."
    )
    assert list(frame.index) == list(index), f"{name} loses the index of X."
    assert (frame.to_numpy() == expected).all(), f"{name}: set_output changes values."


def check_set_output_polars(name, estimator):
    """`set_output` gives frames of polars with names."""
    polars = module_or_skip("polars")
    data, ready = sample(), fitted(estimator)
    expected = to_array(ready.transform(data.paths))
    frame = ready.set_output(transform="polars").transform(data.paths)
    assert isinstance(frame, polars.DataFrame), f"{name} gives a {type(frame)}."
    assert frame.columns == list(ready.get_feature_names_out()), (
        f"The frames of {name} have other columns than get_feature_names_out says."
    )
    assert (frame.to_numpy() == expected).all(), f"{name}: set_output changes values."


def check_in_column_transformer(name, estimator):
    """A column of a data frame is taken as ``"path"`` and as ``["path"]``."""
    pandas = module_or_skip("pandas")
    from sklearn.compose import make_column_transformer

    data = sample()
    frame = pandas.DataFrame({"width": 1.0, "path": data.paths})
    expected = {"transform": to_array(fitted(estimator).transform(data.paths))}
    for column in ("path", ["path"]):
        what = f"{name} on the column {column!r}"
        both = make_column_transformer((prepared(estimator), column))
        try:
            features = to_array(both.fit_transform(frame, data.y))
        except Exception as error:
            raise AssertionError(f"{what}: it fails.") from error
        assert_same({"transform": features}, expected, what)


CHECKS = (
    check_outputs,
    check_order_does_not_matter,
    check_neighbours_do_not_matter,
    check_many_images,
    check_predictions_repeat,
    check_fits_repeat,
    check_refit_forgets,
    check_in_pipeline,
)
CHECKS_OF_CLASSIFIERS = (check_cross_validation,)
CHECKS_OF_TRANSFORMERS = (
    check_fit_transform,
    check_names_of_features,
    check_set_output_pandas,
    check_set_output_polars,
    check_in_column_transformer,
)
