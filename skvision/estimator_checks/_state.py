"""Checks of copies, pickles, threads and global state."""

import copy
import os
import pickle
import random
import signal
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from unittest import SkipTest

import joblib
import numpy as np
import sklearn
from PIL import Image, ImageFile
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skvision.estimator_checks._data import (
    Sample,
    assert_same,
    attribute_hashes,
    fit_clone,
    new_folder,
    outputs,
    sample,
    seeded_clone,
)

_EXACT = {"rtol": 0, "atol": 0}


def check_pickle(name, estimator):
    """An unpickled estimator gives the same predictions, fitted or not."""
    data, fitted = sample(), fit_clone(estimator)
    expected = outputs(fitted, data.paths)
    new = pickle.loads(pickle.dumps(seeded_clone(estimator)))
    what = f"{name}, pickled before fit"
    assert_same(outputs(new.fit(data.paths, data.y), data.paths), expected, what)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        what = f"{name}, pickled with protocol {protocol}"
        try:
            results = outputs(pickle.loads(pickle.dumps(fitted, protocol)), data.paths)
        except Exception as error:
            raise AssertionError(f"{what}, fails.") from error
        assert_same(results, expected, what, **_EXACT)


# Exit code 3: the class cannot be imported.
_PREDICT_IN_SUBPROCESS = """
import importlib, operator, pathlib, pickle, sys
module, qualname, folder = sys.argv[1:]
try:
    operator.attrgetter(qualname)(importlib.import_module(module))
except (ImportError, AttributeError):
    sys.exit(3)
from skvision.estimator_checks._data import outputs
estimator, X = pickle.loads(pathlib.Path(folder, "estimator").read_bytes())
pathlib.Path(folder, "outputs").write_bytes(pickle.dumps(outputs(estimator, X)))
"""


def check_pickle_in_a_new_process(name, estimator):
    """A pickle gives the same predictions in a new process."""
    kind = type(estimator)
    where = kind.__module__, kind.__qualname__
    data, fitted = sample(), fit_clone(estimator)
    with new_folder() as folder:
        done = None
        if "<locals>" not in kind.__qualname__:
            (folder / "estimator").write_bytes(pickle.dumps((fitted, data.paths)))
            done = _run_python(_PREDICT_IN_SUBPROCESS, *where, str(folder))
        if done is None or done.returncode == 3:
            raise SkipTest(
                f"a new process cannot import {kind.__qualname__} from "
                f"{kind.__module__}: to check its pickles in a new process, define the "
                "class at the top level of a module"
            )
        error = done.stderr[-500:]
        assert done.returncode == 0, (
            f"{name}, unpickled in a new process, fails: {error}"
        )
        results = pickle.loads((folder / "outputs").read_bytes())
    expected = outputs(fitted, data.paths)
    assert_same(results, expected, f"{name}, unpickled in a new process")


def _run_python(code, *args):
    """Run code in a new process with the module search path of this one."""
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )


def check_joblib(name, estimator):
    """A joblib file gives the same predictions, also when memory-mapped."""
    data, fitted = sample(), fit_clone(estimator)
    expected = outputs(fitted, data.paths)
    with new_folder() as folder:
        file = folder / "estimator.joblib"
        joblib.dump(fitted, file)
        for mode in (None, "r"):
            try:
                loaded = joblib.load(file, mmap_mode=mode)
                results = outputs(loaded, data.paths)
            except Exception as error:
                message = f"{name} fails from joblib.load with mmap_mode={mode!r}."
                raise AssertionError(message) from error
            what = f"{name} from joblib.load with mmap_mode={mode!r}"
            assert_same(results, expected, what, **_EXACT)
            del loaded


def check_deepcopy(name, estimator):
    """A deep copy gives the same predictions and is independent of the original."""
    data, fitted = sample(), fit_clone(estimator)
    expected = outputs(fitted, data.paths)
    copied = copy.deepcopy(fitted)
    what = f"A deep copy of {name}"
    assert_same(outputs(copied, data.paths), expected, what, **_EXACT)
    other = Sample(data.paths[:5], None, np.array(["b", "a", "b", "b", "a"]))
    copied.fit(other.paths, other.y)
    what = f"{name}, after its copy was fitted on other data"
    assert_same(outputs(fitted, data.paths), expected, what, **_EXACT)


def check_fits_are_independent(name, estimator):
    """Fitting one estimator does not affect another fitted estimator."""
    data, fitted = sample(), fit_clone(estimator)
    expected = outputs(fitted, data.paths)
    fit_clone(estimator, Sample(data.paths[:5], None, np.array([4, 2, 4, 4, 2])))
    what = f"{name}, after another estimator was fitted"
    assert_same(outputs(fitted, data.paths), expected, what, **_EXACT)


