"""Training and running networks: Keras and TensorFlow, no scikit-learn.

A *network* is described by plain values, ``(builder, *arguments)``, where `builder` is
the name of a function of `_networks` that builds a Keras model from its inputs to
logits. From the description a `Program` is built: the model with its traced functions.
Tracing costs about a second and some MB that TensorFlow never gives back, so programs
are lent out and used again. Whatever may differ between two fits of one architecture
(weights, seeds, rates, penalties) is therefore an input of the program, not a part of
it; whatever belongs to one fit is kept in a `TrainingState`, as numbers.
"""

import json
import threading
import warnings
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skvision import _networks
from skvision._backend import check_usable_here, keras, tf
from skvision._checkpoint import Checkpoint
from skvision._probabilities import probabilities
from skvision.exceptions import SkvisionWarning, TrainingDivergedError

# Streams of random numbers that are drawn from one seed.
INITIAL_WEIGHTS, SHUFFLE, DROPOUT = range(3)

MAX_IDLE_PROGRAMS = 8


@dataclass(frozen=True)
class TrainingPlan:
    """What a fit was asked to do: nothing in here changes while it runs.

    Attributes
    ----------
    network : tuple
        Description of the network.
    data : tuple of (data, y, sample_weight)
        What is trained on: `data` with ``len`` and ``batch(indices, epoch)``, codes of
        the classes, and weights whose mean is 1.
    validation : tuple of (data, y, sample_weight) or None
    optimizer : dict
        As `optimizer_config` returns it.
    epochs : int
        Number of epochs that are done when all is done.
    tasks : EpochTasks
        Is told of each epoch.
    """

    network: tuple
    data: tuple
    validation: tuple | None
    optimizer: dict
    epochs: int
    batch_size: int
    dropout: float
    l1: float
    l2: float
    early_stopping: bool
    n_iter_no_change: int
    seed: int
    callbacks: list
    verbose: int
    checkpoint: Checkpoint | None
    tasks: Any


@dataclass
class TrainingState:
    """Where a fit is, in numbers: at the end of an epoch, this is all there is.

    Attributes
    ----------
    weights, optimizer, best_weights : list of ndarray or None
    history : dict of list of float
        One value an epoch.
    best_score : tuple of (accuracy, -loss) or None
        Of the epoch with the best validation score.
    best_epoch : int or None
        Number of that epoch, counted from 1.
    """

    weights: list | None = None
    optimizer: list | None = None
    history: dict = field(default_factory=dict)
    best_weights: list | None = None
    best_score: tuple | None = None
    best_epoch: int | None = None

    @property
    def epoch(self):
        """Number of epochs that are done."""
        return len(self.history.get("loss", ()))


class Dropout(keras.layers.Layer):
    """Dropout whose rate and seed are inputs of the program.

    Keras' own layer holds its rate in the graph, so each rate of a search would need
    a graph of its own, and its seed in a generator with a state.
    """

    def __init__(self, name, position):
        super().__init__(name=name)
        self.position = position
        self.rate = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="rate"
        )
        self.seed = self.add_weight(
            shape=(2,), dtype="int32", initializer="zeros", trainable=False, name="seed"
        )

    def call(self, inputs, training=False):
        if not training:
            return inputs
        seed = self.seed.value + tf.constant([self.position, 0])
        drawn = tf.random.stateless_uniform(tf.shape(inputs), seed)
        return tf.where(drawn >= self.rate, inputs / (1 - self.rate), 0)


def optimizer_config(optimizer, learning_rate):
    """Return the configuration of a Keras optimizer given by name or as an object.

    The user's object is only read. Its learning rate is replaced if one is given.
    """
    config = keras.optimizers.serialize(keras.optimizers.get(optimizer))
    del config["config"]["name"]  # numbered, so no two are alike
    if learning_rate is not None:
        config["config"]["learning_rate"] = float(learning_rate)
    return config


