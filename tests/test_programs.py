"""Tests of compiled networks: training steps, dropout, reuse and memory."""

import functools
import gc
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from _heads import data, head
from numpy.testing import assert_allclose, assert_array_equal
from tensorflow.python.framework.func_graph import FuncGraph
from tensorflow.python.framework.ops import gradient_registry

from skvision import ScratchCNNClassifier, VGG16BottleneckTransformer
from skvision._nets import builders, layers, program_pool, programs
from skvision._nets.backend import traced
from skvision._training import loop


def test_training_steps_equal_those_of_keras(monkeypatch):
    # Without dropout, and with the same initial weights and order of the samples,
    # Keras' training loop must arrive at the same weights.
    X, y = data(n_samples=56)
    classifier = head(
        dropout=0.0, epochs=3, l1=1e-3, l2=1e-2, class_weight={0: 1.0, 1: 3.0}
    )
    initial = []
    original = programs.Program.initial_weights
    monkeypatch.setattr(
        programs.Program,
        "initial_weights",
        lambda self, seed: initial.append(original(self, seed)) or initial[0],
    )
    classifier.fit(X, y)

    regularizer = keras.regularizers.L1L2(1e-3, 1e-2)
    dense = keras.layers.Dense
    model = keras.Sequential(
        [
            dense(16, activation="relu", kernel_regularizer=regularizer),
            dense(1, activation="sigmoid", kernel_regularizer=regularizer),
        ]
    )
    model.build((None, 10))
    model.set_weights(initial[0])
    model.compile(
        keras.optimizers.RMSprop(0.01), "binary_crossentropy", metrics=["accuracy"]
    )
    weight = np.where(y == 1, 3.0, 1.0)
    weight /= weight.mean()
    seed = np.random.RandomState(0).randint(2**31 - 1)
    for epoch in range(3):
        order = np.random.default_rng([seed, loop.SHUFFLE, epoch])
        order = order.permutation(len(y))
        history = model.fit(
            X[order],
            y[order],
            sample_weight=weight[order],
            batch_size=16,
            shuffle=False,
            verbose=0,
        )
    for ours, theirs in zip(classifier._weights, model.get_weights(), strict=True):
        assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert_allclose(classifier.loss_curve_[-1], history.history["loss"], rtol=1e-3)


def test_dropout_rate_and_scaling():
    layer = layers.Dropout("dropout", position=0)
    layer.rate.assign(0.3)
    layer.seed.assign([1, 2])
    ones = tf.ones((200, 100))
    dropped = layer(ones, training=True).numpy()
    assert abs((dropped == 0).mean() - 0.3) < 0.02
    assert_allclose(dropped[dropped > 0], 1 / 0.7, rtol=1e-6)
    assert_array_equal(layer(ones, training=True).numpy(), dropped)
    layer.seed.assign([1, 3])
    assert (layer(ones, training=True).numpy() != dropped).any()
    assert_array_equal(layer(ones).numpy(), ones)


def test_programs_are_reused_and_their_number_is_limited(monkeypatch):
    X, y = data()
    built = []
    original = programs.Program.__init__

    def counting(self, *args):
        built.append(args)
        original(self, *args)

    monkeypatch.setattr(programs.Program, "__init__", counting)
    for dropout, l2, rate in [(0.1, 0, 0.1), (0.2, 0.1, 0.2), (0.3, 0.2, 0.3)]:
        classifier = head(
            hidden_units=(5, 4), dropout=dropout, l2=l2, learning_rate=rate
        )
        classifier.fit(X, y).predict(X)
    assert len(built) == 2  # one for training, one for prediction
    monkeypatch.setattr(program_pool, "MAX_IDLE_KEYS", 2)
    for units in (3, 4, 5):
        head(hidden_units=(units,), epochs=1).fit(X, y)
    assert len(program_pool._idle) <= 2


def test_garbage_is_collected_after_large_programs_were_dropped(monkeypatch):
    collected = []
    monkeypatch.setattr(program_pool.gc, "collect", lambda: collected.append(1))
    monkeypatch.setattr(program_pool, "_dropped_bytes", 0)
    network = "dense_head", 300, (500,), 1
    n_bytes = 4 * 301 * 500  # and some
    for limit in (3 * n_bytes, n_bytes + 10_000):
        monkeypatch.setattr(program_pool, "MAX_DROPPED_BYTES", limit)
        assert collected == []
        for _ in range(2):
            with program_pool.acquire(network, is_reusable=False):
                pass
    assert collected == [1]


def n_graphs(name):
    gc.collect()
    found = (o for o in gc.get_objects() if isinstance(o, FuncGraph))
    return sum(name in graph.name for graph in found)


@pytest.mark.parametrize(
    "classifier",
    [
        pytest.param(head(epochs=1, optimizer="sgd"), marks=pytest.mark.slow),
        ScratchCNNClassifier(image_size=(8, 8), filters=(2,), epochs=1),
    ],
    ids=["head", "scratch"],
)
def test_graphs_of_dropped_programs_are_freed(classifier):
    # TensorFlow would keep them, and so all variables, until the process ends.
    X, y = data(n_samples=8)
    if isinstance(classifier, ScratchCNNClassifier):
        X = np.zeros((8, 8, 8, 3), np.uint8)
    # The model of a callback that a function returns is not used again.
    classifier.set_params(callbacks=[lambda: keras.callbacks.Callback()])
    n_before = n_graphs("eagerly")
    classifier.fit(X, y)
    assert n_graphs("eagerly") == n_before


def test_graphs_of_earlier_image_sizes_are_freed(monkeypatch):
    original = builders._traced_extractor.__wrapped__
    cached = functools.lru_cache(maxsize=1)(original)  # instead of 16
    monkeypatch.setattr(builders, "_traced_extractor", cached)
    transformer = VGG16BottleneckTransformer(weights=None, layer="block1_conv1")
    numbers = []
    for size in ((32, 32), (32, 40)):
        transformer.set_params(image_size=size)
        transformer.fit_transform(np.zeros((1, 8, 8, 3), np.uint8))
        numbers.append(n_graphs("extract"))
    assert numbers[0] == numbers[1]


def test_trace_keeps_the_custom_gradients_of_another_thread():
    @tf.custom_gradient
    def doubled(x):
        return 2 * x, lambda gradient: 2 * gradient

    def trace():
        tf.function(doubled).get_concrete_function(tf.TensorSpec(2))

    def function(x):
        thread = threading.Thread(target=trace)
        thread.start()
        thread.join()
        return doubled(x)

    n_before = len(gradient_registry.list())
    traced(function)(tf.ones(2))
    assert len(gradient_registry.list()) == n_before + 1


@pytest.mark.slow
def test_repeated_fits_do_not_leak_memory():
    psutil = pytest.importorskip("psutil")
    X, y = data()
    process = psutil.Process()
    memory = []
    for i in range(50):
        head(epochs=2, dropout=i / 100, l2=i / 1000).fit(X, y).predict(X)
        memory.append(process.memory_info().rss / 2**20)
    assert (memory[-1] - memory[5]) / 44 <= 0.5  # MB per fit
