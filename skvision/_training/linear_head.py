"""A head without hidden layers: scikit-learn's logistic regression."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from skvision._training.loop import TrainingState
from skvision._training.probabilities import evaluate


def linear_head(train, validation):
    """Fit a logistic regression to features; return its state after "one epoch"."""
    data, y, sample_weight = train
    classifier = LogisticRegression(max_iter=10_000)
    classifier.fit(data.X, y, sample_weight)
    kernel, bias = classifier.coef_.T, classifier.intercept_
    logs = {}
    for prefix, part in (("", train), ("val_", validation)):
        if part is not None:
            data, *targets = part
            loss, accuracy = evaluate(data.X @ kernel + bias, *targets)
            logs |= {f"{prefix}loss": [loss], f"{prefix}accuracy": [accuracy]}
    weights = [w.astype(np.float32) for w in (kernel, bias)]
    return TrainingState(weights=weights, history=logs)
