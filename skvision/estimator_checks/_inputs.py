"""Checks of accepted and rejected inputs, and that inputs are not modified."""

import gc
import hashlib
import pathlib
import shutil
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from skvision.estimator_checks._data import (
    assert_raises,
    assert_same,
    fit_clone,
    module_or_skip,
    new_folder,
    outputs,
    outputs_differ,
    sample,
    seeded_clone,
    select_rows,
)


def _check_forms(name, estimator, forms, data=None):
    """Assert that `fit` and prediction methods treat all `forms` of X alike."""
    data = sample() if data is None else data
    reference = fit_clone(estimator, data)
    expected = outputs(reference, data.paths)
    for form, X in forms.items():
        try:
            refitted = seeded_clone(estimator).fit(X, data.y)
            both = outputs(refitted, X), outputs(reference, X)
        except Exception as error:
            raise AssertionError(f"{name} does not accept {form}.") from error
        for results in both:
            assert_same(results, expected, f"{name} with {form}")


def check_paths_in_sequences(name, estimator):
    """Paths may be `str`, `Path` or `np.str_`, in lists, tuples and arrays."""
    paths = sample().paths
    forms = {
        "a tuple of str": tuple(paths),
        "a list of pathlib.Path": [Path(path) for path in paths],
        "a list of pathlib.PurePath": [pathlib.PurePath(path) for path in paths],
        "a list of np.str_": [np.str_(path) for path in paths],
        "str and Path in one list": [Path(paths[0]), *paths[1:]],
        "an array of str": np.array(paths),
        "an array of objects": np.array(paths, dtype=object),
        "an array of Path": np.array([Path(path) for path in paths], dtype=object),
    }
    _check_forms(name, estimator, forms)


def check_paths_in_a_column(name, estimator):
    """A column of shape (n_samples, 1) is equivalent to a sequence."""
    column = np.array(sample().paths)[:, np.newaxis]
    forms = {
        "a column of str": column,
        "a column of objects": column.astype(object),
        "a Fortran-ordered column": np.asfortranarray(column),
    }
    _check_forms(name, estimator, forms)


def check_paths_in_pandas(name, estimator):
    """A series and a single-column data frame are equivalent to a list."""
    pandas = module_or_skip("pandas")
    paths, index = sample().paths, np.arange(len(sample().paths))[::-1] + 7
    series = pandas.Series(paths, index=index)
    frame = pandas.DataFrame({"path": paths}, index=index)
    forms = {
        "a series": series,
        "an object series": series.astype(object),
        "a categorical series": series.astype("category"),
        "a series of Path": pandas.Series([Path(path) for path in paths]),
        "a data frame": frame,
        "an object data frame": frame.astype(object),
    }
    _check_forms(name, estimator, forms)


def check_paths_in_polars(name, estimator):
    """A polars series and a polars data frame are equivalent to a list."""
    polars = module_or_skip("polars")
    series = polars.Series("path", sample().paths)
    forms = {"a polars series": series, "a polars data frame": series.to_frame()}
    _check_forms(name, estimator, forms)


def check_images_in_memory(name, estimator):
    """Arrays, bytes and Pillow images are equivalent to the same images in files."""
    data = sample()
    encoded = [Path(path).read_bytes() for path in data.paths]
    opened = [Image.fromarray(image) for image in data.pixels]
    forms = {
        "a list of arrays": list(data.pixels),
        "a list of bytes and Pillow images": [*encoded[:3], *opened[3:]],
        "images in memory": data.pixels,
        "images in memory, not contiguous": data.pixels[:, ::-1][:, ::-1],
        "images in memory, Fortran-ordered": np.asfortranarray(data.pixels),
    }
    _check_forms(name, estimator, forms)


def check_unusual_file_names(name, estimator):
    """Paths may contain spaces, non-ASCII letters and special characters."""
    data = sample()
    names = "a b.png", "katze-ä.png", "猫.png", "100%.png", "[x].png", "UPPER.PNG"
    with new_folder() as folder:
        paths = [str(folder / other) for other in (*names, "#7.png", "no_suffix")]
        for path, copy in zip(data.paths, paths, strict=True):
            shutil.copy(path, copy)
        _check_forms(name, estimator, {"paths with unusual names": paths})


def check_invalid_inputs_raise(name, estimator):
    """Anything other than paths or images raises ValueError or TypeError."""
    paths = sample().paths
    forms = {
        "a single path": paths[0],
        "a single pathlib.Path": Path(paths[0]),
        "numbers": np.ones((len(paths), 3)),
        "a list of numbers": [1.0] * len(paths),
        "two columns of paths": np.array([paths, paths]).T,
        "a 3D array of paths": np.array(paths)[:, np.newaxis, np.newaxis],
        "an empty list": [],
        "an empty column": np.empty((0, 1), dtype=object),
        "None": None,
    }
    _check_rejected(name, estimator, forms)


