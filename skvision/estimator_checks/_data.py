"""What the checks of image estimators share: images, fits and comparisons."""

import functools
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import SkipTest

import joblib
import numpy as np
from PIL import Image
from sklearn.base import clone

N_PER_CLASS = 4
_COLOURS = (230, 40, 40), (40, 40, 230), (60, 220, 60)
_OUTPUTS = "predict", "predict_proba", "decision_function", "transform"


class Sample(NamedTuple):
    """Images in files, the same in memory, and their classes as 0, 1, ..."""

    paths: list
    pixels: np.ndarray
    y: np.ndarray


@functools.cache
def _folder():
    # Removed when the process ends.
    return tempfile.TemporaryDirectory(prefix="skvision-checks-")


@functools.cache
def _written():
    """Write 12 images in three colours, with noise, and return paths and pixels."""
    rng = np.random.default_rng(0)
    colours = np.tile(_COLOURS, (N_PER_CLASS, 1))[:, np.newaxis, np.newaxis]
    noise = rng.integers(-30, 26, (len(colours), 32, 32, 3))
    pixels = (colours + noise).astype(np.uint8)
    # Not in the order of their names, which must not matter.
    numbers = rng.permutation(len(pixels))
    paths = [str(Path(_folder().name, f"{number:02d}.png")) for number in numbers]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    return paths, pixels


def sample(n_classes=2):
    """Return images of two or three colours, the classes in turn."""
    paths, pixels = _written()
    y = np.tile(np.arange(3), N_PER_CLASS)
    kept = np.flatnonzero(y < n_classes)
    return Sample([paths[i] for i in kept], pixels[kept], y[kept])


@contextmanager
def new_folder():
    """Make a folder for files that a check changes."""
    with tempfile.TemporaryDirectory(prefix="skvision-check-") as folder:
        yield Path(folder)


def prepared(estimator, **params):
    """Return a clone with a seed, and with those of `params` that it has."""
    estimator = clone(estimator)
    known = estimator.get_params(deep=False)
    params = {"random_state": 0} | params
    return estimator.set_params(**{k: v for k, v in params.items() if k in known})


def fitted(estimator, data=None, **fit_params):
    """Fit a clone to the images of `data`, by default those of two classes."""
    data = sample() if data is None else data
    estimator = prepared(estimator)
    estimator.fit(data.paths, data.y, **fit_params)
    return estimator


def outputs(estimator, X):
    """Return what each method makes of X, as a dict of arrays."""
    return {
        method: to_array(getattr(estimator, method)(X))
        for method in _OUTPUTS
        if hasattr(estimator, method)
    }


def to_array(values):
    """Return an output as an array, whatever it was."""
    return values.toarray() if hasattr(values, "toarray") else np.asarray(values)


def rows(results, indices):
    """Return some rows of each of the `outputs`."""
    return {method: values[indices] for method, values in results.items()}


def assert_same(results, expected, what, rtol=1e-5, atol=1e-5):
    """Compare two `outputs`: classes exactly, numbers with a tolerance."""
    assert results.keys() == expected.keys(), (
        f"{what}: the methods are {[*results]}, and should be {[*expected]}."
    )
    for method, values in results.items():
        wanted = expected[method]
        shapes = f"{values.shape} and {wanted.shape}"
        assert values.shape == wanted.shape, f"{what}: {method} has shapes {shapes}."
        if method == "predict":
            assert (values == wanted).all(), f"{what}: predict differs."
        else:
            values, wanted = values.astype(float), wanted.astype(float)
            scale = max(1.0, np.abs(wanted).max())
            close = np.allclose(values, wanted, rtol=rtol, atol=atol * scale)
            worst = np.abs(values - wanted).max()
            assert close, f"{what}: {method} differs by up to {worst:.3g}."


def differ(results, expected, atol=1e-5):
    """Tell whether any method gives anything else."""
    try:
        assert_same(results, expected, "", atol=atol)
    except AssertionError:
        return True
    return False


def assert_raises(call, what, errors=(ValueError, TypeError)):
    """Assert that a call raises one of the errors, and return it."""
    try:
        call()
    except errors as error:
        return error
    except Exception as error:
        names = " or ".join(kind.__name__ for kind in errors)
        message = f"{what} raises {type(error).__name__}, and should raise {names}."
        raise AssertionError(message) from error
    raise AssertionError(f"{what} raises no error.")


def state_of(estimator):
    """Return a digest of each attribute."""
    return {key: joblib.hash(value) for key, value in vars(estimator).items()}


def module_or_skip(name):
    """Import an optional module, or skip the check."""
    try:
        return __import__(name)
    except ImportError as error:
        raise SkipTest(f"{name} is not installed") from error
