"""Ctrl-C at random moments of `transform`, `fit` and `predict`.

``interrupts.py [CALL ...] [--rounds N] [--size PIXELS] [--images N] [--cold]``, run
with Python, sends SIGINT to a child process N times (default: 10) in each CALL:
transform, dense, scratch, fine_tuned (the `fit` of the classifiers), predict; by
default in all of them. Rounds in which the call ended before the signal are repeated.
With ``--cold`` each has a process of its own, which has not loaded TensorFlow before.

It prints, for each call,

- lost: calls that went on to their end, and features that had been computed before the
  signal, but are not in the store;
- wrong: an interrupted classifier that is not as after a complete epoch, another
  exception than KeyboardInterrupt, or another result of the same call afterwards;
- the median and the maximum of the seconds from the signal until the call returned. A
  classifier that has trained for an epoch returns with a warning.

It exits with status 1 if anything was lost or wrong.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np

CALLS = ("transform", "dense", "scratch", "fine_tuned", "predict")
MAX_REPEATS = 20  # of a round in which the signal came too late


class Signal:
    """Send SIGINT to this process after `delay` seconds, if the block still runs."""

    def __init__(self, delay, at_signal=lambda: None):
        self._timer = threading.Timer(delay, self._send)
        self._lock = threading.Lock()
        self._at_signal = at_signal
        self._is_running = True
        self.sent = None

    def _send(self):
        with self._lock:
            if self._is_running:
                self._at_signal()
                self.sent = time.perf_counter()
                os.kill(os.getpid(), signal.SIGINT)

    def start(self):
        self._timer.start()

    def end(self):
        with self._lock:
            self._is_running = False
        self._timer.cancel()


class Transform:
    """`transform` with an empty store."""

    def __init__(self, transformer, images, y):
        self.transformer, self.images, self.n_finished = transformer, images, 0
        self._count_finished()
        self.expected = transformer.transform(images)
        self._folder = tempfile.TemporaryDirectory()

    def _count_finished(self):
        from skvision._features.extraction import Extraction

        run = Extraction._run

        def counted(extraction, *arguments):
            result = run(extraction, *arguments)
            self.n_finished += len(result)
            return result

        Extraction._run = counted

    def prepare(self):
        self._folder.cleanup()
        self._folder = tempfile.TemporaryDirectory()
        self.transformer.set_params(cache_dir=self._folder.name)
        self.n_finished = self.n_at_signal = 0

    def at_signal(self):
        self.n_at_signal = self.n_finished

    def call(self):
        self.result = self.transformer.transform(self.images)
        return None

    def n_lost(self):
        # What a thread has finished is in its list only an instant later.
        n_in_store = self.transformer.cache_info().n_entries
        return int(n_in_store < self.n_at_signal - 16)

    def is_wrong(self, returned):
        self.call()
        return not np.allclose(self.result, self.expected, rtol=1e-4, atol=1e-6)


class Fit:
    """`fit` of a classifier; with checks of the state that an interrupt leaves."""

    def __init__(self, classifier, X, y):
        from skvision._training import loop

        self.classifier, self.X, self.y = classifier, X, y
        self.weights, end_epoch = [], loop._Training._end_epoch
        recorded = []

        def recording(training, logs):
            end_epoch(training, logs)
            recorded.append(training.state.weights)

        loop._Training._end_epoch = recording
        self.expected = self.call()
        loop._Training._end_epoch = end_epoch
        self.weights, self.n_checked = recorded, 0

    def prepare(self):
        pass

    def at_signal(self):
        pass

    def call(self):
        from sklearn.base import clone

        return clone(self.classifier).fit(self.X, self.y)

    def n_lost(self):
        return 0

    def is_wrong(self, returned):
        self.n_checked += 1
        wrong = returned is not None and not self._is_as_after_an_epoch(returned)
        if self.n_checked % 10 == 1:
            wrong |= not self._are_equal(self.call()._weights, self.expected._weights)
        return wrong

    def _is_as_after_an_epoch(self, classifier):
        history = classifier.history_
        if "head" in history:
            history = history["fine_tuning"]
        n_epochs = len(history.get("loss", ()))
        if n_epochs == 0:  # of fine-tuning: the head
            return all(np.isfinite(w).all() for w in classifier._weights)
        return self._are_equal(classifier._weights, self.weights[n_epochs - 1])

    @staticmethod
    def _are_equal(first, second):
        return all(map(np.array_equal, first, second))


class Predict:
    """`predict_proba` of a fine-tuned network, without a store."""

    def __init__(self, classifier, X, y):
        self.classifier, self.X = classifier.fit(X[:8], y[:8]), X
        self.expected = self.classifier.predict_proba(X)

    def prepare(self):
        pass

    def at_signal(self):
        pass

    def call(self):
        self.classifier.predict_proba(self.X)

    def n_lost(self):
        return 0

    def is_wrong(self, returned):
        proba = self.classifier.predict_proba(self.X)
        return not np.allclose(proba, self.expected, atol=1e-5)


def data_of(name, size, n_images):
    """Return the estimator of a call, unfitted, X and y."""
    from skvision import (
        DenseHeadClassifier,
        FineTunedVGGClassifier,
        ImageAugmenter,
        ScratchCNNClassifier,
        VGG16BottleneckTransformer,
    )

    rng = np.random.default_rng(0)
    if name == "dense":
        X, y = rng.normal(size=(400, 64)).astype(np.float32), np.arange(400) % 2
        return DenseHeadClassifier(epochs=10, random_state=0), X, y
    X = rng.integers(0, 256, (n_images, size, size, 3), dtype=np.uint8)
    y = np.arange(n_images) % 2
    parameters = {"image_size": (size, size)}
    if name == "transform":
        return VGG16BottleneckTransformer(weights=None, **parameters), X, y
    augmenter = ImageAugmenter(zoom_range=0.1)
    parameters |= {"augmenter": augmenter, "random_state": 0, "epochs": 3}
    if name == "scratch":
        return ScratchCNNClassifier(**parameters), X, y
    return FineTunedVGGClassifier(weights=None, **parameters), X, y


def make(name, size, n_images):
    """Return the object that calls `name`."""
    calls = {"transform": Transform, "predict": Predict}
    return calls.get(name, Fit)(*data_of(name, size, n_images))


def interrupt(call, delay):
    """Return the outcome of one call, or None if it ended before the signal."""
    call.prepare()
    interrupted, returned, error = False, None, None
    signal_ = Signal(delay, call.at_signal)
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        try:
            signal_.start()
            try:
                returned = call.call()
            except Exception as exception:
                error = exception
            signal_.end()
            end = time.perf_counter()
            for _ in range(1000):  # it may have been sent in the last instant
                pass
        except KeyboardInterrupt:
            end, interrupted = time.perf_counter(), True
    signal_.end()
    if signal_.sent is None and error is None:
        return None
    interrupted |= any("was interrupted in epoch" in str(w.message) for w in record)
    return {
        "moment": round(delay, 4),
        "latency": end - (signal_.sent or start),
        "lost": int(not interrupted) + call.n_lost(),
        "wrong": repr(error) if error else call.is_wrong(returned),
    }


def rounds(name, n_rounds, size, n_images, seed):
    """Print the outcomes of `n_rounds` interrupted calls, as lines of JSON."""
    call = make(name, size, n_images)
    call.prepare()
    start = time.perf_counter()
    call.call()
    seconds = time.perf_counter() - start
    rng = random.Random(seed)
    n_done = n_late = 0
    while n_done < n_rounds and n_late < MAX_REPEATS + 2 * n_rounds:
        outcome = interrupt(call, rng.uniform(0, seconds))
        if outcome is None:
            n_late += 1
            continue
        n_done += 1
        print(json.dumps(outcome), flush=True)


class Cold:
    """A call in a process that has not loaded TensorFlow; no result is known."""

    def __init__(self, estimator, X, y):
        self.estimator, self.X, self.y = estimator, X, y

    def prepare(self):
        pass

    def at_signal(self):
        pass

    def call(self):
        from sklearn.base import clone

        fitted = clone(self.estimator).fit(self.X, self.y)
        predict = getattr(fitted, "predict_proba", None) or fitted.transform
        self.result = predict(self.X)

    def n_lost(self):
        return 0

    def is_wrong(self, returned):
        """Return whether two more calls fail or differ."""
        self.call()
        first = self.result
        self.call()
        return not np.array_equal(first, self.result)


def cold_round(name, size, n_images, seed):
    """Interrupt `fit` and prediction at a moment of the first 10 seconds."""
    call = Cold(*data_of(name, size, n_images))
    outcome = interrupt(call, random.Random(seed).uniform(0, 10))
    if outcome is not None:
        print(json.dumps(outcome), flush=True)


def run_child(name, arguments, seed):
    """Run `rounds` in a child process; return the outcomes and standard error."""
    command = [sys.executable, __file__, name, "--child", "--seed", str(seed)]
    for option in ("rounds", "size", "images"):
        command += [f"--{option}", str(getattr(arguments, option))]
    if arguments.cold:
        command.append("--cold")
    child = subprocess.run(command, capture_output=True, text=True)
    outcomes = [json.loads(line) for line in child.stdout.splitlines()]
    if child.returncode:
        outcomes.append({"latency": 0, "lost": 0, "wrong": "the child failed"})
    return outcomes, child.stderr


def report(name, arguments):
    """Print the line of one call; return whether all went well."""
    n_children = arguments.rounds if arguments.cold else 1
    outcomes, stderr = [], ""
    for i in range(n_children):
        some, text = run_child(name, arguments, arguments.seed + i)
        outcomes, stderr = outcomes + some, stderr + text
    lost = sum(outcome["lost"] for outcome in outcomes)
    wrong = [outcome for outcome in outcomes if outcome["wrong"]]
    latencies = [outcome["latency"] for outcome in outcomes] or [float("nan")]
    print(
        f"{name}: {len(outcomes)} moments, {lost} lost, {len(wrong)} wrong, latency "
        f"median {np.median(latencies):.3f} s, maximum {max(latencies):.3f} s",
        flush=True,
    )
    for outcome in wrong + [o for o in outcomes if o["lost"]]:
        print("  ", outcome)
    if stderr:
        print(stderr[-4000:])
    return bool(outcomes) and not (lost or wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("calls", nargs="*", default=CALLS, metavar="CALL")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        sizes = arguments.size, arguments.images, arguments.seed
        if arguments.cold:
            cold_round(arguments.calls[0], *sizes)
        else:
            rounds(arguments.calls[0], arguments.rounds, *sizes)
        return 0
    return int(sum(not report(name, arguments) for name in arguments.calls) > 0)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.exit(main())
