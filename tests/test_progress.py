"""Tests of `verbose`: bars, and lines of text."""

import io
import multiprocessing
import os
import re
import sys
import types

import keras
import numpy as np
import pytest
from _heads import data, head
from tqdm import tqdm

from skvision import FineTunedVGGClassifier, ImageAugmenter, VGG16BottleneckTransformer
from skvision._utils import progress
from skvision._utils.progress import EpochProgress, Progress

LOGS = {"loss": 0.25, "accuracy": 0.5}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A function that replaces stderr: pytest sets it between fixtures and test."""

    def make(stream_type=Terminal):
        monkeypatch.setattr(sys, "stderr", stream_type())
        return sys.stderr

    return make


def shown(text):
    """Return what a terminal shows of each line."""
    assert "\b" not in text
    return [line.rstrip("\r").split("\r")[-1] for line in text.rstrip().split("\n")]


def fit_and_predict(**parameters):
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    y = [0, 1] * 4
    FineTunedVGGClassifier(
        weights=None,
        image_size=(32, 32),
        hidden_units=(2,),
        augmenter=ImageAugmenter(rotation_range=5),
        n_augmented_views=1,
        flip_average=True,
        head_epochs=2,
        epochs=1,
        random_state=0,
        **parameters,
    ).fit(images, y, X_val=images[:2], y_val=y[:2]).predict(images)


def test_fine_tuning_shows_a_bar_for_each_phase(capfd):
    fit_and_predict(verbose=1)
    output, errors = capfd.readouterr()
    assert output == ""
    bar = re.compile(r"(.+): 100%\|#+\| [\d.]+/(\d+) \[.*\d(?:s/)?([a-z]+)(?:/s)?[,\]]")
    found = [bar.match(line).groups() for line in errors.splitlines()]
    assert found == [
        ("frozen blocks", "8", "image"),
        ("views", "8", "image"),
        ("frozen blocks", "2", "image"),  # of the validation data
        ("features", "16", "view"),  # the images and their mirror images, for the head
        ("features", "2", "image"),
        ("head", "2", "epoch"),
        ("fine-tuning", "1", "epoch"),
        ("predictions", "16", "view"),
    ]
    metrics = r"loss=[\d.]+, accuracy=[\d.]+, val_loss=[\d.]+, val_accuracy=[\d.]+\]"
    assert len(re.findall(metrics, errors)) == 2


def test_fine_tuning_prints_a_line_for_each_epoch_and_pass(capfd):
    fit_and_predict(verbose=2)
    output, errors = capfd.readouterr()
    assert errors == ""
    assert re.sub(r"\d+\.\d+", "*", output).splitlines() == [
        "frozen blocks: 8 images, * s, * images/s",
        "views: 8 images, * s, * images/s",
        "frozen blocks: 2 images, * s, * images/s",
        "features: 16 views, * s, * views/s",
        "features: 2 images, * s, * images/s",
        *(
            f"{epoch}, * s, loss *, accuracy *, val_loss *, val_accuracy *"
            for epoch in ("head: epoch 1/2", "head: epoch 2/2")
        ),
        "fine-tuning: epoch 1/1, * s, loss *, accuracy *, val_loss *, val_accuracy *",
        "predictions: 16 views, * s, * views/s",
    ]


def test_fine_tuning_is_silent_by_default(capfd):
    fit_and_predict()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("flip_average", [False, True])
def test_transform_counts_what_is_computed(flip_average, pixels, tmp_path, capfd):
    transformer = VGG16BottleneckTransformer(
        weights=None,
        image_size=(32, 32),
        flip_average=flip_average,
        cache_dir=tmp_path,
        verbose=2,
    )
    transformer.transform(pixels[:3])
    transformer.transform(pixels[:5])
    transformer.transform(pixels[:5])
    found = re.findall(r"features: (\d+ \w+),", capfd.readouterr().out)
    unit = "views" if flip_average else "images"
    assert found == [f"{3 + 3 * flip_average} {unit}", f"{2 + 2 * flip_average} {unit}"]


def test_warm_start_counts_on(capfd):
    X, y = data()
    classifier = head(warm_start=True, epochs=2, verbose=2).fit(X, y)
    classifier.fit(X, y)
    found = re.findall(r"training: epoch (\d/\d)", capfd.readouterr().out)
    assert found == ["1/2", "2/2", "3/4", "4/4"]


def test_early_end_is_complete(terminal):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 2

    X, y = data()
    stream = terminal()
    head(callbacks=[Stop], verbose=1).fit(X, y)
    assert re.match(r"training: 100%\|.*\| 3/3 \[", *shown(stream.getvalue()))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_bar_ends_where_an_error_does(error, terminal):
    class Raise(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1:
                raise error

    X, y = data()
    stream = terminal()
    with pytest.raises(error):
        head(callbacks=[Raise], verbose=1).fit(X, y)
    assert re.match(r"training:   \d%\|.*\| 0\.\d/6 \[", shown(stream.getvalue())[0])
    assert not tqdm._instances
    # The next bar is on a line of its own, and not below a bar that is still open.
    with Progress("features", 2, "image", 1) as features:
        features.add(2)
    assert shown(stream.getvalue())[1].startswith("features: 100%|")


def test_terminal_shows_one_line_for_each_bar(terminal, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_UPDATES", 0)
    stream = terminal()
    with EpochProgress("training", 2, verbose=1) as epochs:
        epochs.end_batch(0.5, LOGS)
        epochs.end_epoch(LOGS | {"val_loss": 0.75})
        epochs.end_batch(0.5, LOGS)
    updates = stream.getvalue().split("\r")
    assert "training:  25%|" in updates[2]
    assert re.search(r"0\.5/2 \[.*epoch/s, loss=0.25, accuracy=0.5\]", updates[2])
    # Within the next epoch, the validation scores of the last one stay.
    assert re.search(r"1\.5/2 \[.*accuracy=0.5, val_loss=0.75\]", updates[4])
    assert len(shown(stream.getvalue())) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_terminal_may_have_no_width(monkeypatch):
    master, slave = os.openpty()  # of 0 columns, as in a container
    with os.fdopen(slave, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with Progress("features", 2, "image", 1) as features:
            features.add(2)
        text = ""
        while not text.endswith("\n"):
            text += os.read(master, 10_000).decode()
    os.close(master)
    assert "features: 100%|" in text


@pytest.mark.parametrize("where", ["log file", "worker"])
def test_log_file_gets_a_line_a_minute(where, monkeypatch, terminal):
    stream = terminal(io.StringIO if where == "log file" else Terminal)
    if where == "worker":  # workers would overwrite each other's bars
        monkeypatch.setattr(multiprocessing.current_process(), "name", "Worker-1")
    with Progress("features", 1000, "image", 1) as features:
        for _ in range(1000):
            features.add(1)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("features: 100%|##########| 1000/1000 [")
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0)
    with Progress("features", 3, "image", 1) as features:
        for _ in range(3):
            features.add(1)
    assert len(stream.getvalue().splitlines()) == 1 + 3 + 1


def test_notebook_without_widgets_gets_text(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", types.ModuleType("kernel"))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    progress._bar_class.cache_clear()
    with Progress("features", 2, "image", 1) as features:
        features.add(2)
    progress._bar_class.cache_clear()
    output, errors = capsys.readouterr()
    assert errors == ""  # would be red
    assert shown(output)[0].startswith("features: 100%|")


def test_without_stderr_there_is_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)  # as in a program without a console
    with Progress("features", 2, "image", 1) as features:
        features.add(2)
