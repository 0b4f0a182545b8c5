"""What a network is trained on: the protocol, and arrays as its simplest kind.

The other kinds are `ImageData` (images, decoded and augmented) and `FrozenMaps`
(activations of frozen blocks, stored).
"""

from typing import Protocol

import numpy as np


class Data(Protocol):
    """Samples that training and prediction read in batches.

    Attributes
    ----------
    max_predict_batch : int
        Rows of a batch in predictions; smaller batches are padded to it. With 4, 24 or
        48 rows, matrix products and sums round each row alike on any processor; with
        AVX2, products of 8, 16 or 32 rows may not, nor sums of 12.
    """

    max_predict_batch: int

    def __len__(self):
        """Return the number of samples."""

    def load(self, seed=None):
        """Return data that is ready to be read each epoch; a `seed` is for training."""

    def take(self, indices):
        """Return the data of some samples."""

    def batch(self, indices, randomness=None):
        """Return an array of inputs, augmented if `randomness` is (seed, epoch)."""

    def content(self):
        """Yield bytes that identify the data, for the name of a checkpoint."""


class ArrayData:
    """Rows of an array of features."""

    max_predict_batch = 48

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def load(self, seed=None):
        return self

    def take(self, indices):
        return ArrayData(self.X[indices])

    def batch(self, indices, randomness=None):
        return self.X[indices]

    def content(self):
        yield repr((self.X.shape, self.X.dtype)).encode()
        yield np.ascontiguousarray(self.X).data.cast("B")
