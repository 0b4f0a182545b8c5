"""Tests of seeds, global state, serialization, threads and forked processes."""

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import warnings

import joblib
import keras
import numpy as np
import pytest
import tensorflow as tf
from _heads import data, head
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skvision import DenseHeadClassifier


def test_results_depend_on_the_seed_only(fitted_head):
    classifier, X, y = fitted_head
    again = clone(classifier).fit(X, y)
    assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    assert again.history_ == classifier.history_
    other = clone(classifier).set_params(random_state=1).fit(X, y)
    assert (other.predict_proba(X) != classifier.predict_proba(X)).any()


@pytest.mark.slow
def test_grid_search_is_the_same_in_threads_and_processes():
    X, y = data()
    results = []
    for backend, n_jobs in [("threading", 1), ("threading", 2), ("loky", 2)]:
        search = GridSearchCV(head(), {"dropout": [0.0, 0.5], "l2": [0, 1e-3]}, cv=2)
        with joblib.parallel_backend(backend):
            results.append(search.set_params(n_jobs=n_jobs).fit(X, y))
    for other in results[1:]:
        for name in ("mean_test_score", "split0_test_score", "rank_test_score"):
            assert_array_equal(other.cv_results_[name], results[0].cv_results_[name])
        assert_array_equal(other.predict_proba(X), results[0].predict_proba(X))


def test_global_state_is_unchanged():
    X, y = data()
    head().fit(X, y)  # so that all imports are done
    random.seed(1)
    np.random.seed(1)
    keras.utils.set_random_seed(1)
    before = (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        dict(os.environ),
        list(warnings.filters),
        keras.config.floatx(),
        keras.config.image_data_format(),
    )
    head(hidden_units=(11, 7)).fit(X, y).model_  # noqa: B018
    after = (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        dict(os.environ),
        list(warnings.filters),
        keras.config.floatx(),
        keras.config.image_data_format(),
    )
    assert after == before
    drawn = tf.random.uniform((3,)).numpy()
    tf.random.set_seed(1)
    assert_array_equal(tf.random.uniform((3,)).numpy(), drawn)


@pytest.mark.slow
def test_joblib_in_a_fresh_process(fitted_head, tmp_path):
    classifier, X, _ = fitted_head
    joblib.dump(classifier, tmp_path / "model.joblib")
    size = sum(w.nbytes for w in classifier._weights)
    assert (tmp_path / "model.joblib").stat().st_size < 1.2 * size + 5000
    np.save(tmp_path / "X.npy", X)
    code = f"""
import joblib, numpy, pathlib
folder = pathlib.Path({str(tmp_path)!r})
model = joblib.load(folder / "model.joblib")
numpy.save(folder / "proba.npy", model.predict_proba(numpy.load(folder / "X.npy")))
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert_array_equal(np.load(tmp_path / "proba.npy"), classifier.predict_proba(X))


def test_pickle_of_an_unfitted_classifier_is_small():
    assert len(pickle.dumps(DenseHeadClassifier())) < 1000


def test_concurrent_predictions_in_threads(fitted_head):
    classifier, X, _ = fitted_head
    expected = classifier.predict_proba(X)
    wrong = []

    def work():
        for _ in range(10):
            if (classifier.predict_proba(X) != expected).any():
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_forked_child_raises_instead_of_hanging(fitted_head):
    classifier, X, _ = fitted_head
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # forks in multi-threaded processes
        pid = os.fork()
    if pid == 0:
        try:
            classifier.predict(X)
        except RuntimeError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    deadline = time.monotonic() + 20
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            pytest.fail("the child process hangs")
        time.sleep(0.05)
    assert b"was forked" in os.read(read, 1000)
