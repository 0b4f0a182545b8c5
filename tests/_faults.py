"""Faulty estimators: each one must fail a particular check."""

import copy
import os
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
from _tiny import TinyClassifier, TinyPixelTransformer, TinyTransformer
from sklearn.base import clone

# "name of the check that must fail:name of the class" -> class
FAULTS = {}
# Keys of the faults that make only one check fail.
UNIQUE_FAULTS = []


def fault(check, unique=True):
    """Register a class that must fail `check`, and no other check if `unique`."""

    def register(cls):
        FAULTS[f"{check}:{cls.__name__}"] = cls
        if unique:
            UNIQUE_FAULTS.append(f"{check}:{cls.__name__}")
        return cls

    return register


@fault("check_fit_returns_self", unique=False)
class FitReturnsNone(TinyTransformer):
    def fit(self, X, y=None):
        super().fit(X, y)


@fault("check_constructor_only_assigns")
class ConstructorConverts(TinyTransformer):
    def __init__(self, *, scale=1.0):
        self.scale = float(scale)


@fault("check_constructor_only_assigns")
class ConstructorSetsExtraAttribute(TinyTransformer):
    def __init__(self, *, scale=1.0):
        self.scale = scale
        self._n_features_out = 3


@fault("check_dont_overwrite_parameters", unique=False)
class FitChangesParam(TinyTransformer):
    def fit(self, X, y=None):
        self.scale = self.scale * 1.5
        return super().fit(X, y)


@fault("check_set_params_get_params", unique=False)
class GetParamsCopies(TinyTransformer):
    def get_params(self, deep=True):
        return {k: f"{v}" for k, v in super().get_params(deep).items()}


@fault("check_unknown_param_raises")
class AcceptsUnknownParam(TinyTransformer):
    def set_params(self, **params):
        known = self.get_params()
        return super().set_params(**{k: v for k, v in params.items() if k in known})


@fault("check_clone")
class CloneKeepsFittedState(TinyTransformer):
    def __sklearn_clone__(self):
        return copy.copy(self)


@fault("check_unfitted")
class UnfittedRaisesAttributeError(TinyTransformer):
    def transform(self, X):
        return self._mean_colours(X) - self.mean_


@fault("check_fitted_names")
class FittedNameWithoutUnderscore(TinyTransformer):
    def fit(self, X, y=None):
        self.n_seen = len(X)
        return super().fit(X, y)


@fault("check_path_tags")
class TabularTags(TinyTransformer):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


@fault("check_feature_names_in")
class KeepsOldFeatureNames(TinyTransformer):
    def fit(self, X, y=None):
        names = getattr(self, "feature_names_in_", None)
        super().fit(X, y)
        if names is not None:
            self.feature_names_in_ = names
        return self


@fault("check_failed_fit_changes_nothing")
class FailedFitLosesState(TinyTransformer):
    def fit(self, X, y=None):
        vars(self).pop("mean_", None)
        return super().fit(X, y)


@fault("check_failed_fit_changes_nothing")
class SkipsMissingFiles(TinyTransformer):
    def fit(self, X, y=None):
        if isinstance(X, list):
            X = [x for x in X if not (isinstance(x, str) and x) or Path(x).exists()]
        return super().fit(X, y)


@fault("check_paths_in_sequences", unique=False)
class RejectsPath(TinyTransformer):
    def _mean_colours(self, X, reset=False):
        if any(isinstance(x, Path) for x in list(X)):
            raise TypeError("paths must be str")
        return super()._mean_colours(X, reset)


@fault("check_paths_in_a_column", unique=False)
class RejectsColumn(TinyTransformer):
    def _mean_colours(self, X, reset=False):
        if np.ndim(X) == 2:
            raise ValueError("X must be one-dimensional")
        return super()._mean_colours(X, reset)


@fault("check_paths_in_pandas")
class ReadsSeriesByLabel(TinyTransformer):
    def _mean_colours(self, X, reset=False):
        if hasattr(X, "loc") and X.ndim == 1:
            X = [X[i] for i in range(len(X))]
        return super()._mean_colours(X, reset)


@fault("check_paths_in_polars")
class RejectsPolars(TinyTransformer):
    def _mean_colours(self, X, reset=False):
        if type(X).__module__.startswith("polars"):
            raise TypeError("polars is not supported")
        return super()._mean_colours(X, reset)


