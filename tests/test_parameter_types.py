"""Tests that parameters may be NumPy scalars, as a grid from `np.arange` holds."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skvision import (
    DenseHeadClassifier,
    FineTunedVGGClassifier,
    ImageAugmenter,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)
from skvision._nets import program_pool

TRAINING = {
    "dropout": 0.25,
    "l1": 0.125,
    "l2": 0.5,
    "learning_rate": 0.015625,
    "ema_momentum": 0.5,
    "epochs": 1,
    "batch_size": 8,
    "validation_fraction": 0.25,
    "early_stopping": True,
    "n_iter_no_change": 3,
    "random_state": 1,
    "verbose": 0,
}
IMAGES = {"image_size": (32, 32)}
AUGMENTER = {"rotation_range": 5, "zoom_range": 0.25, "horizontal_flip": True}
ESTIMATORS = {
    DenseHeadClassifier: {"hidden_units": (4,), **TRAINING},
    ScratchCNNClassifier: {"filters": (4,), "dense_units": 8, **IMAGES, **TRAINING},
    FineTunedVGGClassifier: {
        "weights": None,
        "hidden_units": (4,),
        "n_trainable_blocks": 1,
        "n_augmented_views": 2,
        "head_epochs": 1,
        "head_learning_rate": 0.015625,
        "momentum": 0.5,
        "max_cache_bytes": 2**24,
        **IMAGES,
        **TRAINING,
    },
    VGG16BottleneckTransformer: {
        "weights": None,
        "batch_size": 8,
        "max_cache_bytes": 2**24,
        "flip_average": True,
        **IMAGES,
    },
}


def as_numpy(value):
    """Return the value with each number as a NumPy scalar."""
    if isinstance(value, tuple):
        return tuple(map(as_numpy, value))
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        return np.int64(value)
    return np.float32(value) if isinstance(value, float) else value


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow)
        if kind is FineTunedVGGClassifier
        else kind
        for kind in ESTIMATORS
    ],
)
def test_numpy_scalars_equal_python_numbers(kind, pixels, tmp_path):
    y = [0, 1] * 12
    X = pixels.reshape(24, -1)[:, :16].astype("float32")
    X = X if kind is DenseHeadClassifier else pixels
    results = []
    for i, convert in enumerate((as_numpy, lambda value: value)):
        program_pool._idle.clear()  # a program has the types it was built with
        params = {k: convert(v) for k, v in ESTIMATORS[kind].items()}
        if "augmenter" in kind().get_params():
            augmenter = {k: convert(v) for k, v in AUGMENTER.items()}
            params["augmenter"] = ImageAugmenter(**augmenter)
        if "cache_dir" in kind().get_params():
            params["cache_dir"] = tmp_path / str(i)
        if "checkpoint_dir" in kind().get_params():
            params["checkpoint_dir"] = tmp_path / "checkpoints"
        fitted = kind(**params).fit(X, y)
        predict = getattr(fitted, "predict_proba", None) or fitted.transform
        results.append(predict(X))
        getattr(fitted, "model_", None)
    assert_array_equal(*results)
