"""skvision's estimators pass the image checks; faulty estimators fail them."""

import os
import subprocess
import sys
from collections import Counter
from unittest import SkipTest

import pytest
from _faults import FAULTS, UNIQUE_FAULTS, FitReturnsNone, TinyClassifierWithBatches
from _tiny import TinyClassifier, TinyPixelTransformer, TinyTransformer

from skvision import (
    FineTunedVGGClassifier,
    ImageEncoder,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)
from skvision.estimator_checks import (
    check_image_estimator,
    image_checks_generator,
    parametrize_with_image_checks,
)
from skvision.estimator_checks._state import check_pickle_in_a_new_process

# Each estimator and the number of checks that apply to it.
ESTIMATORS = {
    ScratchCNNClassifier(
        image_size=(8, 8),
        filters=(8,),
        dense_units=16,
        dropout=0.0,
        epochs=20,
        learning_rate=0.02,
        batch_size=4,
    ): 64,
    VGG16BottleneckTransformer(
        weights=None, layer="block1_pool", image_size=(32, 32)
    ): 50,
    ImageEncoder("EfficientNetLite0", weights=None, image_size=(32, 32)): 50,
}


CNN, VGG16, ENCODER = ESTIMATORS


@parametrize_with_image_checks(
    [VGG16, ENCODER, TinyClassifier(), TinyTransformer(), TinyPixelTransformer()]
)
def test_image_checks(estimator, check):
    check(estimator)


def expected_failures(estimator):
    """The checks that a fine-tuned network with a logistic regression fails."""
    if not isinstance(estimator, FineTunedVGGClassifier):
        return {}
    reason = (
        "The scale of weights does not matter: they are divided by their mean. But the "
        "logistic regression is penalized less for more samples."
    )
    return {"check_sample_weight_two_equals_repetition": reason}


@pytest.mark.slow
@parametrize_with_image_checks(
    [
        CNN,
        FineTunedVGGClassifier(
            weights=None,
            image_size=(32, 32),
            preprocessing="rescale",
            n_trainable_blocks=0,
            epochs=2,
            learning_rate=0.001,
        ),
    ],
    expected_failed_checks=expected_failures,
)
def test_image_checks_of_networks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_number_of_applicable_checks(estimator):
    assert len(list(image_checks_generator(estimator))) == ESTIMATORS[estimator]


# Faulty estimators


@pytest.mark.filterwarnings("ignore")  # faulty estimators may warn
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_detected(fault, monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ.copy())
    name = fault.partition(":")[0]
    estimator = FAULTS[fault]()
    [check] = [
        c for _, c in image_checks_generator(estimator) if c.func.__name__ == name
    ]
    with pytest.raises(AssertionError, match=type(estimator).__name__):
        check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fault", UNIQUE_FAULTS)
def test_no_other_check_detects_the_fault(fault, monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ.copy())
    results = check_image_estimator(FAULTS[fault](), on_fail=None, on_skip=None)
    failed = [r["check_name"] for r in results if r["status"] == "failed"]
    assert failed == [fault.partition(":")[0]]


def test_each_check_has_a_fault():
    checks = {
        check.func.__name__
        for estimator in (TinyClassifierWithBatches(), TinyPixelTransformer())
        for _, check in image_checks_generator(estimator)
    }
    assert {fault.partition(":")[0] for fault in FAULTS} == checks


def test_skip_if_a_new_process_cannot_import_the_class():
    class Local(TinyTransformer):
        pass

    with pytest.raises(SkipTest, match="at the top level of a module"):
        check_pickle_in_a_new_process("Local", Local())
    code = """
from unittest import SkipTest
from _tiny import TinyTransformer
from skvision.estimator_checks._state import check_pickle_in_a_new_process
class Mine(TinyTransformer):
    pass
try:
    check_pickle_in_a_new_process("Mine", Mine())
except SkipTest as skip:
    print(skip)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert "cannot import Mine from __main__" in run.stdout, run.stderr


def test_expected_failures_and_callback():
    results = check_image_estimator(
        FitReturnsNone(),
        expected_failed_checks={"check_fit_returns_self": "a test"},
        on_fail=None,
        on_skip=None,
    )
    status = {r["check_name"]: r["status"] for r in results}
    assert status["check_fit_returns_self"] == "xfail"
    assert Counter(status.values())["passed"] > 10
    with pytest.raises(AssertionError, match="must return self"):
        check_image_estimator(FitReturnsNone(), on_skip=None)
    with pytest.raises(TypeError, match="must be an estimator instance"):
        check_image_estimator(TinyTransformer)


def test_import_does_not_load_heavy_modules():
    code = "import sys, skvision.estimator_checks; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not {"tensorflow", "keras", "matplotlib", "pytest"} & {*run.stdout.split()}
    assert "skvision.estimator_checks" in run.stdout
