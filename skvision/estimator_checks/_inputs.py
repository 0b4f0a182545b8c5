"""Checks of what X may be, what it may not be, and that nothing happens to it."""

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
    differ,
    fitted,
    module_or_skip,
    new_folder,
    outputs,
    prepared,
    rows,
    sample,
)


def _check_forms(name, estimator, forms, data=None):
    """Assert that `fit` and the methods make the same of all forms of the paths."""
    data = sample() if data is None else data
    reference = fitted(estimator, data)
    expected = outputs(reference, data.paths)
    for form, X in forms.items():
        try:
            seen = prepared(estimator).fit(X, data.y)
            both = outputs(seen, X), outputs(reference, X)
        except Exception as error:
            raise AssertionError(f"{name} does not take {form}.") from error
        for results in both:
            assert_same(results, expected, f"{name} with {form}")


def check_paths_in_sequences(name, estimator):
    """Paths come as `str`, `Path` or `np.str_`, in lists, tuples and arrays."""
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
    """A column, of shape (n_samples, 1), is the same as a sequence."""
    column = np.array(sample().paths)[:, np.newaxis]
    forms = {
        "a column of str": column,
        "a column of objects": column.astype(object),
        "a column in the order of Fortran": np.asfortranarray(column),
    }
    _check_forms(name, estimator, forms)


def check_paths_in_pandas(name, estimator):
    """A series and a data frame of one column are the same as a list."""
    pandas = module_or_skip("pandas")
    paths, index = sample().paths, np.arange(len(sample().paths))[::-1] + 7
    series = pandas.Series(paths, index=index)
    frame = pandas.DataFrame({"path": paths}, index=index)
    forms = {
        "a series": series,
        "a series of objects": series.astype(object),
        "a series of categories": series.astype("category"),
        "a series of Path": pandas.Series([Path(path) for path in paths]),
        "a data frame": frame,
        "a data frame of objects": frame.astype(object),
    }
    _check_forms(name, estimator, forms)


def check_paths_in_polars(name, estimator):
    """A series and a data frame of polars are the same as a list."""
    polars = module_or_skip("polars")
    series = polars.Series("path", sample().paths)
    _check_forms(name, estimator, {"a series": series, "a frame": series.to_frame()})


def check_images_in_memory(name, estimator):
    """An array of uint8 gives what the same images give in files."""
    data = sample()
    forms = {
        "images in memory": data.pixels,
        "images in memory, not contiguous": data.pixels[:, ::-1][:, ::-1],
        "images in memory, in the order of Fortran": np.asfortranarray(data.pixels),
    }
    _check_forms(name, estimator, forms)


def check_unusual_file_names(name, estimator):
    """Blanks, letters of other scripts and signs are allowed in paths."""
    data = sample()
    names = "a b.png", "katze-ä.png", "猫.png", "100%.png", "[x].png", "UPPER.PNG"
    with new_folder() as folder:
        paths = [str(folder / other) for other in (*names, "#7.png", "no_ending")]
        for path, copy in zip(data.paths, paths, strict=True):
            shutil.copy(path, copy)
        _check_forms(name, estimator, {"paths with unusual names": paths})


def check_refused_forms(name, estimator):
    """Anything else than paths or images raises ValueError or TypeError."""
    paths = sample().paths
    forms = {
        "a single path": paths[0],
        "a single pathlib.Path": Path(paths[0]),
        "numbers": np.ones((len(paths), 3)),
        "a list of numbers": [1.0] * len(paths),
        "two columns of paths": np.array([paths, paths]).T,
        "a cube of paths": np.array(paths)[:, np.newaxis, np.newaxis],
        "an empty list": [],
        "an empty column": np.empty((0, 1), dtype=object),
        "None": None,
    }
    _check_refused(name, estimator, forms)


def check_refused_elements(name, estimator):
    """A missing, empty or foreign element among paths raises an error."""
    first, *others = sample().paths
    elements = None, float("nan"), "", 3, 2.5, b"image.png", [first]
    forms = {f"a list with {x!r} among paths": [*others, x] for x in elements}
    _check_refused(name, estimator, forms)


