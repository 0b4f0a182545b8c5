"""The training loop, with its settings (plan) and its state."""

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skvision._nets.backend import keras
from skvision._nets.program_pool import acquire
from skvision._nets.programs import prefetch
from skvision._training.checkpoint import Checkpoint
from skvision._training.data import DROPOUT, INITIAL_WEIGHTS, SHUFFLE
from skvision._training.probabilities import evaluate
from skvision._training.sklearn_callbacks import NoTasks
from skvision._utils.interrupts import Interruptible, check_interrupt
from skvision._utils.parallel import chunks
from skvision._utils.progress import EpochProgress
from skvision._utils.warning import warn
from skvision.exceptions import TrainingDivergedError


@dataclass(frozen=True)
class TrainingPlan:
    """The settings of a training, which do not change while it runs.

    Attributes
    ----------
    label : str
        What progress is called.
    network : tuple
        Builder and arguments, as in `programs`.
    data : tuple of (Data, ndarray, ndarray)
        Training data: inputs, class indices and sample weights with a mean of 1.
    validation : tuple of (Data, ndarray, ndarray) or None
    optimizer : dict
        As `optimizer_config` returns it.
    first_epoch, epochs : int
        Number of epochs completed before this training, and at its end.
    learning_rate_schedule : {"constant", "cosine"}
        With "cosine", the rate decreases to 0 from epoch to epoch, along half a cosine.
    checkpoint : Checkpoint or None
    callbacks : list
        The user's Keras callbacks, or callables that return one.
    tasks : EpochTasks
        Is notified of each epoch.
    """

    label: str
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
    compute_dtype: str
    early_stopping: bool
    n_iter_no_change: int
    seed: int
    verbose: int
    checkpoint: Checkpoint | None
    callbacks: list = field(default_factory=list)
    tasks: Any = field(default_factory=NoTasks)


