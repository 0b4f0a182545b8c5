"""Tests of saving and loading with several libraries, versions and old files."""

import copy
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import keras
import numpy as np
import pytest
from _optional import cloudpickle
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skvision import (
    DenseHeadClassifier,
    FineTunedVGGClassifier,
    ImageAugmenter,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)
from skvision._utils import persistence
from skvision.exceptions import SkvisionWarning

DATA = Path(__file__).parent / "data"

X = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
Y = np.array(["ant", "bee", "cow"] * 4)


def estimators():
    """Return small estimators of each kind, which `DATA` has for each format."""
    common = {"epochs": 1, "random_state": 0}
    vgg16 = VGG16BottleneckTransformer(
        weights=None, image_size=(32, 32), layer="block1_pool"
    )
    augmenter = ImageAugmenter(rotation_range=10)
    head = DenseHeadClassifier(hidden_units=(4,), **common)
    return {
        "features": make_pipeline(vgg16, LogisticRegression(max_iter=10_000)),
        "head": make_pipeline(clone(vgg16), head),
        "cnn": ScratchCNNClassifier(
            image_size=(16, 16),
            filters=(4,),
            dense_units=4,
            augmenter=augmenter,
            **common,
        ),
        "fine tuned": FineTunedVGGClassifier(
            weights=None,
            image_size=(32, 32),
            n_trainable_blocks=0,
            hidden_units=(2,),
            head_epochs=1,
            **common,
        ),
    }


NAMES = list(estimators())


@pytest.fixture(scope="module")
def fitted():
    return {name: model.fit(X, Y) for name, model in estimators().items()}


@pytest.fixture(params=NAMES)
def model(request, fitted):
    return fitted[request.param]


@pytest.mark.parametrize(
    "library", [pickle, cloudpickle], ids=["pickle", "cloudpickle"]
)
def test_pickle_round_trip(model, library):
    loaded = library.loads(library.dumps(model))
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert repr(loaded) == repr(model)
    assert "_written_by" not in vars(loaded)


@pytest.mark.slow
def test_joblib_in_a_fresh_process(fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "models.joblib")
    np.save(tmp_path / "X.npy", X)
    code = (
        "import joblib, numpy as np\n"
        "X = np.load('X.npy')\n"
        "models = joblib.load('models.joblib')\n"
        "np.savez('proba.npz', **{k: m.predict_proba(X) for k, m in models.items()})\n"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True
    )
    with np.load(tmp_path / "proba.npz") as proba:
        for name, model in fitted.items():
            assert_array_equal(proba[name], model.predict_proba(X))


def test_skops_round_trip(model):
    sio = pytest.importorskip("skops.io", reason="needs skops")
    data = sio.dumps(model)
    untrusted = sio.get_untrusted_types(data=data)
    documented = (Path(__file__).parents[1] / "docs/guide/saving.md").read_text()
    trusted = re.findall(r'"(skvision\.[\w.]+)"', documented)
    assert set(untrusted) <= set(trusted)
    loaded = sio.loads(data, trusted=untrusted)
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_optimizer_objects_are_saved():
    sio = pytest.importorskip("skops.io", reason="needs skops")
    optimizers = keras.optimizers
    decay = optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    kinds = optimizers.Adam(0.1, clipnorm=1.0), optimizers.SGD(decay, momentum=0.9)
    for optimizer in kinds:
        head = DenseHeadClassifier(optimizer=optimizer)
        by_skops = sio.loads(
            sio.dumps(head), trusted=["skvision._dense_head.DenseHeadClassifier"]
        )
        for loaded in (by_skops, pickle.loads(pickle.dumps(head)), copy.copy(head)):
            assert type(loaded.optimizer) is type(optimizer)
            assert loaded.optimizer.get_config() == optimizer.get_config()
        assert head.optimizer is optimizer


def test_pickles_of_unfitted_estimators_are_small():
    for model in estimators().values():
        assert len(pickle.dumps(model)) < 5_000


# Versions


def saved_by(monkeypatch, model, **other):
    """Return the pickle of a model that was saved with other versions."""
    versions = persistence.versions()
    monkeypatch.setattr(persistence, "versions", lambda: versions | other)
    data = pickle.dumps(model)
    monkeypatch.setattr(persistence, "versions", lambda: versions)
    return data


@pytest.fixture
def head(fitted):
    return fitted["head"][-1]


def test_same_versions_give_no_warning(head):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(head))


def test_other_versions_give_a_warning(head, monkeypatch):
    data = saved_by(monkeypatch, head, **{"scikit-learn": "1.0"})
    with pytest.warns(InconsistentVersionWarning, match=r"DenseHead.* version 1\.0"):
        pickle.loads(data)
    data = saved_by(monkeypatch, head, keras="3.0")
    with pytest.warns(SkvisionWarning, match=r"saved with keras 3\.0 and is loaded"):
        loaded = pickle.loads(data)
    for before, after in zip(head._weights, loaded._weights, strict=True):
        assert_array_equal(before, after)


def test_unknown_format_raises(head, monkeypatch):
    monkeypatch.setattr(persistence, "FORMAT", 99)
    data = pickle.dumps(head)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"DenseHeadClassifier was saved in a format"):
        pickle.loads(data)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file_format", range(1, persistence.FORMAT + 1))
def test_files_of_all_formats_load(file_format, name):
    folder = DATA / f"format_{file_format}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        warnings.simplefilter("ignore", SkvisionWarning)
        loaded = joblib.load(folder / f"{name}.joblib")
    with np.load(folder / "proba.npz") as proba:
        assert_allclose(loaded.predict_proba(X), proba[name], atol=1e-4)
    assert set(loaded.get_params()) == set(estimators()[name].get_params())
    copy = pickle.loads(pickle.dumps(loaded))  # in the current format
    assert_array_equal(copy.predict_proba(X), loaded.predict_proba(X))
    loaded.fit(X, Y)  # with all parameters


@pytest.mark.parametrize(
    ("normalize_features", "normalization"), [(True, "l2"), (False, None)]
)
def test_unfitted_fine_tuned_network_of_format_1(normalize_features, normalization):
    state = FineTunedVGGClassifier(l2=0.5).__getstate__()
    state["_written_by"]["format"] = 1
    for name in ("pooling", "normalization", "compute_dtype"):
        del state[name]
    loaded = FineTunedVGGClassifier()
    loaded.__setstate__(state | {"normalize_features": normalize_features})
    expected = {"l2": 0.5, "pooling": None, "normalization": normalization}
    assert loaded.get_params() == FineTunedVGGClassifier(**expected).get_params()


if __name__ == "__main__":  # write the files, once per format
    FOLDER = DATA / f"format_{persistence.FORMAT}"
    FOLDER.mkdir(parents=True)
    models = {name: model.fit(X, Y) for name, model in estimators().items()}
    for name, model in models.items():
        joblib.dump(model, FOLDER / f"{name}.joblib", compress=3)
    proba = {name: model.predict_proba(X) for name, model in models.items()}
    np.savez(FOLDER / "proba.npz", **proba)