def _check_refused(name, estimator, forms):
    """Assert that `fit` and the methods refuse all forms."""
    y = sample().y
    ready = fitted(estimator)
    for form, X in forms.items():
        n = len(X) if isinstance(X, list | np.ndarray) else len(y)
        new = prepared(estimator)
        call = lambda X=X, n=n, new=new: new.fit(X, y[:n])  # noqa: E731
        assert_raises(call, f"{name}.fit of {form}")
        for method in ("predict", "predict_proba", "transform"):
            if hasattr(ready, method):
                call = lambda X=X, m=method: getattr(ready, m)(X)  # noqa: E731
                assert_raises(call, f"{name}.{method} of {form}")


def check_unreadable_files_are_named(name, estimator):
    """The error for a file that is missing or no image names its path."""
    paths, ready = sample().paths, fitted(estimator)
    with new_folder() as folder:
        (folder / "text.png").write_text("no image")
        (folder / "empty.png").touch()
        (folder / "folder.png").mkdir()
        for bad in ("missing.png", "text.png", "empty.png", "folder.png"):
            X = [*paths[:2], str(folder / bad), paths[2]]
            what = f"{name} on {bad}"
            error = assert_raises(
                lambda X=X: outputs(ready, X), what, (ValueError, OSError)
            )
            assert bad in str(error), f"{what}: the message does not name it: {error}"


def check_content_counts(name, estimator):
    """A file that changes under the same name is read again."""
    paths, ready = sample().paths, fitted(estimator)
    expected = outputs(ready, paths[:2])
    with new_folder() as folder:
        X = [str(folder / "image.png")]
        for i in (0, 1):
            shutil.copy(paths[i], X[0])
            what = f"{name} on a file that was replaced"
            assert_same(outputs(ready, X), rows(expected, [i]), what)


def check_pixels_count(name, estimator):
    """Images that differ give different results, those that are equal the same."""
    data = sample()
    ready = fitted(estimator)
    results = outputs(ready, data.paths)
    red, blue = rows(results, [0]), rows(results, [1])
    assert differ(red, blue, atol=1e-9), f"{name} does not look at the images."
    with new_folder() as folder:
        copy = str(folder / "zz.bmp")
        Image.open(data.paths[0]).save(copy)
        assert_same(outputs(ready, [copy]), red, f"{name} on a copy of an image")


def check_data_are_left_alone(name, estimator):
    """Read-only X and y are taken, and neither they nor the files are changed."""
    data = sample()
    with new_folder() as folder:
        X = np.array([shutil.copy(path, folder) for path in data.paths])
        listed, y = X.tolist(), data.y.copy()
        before = _contents(folder)
        X.flags.writeable = y.flags.writeable = False
        try:
            estimator = prepared(estimator).fit(X, y)
            outputs(estimator, X)
            outputs(estimator, listed)
        except ValueError as error:
            raise AssertionError(f"{name} does not take read-only data.") from error
        assert listed == X.tolist(), f"{name} changes the list that is given as X."
        assert _contents(folder) == before, f"{name} changes the files of images."


def check_data_in_memory_are_left_alone(name, estimator):
    """Read-only images in memory are taken, and images are not changed."""
    data = sample()
    pixels = data.pixels.copy()
    outputs(prepared(estimator).fit(pixels, data.y), pixels)
    assert (pixels == data.pixels).all(), f"{name} changes the images in memory."
    pixels.flags.writeable = False
    try:
        outputs(prepared(estimator).fit(pixels, data.y), pixels)
    except ValueError as error:
        raise AssertionError(f"{name} does not take read-only images.") from error


def _contents(folder):
    return {
        path.name: hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
    }


def check_files_are_closed(name, estimator):
    """No file stays open for the garbage collector to find."""
    data = sample()
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outputs(fitted(estimator), data.paths)
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
    check_refused_forms,
    check_refused_elements,
    check_unreadable_files_are_named,
    check_content_counts,
    check_pixels_count,
    check_data_are_left_alone,
    check_files_are_closed,
)
CHECKS_IN_MEMORY = check_images_in_memory, check_data_in_memory_are_left_alone
