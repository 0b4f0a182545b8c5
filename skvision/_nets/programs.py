"""Networks that can be run and trained: traced once, lent out, used again.

A *network* is described by plain values, ``(builder, *arguments)``, where `builder` is
the name of a function of `builders` that builds a Keras model from its inputs to
logits. From the description a `Program` is built: the model with its traced functions.
Tracing costs about a second and some MB that TensorFlow never gives back, so programs
are lent out and used again. Whatever may differ between two fits of one architecture
(weights, seeds, rates, penalties) is therefore an input of the program, not a part of
it.
"""

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from skvision._nets import builders
from skvision._nets.backend import check_usable_here, keras, on_cpu, tf, traced
from skvision._nets.layers import KerasLayers, TrainedLayers
from skvision._nets.optimizers import build_optimizer, without_learning_rate
from skvision._utils.parallel import chunks, map_ahead, n_threads

MAX_IDLE_PROGRAMS = 8


class Program:
    """A network, its optimizer and their traced functions, for one shape of batch."""

    def __init__(self, network, batch_size, optimizer=None):
        builder, *arguments = network
        parts = TrainedLayers()
        self.model = getattr(builders, builder)(*arguments, parts=parts)
        self.dropouts = parts.dropouts
        self.n_passes, self.rows = _passes(self.model, batch_size)
        self.averages, self.ema_momentum = None, None
        self.binary = self.model.output.shape[-1] == 1
        if optimizer is not None:
            self.optimizer = build_optimizer(optimizer)
            self.optimizer.build(self.model.trainable_variables)
            self._fresh_optimizer = self.optimizer_state()
            # For callbacks only: some look for the optimizer, others ask the metrics
            # whether more of them is better, once they have seen a value.
            self.model.compile(self.optimizer, metrics=["accuracy"])
            y_pred = np.zeros((1, self.model.output.shape[-1]), np.float32)
            self.model.compute_metrics(None, np.zeros((1, 1)), y_pred)
        self._built_of = self._variables()
        self._train_step = traced(self._train_step_eagerly)
        self._logits = traced(lambda inputs: self.model(inputs, training=False))

    def _variables(self):
        optimizer = getattr(self.model, "optimizer", None)
        return [id(v) for v in self.model.variables] + (
            [id(v) for v in optimizer.variables] if optimizer is not None else []
        )

    def is_intact(self):
        """Whether nobody, such as a callback, has exchanged a part of it."""
        return self._variables() == self._built_of

    def load(self, state, learning_rate, ema_momentum):
        """Take over where `state` is; its optimizer is None at the first epoch."""
        self.model.stop_training = False
        self.set_weights(state.latest_weights or state.weights)
        self.ema_momentum = ema_momentum
        if ema_momentum is not None:
            self._set_averages(state.weights)
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
        """The weights to predict with: the averages, or else the latest."""
        if self.ema_momentum is None:
            return self.latest_weights()
        return [v.numpy() for v in self.averages]

    def latest_weights(self):
        return [v.numpy() for v in self.model.trainable_variables]

    def _set_averages(self, weights):
        if self.averages is None:
            self.averages = [tf.Variable(w) for w in weights]
        for average, value in zip(self.averages, weights, strict=True):
            average.assign(value)

    @contextmanager
    def as_it_predicts(self):
        """Within, the model has the weights to predict with.

        Others that it has got by the end, from a callback, are taken over.
        """
        if self.ema_momentum is None:
            yield
            return
        latest, averages = self.latest_weights(), self.weights()
        self.set_weights(averages)
        yield
        found = self.latest_weights()
        if all(map(np.array_equal, found, averages)):
            self.set_weights(latest)
        else:
            self._set_averages(found)

    def initial_weights(self, seed_sequence):
        """Keras' default initial weights: Glorot's uniform kernels, biases of zero."""
        shapes = [tuple(v.shape) for v in self.model.trainable_variables]
        seeds = seed_sequence.generate_state(len(shapes))
        return [
            keras.initializers.GlorotUniform(seed=int(s) % 2**31)(
                shape, "float32"
            ).numpy()
            if len(shape) > 1
            else np.zeros(shape, dtype=np.float32)
            for shape, s in zip(shapes, seeds, strict=True)
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
        n_rows = self.n_passes * self.rows
        batch = (_padded(values, n_rows) for values in (inputs, y, sample_weight))
        penalties = tf.constant([l1, l2], tf.float32) if l1 or l2 else None
        momentum = self.ema_momentum
        if momentum is not None:
            momentum = tf.constant(momentum, tf.float32)
        loss, correct = self._train_step(
            *batch, n, tf.constant(seed), penalties, momentum
        )
        return float(loss), float(correct)

    def logits(self, data):
        """Logits of shape (n, n_outputs), in batches of the one shape."""
        n = len(data)
        outputs = np.empty((n, self.model.output.shape[-1]), dtype=np.float32)
        order = chunks(np.arange(n), self.rows)
        for indices, inputs in zip(order, prepared(data.batch, order), strict=True):
            logits = self._logits(_padded(inputs, self.rows))
            outputs[indices] = logits.numpy()[: len(indices)]
        return outputs

    def _train_step_eagerly(
        self, inputs, y, sample_weight, n, seed, penalties, momentum
    ):
        sums = self._sums_over_passes([inputs, y, sample_weight], seed)
        (loss, correct), gradients = sums[:2], [g / n for g in sums[2:]]
        variables = self.model.trainable_variables
        if penalties is not None:
            with tf.GradientTape() as tape:
                penalty = self._penalty(penalties)
            loss += n * penalty
            of_penalty = tape.gradient(penalty, variables)
            pairs = zip(gradients, of_penalty, strict=True)
            gradients = [g if p is None else g + p for g, p in pairs]
        self.optimizer.apply(gradients, variables)
        if momentum is not None:
            self._average(momentum)
        return loss, correct

    def _average(self, momentum):
        """Move the averages on: over a tenth of the steps so far, at the most.

        So the first weights are forgotten, however few steps there are, as in
        TensorFlow's ExponentialMovingAverage with `num_updates`.
        """
        n_steps = tf.cast(self.optimizer.iterations, tf.float32)
        momentum = tf.minimum(momentum, n_steps / (9 + n_steps))
        variables = self.model.trainable_variables
        for average, variable in zip(self.averages, variables, strict=True):
            average.assign_add((1 - momentum) * (variable.value - average))

    def _sums_over_passes(self, batch, seed):
        """Loss, weight of what is right, gradients: sums over the rows of a batch."""
        if self.n_passes == 1:
            return self._one_pass(*batch, seed)
        batch = [tf.reshape(v, (self.n_passes, -1, *v.shape[1:])) for v in batch]

        def add_pass(i, *sums):
            seed_of_pass = seed + tf.stack([1000 * i, 0])
            new = self._one_pass(*(v[i] for v in batch), seed_of_pass)
            return i + 1, *(s + n for s, n in zip(sums, new, strict=True))

        zeros = [tf.zeros(v.shape) for v in self.model.trainable_variables]
        start = [tf.constant(0), tf.constant(0.0), tf.constant(0.0), *zeros]
        is_on = lambda i, *_: i < self.n_passes  # noqa: E731
        return tf.while_loop(is_on, add_pass, start, parallel_iterations=1)[1:]

    def _one_pass(self, inputs, y, sample_weight, seed):
        for layer in self.dropouts:
            layer.seed.assign(seed)
        with tf.GradientTape() as tape:
            logits = self.model(inputs, training=True)
            losses, hits = self._losses(logits, y)
            loss = tf.reduce_sum(sample_weight * losses)
        gradients = tape.gradient(loss, self.model.trainable_variables)
        return [loss, tf.reduce_sum(sample_weight * hits), *gradients]

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


def _passes(model, batch_size):
    """Return in how many passes a batch goes through the network, and rows in each.

    The maps of each layer are to stay below 16 MB in a pass. Larger arrays, several of
    them alive, the C library soon gives back to the system, and to touch new memory for
    the first time takes as long as to compute what goes into it.
    """
    largest = 4 * max(getattr(layer, "n_values", 0) for layer in model.layers)
    if not largest or not on_cpu():
        return 1, batch_size
    n_passes = -(-batch_size // max(1, 2**24 // largest))
    return n_passes, -(-batch_size // n_passes)


def _padded(values, n_rows):
    missing = n_rows - len(values)
    if missing:
        values = np.pad(values, [(0, missing)] + [(0, 0)] * (values.ndim - 1))
    return tf.constant(values)


_idle = OrderedDict()
_idle_lock = threading.Lock()


@contextmanager
def borrow(network, batch_size, optimizer=None):
    """Lend a program of this architecture, one that nobody else uses at the time."""
    check_usable_here()
    key = network, batch_size, without_learning_rate(optimizer)
    with _idle_lock:
        waiting = _idle.get(key, [])
        program = waiting.pop() if waiting else None
    if program is None:
        program = Program(network, batch_size, optimizer)
    try:
        yield program
    finally:
        if program.is_intact():
            _give_back(key, program)


def _give_back(key, program):
    with _idle_lock:
        _idle.setdefault(key, []).append(program)
        _idle.move_to_end(key)
        while len(_idle) > MAX_IDLE_PROGRAMS:
            _idle.popitem(last=False)


def build_model(network, weights, dropout):
    """The whole network as a Keras model of standard layers, to probabilities."""
    builder, *arguments = network
    model = getattr(builders, builder)(*arguments, parts=KerasLayers(dropout))
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)
    return builders.with_probabilities(model)


def predict_logits(network, weights, data, batch_size):
    """Logits of shape (n, n_outputs) of a network with `weights`."""
    # Batches are padded: a large one would make a single sample slow.
    with borrow(network, min(batch_size, data.most_rows_to_predict)) as program:
        program.set_weights(weights)
        return program.logits(data)


def prepared(make, order):
    """Yield `make(indices)` for each item of `order`, made a little ahead in threads.

    So the next images are decoded and transformed while the network runs.
    """
    if len(order) == 1:
        yield make(order[0])
        return
    with ThreadPoolExecutor(n_threads()) as pool:
        yield from map_ahead(pool, make, order, 2 * n_threads())
