"""Convolutions of the training against TensorFlow's own."""

import numpy as np
import pytest

from skvision import _winograd
from skvision._backend import tf


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

    maps, kept = _winograd.convolution(x, kernel)
    actual = maps, *_winograd.gradients(kept, of_maps)

    for a, b in zip(actual, by_tensorflow(x, kernel, of_maps), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_zeros_stay_zeros():
    x, kernel = tf.zeros((1, 4, 4, 2)), tf.ones((3, 3, 2, 2))

    maps, _ = _winograd.convolution(x, kernel)

    np.testing.assert_array_equal(maps, np.zeros((1, 4, 4, 2)))
