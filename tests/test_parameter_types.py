"""Tests of the types of parameters: NumPy scalars, as a grid from `np.arange` holds."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skvision import (
    DenseHeadClassifier,
    FineTunedVGGClassifier,
    ImageAugmenter,
    ImageEncoder,
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
    ImageEncoder: {"weights": None, "batch_size": 8, **IMAGES},
}


def as_numpy(value):
    """Return the value with each number as a NumPy scalar, the smallest possible."""
    if isinstance(value, tuple):
        return tuple(map(as_numpy, value))
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        return np.min_scalar_type(value).type(value)
    return np.float32(value) if isinstance(value, float) else value


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow)
        if kind in (FineTunedVGGClassifier, ScratchCNNClassifier)
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


class Unknown:
    """An object of a type that no parameter accepts."""


NEVER = (Unknown(), 1j, Decimal(1), np.array(2), {"a": 1}, float("nan"), -1)
NO_NUMBER = (True, np.bool_(True), "2", Fraction(1, 2), [0.5])
NO_INT = (2.0, np.float32(2))
NO_FLOAT = (float("inf"),)
NO_FLAG = (0, 1, "yes", None)


def wrong_values(default, name):
    """Return values that the parameter `name`, with that default, must refuse."""
    if name == "class_weight":
        return (*NEVER[:4], {0: "a"}, {0: np.inf})
    if name == "random_state":
        return (*NEVER, "0", 0.5)
    if isinstance(default, bool):
        return (*NEVER, *NO_FLAG)
    if isinstance(default, float) or name in ("learning_rate", "ema_momentum"):
        return (*NEVER, *NO_NUMBER, *NO_FLOAT)
    if isinstance(default, int) and name != "verbose":
        return (*NEVER, *NO_NUMBER, *NO_INT)
    if isinstance(default, tuple) or name == "image_size":
        return (*NEVER, 2, (2.0, 2.0), (True, True), ("a", "b"), (-1, 2))
    return NEVER


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_error_names_the_parameter(kind, pixels):
    X = pixels.reshape(24, -1)[:, :16].astype("float32")
    X = X if kind is DenseHeadClassifier else pixels
    for name, default in kind().get_params(deep=False).items():
        if name == "flip_average":  # "auto", True or False
            default = False
        for value in wrong_values(default, name):
            params = ESTIMATORS[kind] | {name: value}
            with pytest.raises(ValueError, match=f"'?{name}'?") as error:
                kind(**params).fit(X, [0, 1] * 12)
            assert name in str(error.value).splitlines()[0], value


def test_error_of_an_augmenter_names_the_parameter():
    lists_of_any_length = "width_shift_range", "height_shift_range"
    for name, default in ImageAugmenter().get_params().items():
        for value in wrong_values(default if isinstance(default, bool) else 0.0, name):
            if value is NO_NUMBER[-1] and name in lists_of_any_length:
                continue
            with pytest.raises(ValueError, match=f"'{name}' parameter"):
                ImageAugmenter(**{name: value}).draw(1, (8, 8))
