"""Our estimators pass our checks, and each planted fault is found by the one meant."""

import os
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from _tiny import TinyClassifier, TinyTransformer

from skvision import (
    FineTunedVGGClassifier,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)
from skvision.estimator_checks import (
    check_image_estimator,
    image_checks_generator,
    parametrize_with_image_checks,
)

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
    ): 62,
    VGG16BottleneckTransformer(
        weights=None, layer="block1_pool", pooling="avg", image_size=(32, 32)
    ): 48,
}


@parametrize_with_image_checks([*ESTIMATORS, TinyClassifier(), TinyTransformer()])
def test_image_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_image_checks(
    [
        FineTunedVGGClassifier(
            weights=None,
            image_size=(32, 32),
            preprocessing="rescale",
            n_trainable_blocks=0,
            hidden_units=(32,),
            dropout=0.0,
            head_epochs=60,
            head_learning_rate=0.005,
            epochs=2,
            learning_rate=0.001,
        )
    ]
)
def test_image_checks_of_fine_tuning(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_so_many_checks_apply(estimator):
    assert len(list(image_checks_generator(estimator))) == ESTIMATORS[estimator]


# Planted faults: the check that must find it -> a class with the fault. Where one check
# has several, the names go on after a colon.

FAULTS = {}


def fault(check):
    def plant(cls):
        FAULTS[f"{check}:{cls.__name__}"] = cls
        return cls

    return plant


@fault("check_fit_returns_self")
class FitReturnsNone(TinyTransformer):
    def fit(self, X, y=None):
        super().fit(X, y)


@fault("check_constructor_only_assigns")
class ConstructorConverts(TinyTransformer):
    def __init__(self, *, scale=1.0):
        self.scale = float(scale)


@fault("check_constructor_only_assigns")
class ConstructorSetsMore(TinyTransformer):
    def __init__(self, *, scale=1.0):
        self.scale = scale
        self._n_features_out = 3


@fault("check_fit_keeps_params")
class FitChangesParam(TinyTransformer):
    def fit(self, X, y=None):
        self.scale = self.scale * 1.5
        return super().fit(X, y)


@fault("check_params_come_back")
class GetParamsCopies(TinyTransformer):
    def get_params(self, deep=True):
        return {k: f"{v}" for k, v in super().get_params(deep).items()}


@fault("check_unfitted")
class UnfittedIsAttributeError(TinyTransformer):
    def transform(self, X):
        return self._colours(X) - self.mean_


@fault("check_fitted_names")
class NameWithoutUnderscore(TinyTransformer):
    def fit(self, X, y=None):
        self.n_seen = len(X)
        return super().fit(X, y)


@fault("check_tags_of_paths")
class TagsOfTables(TinyTransformer):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


@fault("check_names_of_columns")
class KeepsOldNames(TinyTransformer):
    def fit(self, X, y=None):
        names = getattr(self, "feature_names_in_", None)
        super().fit(X, y)
        if names is not None:
            self.feature_names_in_ = names
        return self


@fault("check_failed_fit_changes_nothing")
class FailedFitForgets(TinyTransformer):
    def fit(self, X, y=None):
        vars(self).pop("mean_", None)
        return super().fit(X, y)


@fault("check_paths_in_sequences")
class RefusesPath(TinyTransformer):
    def _colours(self, X, reset=False):
        if any(isinstance(x, Path) for x in list(X)):
            raise TypeError("str only")
        return super()._colours(X, reset)


@fault("check_paths_in_a_column")
class RefusesColumn(TinyTransformer):
    def _colours(self, X, reset=False):
        if np.ndim(X) == 2:
            raise ValueError("one dimension only")
        return super()._colours(X, reset)


@fault("check_refused_forms")
class TakesSinglePath(TinyTransformer):
    def _colours(self, X, reset=False):
        return super()._colours([X] if isinstance(X, str) else X, reset)


@fault("check_refused_elements")
class DropsMissing(TinyTransformer):
    def _colours(self, X, reset=False):
        if isinstance(X, list):
            X = [x for x in X if x is not None]
        return super()._colours(X, reset)


@fault("check_unreadable_files_are_named")
class ErrorWithoutName(TinyTransformer):
    def _colours(self, X, reset=False):
        try:
            return super()._colours(X, reset)
        except ValueError:
            raise ValueError("something is wrong") from None


@fault("check_content_counts")
class CachesByPath(TinyTransformer):
    cache = {}

    def transform(self, X):
        key = tuple(map(str, np.ravel(X))), self.mean_.tobytes()
        if key not in self.cache:
            self.cache[key] = super().transform(X)
        return self.cache[key]


@fault("check_pixels_count")
class LooksAtNames(TinyTransformer):
    def transform(self, X):
        lengths = [len(Path(str(x)).name) for x in np.ravel(X)]
        return 0 * super().transform(X) + np.array(lengths)[:, np.newaxis]


@fault("check_data_are_left_alone")
class WritesIntoX(TinyTransformer):
    def transform(self, X):
        if isinstance(X, list):
            X[0], X[-1] = X[-1], X[0]
        return super().transform(X)


@fault("check_files_are_closed")
class LeavesFilesOpen(TinyTransformer):
    def transform(self, X):
        open(np.ravel(X)[0], "rb")
        return super().transform(X)


@fault("check_outputs")
class LosesRows(TinyTransformer):
    def transform(self, X):
        features = super().transform(X)
        return features[:10]


@fault("check_order_does_not_matter")
class ReordersRows(TinyTransformer):
    def transform(self, X):
        return super().transform(sorted(np.ravel(X).tolist()))


@fault("check_neighbours_do_not_matter")
class DependsOnBatch(TinyTransformer):
    def transform(self, X):
        features = super().transform(X)
        return features - features.mean(axis=0)


@fault("check_many_images")
class CutsLastBatch(TinyTransformer):
    def transform(self, X):
        features = super().transform(X)
        features[32:] = 0
        return features


@fault("check_predictions_repeat")
class NoiseInPredictions(TinyTransformer):
    def transform(self, X):
        features = super().transform(X)
        return features + 1e-9 * np.random.default_rng().random(features.shape)


@fault("check_fits_repeat")
class Unseeded(TinyTransformer):
    def fit(self, X, y=None):
        super().fit(X, y)
        self.mean_ = self.mean_ + np.random.default_rng().random()
        return self


@fault("check_refit_forgets")
class WarmByAccident(TinyTransformer):
    def fit(self, X, y=None):
        former = getattr(self, "mean_", 0)
        super().fit(X, y)
        self.mean_ = self.mean_ + former
        return self


@fault("check_fit_transform")
class OtherFitTransform(TinyTransformer):
    def fit_transform(self, X, y=None):
        return self.fit(X, y).transform(X) + 1


@fault("check_names_of_features")
class WrongNumberOfNames(TinyTransformer):
    def get_feature_names_out(self, input_features=None):
        return np.array(["r", "g"], dtype=object)


@fault("check_pickle")
class PickleLosesState(TinyTransformer):
    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "mean_"}


