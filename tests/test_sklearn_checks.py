"""All of scikit-learn's own checks, on image estimators.

`check_estimator` runs a single check on an estimator whose tags declare string input.
With `rows_as_images` it runs all of them.
"""

import os
from collections import Counter

import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import SkipTestWarning
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)

from skvision import (
    FineTunedVGGClassifier,
    ImageEncoder,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)
from skvision.estimator_checks import rows_as_images

TRAINING = {"epochs": 15, "learning_rate": 0.02, "batch_size": 32, "dropout": 0.0}

# Before scikit-learn 1.9 one check is missing, another one runs twice, and classifiers
# have one check less.
IS_1_9 = hasattr(estimator_checks, "check_all_zero_sample_weights_error")

# Each estimator and the number of applicable checks: 55 for a classifier, plus 7 for
# sample_weight and 1 for class_weight; 47 for a transformer, minus 1 about preserved
# dtypes and 1 if it does not require fit.
ESTIMATORS = {
    ScratchCNNClassifier(
        image_size=(8, 8),
        interpolation="nearest",
        filters=(16,),
        dense_units=32,
        random_state=0,
        **TRAINING,
    ): 62 + IS_1_9,
    VGG16BottleneckTransformer(
        weights=None, layer="block1_pool", image_size=(32, 32)
    ): 45,
    ImageEncoder("EfficientNetLite0", weights=None, image_size=(32, 32)): 45,
}
# As many checks as for the other classifier; they take minutes.
FINE_TUNED = FineTunedVGGClassifier(
    weights=None,
    image_size=(32, 32),
    interpolation="nearest",
    n_trainable_blocks=0,
    epochs=2,
    learning_rate=1e-4,
    batch_size=32,
    random_state=0,
)
ADAPTED = [rows_as_images(estimator) for estimator in ESTIMATORS]

EXPECTED_FAILED_CHECKS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "With mini-batches, a repeated sample is in other batches than a sample with "
        "weight 2."
    ),
}


def expected_failures(estimator):
    return EXPECTED_FAILED_CHECKS if is_classifier(estimator) else {}


def run(check, *args):
    """Run a check that must not be skipped, unless a library is missing."""
    try:
        check(*args)
    except estimator_checks.SkipTest as skip:
        if "is not installed" in str(skip):
            pytest.skip(str(skip))
        pytest.fail(f"skipped: {skip}")


@parametrize_with_checks(ADAPTED, expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    run(check, estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [rows_as_images(FINE_TUNED)], expected_failed_checks=expected_failures
)
def test_scikit_learn_checks_of_fine_tuning(estimator, check):
    run(check, estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_number_of_applicable_checks(estimator):
    assert os.environ["SCIPY_ARRAY_API"] == "1", "required by one check"
    adapted = rows_as_images(estimator)
    assert len(list(estimator_checks_generator(adapted))) == ESTIMATORS[estimator]
    with pytest.warns(SkipTestWarning, match="Can't test estimator"):
        assert len(list(estimator_checks_generator(estimator))) == 1


# Checks that scikit-learn runs only on its own estimators

COMMON = [
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
    "check_param_validation",
]
CLASSIFIER_ONLY = ["check_all_zero_sample_weights_error"]
TRANSFORMER_ONLY = [
    "check_get_feature_names_out_error",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_global_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_set_output_transform_polars",
]


def strict_checks():
    for estimator in ADAPTED:
        names = COMMON + (
            CLASSIFIER_ONLY if is_classifier(estimator) else TRANSFORMER_ONLY
        )
        for name in names:
            label = f"{type(estimator).__name__}-{name}"
            yield pytest.param(estimator, name, id=label)


# The set_output checks fit on an array and transform a data frame, also for
# scikit-learn's own estimators.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize(("estimator", "name"), list(strict_checks()))
def test_checks_of_scikit_learn_only(estimator, name):
    if name == "check_all_zero_sample_weights_error" and not IS_1_9:
        pytest.skip("scikit-learn < 1.9")
    run(getattr(estimator_checks, name), type(estimator).__name__, estimator)


@pytest.mark.parametrize(
    "estimator",
    [estimator for estimator in ADAPTED if is_classifier(estimator)],
    ids=lambda e: type(e).__name__,
)
def test_column_names_with_prediction_during_fit(estimator):
    estimator = clone(estimator).set_params(early_stopping=True, n_iter_no_change=1)
    name = type(estimator).__name__
    run(estimator_checks.check_dataframe_column_names_consistency, name, estimator)


def test_number_of_strict_checks():
    counts = Counter(type(p.values[0]).__name__ for p in strict_checks())
    assert counts["ScratchCNNClassifier"] == 4
    assert counts["VGG16BottleneckTransformer"] == counts["ImageEncoder"] == 11
