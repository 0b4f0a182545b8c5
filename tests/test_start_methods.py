"""Estimators in `multiprocessing` children, for each start method."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skvision import ScratchCNNClassifier, VGG16BottleneckTransformer

pytestmark = pytest.mark.slow

Y = np.tile(["ant", "bee"], 12)


def transform(transformer, X):
    return transformer.transform(X)


def predict(classifier, X):
    return classifier.predict_proba(X)


def fit_predict(classifier, X, y):
    return classifier.fit(X, y).predict_proba(X)


def convnet():
    return ScratchCNNClassifier(
        image_size=(24, 24), filters=(8,), dense_units=8, epochs=2, random_state=0
    )


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_of_a_process_that_uses_tensorflow(method, paths):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"start method {method!r} is not available")
    unfitted = VGG16BottleneckTransformer(weights=None, image_size=(32, 32))
    fitted = VGG16BottleneckTransformer(weights=None, image_size=(32, 32)).fit(paths)
    features = fitted.transform(paths)
    classifier = convnet().fit(paths, Y)
    probabilities = classifier.predict_proba(paths)

    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        jobs = [
            pool.submit(transform, unfitted, paths),
            pool.submit(transform, fitted, paths),
            pool.submit(predict, classifier, paths),
            pool.submit(fit_predict, convnet(), paths, Y),
        ]
        results = [job.result(timeout=300) for job in jobs]
    assert_array_equal(results[0], features)
    assert_array_equal(results[1], features)
    assert_array_equal(results[2], probabilities)
    assert_allclose(results[3], probabilities, atol=1e-5)


# Spawned children import the main module. In newer Python versions the server of
# `forkserver` does so before it forks; here it preloads the modules explicitly.
SCRIPT = """
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import keras
import numpy as np
from skvision import ScratchCNNClassifier

X = np.zeros((4, 24, 24, 3), np.uint8)
X[::2] = 255
y = np.array(["ant", "bee"] * 2)

if __name__ == "__main__":
    classifier = ScratchCNNClassifier(image_size=(24, 24), filters=(8,), epochs=1)
    fitted = ScratchCNNClassifier(image_size=(24, 24), filters=(8,), epochs=1).fit(X, y)
    context = get_context(sys.argv[1])
    context.set_forkserver_preload(["keras", "skvision._scratch_cnn"])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        for job in pool.submit(classifier.fit, X, y), pool.submit(fitted.predict, X):
            try:
                print(type(job.result()).__name__)
            except RuntimeError as error:
                print("RuntimeError:", error)
"""


def run_script(folder, method):
    """Run `SCRIPT`, with a timeout, and return the printed lines."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"start method {method!r} is not available")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), method]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_spawn_after_importing_keras(tmp_path):
    assert run_script(tmp_path, "spawn") == ["ScratchCNNClassifier", "ndarray"]


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_fork_after_importing_keras(tmp_path, method):
    lines = run_script(tmp_path, method)
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("RuntimeError: TensorFlow was loaded before"), line