@fault("check_joblib")
class WritesIntoWeights(TinyTransformer):
    def transform(self, X):
        self.mean_ += 0
        return super().transform(X)


@fault("check_deepcopy")
class SharedByCopies(TinyTransformer):
    def __deepcopy__(self, memo):
        return self


@fault("check_fits_share_nothing")
class StateOfTheClass(TinyTransformer):
    def fit(self, X, y=None):
        super().fit(X, y)
        type(self).shared = self.mean_ + len(X)
        return self

    def transform(self, X):
        return super().transform(X) - type(self).shared


@fault("check_predictions_change_nothing")
class StateInPredictions(TinyTransformer):
    def transform(self, X):
        self.n_calls_ = getattr(self, "n_calls_", 0) + 1
        return super().transform(X)


@fault("check_global_state_is_left_alone")
class SeedsNumPy(TinyTransformer):
    def fit(self, X, y=None):
        np.random.seed(np.random.randint(1000))
        return super().fit(X, y)


@fault("check_global_state_is_left_alone")
class SetsVariable(TinyTransformer):
    def fit(self, X, y=None):
        os.environ["TINY"] = str(time.perf_counter_ns())
        return super().fit(X, y)


@fault("check_global_state_is_left_alone")
class FiltersWarnings(TinyTransformer):
    def fit(self, X, y=None):
        message = f"never {time.perf_counter_ns()}"
        warnings.filterwarnings("ignore", message=message)
        return super().fit(X, y)


