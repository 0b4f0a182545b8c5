"""Conversion of logits to probabilities, and their evaluation."""

import numpy as np
from scipy.special import log_softmax


def log_probabilities(logits):
    """Return the log-probabilities, float64 of shape (n, n_classes).

    `logits` have shape (n, 1) for two classes, else (n, n_classes). Accurate even where
    a probability rounds to 0 or 1.
    """
    logits = logits.astype(np.float64)
    if logits.shape[1] == 1:
        return -np.logaddexp(0, np.hstack([logits, -logits]))
    return log_softmax(logits, axis=1)


def probabilities(logits):
    """Return probabilities of shape (n, n_classes), with the dtype of `logits`."""
    return np.exp(log_probabilities(logits)).astype(logits.dtype)


def evaluate(logits, y, sample_weight):
    """Return the weighted means of the cross-entropy and of correct predictions."""
    log_proba = log_probabilities(logits)
    losses = -log_proba[np.arange(len(y)), y]
    correct = log_proba.argmax(axis=1) == y
    return tuple(
        float(np.average(values, weights=sample_weight)) for values in (losses, correct)
    )
