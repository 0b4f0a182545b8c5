"""Tests of Ctrl-C; those of the training loop are in `test_checkpoints.py`."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from skvision import VGG16BottleneckTransformer
from skvision._features.extraction import Extraction
from skvision._features.store import FeatureStore
from skvision._utils.interrupts import Interruptible, check_interrupt
from skvision._utils.parallel import Threads, run_to_end

SCRIPT = Path(__file__).parent / "experiments" / "interrupts.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT between processes")
@pytest.mark.parametrize(
    "call", ["transform", "dense", "scratch", "fine_tuned", "predict"]
)
def test_random_moments(call):
    n_rounds = os.environ.get("SKVISION_TEST_INTERRUPTS", "20")
    command = [sys.executable, SCRIPT, call, "--rounds", n_rounds, "--images", "24"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{call}: {n_rounds} moments, 0 lost, 0 wrong" in result.stdout


def test_pool_does_not_wait_for_running_calls():
    release = threading.Event()
    with pytest.raises(KeyboardInterrupt), Threads(1) as pool:
        running = pool.submit(release.wait, 60)
        pending = pool.submit(abs, 1)
        raise KeyboardInterrupt
    assert pending.cancelled()
    assert not running.done()
    release.set()
    assert running.result()


def test_call_that_runs_to_its_end_is_shared():
    calls, release = [], threading.Event()

    def slow():
        calls.append(1)
        release.wait(60)
        if len(calls) == 2:
            raise OSError("failed")

    threads = [threading.Thread(target=run_to_end, args=("x", slow)) for _ in range(2)]
    for thread in threads:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(60)
    assert len(calls) == 1
    with pytest.raises(OSError, match="failed"):
        run_to_end("x", slow)


def test_interrupt_in_a_write_loses_no_features(pixels, tmp_path, monkeypatch):
    """SIGINT in the write at the end is raised after another one has succeeded."""
    write, n_writes = FeatureStore.write, []

    def interrupted(store, features):
        n_writes.append(len(features))
        if len(n_writes) == 1:
            raise KeyboardInterrupt
        write(store, features)

    monkeypatch.setattr(FeatureStore, "write", interrupted)
    monkeypatch.setattr(Extraction, "_run", _fake_run)
    vgg16 = VGG16BottleneckTransformer(
        weights=None, image_size=(32, 32), cache_dir=tmp_path
    )
    with pytest.raises(KeyboardInterrupt):
        vgg16.transform(pixels)
    assert len(n_writes) == 2
    assert vgg16.cache_info().n_entries == n_writes[0] == len(pixels)


def _fake_run(extraction, network, n_rows, chunk):
    return {key: np.zeros(512, np.float32) for key, *_ in chunk}


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_interrupted_transform_returns_at_once(pixels, tmp_path, monkeypatch):
    release, calls = threading.Event(), itertools.count()

    def slow(extraction, network, n_rows, chunk):
        if next(calls) == 1:
            time.sleep(0.5)  # until the other thread is done
            os.kill(os.getpid(), signal.SIGINT)
            release.wait(60)
        return _fake_run(extraction, network, n_rows, chunk)

    monkeypatch.setattr(Extraction, "_run", slow)
    vgg16 = VGG16BottleneckTransformer(
        weights=None, image_size=(32, 32), cache_dir=tmp_path
    )
    with pytest.raises(KeyboardInterrupt):
        vgg16.transform(pixels)
    assert not release.is_set()
    assert 0 < vgg16.cache_info().n_entries < len(pixels)
    release.set()


class Dropped:
    """An object in whose destructor a SIGINT is lost."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [None, SystemError])
def test_interrupt_that_is_lost_is_raised_again(error):
    with pytest.raises(KeyboardInterrupt):
        with Interruptible():
            Dropped()
            if error is not None:
                raise error
            check_interrupt()
            pytest.fail("the signal was lost")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    check_interrupt()
    with Interruptible():
        check_interrupt()


def test_handlers_of_the_user_are_left_alone():
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruptible():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)