@fault("check_global_seeds_have_no_effect")
class ReadsGlobalSeed(TinyTransformer):
    def fit(self, X, y=None):
        super().fit(X, y)
        self.mean_ = self.mean_ + np.random.random()
        return self


@fault("check_threads_predict_at_once")
class NotThreadSafe(TinyTransformer):
    def transform(self, X):
        self.now_ = X
        time.sleep(0.005)
        return super().transform(self.now_)


@fault("check_types_of_labels")
class PredictsCodes(TinyClassifier):
    def predict(self, X):
        return self._scores(X).argmax(axis=1)


@fault("check_types_of_labels")
class LabelsAreStr(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, None if y is None else np.asarray(y).astype(str))


@fault("check_learns")
class FirstClassOnly(TinyClassifier):
    def predict(self, X):
        return np.repeat(self.classes_[:1], len(super().predict(X)))


@fault("check_probabilities")
class ReversedColumns(TinyClassifier):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]


@fault("check_wrong_y_refused")
class TakesContinuous(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        y = np.round(y) if np.asarray(y).dtype.kind == "f" else y
        return super().fit(X, y, sample_weight)


@fault("check_weights_matter")
class IgnoresWeights(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y)


@fault("check_weight_of_zero_is_leaving_out")
class ZeroIsALittle(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        weight = None if sample_weight is None else np.maximum(sample_weight, 0.5)
        return super().fit(X, y, weight)


@fault("check_weight_of_two_is_twice")
class SquaresWeights(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        weight = None if sample_weight is None else np.square(sample_weight)
        return super().fit(X, y, weight)


@fault("check_class_weight_is_sample_weight")
class IgnoresClassWeight(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        weight, self.class_weight = self.class_weight, None
        super().fit(X, y, sample_weight)
        self.class_weight = weight
        return self


@pytest.mark.filterwarnings("ignore")  # the faults warn of what they like
@pytest.mark.parametrize("planted", FAULTS)
def test_fault_is_found(planted, monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ.copy())
    name = planted.partition(":")[0]
    estimator = FAULTS[planted]()
    [check] = [
        c for _, c in image_checks_generator(estimator) if c.func.__name__ == name
    ]
    with pytest.raises(AssertionError, match=type(estimator).__name__):
        check(estimator)


def test_there_are_enough_faults():
    assert len(FAULTS) >= 25


def test_expected_failures_and_callback():
    results = check_image_estimator(
        FitReturnsNone(),
        expected_failed_checks={"check_fit_returns_self": "a test"},
        on_fail=None,
    )
    status = {r["check_name"]: r["status"] for r in results}
    assert status["check_fit_returns_self"] == "xfail"
    assert Counter(status.values())["passed"] > 10
    with pytest.raises(AssertionError, match="must return self"):
        check_image_estimator(FitReturnsNone())
    with pytest.raises(TypeError, match="an instance and not the class"):
        check_image_estimator(TinyTransformer)


def test_import_is_light():
    code = "import sys, skvision.estimator_checks; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not {"tensorflow", "keras", "matplotlib", "pytest"} & {*run.stdout.split()}
    assert "skvision.estimator_checks" in run.stdout
