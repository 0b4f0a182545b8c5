"""Checks of copies, files, threads and of all that an estimator must leave alone."""

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
    fitted,
    new_folder,
    outputs,
    prepared,
    sample,
    state_of,
)

_EXACT = {"rtol": 0, "atol": 0}


def check_pickle(name, estimator):
    """A pickle gives the same predictions, fitted or not."""
    data, ready = sample(), fitted(estimator)
    expected = outputs(ready, data.paths)
    new = pickle.loads(pickle.dumps(prepared(estimator)))
    what = f"{name}, pickled before the fit"
    assert_same(outputs(new.fit(data.paths, data.y), data.paths), expected, what)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        what = f"{name}, pickled with protocol {protocol}"
        try:
            results = outputs(pickle.loads(pickle.dumps(ready, protocol)), data.paths)
        except Exception as error:
            raise AssertionError(f"{what}: it fails.") from error
        assert_same(results, expected, what, **_EXACT)


# Exit code 3: the class is not to be found.
_PREDICT_THERE = """
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
    """A pickle that a new process loads gives the same predictions there."""
    kind = type(estimator)
    where = kind.__module__, kind.__qualname__
    data, ready = sample(), fitted(estimator)
    with new_folder() as folder:
        done = None
        if "<locals>" not in kind.__qualname__:
            (folder / "estimator").write_bytes(pickle.dumps((ready, data.paths)))
            done = _run_python(_PREDICT_THERE, *where, str(folder))
        if done is None or done.returncode == 3:
            raise SkipTest(
                f"a new process cannot import {kind.__qualname__} from "
                f"{kind.__module__}: to have its pickles checked there, define it at "
                "the top level of a module"
            )
        error = done.stderr[-500:]
        assert done.returncode == 0, f"{name}, pickled, fails in a new process: {error}"
        results = pickle.loads((folder / "outputs").read_bytes())
    expected = outputs(ready, data.paths)
    assert_same(results, expected, f"{name}, pickled, in a new process")


def _run_python(code, *args):
    """Run code in a new process, which finds the modules that this one finds."""
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )


def check_joblib(name, estimator):
    """A joblib file gives the same predictions, also with its arrays mapped."""
    data, ready = sample(), fitted(estimator)
    expected = outputs(ready, data.paths)
    with new_folder() as folder:
        file = folder / "estimator.joblib"
        joblib.dump(ready, file)
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
    """A deep copy gives the same predictions, and is a thing of its own."""
    data, ready = sample(), fitted(estimator)
    expected = outputs(ready, data.paths)
    copied = copy.deepcopy(ready)
    what = f"A deep copy of {name}"
    assert_same(outputs(copied, data.paths), expected, what, **_EXACT)
    other = Sample(data.paths[:5], None, np.array(["b", "a", "b", "b", "a"]))
    copied.fit(other.paths, other.y)
    what = f"{name}, after its copy was fitted to other data"
    assert_same(outputs(ready, data.paths), expected, what, **_EXACT)


def check_fits_share_nothing(name, estimator):
    """A fit of one estimator does not change another that was fitted before."""
    data, ready = sample(), fitted(estimator)
    expected = outputs(ready, data.paths)
    fitted(estimator, Sample(data.paths[:5], None, np.array([4, 2, 4, 4, 2])))
    what = f"{name}, after another one was fitted"
    assert_same(outputs(ready, data.paths), expected, what, **_EXACT)


def check_frozen(name, estimator):
    """Frozen, the estimator predicts the same and is not fitted again."""
    data, ready = sample(), fitted(estimator)
    expected = outputs(ready, data.paths)
    frozen = clone(FrozenEstimator(ready))
    try:
        results = outputs(frozen.fit(data.paths[::-1], data.y), data.paths)
    except Exception as error:
        raise AssertionError(f"{name} fails as a FrozenEstimator.") from error
    assert_same(results, expected, f"{name}, frozen", **_EXACT)


def check_predictions_change_nothing(name, estimator):
    """Predictions leave all attributes as they are."""
    data, ready = sample(), fitted(estimator)
    before = state_of(ready)
    outputs(ready, data.paths)
    after = state_of(ready)
    changed = sorted(k for k in before | after if before.get(k) != after.get(k))
    assert not changed, f"Predictions of {name} change its attributes {changed}."


def _global_state():
    """Return what a process has of global state, as a dict."""
    kind, keys, *position = np.random.get_state()
    state = {
        "the random state of Python": random.getstate(),
        "the random state of NumPy": (kind, keys.tolist(), position),
        "the environment variables": dict(os.environ),
        "the working directory": os.getcwd(),
        "the filters of warnings": list(warnings.filters),
        "the error handling of NumPy": np.geterr(),
        "the configuration of scikit-learn": sklearn.get_config(),
        "the limits of Pillow": (
            Image.MAX_IMAGE_PIXELS,
            ImageFile.LOAD_TRUNCATED_IMAGES,
        ),
        "the handler of Ctrl-C": signal.getsignal(signal.SIGINT),
    }
    if "keras" in sys.modules:
        config = sys.modules["keras"].config
        names = "backend", "epsilon", "floatx", "image_data_format"
        settings = [getattr(config, key)() for key in names]
        settings.append(config.dtype_policy().name)
        state["the settings of Keras"] = settings
    return state


def check_global_state_is_left_alone(name, estimator):
    """No global random state, setting, environment variable or filter changes."""
    data = sample()
    outputs(fitted(estimator), data.paths)  # what is imported late is imported now
    before = _global_state()
    outputs(fitted(estimator), data.paths)
    after = _global_state()
    changed = [key for key in before if before[key] != after[key]]
    assert not changed, f"{name} changes {' and '.join(changed)}."


def check_no_warnings(name, estimator):
    """Fits and predictions on good data are silent."""
    data = sample()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outputs(fitted(estimator), data.paths)
    caught = [w for w in caught if not issubclass(w.category, ResourceWarning)]
    assert not caught, f"{name} warns without need: {caught[0].message}"


def check_global_seeds_have_no_effect(name, estimator):
    """With a seed of its own, the estimator does not look at NumPy's or Python's."""
    data = sample()
    states = random.getstate(), np.random.get_state()
    results = []
    try:
        for seed in (1, 2):
            random.seed(seed)
            np.random.seed(seed)
            results.append(outputs(fitted(estimator), data.paths))
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    assert_same(*results, f"{name}, with other global seeds", rtol=1e-6, atol=1e-6)


def check_threads_predict_at_once(name, estimator):
    """Predictions in threads, on one estimator, are those of a single thread."""
    data, ready = sample(3), fitted(estimator, sample(3))
    parts = [data.paths[i:] + data.paths[:i] for i in range(8)]
    expected = [outputs(ready, part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda part: outputs(ready, part), parts))
    for values, wanted in zip(results, expected, strict=True):
        assert_same(values, wanted, f"{name} in threads")


def check_threads_fit_at_once(name, estimator):
    """Fits in threads, each of its own clone, are those of a single thread."""
    samples = [sample(2), sample(3), sample(2)]
    expected = [outputs(fitted(estimator, data), data.paths) for data in samples]
    with ThreadPoolExecutor(3) as pool:
        ready = list(pool.map(lambda data: fitted(estimator, data), samples))
    for data, new, wanted in zip(samples, ready, expected, strict=True):
        assert_same(outputs(new, data.paths), wanted, f"{name}, fitted in threads")


CHECKS = (
    check_pickle,
    check_pickle_in_a_new_process,
    check_joblib,
    check_deepcopy,
    check_fits_share_nothing,
    check_frozen,
    check_predictions_change_nothing,
    check_global_state_is_left_alone,
    check_no_warnings,
    check_global_seeds_have_no_effect,
    check_threads_predict_at_once,
    check_threads_fit_at_once,
)