@fault("check_unusual_file_names")
class RequiresSuffix(TinyTransformer):
    def _mean_colours(self, X, reset=False):
        if not all(Path(x).suffix for x in np.ravel(X)):
            raise ValueError("each file name must have a suffix")
        return super()._mean_colours(X, reset)


@fault("check_images_in_memory")
class SwapsChannelsInMemory(TinyPixelTransformer):
    def _mean_colours(self, X, reset=False):
        if getattr(X, "dtype", None) == np.uint8:
            X = X[..., ::-1]
        return super()._mean_colours(X, reset)


@fault("check_images_in_memory_unchanged")
class ModifiesPixels(TinyPixelTransformer):
    def transform(self, X):
        if getattr(X, "dtype", None) == np.uint8:
            X[0, 0, 0, 0] ^= 1
        return super().transform(X)


@fault("check_images_in_memory_unchanged")
class RequiresWriteablePixels(TinyPixelTransformer):
    def transform(self, X):
        if getattr(X, "dtype", None) == np.uint8 and not X.flags.writeable:
            raise ValueError("X is read-only")
        return super().transform(X)


@fault("check_invalid_inputs_raise")
class AcceptsSinglePath(TinyTransformer):
    def _mean_colours(self, X, reset=False):
        return super()._mean_colours([X] if isinstance(X, str) else X, reset)


@fault("check_invalid_elements_raise")
class DropsMissingElements(TinyTransformer):
    def _mean_colours(self, X, reset=False):
        if isinstance(X, list):
            X = [x for x in X if x is not None]
        return super()._mean_colours(X, reset)


@fault("check_unreadable_files_are_named")
class ErrorWithoutPath(TinyTransformer):
    def _mean_colours(self, X, reset=False):
        try:
            return super()._mean_colours(X, reset)
        except ValueError:
            raise ValueError("something is wrong") from None


@fault("check_file_content_matters", unique=False)
class CachesByPath(TinyTransformer):
    cache = {}

    def transform(self, X):
        key = tuple(map(str, np.ravel(X))), self.mean_.tobytes()
        if key not in self.cache:
            self.cache[key] = super().transform(X)
        return self.cache[key]


@fault("check_pixels_matter", unique=False)
class UsesFileNames(TinyTransformer):
    def transform(self, X):
        lengths = [len(Path(str(x)).name) for x in np.ravel(X)]
        return 0 * super().transform(X) + np.array(lengths)[:, np.newaxis]


@fault("check_data_unchanged", unique=False)
class ModifiesX(TinyTransformer):
    def transform(self, X):
        if isinstance(X, list):
            X[0], X[-1] = X[-1], X[0]
        return super().transform(X)


@fault("check_files_are_closed", unique=False)
class LeavesFilesOpen(TinyTransformer):
    def transform(self, X):
        open(np.ravel(X)[0], "rb")
        return super().transform(X)


@fault("check_outputs", unique=False)
class DropsRows(TinyTransformer):
    def transform(self, X):
        features = super().transform(X)
        return features[:10]


@fault("check_sample_order_invariance", unique=False)
class ReordersRows(TinyTransformer):
    def transform(self, X):
        return super().transform(sorted(np.ravel(X).tolist()))


@fault("check_subset_invariance", unique=False)
class DependsOnBatch(TinyTransformer):
    def transform(self, X):
        features = super().transform(X)
        return features - features.mean(axis=0)


@fault("check_many_images", unique=False)
class ZerosLastBatch(TinyTransformer):
    def transform(self, X):
        features = super().transform(X)
        features[32:] = 0
        return features


@fault("check_predict_is_reproducible", unique=False)
class NoisyPredictions(TinyTransformer):
    def transform(self, X):
        features = super().transform(X)
        return features + 1e-9 * np.random.default_rng().random(features.shape)


@fault("check_fit_is_reproducible", unique=False)
class UnseededFit(TinyTransformer):
    def fit(self, X, y=None):
        super().fit(X, y)
        self.mean_ = self.mean_ + np.random.default_rng().random()
        return self


@fault("check_refit_resets")
class AccidentalWarmStart(TinyTransformer):
    def fit(self, X, y=None):
        former = getattr(self, "mean_", 0)
        super().fit(X, y)
        self.mean_ = self.mean_ + former
        return self


@fault("check_in_pipeline")
class FitTransformDoesNotFit(TinyTransformer):
    def fit_transform(self, X, y=None):
        return clone(self).fit(X, y).transform(X)


