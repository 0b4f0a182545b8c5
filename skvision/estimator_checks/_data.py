"""Helpers shared by the checks: images, fits and comparisons."""

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
    """Paths of image files, the same images as an array, and their classes 0, 1, ..."""

    paths: list
    pixels: np.ndarray
    y: np.ndarray


@functools.cache
def _folder():
    # Removed when the process ends.
    return tempfile.TemporaryDirectory(prefix="skvision-checks-")


@functools.cache
def _saved_images():
    """Write 12 noisy images of three colours and return their paths and pixels."""
    rng = np.random.default_rng(0)
    colours = np.tile(_COLOURS, (N_PER_CLASS, 1))[:, np.newaxis, np.newaxis]
    noise = rng.integers(-30, 26, (len(colours), 32, 32, 3))
    pixels = (colours + noise).astype(np.uint8)
    # File names are not in the order of the images: it must not matter.
    numbers = rng.permutation(len(pixels))
    paths = [str(Path(_folder().name, f"{number:02d}.png")) for number in numbers]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    return paths, pixels


def sample(n_classes=2):
    """Return images of two or three colours, with alternating classes."""
    paths, pixels = _saved_images()
    y = np.tile(np.arange(3), N_PER_CLASS)
    kept = np.flatnonzero(y < n_classes)
    return Sample([paths[i] for i in kept], pixels[kept], y[kept])


@contextmanager
def new_folder():
    """Create a temporary folder for files that a check modifies."""
    with tempfile.TemporaryDirectory(prefix="skvision-check-") as folder:
        yield Path(folder)


def seeded_clone(estimator, **params):
    """Return a clone with `random_state=0` and `params`, as far as it has them."""
    estimator = clone(estimator)
    known = estimator.get_params(deep=False)
    params = {"random_state": 0} | params
    return estimator.set_params(**{k: v for k, v in params.items() if k in known})


def fit_clone(estimator, data=None, **fit_params):
    """Fit a clone on `data`, by default the images of two classes."""
    data = sample() if data is None else data
    estimator = seeded_clone(estimator)
    estimator.fit(data.paths, data.y, **fit_params)
    return estimator


def outputs(estimator, X):
    """Return the output of each prediction method on X, as a dict of arrays."""
    return {
        method: to_array(getattr(estimator, method)(X))
        for method in _OUTPUTS
        if hasattr(estimator, method)
    }


def to_array(values):
    """Convert an output to a dense array."""
    return values.toarray() if hasattr(values, "toarray") else np.asarray(values)


def select_rows(results, indices):
    """Select rows of each array of `outputs`."""
    return {method: values[indices] for method, values in results.items()}


def assert_same(results, expected, what, rtol=1e-5, atol=1e-5):
    """Compare two `outputs`: predicted classes exactly, numbers with a tolerance."""
    assert results.keys() == expected.keys(), (
        f"{what}: has methods {[*results]}, expected {[*expected]}."
    )
    for method, values in results.items():
        wanted = expected[method]
        assert values.shape == wanted.shape, (
            f"{what}: {method} has shape {values.shape}, expected {wanted.shape}."
        )
        if method == "predict":
            assert (values == wanted).all(), f"{what}: predict differs."
        else:
            values, wanted = values.astype(float), wanted.astype(float)
            scale = max(1.0, np.abs(wanted).max())
            close = np.allclose(values, wanted, rtol=rtol, atol=atol * scale)
            worst = np.abs(values - wanted).max()
            assert close, f"{what}: {method} differs by up to {worst:.3g}."


def outputs_differ(results, expected, atol=1e-5):
    """Return whether the output of any method differs."""
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
        message = f"{what} raises {type(error).__name__} instead of {names}."
        raise AssertionError(message) from error
    raise AssertionError(f"{what} raises no error.")


def attribute_hashes(estimator):
    """Return a hash of each attribute."""
    return {key: joblib.hash(value) for key, value in vars(estimator).items()}


def module_or_skip(name):
    """Import an optional module, or skip the check if it is missing."""
    try:
        return __import__(name)
    except ImportError as error:
        raise SkipTest(f"{name} is not installed") from error