class Program:
    """A network, its optimizer and their traced functions, for one shape of batch."""

    def __init__(self, network, batch_size, optimizer=None):
        builder, *arguments = network
        self.dropouts = []
        self.model = getattr(_networks, builder)(*arguments, dropout=self._dropout)
        self.batch_size = batch_size
        self.binary = self.model.output.shape[-1] == 1
        if optimizer is not None:
            self.optimizer = keras.optimizers.deserialize(optimizer)
            self.optimizer.build(self.model.trainable_variables)
            self._fresh_optimizer = self.optimizer_state()
            # Callbacks look for the optimizer here.
            self.model.optimizer = self.optimizer
        # XLA halves the speed of convolutions on a CPU, hence no jit_compile.
        trace = tf.function(jit_compile=False, autograph=False)
        self._train_step = trace(self._train_step_eagerly)
        self._logits = trace(lambda inputs: self.model(inputs, training=False))

    def _dropout(self, name):
        self.dropouts.append(Dropout(name, position=len(self.dropouts)))
        return self.dropouts[-1]

    def load(self, state, learning_rate):
        """Take over where `state` is; its optimizer is None at the first epoch."""
        self.model.stop_training = False
        self.set_weights(state.weights)
        for variable, value in zip(
            self.optimizer.variables,
            state.optimizer or self._fresh_optimizer,
            strict=True,
        ):
            variable.assign(value)
        if state.optimizer is None and not isinstance(learning_rate, dict):
            self.optimizer.learning_rate = learning_rate

    def optimizer_state(self):
        return [v.numpy() for v in self.optimizer.variables]

    def weights(self):
        return [v.numpy() for v in self.model.trainable_variables]

    def initial_weights(self, seed):
        """Keras' default initial weights: Glorot's uniform kernels, biases of zero."""
        shapes = [tuple(v.shape) for v in self.model.trainable_variables]
        seeds = np.random.SeedSequence([seed, INITIAL_WEIGHTS])
        return [
            keras.initializers.GlorotUniform(seed=int(s) % 2**31)(shape).numpy()
            if len(shape) > 1
            else np.zeros(shape, dtype=np.float32)
            for shape, s in zip(shapes, seeds.generate_state(len(shapes)), strict=True)
        ]

    def set_weights(self, weights):
        for variable, value in zip(
            self.model.trainable_variables, weights, strict=True
        ):
            variable.assign(value)

    def set_dropout(self, rate):
        for layer in self.dropouts:
            layer.rate.assign(rate)

    def train_on_batch(self, inputs, y, sample_weight, seed, l1, l2):
        """One step; return the summed loss and the summed weight of what is right."""
        n = tf.constant(len(y), tf.float32)
        batch = (self._padded(values) for values in (inputs, y, sample_weight))
        penalties = tf.constant([l1, l2], tf.float32) if l1 or l2 else None
        loss, correct = self._train_step(*batch, n, tf.constant(seed), penalties)
        return float(loss), float(correct)

    def logits(self, data):
        """Logits of shape (n, n_outputs), in batches of the one shape."""
        n = len(data)
        outputs = np.empty((n, self.model.output.shape[-1]), dtype=np.float32)
        for indices in _batches(np.arange(n), self.batch_size):
            inputs = self._padded(data.batch(indices, epoch=None))
            outputs[indices] = self._logits(inputs).numpy()[: len(indices)]
        return outputs

    def _padded(self, values):
        missing = self.batch_size - len(values)
        if missing:
            values = np.pad(values, [(0, missing)] + [(0, 0)] * (values.ndim - 1))
        return tf.constant(values)

    def _train_step_eagerly(self, inputs, y, sample_weight, n, seed, penalties):
        for layer in self.dropouts:
            layer.seed.assign(seed)
        with tf.GradientTape() as tape:
            logits = self.model(inputs, training=True)
            losses, hits = self._losses(logits, y)
            loss = tf.reduce_sum(sample_weight * losses) / n
            if penalties is not None:
                loss += self._penalty(penalties)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return n * loss, tf.reduce_sum(sample_weight * hits)

    def _losses(self, logits, y):
        """Cross-entropy of each row, and 1.0 where the row is right."""
        if self.binary:
            logits = logits[:, 0]
            losses = tf.nn.sigmoid_cross_entropy_with_logits(
                tf.cast(y, logits.dtype), logits
            )
            predicted = tf.cast(logits > 0, y.dtype)
        else:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
            predicted = tf.argmax(logits, axis=-1, output_type=y.dtype)
        return losses, tf.cast(predicted == y, logits.dtype)

    def _penalty(self, penalties):
        """L1 and L2 of all kernels, as Keras' regularizers have it."""
        kernels = [v.value for v in self.model.trainable_variables if len(v.shape) > 1]
        l1 = tf.add_n([tf.reduce_sum(tf.abs(k)) for k in kernels])
        l2 = tf.add_n([tf.reduce_sum(tf.square(k)) for k in kernels])
        return penalties[0] * l1 + penalties[1] * l2