@fault("check_cross_validation")
class PairwiseTag(TinyClassifier):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = True
        return tags


@fault("check_fit_transform", unique=False)
class FitTransformDiffersFromTransform(TinyTransformer):
    def fit_transform(self, X, y=None):
        return self.fit(X, y).transform(X) + 1


@fault("check_feature_names_out", unique=False)
class WrongNumberOfFeatureNames(TinyTransformer):
    def get_feature_names_out(self, input_features=None):
        return np.array(["r", "g"], dtype=object)


@fault("check_set_output_pandas")
class DropsIndex(TinyTransformer):
    def transform(self, X):
        features = super().transform(X)
        is_pandas = hasattr(features, "reset_index")
        return features.reset_index(drop=True) if is_pandas else features


@fault("check_set_output_polars")
class ReversesPolarsRows(TinyTransformer):
    def transform(self, X):
        features = super().transform(X)
        return features.reverse() if hasattr(features, "reverse") else features


@fault("check_in_column_transformer")
class FitTransformIteratesOverFrames(TinyTransformer):
    def fit_transform(self, X, y=None):
        return self.fit(list(X), y).transform(list(X))


@fault("check_pickle", unique=False)
class PickleLosesState(TinyTransformer):
    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "mean_"}


@fault("check_joblib", unique=False)
class ModifiesFittedArrays(TinyTransformer):
    def transform(self, X):
        self.mean_ += 0
        return super().transform(X)


@fault("check_pickle_in_a_new_process")
class KeepsStateInClassAttribute(TinyTransformer):
    means = {}

    def fit(self, X, y=None):
        super().fit(X, y)
        self.key_ = joblib.hash(self.mean_)
        self.means[self.key_], self.mean_ = self.mean_, np.zeros(3)
        return self

    def _mean_colours(self, X, reset=False):
        colours = super()._mean_colours(X, reset)
        return colours if reset else colours - self.means[self.key_]


@fault("check_deepcopy")
class DeepcopyReturnsSelf(TinyTransformer):
    def __deepcopy__(self, memo):
        return self


@fault("check_fits_are_independent", unique=False)
class StateSharedByClass(TinyTransformer):
    def fit(self, X, y=None):
        super().fit(X, y)
        type(self).shared = self.mean_ + len(X)
        return self

    def transform(self, X):
        return super().transform(X) - type(self).shared


@fault("check_frozen", unique=False)
class NeverReportsFitted(TinyTransformer):
    def __sklearn_is_fitted__(self):
        return False

    def transform(self, X):
        return self._mean_colours(X) - self.mean_


@fault("check_predict_changes_nothing", unique=False)
class PredictionsChangeState(TinyTransformer):
    def transform(self, X):
        self.n_calls_ = getattr(self, "n_calls_", 0) + 1
        return super().transform(X)


@fault("check_global_state_unchanged")
class SeedsNumPy(TinyTransformer):
    def fit(self, X, y=None):
        np.random.seed(np.random.randint(1000))
        return super().fit(X, y)


@fault("check_global_state_unchanged")
class SetsEnvironmentVariable(TinyTransformer):
    def fit(self, X, y=None):
        os.environ["TINY"] = str(time.perf_counter_ns())
        return super().fit(X, y)


@fault("check_global_state_unchanged")
class AddsWarningFilter(TinyTransformer):
    def fit(self, X, y=None):
        message = f"never {time.perf_counter_ns()}"
        warnings.filterwarnings("ignore", message=message)
        return super().fit(X, y)


@fault("check_no_warnings")
class UnnecessaryWarning(TinyTransformer):
    def transform(self, X):
        warnings.warn("X contains images", stacklevel=2)
        return super().transform(X)


@fault("check_global_seeds_have_no_effect", unique=False)
class ReadsGlobalSeed(TinyTransformer):
    def fit(self, X, y=None):
        super().fit(X, y)
        self.mean_ = self.mean_ + np.random.random()
        return self


@fault("check_predict_in_threads", unique=False)
class PredictIsNotThreadSafe(TinyTransformer):
    def transform(self, X):
        self.now_ = X
        time.sleep(0.005)
        return super().transform(self.now_)


@fault("check_fit_in_threads")
class FitIsNotThreadSafe(TinyTransformer):
    def fit(self, X, y=None):
        type(self).now = X
        time.sleep(0.02)
        return super().fit(type(self).now, y)


