"""Programs: networks that are built and traced once, and then reused.

A *network* is described by plain values, ``(builder, *arguments)``, where `builder` is
the name of a function in `builders` that returns a Keras model from inputs to logits.
A `Program` is built from it: the model, its optimizer and traced functions. Tracing
takes about a second and some MB that TensorFlow never frees, so programs are reused
(see `program_pool`). Values that may differ between fits of the same architecture
(weights, seeds, dropout rate, penalties) are variables or inputs of the traced
functions, not constants in their graphs.
"""

import math
from contextlib import closing, contextmanager

import numpy as np

from skvision._nets import builders
from skvision._nets.backend import (
    check_usable_here,
    compiled,
    keras,
    on_cpu,
    tf,
    traced,
    xla_compiles,
)
from skvision._nets.layers import KerasLayers, TrainedLayers
from skvision._nets.optimizers import build_optimizer, is_keras_optimizer
from skvision._nets.snapshot import Snapshot
from skvision._utils.interrupts import check_interrupt
from skvision._utils.parallel import Threads, chunks, map_ahead, n_threads


class Program:
    """A network, its optimizer and their traced functions.

    `dtype`, "float32" or "bfloat16", is that of the convolutions.
    """

    def __init__(self, network, optimizer=None, dtype="float32"):
        builder, *arguments = network
        layer_factory = TrainedLayers(dtype)
        build = getattr(builders, builder)
        self.model = build(*arguments, layer_factory=layer_factory)
        self.dropouts = layer_factory.dropouts
        self.averages, self.ema_momentum = None, None
        self.binary = self.model.output.shape[-1] == 1
        self._train_step = traced(self._train_step_eagerly)
        self._logits = traced(lambda inputs: self.model(inputs, training=False))
        self.optimizer = None
        if optimizer is not None:
            self._add_optimizer(optimizer)
        self._constants = [v.numpy() for v in self.model.non_trainable_variables]
        self._snapshot = Snapshot(self.model, self.optimizer)
        self._is_discarded = False

    def _add_optimizer(self, config):
        self.optimizer = build_optimizer(config)
        self.optimizer.build(self.model.trainable_variables)
        self._initial_optimizer_state = self.optimizer_state()
        # For callbacks only: some read `model.optimizer`, others look up in the metrics
        # whether larger values are better, which is only defined after an update.
        self.model.compile(self.optimizer, metrics=["accuracy"])
        y_pred = np.zeros((1, self.model.output.shape[-1]), np.float32)
        self.model.compute_metrics(None, np.zeros((1, 1)), y_pred)
        self._update = self._update_eagerly
        # Fused by XLA, the update of large layers takes half the time. Custom
        # optimizers may use operations that XLA does not support.
        if on_cpu() and xla_compiles() and is_keras_optimizer(self.optimizer):
            self._update = compiled(self._update_eagerly)

    def changes(self):
        """Return descriptions of changed attributes of the model and optimizer."""
        return self._snapshot.changes()

    def is_unmodified(self):
        """Return whether the program equals a new one, except for its variables."""
        return not self._is_discarded and self._snapshot.is_unchanged()

    def discard(self):
        """Declare the program unfit for other fits: Ctrl-C may end a trace halfway."""
        self._is_discarded = True

    def n_bytes(self):
        """Return the size of the variables."""
        variables = list(self.model.variables)
        if self.optimizer is not None:
            variables += self.optimizer.variables
        return sum(4 * math.prod(v.shape) for v in variables)

    def load(self, state, learning_rate, ema_momentum):
        """Set the variables to `state`; reset the optimizer if that has none."""
        self.model.stop_training = False
        self.set_weights(state.latest_weights or state.weights)
        self.ema_momentum = ema_momentum
        if ema_momentum is not None:
            self._set_averages(state.weights)
        for variable, value in zip(
            self.optimizer.variables,
            state.optimizer or self._initial_optimizer_state,
            strict=True,
        ):
            variable.assign(value)
        if state.optimizer is None and not isinstance(learning_rate, dict):
            self.optimizer.learning_rate = learning_rate

    def optimizer_state(self):
        return [v.numpy() for v in self.optimizer.variables]

    def learning_rate(self):
        return float(self.optimizer.learning_rate)

    def weights(self):
        """Return the weights for predictions: the averages if there are any."""
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
    def averaged_weights(self):
        """Use the weights for predictions in the model, within the block.

        If a callback assigns other weights within the block, they become the averages.
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
        """Return Keras' default initial weights: Glorot uniform, zero biases."""
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

    def reset_constants(self, dropout):
        """Set all variables that are not trained, as callbacks may set them."""
        for variable, value in zip(
            self.model.non_trainable_variables, self._constants, strict=True
        ):
            variable.assign(value)
        self.set_dropout(dropout)

    def set_dropout(self, rate):
        for layer in self.dropouts:
            layer.rate.assign(rate)

    def train_on_batch(self, inputs, y, sample_weight, seed, l1, l2, *, n_rows):
        """Take one step; return the total loss and the total weight of correct samples.

        The batch is padded to `n_rows` with samples of weight 0, so that all batches
        of an epoch have the same shape.
        """
        n = tf.constant(len(y), tf.float32)
        missing = n_rows - len(y)
        batch = (_padded(values, missing) for values in (inputs, y, sample_weight))
        penalties = tf.constant([l1, l2], tf.float32) if l1 or l2 else None
        momentum = self.ema_momentum
        if momentum is not None:
            momentum = tf.constant(momentum, tf.float32)
        loss, correct = self._train_step(
            *batch, n, tf.constant(seed), penalties, momentum
        )
        return float(loss), float(correct)

    def logits(self, data, progress=None):
        """Return logits of shape (n, n_outputs), from batches of the same shape."""
        n, n_rows = len(data), data.max_predict_batch
        outputs = np.empty((n, self.model.output.shape[-1]), dtype=np.float32)
        batches = chunks(np.arange(n), n_rows)
        with prefetch(data.batch, batches) as prefetched:
            for indices, inputs in zip(batches, prefetched, strict=True):
                logits = self._logits(_padded(inputs, n_rows - len(indices)))
                outputs[indices] = logits.numpy()[: len(indices)]
                if progress is not None:
                    progress.add(len(indices))
                check_interrupt()
        return outputs

    def _train_step_eagerly(
        self, inputs, y, sample_weight, n, seed, penalties, momentum
    ):
        for layer in self.dropouts:
            layer.seed.assign(seed)
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            logits = self.model(inputs, training=True)
            losses, correct = self._losses(logits, y)
            loss = tf.reduce_sum(sample_weight * losses)
            mean = loss / n
            if penalties is not None:
                mean += self._penalty(penalties)
            scaled = self.optimizer.scale_loss(mean)
        gradients = tape.gradient(scaled, variables)
        self._update(gradients, momentum)
        return n * mean, tf.reduce_sum(sample_weight * correct)

    def _update_eagerly(self, gradients, momentum):
        """Update the weights and, unless `momentum` is None, their moving averages."""
        variables = self.model.trainable_variables
        self.optimizer.apply(gradients, variables)
        if momentum is None:
            return
        # Average over at most about a tenth of the steps so far, as TensorFlow's
        # ExponentialMovingAverage does with `num_updates`. Otherwise the initial
        # weights would dominate after few steps.
        n_steps = tf.cast(self.optimizer.iterations, tf.float32)
        momentum = tf.minimum(momentum, n_steps / (9 + n_steps))
        for average, variable in zip(self.averages, variables, strict=True):
            average.assign_add((1 - momentum) * (variable.value - average))

    def _losses(self, logits, y):
        """Return the cross-entropy of each row, and 1.0 for correct predictions."""
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
        """Return the L1 and L2 penalties of all kernels, as Keras' regularizers do."""
        kernels = [v.value for v in self.model.trainable_variables if len(v.shape) > 1]
        l1 = tf.add_n([tf.reduce_sum(tf.abs(k)) for k in kernels])
        l2 = tf.add_n([tf.reduce_sum(tf.square(k)) for k in kernels])
        return penalties[0] * l1 + penalties[1] * l2


def _padded(values, missing):
    if missing:
        values = np.pad(values, [(0, missing)] + [(0, 0)] * (values.ndim - 1))
    return tf.constant(values)


def build_model(network, weights, dropout):
    """Return the network with probabilities as outputs, built from Keras' layers."""
    check_usable_here()
    builder, *arguments = network
    build = getattr(builders, builder)
    model = build(*arguments, layer_factory=KerasLayers(dropout))
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)
    return builders.with_probabilities(model)


@contextmanager
def prefetch(make, batches):
    """Return an iterator over `make(indices)` for each item of `batches`.

    Within the block, the next images are decoded and augmented in threads while the
    network runs.
    """
    if len(batches) == 1:
        yield map(make, batches)
        return
    with (
        Threads(n_threads()) as pool,
        closing(map_ahead(pool, make, batches, 2 * n_threads())) as prefetched,
    ):
        yield prefetched
