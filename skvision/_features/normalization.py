"""Normalization of features, row by row."""

import numpy as np

NORMALIZATIONS = ("power", "l2")
LENGTH = 5.0  # at which scikit-learn's default C=1 is about right


def normalized(features, normalization):
    """Return features of shape (n, d) with the same Euclidean length in each row.

    "power" takes the signed square root of each value first. Rows of zeros stay zero.
    None returns the features as they are. Modifies the array.
    """
    if normalization is None:
        return features
    for start in range(0, len(features), 256):
        some = slice(start, start + 256)
        values = features[some].astype(np.float32)
        if normalization == "power":
            values = np.copysign(np.sqrt(np.abs(values)), values)
        # Not by scikit-learn's `normalize`, which rounds a row alone differently.
        lengths = np.sqrt(np.square(values).sum(axis=1, keepdims=True))
        features[some] = values * (LENGTH / np.where(lengths > 0, lengths, 1))
    return features
