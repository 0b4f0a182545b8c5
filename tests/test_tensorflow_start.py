"""Tests of what TensorFlow prints when skvision starts it."""

import os
import subprocess
import sys

import pytest

from skvision._utils import process

TRANSFORM = """
import numpy as np
from skvision import *
images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
small = {"weights": None, "image_size": (32, 32)}
VGG16BottleneckTransformer(**small).transform(images)
"""
EVERYTHING = """
y = [0, 1, 0, 1]
DenseHeadClassifier(epochs=1).fit(np.eye(4), y)  # its updates are compiled by XLA
for classifier in (
    ScratchCNNClassifier(image_size=(32, 32), epochs=1),
    FineTunedVGGClassifier(**small, epochs=1, head_epochs=1, hidden_units=(2,)),
):
    classifier.fit(images, y).predict(images)
    classifier.model_
    if matplotlib:
        from skvision.plot import SaliencyDisplay
        SaliencyDisplay.from_estimator(classifier, images[:1])
"""
MATPLOTLIB = """
import importlib.util
matplotlib = importlib.util.find_spec("matplotlib")
"""
BROKEN = """
import os, sys
class Tensorflow:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("tensorflow."):
            os.write(2, b"I0000 00:00:17.1 dso_loader.cc:53] libfoo.so not found\\n")
            raise ImportError("TensorFlow is broken")
sys.meta_path.insert(0, Tensorflow())
"""


def run(code, *, check=True, **settings):
    """Return what a new process writes to its standard error."""
    hidden = ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")
    env = {k: v for k, v in os.environ.items() if k not in hidden}
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, env=env | settings, capture_output=True, text=True, check=check
    )
    assert result.stdout == ""
    return result.stderr


def test_other_backend_of_keras_is_refused_before_it_is_imported():
    # It may not be installed.
    errors = run(TRANSFORM, check=False, KERAS_BACKEND="torch")
    assert "requires Keras with the backend 'tensorflow'. Got 'torch'" in errors


@pytest.mark.slow
def test_nothing_is_printed_by_default():
    assert run(MATPLOTLIB + TRANSFORM + EVERYTHING) == ""


@pytest.mark.slow
def test_user_can_ask_for_log_messages():
    assert "oneDNN" in run(TRANSFORM, TF_CPP_MIN_LOG_LEVEL="0")


@pytest.mark.skipif(os.name != "posix", reason="needs a process without stderr")
def test_without_stderr_its_number_may_belong_to_another_file(tmp_path):
    code = """
import os, sys
from skvision._utils import process
file = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
assert file == 2
os.write(file, b"old")
with process.tensorflow_start():
    os.pwrite(file, b"new", 0)
"""
    path = tmp_path / "file"
    command = [sys.executable, "-c", code, path]
    subprocess.run(command, preexec_fn=lambda: os.close(2), check=True)
    assert path.read_bytes() == b"new"


def test_closed_stderr_does_not_matter():
    code = """
import os
from skvision._utils import process
os.close(2)
with process.tensorflow_start():
    pass
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_messages_of_an_import_that_fails_are_shown():
    error = run(BROKEN + TRANSFORM, check=False)
    assert error.index("libfoo.so not found") < error.index("TensorFlow is broken")


ABSL_NOTE = "WARNING: All log messages before absl::InitializeLog() is called are\n"
INFO = "I0000 00:00:1795635843.826237 1 service.cc:153] XLA service initialized\n"
DATED_INFO = "2026-11-26 06:39:01.305824: I tensorflow/core/util/port.cc:153] oneDNN\n"
NO_DRIVER = (
    "E0000 00:00:1795674792.135649 6107 cuda_platform.cc:52] failed call to cuInit: "
    "INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)\n"
)
TWICE = (
    "2026-11-26 06:39:01.320938: E cuda_fft.cc:467] Unable to register cuFFT factory: "
    "Attempting to register factory when one has already been registered\n"
)
PLACER = (
    "W0000 00:00:1795675147.269155 7548 computation_placer.cc:177] computation placer "
    "already registered\n"
)
WARNING = (
    "W0000 00:00:1795635845.529083 gpu_device.cc:52] Cannot dlopen some libraries\n"
)
BAD_DRIVER = NO_DRIVER.replace("UNKNOWN ERROR (303)", "CUDA_ERROR_SYSTEM_DRIVER_MIS")
ERRORS = NO_DRIVER, TWICE, BAD_DRIVER
FOREIGN = "Traceback\n"


@pytest.mark.parametrize(
    ("level", "dropped"),
    [
        (None, [ABSL_NOTE, INFO, DATED_INFO, NO_DRIVER, TWICE, PLACER]),
        ("0", []),
        ("1", [ABSL_NOTE, INFO, DATED_INFO]),
        ("2", [ABSL_NOTE, INFO, DATED_INFO, WARNING, PLACER]),
        ("3", [ABSL_NOTE, INFO, DATED_INFO, WARNING, PLACER, *ERRORS]),
    ],
)
def test_lines_are_dropped_by_level(level, dropped, monkeypatch, capfd):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    if level is not None:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    lines = [ABSL_NOTE, INFO, FOREIGN, DATED_INFO, WARNING, PLACER, *ERRORS]
    with process.tensorflow_start():
        for line in lines:
            os.write(2, line.encode())
    assert capfd.readouterr().err == "".join(x for x in lines if x not in dropped)


def test_environment_is_restored(monkeypatch):
    for name in ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"):
        monkeypatch.delenv(name)
    before = dict(os.environ)
    with process.tensorflow_start():
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "1"
    assert os.environ == before
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with process.tensorflow_start():
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_public_names_load_without_tensorflow():
    code = (
        "import sys, skvision\n"
        "[getattr(skvision, name) for name in skvision.__all__]\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