def check_frozen(name, estimator):
    """In a `FrozenEstimator` predictions are the same and `fit` has no effect."""
    data, fitted = sample(), fit_clone(estimator)
    expected = outputs(fitted, data.paths)
    frozen = clone(FrozenEstimator(fitted))
    try:
        results = outputs(frozen.fit(data.paths[::-1], data.y), data.paths)
    except Exception as error:
        raise AssertionError(f"{name} fails in a FrozenEstimator.") from error
    assert_same(results, expected, f"{name} in a FrozenEstimator", **_EXACT)


def check_predict_changes_nothing(name, estimator):
    """Prediction methods do not modify attributes."""
    data, fitted = sample(), fit_clone(estimator)
    before = attribute_hashes(fitted)
    outputs(fitted, data.paths)
    after = attribute_hashes(fitted)
    changed = sorted(k for k in before | after if before.get(k) != after.get(k))
    assert not changed, f"Prediction methods of {name} modify its attributes {changed}."


def _global_state():
    """Return the global state of the process, as a dict."""
    kind, keys, *position = np.random.get_state()
    state = {
        "Python's random state": random.getstate(),
        "NumPy's random state": (kind, keys.tolist(), position),
        "environment variables": dict(os.environ),
        "the working directory": os.getcwd(),
        "the warning filters": list(warnings.filters),
        "NumPy's error handling": np.geterr(),
        "scikit-learn's configuration": sklearn.get_config(),
        "Pillow's limits": (
            Image.MAX_IMAGE_PIXELS,
            ImageFile.LOAD_TRUNCATED_IMAGES,
        ),
        "the SIGINT handler": signal.getsignal(signal.SIGINT),
    }
    if "keras" in sys.modules:
        config = sys.modules["keras"].config
        names = "backend", "epsilon", "floatx", "image_data_format"
        settings = [getattr(config, key)() for key in names]
        settings.append(config.dtype_policy().name)
        state["Keras' settings"] = settings
    return state


def check_global_state_unchanged(name, estimator):
    """Global random states, settings, environment and warning filters are unchanged."""
    data = sample()
    outputs(fit_clone(estimator), data.paths)  # trigger lazy imports
    before = _global_state()
    outputs(fit_clone(estimator), data.paths)
    after = _global_state()
    changed = [key for key in before if before[key] != after[key]]
    assert not changed, f"{name} modifies {' and '.join(changed)}."


def check_no_warnings(name, estimator):
    """Fitting and predicting on valid data raises no warnings."""
    data = sample()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outputs(fit_clone(estimator), data.paths)
    caught = [w for w in caught if not issubclass(w.category, ResourceWarning)]
    assert not caught, f"{name} warns on valid data: {caught[0].message}"


def check_global_seeds_have_no_effect(name, estimator):
    """With `random_state` set, global seeds of NumPy and Python have no effect."""
    data = sample()
    states = random.getstate(), np.random.get_state()
    results = []
    try:
        for seed in (1, 2):
            random.seed(seed)
            np.random.seed(seed)
            results.append(outputs(fit_clone(estimator), data.paths))
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    assert_same(*results, f"{name}, with different global seeds", rtol=1e-6, atol=1e-6)


def check_predict_in_threads(name, estimator):
    """Concurrent predictions of one estimator match those of a single thread."""
    data, fitted = sample(3), fit_clone(estimator, sample(3))
    parts = [data.paths[i:] + data.paths[:i] for i in range(8)]
    expected = [outputs(fitted, part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda part: outputs(fitted, part), parts))
    for values, wanted in zip(results, expected, strict=True):
        assert_same(values, wanted, f"{name}, predicting in threads")


def check_fit_in_threads(name, estimator):
    """Clones fitted concurrently match clones fitted in a single thread."""
    samples = [sample(2), sample(3), sample(2)]
    expected = [outputs(fit_clone(estimator, data), data.paths) for data in samples]
    with ThreadPoolExecutor(3) as pool:
        fitted = list(pool.map(lambda data: fit_clone(estimator, data), samples))
    for data, estimator, wanted in zip(samples, fitted, expected, strict=True):
        results = outputs(estimator, data.paths)
        assert_same(results, wanted, f"{name}, fitted in threads")


CHECKS = (
    check_pickle,
    check_pickle_in_a_new_process,
    check_joblib,
    check_deepcopy,
    check_fits_are_independent,
    check_frozen,
    check_predict_changes_nothing,
    check_global_state_unchanged,
    check_no_warnings,
    check_global_seeds_have_no_effect,
    check_predict_in_threads,
    check_fit_in_threads,
)
