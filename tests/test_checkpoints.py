"""Tests of interruption, divergence and checkpoints."""

import errno
import os
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
from _heads import data, head
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skvision._training import checkpoint
from skvision._training.loop import TrainingState
from skvision.exceptions import SkvisionWarning, TrainingDivergedError


class Interrupt(keras.callbacks.Callback):
    """Send SIGINT after a step of an epoch, both counted from 0."""

    def __init__(self, epoch, step):
        super().__init__()
        self.when = epoch, step
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.when:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    "common", [{}, {"early_stopping": True}, {"ema_momentum": 0.9}]
)
def test_interrupt_restores_the_last_complete_epoch(common):
    X, y = data()
    classifier = head(callbacks=[Interrupt(3, 2)], **common)
    with pytest.warns(SkvisionWarning, match="in epoch 4 of 6.*as after epoch 3"):
        classifier.fit(X, y)
    expected = head(epochs=3, **common).fit(X, y)
    assert classifier.n_iter_ == 3
    assert_array_equal(classifier.predict_proba(X), expected.predict_proba(X))


def test_interrupt_in_the_first_epoch_is_raised():
    X, y = data()
    with pytest.raises(KeyboardInterrupt):
        head(callbacks=[Interrupt(0, 2)]).fit(X, y)
    assert_array_equal(
        head().fit(X, y).predict_proba(X), head().fit(X, y).predict_proba(X)
    )


def test_divergence_error_names_epoch_and_remedy():
    X, y = data()
    with pytest.raises(
        TrainingDivergedError,
        match=r"in epoch \d+: .*Lower the 'learning_rate'.*1e\+30",
    ):
        head(optimizer="sgd", learning_rate=1e30, dropout=0.0).fit(X, y)


def test_interrupt_in_the_first_epoch_of_a_warm_start_keeps_the_previous_fit():
    X, y = data()
    classifier = head(warm_start=True, early_stopping=True).fit(X, y)
    proba = classifier.predict_proba(X)
    classifier.set_params(callbacks=[Interrupt(classifier.n_iter_, 2)])
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert_array_equal(classifier.predict_proba(X), proba)


def test_failed_refit_keeps_the_previous_fit():
    X, y = data()
    classifier = head().fit(X, y)
    proba = classifier.predict_proba(X)
    classifier.set_params(optimizer="sgd", learning_rate=1e30)
    with pytest.raises(TrainingDivergedError, match="diverged"):
        classifier.fit(X, y * 2 + 1)
    with pytest.raises(TrainingDivergedError, match="diverged"):
        classifier.fit(X[:, :4], y)
    assert list(classifier.classes_) == [0, 1]
    assert_array_equal(classifier.predict_proba(X), proba)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"early_stopping": True},
        {"learning_rate_schedule": "cosine"},
        {"ema_momentum": 0.9},
    ],
)
def test_aborted_fit_resumes(tmp_path, monkeypatch, parameters):
    monkeypatch.chdir(tmp_path)
    X, y = data()
    common = parameters | {"epochs": 8}
    expected = head(**common).fit(X, y)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="power cut"):
            head(checkpoint_dir="c", callbacks=[PowerCut(3)], **common).fit(X, y)
    epochs = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epochs.append(epoch)
    )
    resumed = head(checkpoint_dir="c", callbacks=[watch], **common)
    resumed.fit(X, y)
    assert epochs[0] == 3
    assert resumed.history_ == expected.history_
    assert_array_equal(resumed.predict_proba(X), expected.predict_proba(X))
    assert list((tmp_path / "c").iterdir()) == []