_idle = OrderedDict()
_idle_lock = threading.Lock()


@contextmanager
def borrow(network, batch_size, optimizer=None):
    """Lend a program of this architecture, one that nobody else uses at the time."""
    check_usable_here()
    key = network, batch_size, _without_learning_rate(optimizer)
    with _idle_lock:
        waiting = _idle.get(key, [])
        program = waiting.pop() if waiting else None
    if program is None:
        program = Program(network, batch_size, optimizer)
    try:
        yield program
    finally:
        with _idle_lock:
            _idle.setdefault(key, []).append(program)
            _idle.move_to_end(key)
            while len(_idle) > MAX_IDLE_PROGRAMS:
                _idle.popitem(last=False)


def _without_learning_rate(optimizer):
    """`optimizer` as text, but for a learning rate that is a number."""
    if optimizer is None:
        return None
    config = dict(optimizer["config"])
    if not isinstance(config.get("learning_rate"), dict):
        config["learning_rate"] = None
    return json.dumps(optimizer | {"config": config}, sort_keys=True, default=str)


def build_model(network, weights, dropout):
    """The whole network as a Keras model of standard layers, to probabilities."""
    builder, *arguments = network
    model = getattr(_networks, builder)(
        *arguments,
        dropout=lambda name: keras.layers.Dropout(dropout, seed=0, name=name),
    )
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)
    return _networks.with_probabilities(model)


def predict_logits(network, weights, data, batch_size):
    """Logits of shape (n, n_outputs) of a network with `weights`."""
    with borrow(network, batch_size) as program:
        program.set_weights(weights)
        return program.logits(data)


def train(plan, state):
    """Train as `plan` says, from `state` on, which holds the result afterwards."""
    with borrow(plan.network, plan.batch_size, plan.optimizer) as program:
        if state.weights is None:
            state.weights = program.initial_weights(plan.seed)
        program.load(state, plan.optimizer["config"].get("learning_rate"))
        program.set_dropout(plan.dropout)
        callbacks = _Callbacks(plan, program.model)
        try:
            callbacks.call("on_train_begin")
            _run_epochs(program, plan, state, callbacks)
            callbacks.call("on_train_end")
            # Some callbacks change the weights at the end.
            state.weights = program.weights()
        except KeyboardInterrupt:
            if not state.epoch:
                raise
            warnings.warn(
                f"Training was interrupted in epoch {state.epoch + 1} of "
                f"{plan.epochs}: the estimator is as after epoch {state.epoch}.",
                SkvisionWarning,
                stacklevel=4,
            )
        finally:
            callbacks.release()
    if plan.early_stopping:
        state.weights = state.best_weights


def _run_epochs(program, plan, state, callbacks):
    stop = False
    while not (stop or program.model.stop_training or _is_over(plan, state)):
        epoch = state.epoch
        plan.tasks.begin_epoch()
        callbacks.call("on_epoch_begin", epoch)
        logs = _run_epoch(program, plan, epoch, callbacks)
        if plan.validation is not None:
            logs |= _evaluate(program, *plan.validation)
        callbacks.call("on_epoch_end", epoch, dict(logs))
        _end_epoch(program, plan, state, logs)
        stop = plan.tasks.end_epoch(state)


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
    loss = correct = n_seen = weight = 0
    for step, rows in enumerate(_batches(rng.permutation(len(y)), plan.batch_size)):
        callbacks.call("on_train_batch_begin", step)
        batch_loss, batch_correct = program.train_on_batch(
            data.batch(rows, epoch),
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
        callbacks.call("on_train_batch_end", step, logs)
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
    proba = probabilities(program.logits(data).astype(np.float64))
    of_truth = proba[np.arange(len(y)), y]
    losses = -np.log(np.maximum(of_truth, np.finfo(np.float64).tiny))
    hits = proba.argmax(axis=1) == y
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
    new.history = {
        name: [*state.history.get(name, ()), value] for name, value in logs.items()
    }
    if plan.validation is not None:
        score = logs["val_accuracy"], -logs["val_loss"]
        if state.best_score is None or score > state.best_score:
            new.best_score, new.best_epoch = score, new.epoch
            new.best_weights = weights
    if plan.checkpoint is not None:
        new.optimizer = program.optimizer_state()
        plan.checkpoint.write(new)
    # One step, so that Ctrl-C finds the state of this epoch or of the one before.
    vars(state).update(vars(new))


def _batches(indices, size):
    return (indices[start : start + size] for start in range(0, len(indices), size))


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
