"""Base class of the classifiers that train a network."""

from abc import ABCMeta, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from skvision import __version__
from skvision._nets.arithmetic import describe_arithmetic, effective_dtype
from skvision._training.data import ArrayData
from skvision._training.probabilities import probabilities
from skvision._training.sklearn_callbacks import EpochTasks
from skvision._utils.errors import short_traceback
from skvision._utils.interrupts import Interruptible
from skvision._utils.persistence import SavedWithVersions
from skvision._utils.validation import (
    CallbackSupportMixin,
    check_callbacks,
    check_sample_weight,
    check_units,
    fit_context,
    with_callbacks,
)

# Parameters passed to `TrainingPlan` unchanged. All but `verbose` change the result.
_PLAN_PARAMETERS = (
    "batch_size",
    "dropout",
    "early_stopping",
    "ema_momentum",
    "l1",
    "l2",
    "learning_rate_schedule",
    "n_iter_no_change",
    "verbose",
)


@dataclass(frozen=True)
class Start:
    """The state from which training starts.

    Attributes
    ----------
    state : TrainingState
        If it has no weights, random initial weights are drawn.
    is_complete : bool
        False if Ctrl-C ended an earlier phase: then training does not go on.
    checkpoints : tuple of Checkpoint
        Checkpoints of earlier phases, to be removed when all phases are complete.
    """

    state: Any
    is_complete: bool = True
    checkpoints: tuple = ()


