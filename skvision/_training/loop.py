"""Training: a plan, a state in numbers, and the loop over the epochs."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skvision._nets.backend import keras
from skvision._nets.programs import borrow, prepared
from skvision._training.checkpoint import Checkpoint
from skvision._training.probabilities import log_probabilities
from skvision._training.sklearn_callbacks import NoTasks
from skvision._utils.parallel import chunks
from skvision.exceptions import SkvisionWarning, TrainingDivergedError

# Streams of random numbers that are drawn from one seed.
INITIAL_WEIGHTS, SHUFFLE, DROPOUT = range(3)


@dataclass(frozen=True)
class TrainingPlan:
    """What a fit was asked to do: nothing in here changes while it runs.

    Attributes
    ----------
    network : tuple
        Description of the network.
    data : tuple of (data, y, sample_weight)
        What is trained on: `data` with ``len`` and ``batch(indices, (seed, epoch))``,
        codes of the classes, and weights whose mean is 1.
    validation : tuple of (data, y, sample_weight) or None
    optimizer : dict
        As `optimizer_config` returns it.
    first_epoch, epochs : int
        Number of epochs that were done before, and when all is done.
    learning_rate_schedule : {"constant", "cosine"}
        With "cosine" the rate falls from epoch to epoch, along half a cosine to 0.
    tasks : EpochTasks
        Is told of each epoch.
    """

    network: tuple
    data: tuple
    validation: tuple | None
    optimizer: dict
    first_epoch: int
    epochs: int
    learning_rate_schedule: str
    batch_size: int
    dropout: float
    l1: float
    l2: float
    ema_momentum: float | None
    early_stopping: bool
    n_iter_no_change: int
    seed: int
    verbose: int
    checkpoint: Checkpoint | None
    callbacks: list = field(default_factory=list)
    tasks: Any = field(default_factory=NoTasks)


@dataclass
class TrainingState:
    """Where a fit is, in numbers: at the end of an epoch, this is all there is.

    Attributes
    ----------
    weights, best_weights : list of ndarray or None
        What the network predicts with; averages, if weights are averaged.
    latest_weights, optimizer : list of ndarray or None
        What the next step starts from: the weights, if others than `weights`, and the
        optimizer's variables. Only set where there is a checkpoint.
    history : dict of list of float
        One value an epoch.
    best_score : tuple of (accuracy, -loss) or None
        Of the epoch with the best validation score.
    best_epoch : int or None
        Number of that epoch, counted from 1.
    earlier : dict of list of float
        The history of another training that came before, on which this one builds.
    """

    weights: list | None = None
    latest_weights: list | None = None
    optimizer: list | None = None
    history: dict = field(default_factory=dict)
    best_weights: list | None = None
    best_score: tuple | None = None
    best_epoch: int | None = None
    earlier: dict = field(default_factory=dict)

    @property
    def epoch(self):
        """Number of epochs that are done."""
        return len(self.history.get("loss", ()))


def train(plan, state):
    """Train as `plan` says, from `state` on, which holds the result afterwards.

    Return whether all was done, and not interrupted.
    """
    with borrow(plan.network, plan.batch_size, plan.optimizer) as program:
        if state.weights is None:
            seeds = np.random.SeedSequence([plan.seed, INITIAL_WEIGHTS])
            state.weights = program.initial_weights(seeds)
        rate = plan.optimizer["config"].get("learning_rate")
        program.load(state, rate, plan.ema_momentum)
        program.set_dropout(plan.dropout)
        callbacks = _Callbacks(plan, program.model)
        first_epoch = state.epoch
        try:
            callbacks.call("on_train_begin", {})
            _run_epochs(program, plan, state, callbacks)
            is_done = True
        except KeyboardInterrupt:
            if state.epoch == first_epoch and not state.earlier:
                raise
            is_done = False
            _warn_of_interrupt(plan, state)
        else:
            _end(program, state, callbacks)
        finally:
            callbacks.release()
    if plan.early_stopping and state.best_weights is not None:
        state.weights = state.best_weights
    return is_done


def _warn_of_interrupt(plan, state):
    warnings.warn(
        f"Training was interrupted in epoch {state.epoch + 1} of {plan.epochs}: the "
        f"estimator is as after epoch {state.epoch}.",
        SkvisionWarning,
        stacklevel=6,
    )


def _end(program, state, callbacks):
    """Take over the averages, and what a callback makes of them at the end."""
    program.optimizer.finalize_variable_values(program.model.trainable_variables)
    program.set_weights(program.weights())
    callbacks.call("on_train_end", {})
    state.weights = program.latest_weights()


def _run_epochs(program, plan, state, callbacks):
    while not _is_over(plan, state):
        epoch = state.epoch
        plan.tasks.begin_epoch()
        _set_learning_rate(program, plan, epoch)
        callbacks.call("on_epoch_begin", epoch, {})
        _check_intact(program)
        logs = _run_epoch(program, plan, epoch, callbacks)
        with program.as_it_predicts():
            if plan.validation is not None:
                logs |= _evaluate(program, *plan.validation)
            callbacks.call("on_epoch_end", epoch, dict(logs))
        _end_epoch(program, plan, state, logs)
        if plan.tasks.end_epoch(state) or program.model.stop_training:
            return


def _set_learning_rate(program, plan, epoch):
    if plan.learning_rate_schedule == "constant":
        return
    rate = plan.optimizer["config"]["learning_rate"]
    done = (epoch - plan.first_epoch) / (plan.epochs - plan.first_epoch)
    program.optimizer.learning_rate = rate * (1 + np.cos(np.pi * done)) / 2


def _check_intact(program):
    if not program.is_intact():
        raise ValueError(
            "One of the 'callbacks' exchanged a part of the model or of its optimizer. "
            "Give parts with the parameters of the classifier, such as 'optimizer'; a "
            "callback may assign a number, as in model.optimizer.learning_rate = 0.1."
        )


def _is_over(plan, state):
    if state.epoch >= plan.epochs:
        return True
    if not plan.early_stopping or state.best_epoch is None:
        return False
    return state.epoch - state.best_epoch >= plan.n_iter_no_change


def _run_epoch(program, plan, epoch, callbacks):
    """Train on all data once, in an order that only seed and epoch decide."""
    data, y, sample_weight = plan.data
    rng = np.random.default_rng([plan.seed, SHUFFLE, epoch])
    first_seed = np.random.default_rng([plan.seed, DROPOUT, epoch]).integers(2**31)
    order = chunks(rng.permutation(len(y)), plan.batch_size)
    inputs = prepared(lambda rows: data.batch(rows, (plan.seed, epoch)), order)
    loss = correct = n_seen = weight = 0
    for step, rows in enumerate(order):
        callbacks.call("on_train_batch_begin", step, {})
        batch_loss, batch_correct = program.train_on_batch(
            next(inputs),
            y[rows],
            sample_weight[rows],
            np.array([first_seed, step], dtype=np.int32),
            plan.l1,
            plan.l2,
        )
        if not np.isfinite(batch_loss):
            raise _diverged(plan, epoch, batch_loss)
        loss, correct = loss + batch_loss, correct + batch_correct
        n_seen, weight = n_seen + len(rows), weight + sample_weight[rows].sum()
        logs = {"loss": loss / n_seen, "accuracy": float(correct / weight)}
        callbacks.call("on_train_batch_end", step, dict(logs))
    return logs


def _diverged(plan, epoch, loss):
    rate = plan.optimizer["config"].get("learning_rate")
    return TrainingDivergedError(
        f"The loss became {loss} in epoch {epoch + 1}: the training diverged. "
        f"Lower the 'learning_rate' (it was {rate!r}), or scale the features if they "
        "are large."
    )


def _evaluate(program, data, y, sample_weight):
    """Loss and accuracy on the validation data, without dropout and penalties."""
    log_proba = log_probabilities(program.logits(data))
    losses = -log_proba[np.arange(len(y)), y]
    hits = log_proba.argmax(axis=1) == y
    return {
        "val_loss": float(np.average(losses, weights=sample_weight)),
        "val_accuracy": float(np.average(hits, weights=sample_weight)),
    }


def _end_epoch(program, plan, state, logs):
    """Bring `state` up to date, and write it to the checkpoint."""
    weights = program.weights()
    if not all(np.isfinite(w).all() for w in weights):
        raise _diverged(plan, state.epoch, float("nan"))
    new = TrainingState(**vars(state) | {"weights": weights})
    # A fit that goes on from another one may record more, or less, than that did.
    unknown = [float("nan")] * state.epoch
    new.history = {
        name: [*state.history.get(name, unknown), logs.get(name, float("nan"))]
        for name in {**state.history, **logs}
    }
    if plan.validation is not None:
        score = logs["val_accuracy"], -logs["val_loss"]
        if state.best_score is None or score > state.best_score:
            new.best_score, new.best_epoch = score, new.epoch
            new.best_weights = weights
    if plan.checkpoint is not None:
        new.optimizer = program.optimizer_state()
        if plan.ema_momentum is not None:
            new.latest_weights = program.latest_weights()
        plan.checkpoint.write(new)
    # One step, so that Ctrl-C finds the state of this epoch or of the one before.
    vars(state).update(vars(new))


class _Callbacks:
    """The user's Keras callbacks, and Keras' progress bar if `verbose` asks for it."""

    def __init__(self, plan, model):
        self.callbacks = [
            c if isinstance(c, keras.callbacks.Callback) else c()
            for c in plan.callbacks
        ]
        if plan.verbose:
            self.callbacks.append(keras.callbacks.ProgbarLogger())
        for callback in self.callbacks:
            callback.set_params(
                {
                    "verbose": plan.verbose,
                    "epochs": plan.epochs,
                    "steps": -(-len(plan.data[1]) // plan.batch_size),
                }
            )
            callback.set_model(model)

    def call(self, hook, *args):
        for callback in self.callbacks:
            getattr(callback, hook)(*args)

    def release(self):
        """Take the model back: it goes on to other fits, and is not to be pickled."""
        for callback in self.callbacks:
            callback.set_model(None)
