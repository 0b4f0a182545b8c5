"""The protocol of data for training and prediction, and its implementation for arrays.

Other implementations are `ImageData` (decoded and augmented images) and `FrozenMaps`
(stored activations of frozen blocks).
"""

from typing import Protocol

import numpy as np

# Independent streams of random numbers, derived from one seed.
INITIAL_WEIGHTS, SHUFFLE, DROPOUT, VIEWS = range(4)


class Data(Protocol):
    """Samples that are read in batches.

    Attributes
    ----------
    max_predict_batch : int
        Rows of a batch in predictions; smaller batches are padded. Numbers that round
        a row alike at any position, as measured on several processors: 4, 24 and 48 do,
        8, 16 and 32 may not.
    """

    max_predict_batch: int

    def __len__(self):
        """Return the number of samples."""

    def load(self, seed=None):
        """Return data prepared for reading in each epoch; pass `seed` for training."""

    def take(self, indices):
        """Return the data of the samples at `indices`."""

    def batch(self, indices, randomness=None):
        """Return an array of inputs, augmented if `randomness` is (seed, epoch)."""

    def warn(self):
        """Issue warnings about what has been read."""

    def content(self):
        """Yield bytes that identify the data, for the file name of a checkpoint."""


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

    def warn(self):
        pass

    def content(self):
        yield repr((self.X.shape, self.X.dtype)).encode()
        yield np.ascontiguousarray(self.X).data.cast("B")
