"""From logits to probabilities."""

import numpy as np
from scipy.special import log_softmax


def log_probabilities(logits):
    """Logarithms of the probabilities, float64 of shape (n, n_classes).

    `logits` have shape (n, 1) for two classes, (n, n_classes) for more. Exact also
    where a probability is too near to 0 or 1 for a float.
    """
    logits = logits.astype(np.float64)
    if logits.shape[1] == 1:
        return -np.logaddexp(0, np.hstack([logits, -logits]))
    return log_softmax(logits, axis=1)


def probabilities(logits):
    """Probabilities of shape (n, n_classes), in the type of `logits`."""
    return np.exp(log_probabilities(logits)).astype(logits.dtype)
