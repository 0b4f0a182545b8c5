"""From logits to probabilities."""

import numpy as np
from scipy.special import expit, softmax


def probabilities(logits):
    """Probabilities of shape (n, n_classes) from logits of shape (n, 1 or n_classes).

    Returned in the logits' type; computed in float64, where rows add up to 1.
    """
    if logits.shape[1] == 1:
        positive = expit(logits.astype(np.float64))
        proba = np.hstack([1 - positive, positive])
    else:
        proba = softmax(logits.astype(np.float64), axis=1)
    return proba.astype(logits.dtype)
