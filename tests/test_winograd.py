"""Convolutions of the training against TensorFlow's own."""

import numpy as np
import pytest

from skvision._nets import layers, winograd
from skvision._nets.backend import tf


def by_tensorflow(x, kernel, of_maps):
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        maps = tf.nn.conv2d(x, kernel, 1, "SAME")
    return maps, *tape.gradient(maps, [x, kernel], of_maps)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (9, 9), (7, 14)])
def test_maps_and_gradients(size):
    rng = np.random.default_rng(0)
    shapes = (3, *size, 4), (3, 3, 4, 6), (3, *size, 6)
    x, kernel, of_maps = (tf.constant(rng.normal(size=s), tf.float32) for s in shapes)

    maps, kept = winograd.convolution(x, kernel)
    actual = maps, *winograd.gradients(kept, of_maps)

    for a, b in zip(actual, by_tensorflow(x, kernel, of_maps), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_taken_in_training_only(monkeypatch):
    layer = layers.Convolution(layers.MANY_MAPS, "many", "same")
    x = tf.random.stateless_normal((1, 4, 4, layers.MANY_MAPS), seed=(0, 0))
    layer(x)
    layer.kernel.assign(tf.random.stateless_normal(layer.kernel.shape, seed=(0, 1)))
    calls, original = [], winograd.convolution
    monkeypatch.setattr(
        winograd, "convolution", lambda *args: calls.append(1) or original(*args)
    )
    maps = layer(x, training=False)
    assert not calls
    in_training = layer(x, training=True)
    assert calls
    np.testing.assert_allclose(in_training, maps, atol=1e-3)
