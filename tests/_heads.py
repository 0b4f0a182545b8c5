"""Data and small classifiers for the tests of `DenseHeadClassifier`."""

import numpy as np
from sklearn.datasets import make_classification

from skvision import DenseHeadClassifier

ACCURACY_EXPECTED = 0.9


def data(n_classes=2, n_samples=120, random_state=0):
    """Return X and y of a problem that is easy to learn."""
    X, y = make_classification(
        n_samples=n_samples,
        n_features=10,
        n_informative=6,
        n_classes=n_classes,
        class_sep=2.0,
        random_state=random_state,
    )
    return X.astype(np.float32), y


def head(**parameters):
    """Return a `DenseHeadClassifier` that trains in less than a second."""
    defaults = {"hidden_units": (16,), "epochs": 6, "random_state": 0}
    return DenseHeadClassifier(**defaults | {"learning_rate": 0.01} | parameters)


def trainable(arrays):
    """Drop the variables of the dropout layer, its seed and its rate."""
    return [w for w in arrays if w.shape not in {(), (2,)}]