@fault("check_label_types")
class PredictsEncodedLabels(TinyClassifier):
    def predict(self, X):
        return self._scores(X).argmax(axis=1)


@fault("check_label_types", unique=False)
class ConvertsLabelsToStr(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, None if y is None else np.asarray(y).astype(str))


@fault("check_learns", unique=False)
class PredictsFirstClassOnly(TinyClassifier):
    def predict(self, X):
        return np.repeat(self.classes_[:1], len(super().predict(X)))


@fault("check_probabilities")
class ReversedColumns(TinyClassifier):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]


@fault("check_invalid_y_raises")
class AcceptsContinuousTargets(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        y = np.round(y) if np.asarray(y).dtype.kind == "f" else y
        return super().fit(X, y, sample_weight)


@fault("check_y_in_pandas")
class ReadsLabelsByIndex(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        y = [y[i] for i in range(len(y))] if hasattr(y, "loc") else y
        return super().fit(X, y, sample_weight)


@fault("check_y_containers")
class RejectsTuplesOfLabels(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        if isinstance(y, tuple):
            raise TypeError("y must not be a tuple")
        return super().fit(X, y, sample_weight)


@fault("check_one_class")
class SingleClassRaisesRuntimeError(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        if y is not None and len(set(np.ravel(y).tolist())) == 1:
            raise RuntimeError("y has a single class")
        return super().fit(X, y, sample_weight)


@fault("check_one_sample_per_class")
class RequiresThreeSamples(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        if len(X) < 3:
            raise ValueError("too few images")
        return super().fit(X, y, sample_weight)


class TinyClassifierWithBatches(TinyClassifier):
    def __init__(
        self, *, sharpness=20.0, class_weight=None, batch_size=4, random_state=None
    ):
        self.sharpness = sharpness
        self.class_weight = class_weight
        self.batch_size = batch_size
        self.random_state = random_state


@fault("check_any_batch_size")
class RequiresBatchOfTwo(TinyClassifierWithBatches):
    def fit(self, X, y, sample_weight=None):
        if self.batch_size < 2:
            raise ValueError("batch_size must be at least 2")
        return super().fit(X, y, sample_weight)


@fault("check_any_batch_size")
class DependsOnBatchSize(TinyClassifierWithBatches):
    def predict_proba(self, X):
        shift = 0.1 if self.batch_size == 2 else 0
        return (super().predict_proba(X) + shift) / (1 + shift * len(self.classes_))


@fault("check_rare_class")
class DropsRareClass(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        if len(y) > 2:
            common = np.unique(y, return_counts=True)[1] > 1
            self.classes_, self.means_ = self.classes_[common], self.means_[common]
            self.prior_ = self.prior_[common]
        return self


@fault("check_sample_weight_matters", unique=False)
class IgnoresWeights(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y)


@fault("check_zero_sample_weight_equals_removal", unique=False)
class ClipsSmallWeights(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        weight = None if sample_weight is None else np.maximum(sample_weight, 0.5)
        return super().fit(X, y, weight)


@fault("check_sample_weight_two_equals_repetition", unique=False)
class SquaresWeights(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        weight = None if sample_weight is None else np.square(sample_weight)
        return super().fit(X, y, weight)


@fault("check_unit_sample_weight_equals_none")
class DefaultWeightsAreNotOnes(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        if sample_weight is None and y is not None:
            sample_weight = np.linspace(1, 1.002, len(y))
        return super().fit(X, y, sample_weight)


@fault("check_sample_weight_containers")
class ScalesWeightsInPlace(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        if isinstance(sample_weight, np.ndarray):
            sample_weight /= sample_weight.mean()
        return super().fit(X, y, sample_weight)


@fault("check_sample_weight_in_pandas")
class ReadsWeightsByIndex(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        if hasattr(sample_weight, "loc"):
            sample_weight = [sample_weight[i] for i in range(len(sample_weight))]
        return super().fit(X, y, sample_weight)


@fault("check_invalid_sample_weight_raises")
class AcceptsAllZeroWeights(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        if sample_weight is not None and not np.any(sample_weight):
            sample_weight = None
        return super().fit(X, y, sample_weight)


@fault("check_class_weight_is_sample_weight")
class IgnoresClassWeight(TinyClassifier):
    def fit(self, X, y, sample_weight=None):
        weight, self.class_weight = self.class_weight, None
        super().fit(X, y, sample_weight)
        self.class_weight = weight
        return self
