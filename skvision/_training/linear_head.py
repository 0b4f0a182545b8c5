"""A head without hidden layers: scikit-learn's logistic regression."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from skvision._training.probabilities import evaluate


def linear_head(train, validation, n_classes, n_views):
    """Fit a logistic regression to features; return its state after "one epoch".

    `train` contains `n_views` rows of each image, which count together as one.
    """
    from skvision._training.loop import TrainingState  # loads TensorFlow

    data, y, sample_weight = train
    X, absent = data.X, np.setdiff1d(np.arange(n_classes), y)
    if len(absent):  # all samples of these classes have a weight of 0
        X = np.pad(X, [(0, len(absent)), (0, 0)])
        y = np.append(y, absent)
        sample_weight = np.append(sample_weight, np.full(len(absent), 1e-6))
    classifier = LogisticRegression(C=1 / n_views, max_iter=10_000)
    classifier.fit(X, y, sample_weight)
    kernel, bias = classifier.coef_.T, classifier.intercept_
    logs = {}
    for prefix, part in (("", train), ("val_", validation)):
        if part is not None:
            data, *targets = part
            loss, accuracy = evaluate(data.X @ kernel + bias, *targets)
            logs |= {f"{prefix}loss": [loss], f"{prefix}accuracy": [accuracy]}
    weights = [w.astype(np.float32) for w in (kernel, bias)]
    return TrainingState(weights=weights, history=logs)