def check_invalid_elements_raise(name, estimator):
    """An element among paths that is no image raises an error."""
    first, *others = sample().paths
    elements = None, float("nan"), "", 3, 2.5, {}, [first, first]
    forms = {f"a list with {x!r} among paths": [*others, x] for x in elements}
    _check_rejected(name, estimator, forms)


def _check_rejected(name, estimator, forms):
    """Assert that `fit` and prediction methods reject all `forms` of X."""
    y = sample().y
    fitted = fit_clone(estimator)
    for form, X in forms.items():
        n = len(X) if isinstance(X, list | np.ndarray) else len(y)
        new = seeded_clone(estimator)
        call = lambda X=X, n=n, new=new: new.fit(X, y[:n])  # noqa: E731
        assert_raises(call, f"{name}.fit of {form}")
        for method in ("predict", "predict_proba", "transform"):
            if hasattr(fitted, method):
                call = lambda X=X, m=method: getattr(fitted, m)(X)  # noqa: E731
                assert_raises(call, f"{name}.{method} of {form}")


def check_unreadable_files_are_named(name, estimator):
    """The error for a missing or unreadable file contains its path."""
    paths, fitted = sample().paths, fit_clone(estimator)
    with new_folder() as folder:
        (folder / "text.png").write_text("not an image")
        (folder / "empty.png").touch()
        (folder / "folder.png").mkdir()
        for bad in ("missing.png", "text.png", "empty.png", "folder.png"):
            X = [*paths[:2], str(folder / bad), paths[2]]
            what = f"{name} on {bad}"
            error = assert_raises(
                lambda X=X: outputs(fitted, X), what, (ValueError, OSError)
            )
            assert bad in str(error), (
                f"{what}: the message does not contain the path: {error}"
            )


def check_file_content_matters(name, estimator):
    """A file is read again when its content changes."""
    paths, fitted = sample().paths, fit_clone(estimator)
    expected = outputs(fitted, paths[:2])
    with new_folder() as folder:
        X = [str(folder / "image.png")]
        for i in (0, 1):
            shutil.copy(paths[i], X[0])
            what = f"{name} on a replaced file"
            assert_same(outputs(fitted, X), select_rows(expected, [i]), what)


def check_pixels_matter(name, estimator):
    """Different images give different results, equal images equal results."""
    data = sample()
    fitted = fit_clone(estimator)
    results = outputs(fitted, data.paths)
    red, blue = select_rows(results, [0]), select_rows(results, [1])
    assert outputs_differ(red, blue, atol=1e-9), f"{name} ignores the pixels."
    with new_folder() as folder:
        copy = str(folder / "zz.bmp")
        Image.open(data.paths[0]).save(copy)
        assert_same(outputs(fitted, [copy]), red, f"{name} on a copy of an image")


def check_data_unchanged(name, estimator):
    """Read-only X and y are accepted; neither they nor the files are modified."""
    data = sample()
    with new_folder() as folder:
        X = np.array([shutil.copy(path, folder) for path in data.paths])
        X_list, y = X.tolist(), data.y.copy()
        before = _contents(folder)
        X.flags.writeable = y.flags.writeable = False
        try:
            estimator = seeded_clone(estimator).fit(X, y)
            outputs(estimator, X)
            outputs(estimator, X_list)
        except ValueError as error:
            raise AssertionError(f"{name} does not accept read-only data.") from error
        assert X_list == X.tolist(), f"{name} modifies the list passed as X."
        assert _contents(folder) == before, f"{name} modifies image files."


def check_images_in_memory_unchanged(name, estimator):
    """Read-only images in memory are accepted; images are not modified."""
    data = sample()
    pixels = data.pixels.copy()
    outputs(seeded_clone(estimator).fit(pixels, data.y), pixels)
    assert (pixels == data.pixels).all(), f"{name} modifies images in memory."
    pixels.flags.writeable = False
    try:
        outputs(seeded_clone(estimator).fit(pixels, data.y), pixels)
    except ValueError as error:
        raise AssertionError(f"{name} does not accept read-only images.") from error


def _contents(folder):
    return {
        path.name: hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
    }


def check_files_are_closed(name, estimator):
    """All files are closed without the help of the garbage collector."""
    data = sample()
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outputs(fit_clone(estimator), data.paths)
        gc.collect()
    left = [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)]
    left = [message for message in left if Path(data.paths[0]).parent.name in message]
    assert not left, f"{name} leaves files open: {left[0]}"


CHECKS = (
    check_paths_in_sequences,
    check_paths_in_a_column,
    check_paths_in_pandas,
    check_paths_in_polars,
    check_unusual_file_names,
    check_invalid_inputs_raise,
    check_invalid_elements_raise,
    check_unreadable_files_are_named,
    check_file_content_matters,
    check_pixels_matter,
    check_data_unchanged,
    check_files_are_closed,
)
IN_MEMORY_CHECKS = check_images_in_memory, check_images_in_memory_unchanged