@dataclass(frozen=True)
class TrainingState:
    """The state of a training after an epoch, as arrays and numbers.

    Attributes
    ----------
    weights, best_weights : list of ndarray or None
        Weights for predictions: the averages, if weights are averaged.
    latest_weights, optimizer : list of ndarray or None
        What the next step starts from: the weights, if they differ from `weights`, and
        the variables of the optimizer. Only set if checkpoints are written.
    history : dict of list of float
        One value per epoch.
    best_score : tuple of (accuracy, -loss) or None
        Validation score of the best epoch.
    best_epoch : int or None
        Number of the best epoch, counted from 1.
    earlier : dict of list of float
        In fine-tuning, the history of the training of the head.
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
        """Number of completed epochs."""
        return len(self.history.get("loss", ()))


def train(plan, state):
    """Train according to `plan`, starting from `state`.

    Returns
    -------
    state : TrainingState
        The state after the last epoch (after Ctrl-C, the last complete one); with early
        stopping, its weights are those of the best epoch.
    is_complete : bool
        False after Ctrl-C.
    """
    # Copies of callbacks end with the fit, but objects behind a function may keep
    # their model.
    is_reusable = all(
        isinstance(c, (type, keras.callbacks.Callback)) for c in plan.callbacks
    )
    program = plan.network, plan.optimizer, plan.compute_dtype
    with acquire(*program, is_reusable=is_reusable) as program:
        if state.weights is None:
            seeds = np.random.SeedSequence([plan.seed, INITIAL_WEIGHTS])
            state = replace(state, weights=program.initial_weights(seeds))
        training = _Training(plan, state, program)
        is_complete = training.run()
        if not is_complete:
            program.discard()
    state = training.state
    if plan.early_stopping and state.best_weights is not None:
        state = replace(state, weights=state.best_weights)
    return state, is_complete


class _Training:
    """A running training: `state` is replaced after each epoch."""

    def __init__(self, plan, state, program):
        self.plan, self.state, self.program = plan, state, program
        rate = plan.optimizer["config"].get("learning_rate")
        program.load(state, rate, plan.ema_momentum)
        self.last_rate = program.learning_rate()
        self.callbacks = _Callbacks(plan, program)
        self.progress = EpochProgress(
            plan.label, plan.epochs, plan.verbose, start=state.epoch
        )

    def run(self):
        """Run the epochs; return False if Ctrl-C ended them."""
        first_epoch = self.state.epoch
        try:
            with Interruptible(), self.progress:
                self.callbacks.attach()
                self.callbacks.call("on_train_begin", {})
                while not self._is_finished():
                    if self._run_epoch():
                        break
                self._finish()
        except KeyboardInterrupt:
            if self.state.epoch == first_epoch and not self.state.earlier:
                raise
            self._warn_of_interrupt()
            return False
        finally:
            self.callbacks.release()
        return True

    def _is_finished(self):
        plan, state = self.plan, self.state
        if state.epoch >= plan.epochs:
            return True
        if not plan.early_stopping or state.best_epoch is None:
            return False
        return state.epoch - state.best_epoch >= plan.n_iter_no_change

    def _run_epoch(self):
        """Run one epoch; return whether a callback stopped the training."""
        plan, program, epoch = self.plan, self.program, self.state.epoch
        plan.tasks.begin_epoch()
        self._set_learning_rate(epoch)
        self.callbacks.call("on_epoch_begin", epoch, {})
        program.reset_constants(plan.dropout)  # callbacks may have set all weights
        logs = self._train_on_all_batches(epoch)
        self.last_rate = program.learning_rate()
        with program.averaged_weights():
            if plan.validation is not None:
                logs |= _evaluate(program, *plan.validation)
            self.callbacks.call("on_epoch_end", epoch, dict(logs))
        self._end_epoch(logs)
        self.progress.end_epoch(logs)
        return plan.tasks.end_epoch(self.state) or program.model.stop_training

    def _set_learning_rate(self, epoch):
        plan = self.plan
        if plan.learning_rate_schedule == "constant":
            return
        if self.program.learning_rate() != self.last_rate:
            raise ValueError(
                "One of the 'callbacks' changed the learning rate before epoch "
                f"{epoch + 1}, for which learning_rate_schedule="
                f"{plan.learning_rate_schedule!r} sets another. Set "
                "learning_rate_schedule='constant', or set the rate in on_epoch_begin."
            )
        rate = plan.optimizer["config"]["learning_rate"]
        done = (epoch - plan.first_epoch) / (plan.epochs - plan.first_epoch)
        self.program.optimizer.learning_rate = rate * (1 + np.cos(np.pi * done)) / 2

    def _train_on_all_batches(self, epoch):
        """Train on all data once, in an order determined by seed and epoch only."""
        plan = self.plan
        data, y, sample_weight = plan.data
        rng = np.random.default_rng([plan.seed, SHUFFLE, epoch])
        first_seed = np.random.default_rng([plan.seed, DROPOUT, epoch]).integers(2**31)
        batches = chunks(rng.permutation(len(y)), plan.batch_size)
        make_batch = lambda rows: data.batch(rows, (plan.seed, epoch))  # noqa: E731
        loss = correct = n_seen = weight = 0
        with prefetch(make_batch, batches) as prefetched:
            for step, (rows, inputs) in enumerate(
                zip(batches, prefetched, strict=True)
            ):
                self.callbacks.call("on_train_batch_begin", step, {})
                batch_loss, batch_correct = self.program.train_on_batch(
                    inputs,
                    y[rows],
                    sample_weight[rows],
                    np.array([first_seed, step], dtype=np.int32),
                    plan.l1,
                    plan.l2,
                    n_rows=plan.batch_size,
                )
                check_interrupt()
                if not np.isfinite(batch_loss):
                    raise _divergence_error(plan, epoch, batch_loss)
                loss, correct = loss + batch_loss, correct + batch_correct
                n_seen, weight = n_seen + len(rows), weight + sample_weight[rows].sum()
                logs = {"loss": loss / n_seen, "accuracy": float(correct / weight)}
                self.callbacks.call("on_train_batch_end", step, logs)
                self.progress.end_batch((step + 1) / len(batches), logs)
        return logs

    def _end_epoch(self, logs):
        """Replace `state` with that after the epoch, and write the checkpoint."""
        plan, program, previous = self.plan, self.program, self.state
        weights = program.weights()
        if not all(np.isfinite(w).all() for w in weights):
            raise _divergence_error(plan, previous.epoch, float("nan"))
        # With warm_start, the previous fit may have recorded other metrics.
        unknown = [float("nan")] * previous.epoch
        history = {
            name: [*previous.history.get(name, unknown), logs.get(name, float("nan"))]
            for name in {**previous.history, **logs}
        }
        state = replace(previous, weights=weights, history=history)
        if plan.validation is not None:
            score = logs["val_accuracy"], -logs["val_loss"]
            if state.best_score is None or score > state.best_score:
                best = {"best_epoch": state.epoch, "best_weights": weights}
                state = replace(state, best_score=score, **best)
        if plan.checkpoint is not None:
            latest = None
            if plan.ema_momentum is not None:
                latest = program.latest_weights()
            optimizer = program.optimizer_state()
            state = replace(state, latest_weights=latest, optimizer=optimizer)
            plan.checkpoint.write(state)
        # One assignment, so Ctrl-C cannot leave a state between two epochs.
        self.state = state

    def _finish(self):
        """Set the final weights: the averages, or those that callbacks assign."""
        program = self.program
        program.optimizer.finalize_variable_values(program.model.trainable_variables)
        program.set_weights(program.weights())
        self.callbacks.call("on_train_end", {})
        self.state = replace(self.state, weights=program.latest_weights())

    def _warn_of_interrupt(self):
        epoch, last = self.state.epoch, self.plan.epochs
        warn(
            f"Training was interrupted in epoch {min(epoch + 1, last)} of {last}; the "
            f"estimator is as after epoch {epoch}."
        )


def _divergence_error(plan, epoch, loss):
    rate = plan.optimizer["config"].get("learning_rate")
    return TrainingDivergedError(
        f"The loss became {loss} in epoch {epoch + 1}: training diverged. Lower the "
        f"'learning_rate' (it was {rate!r}), or scale the features if they are large."
    )


def _evaluate(program, data, y, sample_weight):
    """Return loss and accuracy on validation data, without dropout or penalties."""
    loss, accuracy = evaluate(program.logits(data), y, sample_weight)
    return {"val_loss": loss, "val_accuracy": accuracy}


class _Callbacks:
    """The user's Keras callbacks."""

    def __init__(self, plan, program):
        self.program = program
        self.callbacks = [_copy_or_create(c, i) for i, c in enumerate(plan.callbacks)]
        self.may_change_model = bool(self.callbacks)
        for callback in self.callbacks:
            callback.set_params(
                {
                    "verbose": plan.verbose,
                    "epochs": plan.epochs,
                    "steps": -(-len(plan.data[1]) // plan.batch_size),
                }
            )

    def attach(self):
        for callback in self.callbacks:
            callback.set_model(self.program.model)

    def call(self, hook, *args):
        *position, logs = args
        logs = dict(logs)  # one callback may add a metric that another monitors
        for callback in self.callbacks:
            getattr(callback, hook)(*position, logs)
        is_first_batch = hook == "on_train_batch_begin" and args[0] == 0
        is_checked = hook in ("on_train_begin", "on_epoch_begin", "on_epoch_end")
        if self.may_change_model and (is_checked or is_first_batch):
            self._check_model()

    def _check_model(self):
        """Raise if a callback changed something that the traced step ignores."""
        if changes := self.program.changes():
            raise ValueError(
                f"One of the 'callbacks' changed {', '.join(changes[:3])}, which the "
                "training step, already traced, would ignore. Callbacks may set the "
                "learning rate (to a number), the weights and model.stop_training. Set "
                "other options of the optimizer in the 'optimizer' parameter, and "
                "freeze blocks with 'n_trainable_blocks' of FineTunedVGGClassifier. "
                "For anything else, train the Keras model in 'model_' yourself."
            )

    def release(self):
        """Detach the callbacks from the model, which other fits will use."""
        for callback in self.callbacks:
            # Not of a subclass, which may use the model.
            keras.callbacks.Callback.set_model(callback, None)


def _copy_or_create(callback, i):
    """Return a copy of a callback, or the result of a function or class.

    So fits do not change the parameters of an estimator.
    """
    if not isinstance(callback, keras.callbacks.Callback):
        return _create(callback, i)
    try:
        return copy.deepcopy(callback)
    except Exception as error:
        raise ValueError(
            f"callbacks[{i}], a {type(callback).__name__}, cannot be copied ({error}), "
            "but each fit uses a copy. Pass a class, or a function that returns a new "
            "callback, instead."
        ) from error


def _create(factory, i):
    """Return the callback that a function or class returns."""
    try:
        created = factory()
    except TypeError as error:
        raise ValueError(
            f"callbacks[{i}], {factory!r}, cannot be called without arguments "
            f"({error}). Pass a callback, or a function that returns one."
        ) from error
    if isinstance(created, keras.callbacks.Callback):
        return created
    raise ValueError(
        f"callbacks[{i}] must be a keras.callbacks.Callback, or return one when called "
        f"without arguments. It returned {created!r}."
    )