class BaseNetworkClassifier(
    CallbackSupportMixin,
    ClassifierMixin,
    SavedWithVersions,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base class of the classifiers that train a network.

    A subclass has the parameters of `TRAINING_CONSTRAINTS` and implements two methods:
    `_check_data` converts `X` to `Data`, and `_describe_network` returns the name of a
    function of `builders` and its arguments.
    """

    _phase = "training"  # as progress calls it

    def __getstate__(self):
        state = super().__getstate__()
        if hasattr(state.get("optimizer"), "apply"):
            from skvision._nets.optimizers import saved_form

            state["optimizer"] = saved_form(state["optimizer"])
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if isinstance(vars(self).get("optimizer"), dict):
            from skvision._nets.optimizers import build_optimizer

            self.optimizer = build_optimizer(self.optimizer)

    @abstractmethod
    def _check_data(self, X, *, reset, name="X"):
        """Return `X` as `Data`; with `reset`, set `n_features_in_` and names.

        `name` is that of the argument, for messages.
        """

    @abstractmethod
    def _describe_network(self, n_outputs):
        """Return `(builder, inputs, *arguments)`, as plain values."""

    def _effective_dtype(self):
        """Return the data type of the convolutions here and now."""
        return effective_dtype(getattr(self, "compute_dtype", "float32"))

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
    ):
        """Train the network.

        Parameters
        ----------
        X : array-like
            Training data: features, or images, as described for the class.
        y : array-like of shape (n_samples,)
            Class labels: str, int, bool or any other type that can be sorted.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; None means 1 for all. Their scale does
            not matter. Samples with a weight of 0 are left out.
        X_val : array-like, default=None
            Validation data of the same form as `X`, evaluated after each epoch. Results
            are recorded in `history_` and used by `early_stopping`. In a pipeline,
            ``Pipeline(..., transform_input=["X_val"])`` transforms it.
        y_val : array-like of shape (n_val,), default=None
            Class labels of the validation data, which must occur in `y`.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation data.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If the data or a parameter is not as described.
        TrainingDivergedError
            If the loss became NaN or infinite.
        """
        validation = X_val, y_val, sample_weight_val
        with (
            short_traceback(),
            self._restore_features_on_error(),
            Interruptible(),
        ):
            fitted_attributes = self._fit(X, y, sample_weight, validation)
        vars(self).update(fitted_attributes)
        return self

    def _fit(self, X, y, sample_weight, validation):
        """Train, and return the attributes of the fitted classifier."""
        self._check_parameters()
        classes, codes, weight = self._check_targets(X, y, sample_weight)
        seed = self._draw_seed()
        data = self._check_data(X, reset=True).load(seed)
        if any(values is not None for values in validation):
            with _naming_validation_data():
                validation = self._check_validation(*validation, classes)
        else:
            validation = None
        used = np.flatnonzero(weight)
        train = data.take(used), codes[used], weight[used]
        if self.early_stopping and validation is None:
            train, validation = self._hold_out(train, classes, seed)
        data, codes, weight = train
        # Scaled to a mean of 1: otherwise their scale would act on the learning rate.
        train = data, codes, (weight / weight.mean()).astype(np.float32)
        attributes = self._train(train, validation, classes, seed, X, y)
        data.warn()
        # For the titles of plots.
        n_validation = None if validation is None else len(validation[1])
        return attributes | {"_n_validation": n_validation}

    def _check_parameters(self):
        """Check what constraints cannot, before images are read, which takes long."""
        check_callbacks(self.callbacks)
        for name in self.get_params(deep=False).keys() & {"hidden_units", "filters"}:
            check_units(name, getattr(self, name))
        if getattr(self, "augmenter", None) is not None:
            self.augmenter.draw(1, image_size=(1, 1), random_state=0)
        self._optimizer_config()

    @contextmanager
    def _restore_features_on_error(self):
        """Restore `n_features_in_` and `feature_names_in_` if a fit fails."""
        names = "n_features_in_", "feature_names_in_"
        previous = {name: getattr(self, name) for name in names if hasattr(self, name)}
        try:
            yield
        except BaseException:
            for name in names:
                vars(self).pop(name, None)
            vars(self).update(previous)
            raise

    def decision_function(self, X):
        """Compute the logits of the classes.

        Parameters
        ----------
        X : array-like
            Features, or images, as described for the class.

        Returns
        -------
        logits : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes, the log-odds of ``classes_[1]``.
        """
        logits = self._logits(X)
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def predict_proba(self, X):
        """Compute the probabilities of the classes.

        Parameters
        ----------
        X : array-like
            Features, or images, as described for the class.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns are in the order of `classes_`.
        """
        return probabilities(self._logits(X))

    def predict(self, X):
        """Predict the class of each sample.

        Parameters
        ----------
        X : array-like
            Features, or images, as described for the class.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Values of `classes_`.
        """
        logits = self._logits(X)
        if logits.shape[1] == 1:
            return self.classes_[(logits[:, 0] > 0).astype(int)]
        return self.classes_[logits.argmax(axis=1)]

    @property
    def model_(self):
        """The network as a `keras.Model`, from inputs to probabilities.

        Rebuilt at each access: changing, training or exporting it has no effect on the
        classifier.
        """
        self._check_network()
        from skvision._nets.programs import build_model

        return build_model(self._network, self._weights, self.dropout)

    def _check_network(self):
        """Raise if not fitted, or if parameters describe another network now."""
        check_is_fitted(self)
        fitted, now = self._network[1], self._describe_network(self._network[-1])[1]
        if now != fitted:
            raise ValueError(
                f"This {type(self).__name__} was fitted with a network for {fitted}, "
                f"and its parameters, such as 'image_size', now describe one for "
                f"{now}. Restore the parameters, or call fit again."
            )

    def _logits(self, X):
        self._check_network()
        from skvision._nets.program_pool import predict_logits

        with short_traceback(), Interruptible():
            data = self._check_data(X, reset=False)
            logits = predict_logits(
                self._network,
                self._weights,
                self._predicted_views(data),
                self._effective_dtype(),
                "predictions",
                verbose=0 if isinstance(data, ArrayData) else self.verbose,
            )
        data.warn()
        logits = np.mean(logits, axis=0)
        finite = np.isfinite(logits).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"The logits of sample {finite.argmin()} of X are not finite: its "
                "values are too large for float32 in the network. Scale the features, "
                "as with StandardScaler, before training and prediction."
            )
        return logits

    def _predicted_views(self, data):
        """Return the data over which predictions average the logits."""
        return (data,)

    def _check_targets(self, X, y, sample_weight):
        """Return the classes, and class index and weight of each sample."""
        y = validate_data(self, y=y)
        check_consistent_length(X, y)
        _check_no_missing(y)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if not len(classes):
            raise ValueError(
                f"Found 0 sample(s) in y while {type(self).__name__} needs at least 2."
            )
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes, but y "
                f"contains only one class: {classes.tolist()[0]!r}."
            )
        previous = getattr(self, "classes_", classes)
        if self.warm_start and not np.array_equal(previous, classes):
            raise ValueError(
                "With warm_start=True, y must have the classes of the previous fit, "
                f"{previous.tolist()}. Got {classes.tolist()} instead. Set "
                "warm_start=False to train from scratch."
            )
        weight = check_sample_weight(sample_weight, y, ensure_non_negative=True)
        try:
            class_weight = compute_class_weight(
                self.class_weight, classes=classes, y=y, sample_weight=weight
            )
        except (TypeError, ValueError) as error:
            raise ValueError(
                "The 'class_weight' parameter must be 'balanced', None or a dict of "
                f"class to weight. Got {self.class_weight!r} instead: {error}."
            ) from error
        if not (np.isfinite(class_weight) & (class_weight >= 0)).all():
            raise ValueError(
                "Weights in the 'class_weight' parameter must be finite and not "
                f"negative. Got {self.class_weight!r} instead."
            )
        weight = weight / max(weight.max(), np.finfo(float).tiny) * class_weight[codes]
        if not weight.any():
            raise ValueError(
                "All samples have a weight of zero: check 'sample_weight' and the "
                "'class_weight' parameter."
            )
        return classes, codes.astype(np.int32), weight

    def _draw_seed(self):
        if self.checkpoint_dir is not None and self.random_state is None:
            raise ValueError(
                "'checkpoint_dir' needs a 'random_state' that is not None: without a "
                "seed, an interrupted fit cannot be recognized and continued."
            )
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _check_validation(self, X_val, y_val, sample_weight_val, classes):
        if X_val is None or y_val is None:
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(
                f"{missing} is missing: pass both X_val and y_val, or neither."
            )
        data = self._check_data(X_val, reset=False, name="X_val").load()
        y_val = column_or_1d(y_val)
        check_consistent_length(X_val, y_val)
        unknown = np.setdiff1d(y_val, classes)
        if len(unknown):
            raise ValueError(
                f"y_val has classes that y does not contain: {unknown.tolist()}. The "
                f"classes of y are {classes.tolist()}."
            )
        weight = check_sample_weight(sample_weight_val, y_val, ensure_non_negative=True)
        return data, np.searchsorted(classes, y_val), weight

    def _hold_out(self, train, classes, seed):
        """Split the training data into training and validation data, stratified."""
        data, y, weight = train
        try:
            splits = train_test_split(
                np.arange(len(y)),
                test_size=self.validation_fraction,
                stratify=y,
                random_state=seed,
            )
        except ValueError as error:
            counts = np.bincount(y, minlength=len(classes))
            smallest = classes.tolist()[counts.argmin()]
            raise ValueError(
                "early_stopping=True holds out validation_fraction="
                f"{self.validation_fraction} of the {len(y)} samples in a stratified "
                f"split, which failed: {error} (the smallest class, {smallest!r}, has "
                f"{counts.min()}). Pass X_val and y_val, change 'validation_fraction', "
                "or set early_stopping=False."
            ) from error
        return [(data.take(rows), y[rows], weight[rows]) for rows in splits]

    def _train(self, train, validation, classes, seed, X, y):
        """Train the network, and return the attributes of the fitted classifier."""
        n_outputs = 1 if len(classes) == 2 else len(classes)
        network = self._describe_network(n_outputs)
        start = self._start(network, train, validation, seed)

        def fitted_attributes(state):
            return self._fitted_attributes(network, classes, state)

        if not start.is_complete:
            return fitted_attributes(start.state)
        n_epochs = start.state.epoch + int(self.epochs)
        state, is_complete, checkpoint = self._run_phase(
            network,
            train,
            validation,
            seed,
            start.state,
            label=self._phase,
            optimizer=self._optimizer_config(),
            first_epoch=start.state.epoch,
            epochs=n_epochs,
            callbacks=list(self.callbacks or ()),
            # The checkpoint may already contain some of the epochs.
            make_tasks=lambda epoch: EpochTasks(
                self, n_epochs - epoch, fitted_attributes, X=X, y=y
            ),
        )
        if is_complete:
            for completed in filter(None, [*start.checkpoints, checkpoint]):
                completed.remove()
        return fitted_attributes(state)

    def _start(self, network, train, validation, seed):
        """Return the start of training: the previous fit, with `warm_start`."""
        return Start(self._previous_state(network))

    def _run_phase(
        self,
        network,
        train,
        validation,
        seed,
        state,
        *,
        make_tasks=None,
        checkpoint_key=(),
        **settings,
    ):
        """Train one network from `state`, or from a checkpoint of the same training.

        Returns
        -------
        state : TrainingState
        is_complete : bool
            False after Ctrl-C.
        checkpoint : Checkpoint or None
        """
        from skvision._training import loop

        checkpoint = None
        if self.checkpoint_dir is not None:
            checkpoint = loop.Checkpoint(
                self.checkpoint_dir,
                self._fingerprint(
                    (*network, *checkpoint_key), train, validation, state, seed
                ),
            )
            state = replace(state, **checkpoint.read())
        if make_tasks is not None:
            settings["tasks"] = make_tasks(state.epoch)
        parameters = {name: self._plain_parameter(name) for name in _PLAN_PARAMETERS}
        parameters["compute_dtype"] = self._effective_dtype()
        plan = loop.TrainingPlan(
            network=network,
            data=train,
            validation=validation,
            seed=seed,
            checkpoint=checkpoint,
            **parameters | settings,
        )
        state, is_complete = loop.train(plan, state)
        if make_tasks is not None:
            plan.tasks.end_fit(state)
        return state, is_complete, checkpoint

    def _plain_parameter(self, name):
        """Return a parameter; NumPy's scalars, which can overflow, as Python's."""
        value = getattr(self, name)
        return value.item() if isinstance(value, np.generic) else value

    def _previous_state(self, network):
        """Return the state of the previous fit if `warm_start`, else an empty one."""
        from skvision._training.loop import TrainingState

        if not self.warm_start or not hasattr(self, "_weights"):
            return TrainingState()
        if network != self._network:
            raise ValueError(
                "With warm_start=True, the network must be that of the previous fit, "
                f"{self._network}. Got {network} instead. Set warm_start=False to "
                "train from scratch."
            )
        return TrainingState(**self._previous_results())

    def _previous_results(self):
        return {"weights": self._weights, "history": self.history_}

    def _fitted_attributes(self, network, classes, state):
        score = state.best_score
        return {
            "classes_": classes,
            "history_": state.history,
            "loss_curve_": state.history.get("loss", []),
            "n_iter_": state.epoch,
            "validation_scores_": state.history.get("val_accuracy"),
            "best_validation_score_": None if score is None else score[0],
            "best_epoch_": state.best_epoch,
            "_network": network,
            "_weights": state.weights,
        }

    def _optimizer_config(self):
        from skvision._nets.optimizers import optimizer_config

        try:
            config = optimizer_config(self.optimizer, self.learning_rate)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"The 'optimizer' parameter of {type(self).__name__} must be the name "
                "of a Keras optimizer, such as 'rmsprop', 'sgd' or 'adam', or an "
                f"optimizer object. Got {self.optimizer!r} instead."
            ) from error
        rate = config["config"].get("learning_rate")
        if self.learning_rate_schedule != "constant" and not isinstance(rate, float):
            raise ValueError(
                f"learning_rate_schedule={self.learning_rate_schedule!r} needs a rate "
                "that is a number, but the 'optimizer' parameter has a schedule of its "
                f"own, {rate!r}. Set 'learning_rate', or "
                "learning_rate_schedule='constant'."
            )
        if self.ema_momentum is not None and config["config"].get("use_ema"):
            raise ValueError(
                "The 'optimizer' parameter averages the weights (use_ema=True), and so "
                f"does ema_momentum={self.ema_momentum!r}. Set ema_momentum=None, or "
                "pass an optimizer without use_ema."
            )
        return config

    def _fingerprint(self, network, train, validation, state, seed):
        """Yield everything that determines the result of a training, as bytes."""
        arithmetic = describe_arithmetic(self._effective_dtype())
        settings = network, arithmetic, seed, self._optimizer_config()
        yield repr((__version__, *settings)).encode()
        names = ["epochs", *(name for name in _PLAN_PARAMETERS if name != "verbose")]
        parameters = [(name, self._plain_parameter(name)) for name in names]
        yield repr(parameters).encode()
        for part in (train, validation or ()):
            for values in part:
                if isinstance(values, np.ndarray):
                    yield np.ascontiguousarray(values).tobytes()
                else:
                    yield from values.content()
        for weights in state.weights or ():
            yield weights.tobytes()

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_weights")


def _check_no_missing(y):
    """Raise if a label is None; scikit-learn's checks raise for NaN."""
    if y.dtype == object and any(missing := [label is None for label in y]):
        raise ValueError(
            f"y[{np.argmax(missing)}] is None, and {np.sum(missing)} of {len(y)} "
            "labels in all. Expected a class for each sample: leave those samples out "
            "of X and y."
        )


@contextmanager
def _naming_validation_data():
    """Say that errors of scikit-learn's checks are about the validation data."""
    try:
        yield
    except ValueError as error:
        if type(error) is not ValueError or "_val" in str(error):
            raise
        raise ValueError(f"X_val, y_val or sample_weight_val: {error}") from None
