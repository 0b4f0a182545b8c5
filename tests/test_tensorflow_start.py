"""Tests of what TensorFlow prints when skvision starts it."""

import os
import subprocess
import sys

import pytest

from skvision._utils import process

CODE = """
import numpy as np
from skvision import ScratchCNNClassifier
images = np.zeros((4, 32, 32, 3), np.uint8)
ScratchCNNClassifier(image_size=(32, 32), epochs=1).fit(images, [0, 1, 0, 1])
"""


def run(**settings):
    """Return what a new process writes to its standard error."""
    hidden = ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")
    env = {k: v for k, v in os.environ.items() if k not in hidden}
    command = [sys.executable, "-c", CODE]
    result = subprocess.run(
        command, env=env | settings, capture_output=True, text=True, check=True
    )
    return result.stderr


@pytest.mark.slow
def test_first_fit_prints_nothing():
    assert run() == ""


@pytest.mark.slow
def test_user_can_ask_for_even_less():
    assert run(TF_CPP_MIN_LOG_LEVEL="3") == ""


@pytest.mark.slow
def test_user_can_ask_for_log_messages():
    assert "oneDNN" in run(TF_CPP_MIN_LOG_LEVEL="0")


def test_other_lines_are_printed(monkeypatch, capfd):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    lines = [
        b"I0000 00:00:1795635843.826237 service.cc:153] XLA service initialized\n",
        b"E0000 00:00:1795635845.529083 cuda.cc:52] failed call to cuInit: ERROR\n",
        b"E0000 00:00:1795635845.529083 gpu.cc:52] out of memory\n",
        b"Traceback\n",
    ]
    with pytest.raises(ImportError), process.tensorflow_start():
        for line in lines:
            os.write(2, line)
        raise ImportError
    assert capfd.readouterr().err.splitlines(keepends=True) == [
        line.decode() for line in lines[2:]
    ]


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