class PowerCut(keras.callbacks.Callback):
    """Raise a RuntimeError at the start of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise RuntimeError("power cut")


def test_interrupted_fit_resumes_with_other_callbacks_and_verbose(tmp_path):
    X, y = data()
    expected = head().fit(X, y)
    with pytest.warns(SkvisionWarning, match="in epoch 4 of 6"):
        head(checkpoint_dir=tmp_path, callbacks=[Interrupt(3, 2)]).fit(X, y)
    epochs = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: epochs.append(epoch)
    )
    resumed = head(checkpoint_dir=tmp_path, callbacks=[watch], verbose=2).fit(X, y)
    assert epochs == [3, 4, 5]
    assert resumed.history_ == expected.history_


def test_unwritable_checkpoint_gives_one_warning(tmp_path, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    X, y = data()
    expected = head().fit(X, y)
    monkeypatch.setattr(checkpoint, "replacing", full)
    with pytest.warns(
        SkvisionWarning, match=r"checkpoint' cannot be written.*No space"
    ) as w:
        classifier = head(checkpoint_dir=tmp_path).fit(X, y)
    assert len(w) == 1
    assert_array_equal(classifier.predict_proba(X), expected.predict_proba(X))


def test_checkpoint_of_another_training_is_ignored(tmp_path):
    X, y = data()
    common = {"checkpoint_dir": tmp_path}
    with pytest.raises(RuntimeError, match="power cut"):
        head(callbacks=[PowerCut(3)], **common).fit(X, y)
    for other, X_, y_ in [
        (head(dropout=0.4, **common), X, y),
        (head(epochs=2, **common), X, y),
        (head(random_state=1, **common), X, y),
        (head(learning_rate=0.02, **common), X, y),
        (head(learning_rate_schedule="cosine", **common), X, y),
        (head(ema_momentum=0.9, **common), X, y),
        (head(class_weight="balanced", **common), X[1:], y[1:]),
        (head(**common), X, 1 - y),
        (head(**common), -X, y),
    ]:
        assert other.fit(X_, y_).history_ == (
            clone(other).set_params(checkpoint_dir=None).fit(X_, y_).history_
        )


def test_checkpoint_errors(tmp_path):
    X, y = data()
    with pytest.raises(ValueError, match="'checkpoint_dir' needs a 'random_state'"):
        head(checkpoint_dir=tmp_path, random_state=None).fit(X, y)
    with pytest.raises(RuntimeError, match="power cut"):
        head(checkpoint_dir=tmp_path, callbacks=[PowerCut(3)]).fit(X, y)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for damaged in (b"", whole[:500], b"text"):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"checkpoint.*cannot be read.*Remove"):
            head(checkpoint_dir=tmp_path).fit(X, y)
    with pytest.raises(ValueError, match="'checkpoint_dir' parameter must be a folder"):
        head(checkpoint_dir=file).fit(X, y)
    with pytest.raises(ValueError, match=r"'checkpoint_dir'.*it is empty"):
        head(checkpoint_dir="").fit(X, y)


def state():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((64, 2), (2,))]
    history = {"loss": [0.5, 0.25], "accuracy": [0.5, 1.0]}
    return TrainingState(arrays, None, arrays, history, arrays, (1.0, -0.25), 2)


@pytest.mark.parametrize("n_flips", [200, pytest.param(6000, marks=pytest.mark.slow)])
def test_flipped_byte_never_gives_another_state(tmp_path, n_flips):
    file = checkpoint.Checkpoint(tmp_path, [b"content"])
    file.write(state())
    assert_states_equal(file.read(), vars(state()))
    whole = Path(file.path).read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(whole), n_flips):
        damaged = bytearray(whole)
        damaged[position] ^= rng.integers(1, 256)
        Path(file.path).write_bytes(damaged)
        with pytest.raises(ValueError, match=r"'.*\.checkpoint' in 'checkpoint_dir'"):
            file.read()


def assert_states_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, list):
            for one, other in zip(found[name], value, strict=True):
                assert_array_equal(one, other, strict=True)
        else:
            assert found[name] == value


@pytest.mark.parametrize("call", ["read", "write", "remove"])
def test_folder_without_rights(tmp_path, monkeypatch, call):
    def refused(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    file = checkpoint.Checkpoint(tmp_path, [b"content"])
    # The tests may run as root, for whom there are no permissions.
    monkeypatch.setattr("builtins.open", refused)
    monkeypatch.setattr(os, "unlink", refused)
    if call == "read":
        with pytest.raises(ValueError, match=r"'.*\.checkpoint' .*Permission denied"):
            file.read()
        return
    arguments = [state()] if call == "write" else []
    with pytest.warns(SkvisionWarning, match=r"'.*\.checkpoint' cannot be") as record:
        getattr(file, call)(*arguments)
        getattr(file, call)(*arguments)
    assert len(record) == 1


def test_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert checkpoint.Checkpoint("~/c", []).folder == str(tmp_path / "c")
    assert (tmp_path / "c").is_dir()
