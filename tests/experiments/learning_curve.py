"""Accuracy of the three approaches for 5 to 1000 photos of each class.

``learning_curve.py FOLDER CACHE``, run with Python, draws photos from FOLDER/train,
several times where they are few, trains with the defaults (the small convnet with the
augmentation of Chollet, 2016), and evaluates on FOLDER/validation. It prints mean and
standard error of the accuracy over the draws, and the seconds of one fit from an empty
store. The results are in docs/guide/which_approach.md.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline

from skvision import (
    FineTunedVGGClassifier,
    ImageAugmenter,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)
from skvision.datasets import load_image_files

CHOLLET = ImageAugmenter(
    shear_range=np.rad2deg(0.2), zoom_range=0.2, horizontal_flip=True
)
# Photos of each class -> number of draws.
DRAWS = {5: 8, 10: 8, 25: 8, 100: 4, 400: 2, 1000: 1}
FAST = {"compute_dtype": "auto"}


def approaches(cache, seed):
    yield "scratch", ScratchCNNClassifier(augmenter=CHOLLET, random_state=seed, **FAST)
    yield (
        "features",
        make_pipeline(
            VGG16BottleneckTransformer(cache_dir=cache, **FAST), LogisticRegression()
        ),
    )
    yield (
        "fine-tuned",
        FineTunedVGGClassifier(cache_dir=cache, random_state=seed, **FAST),
    )


def fit_seconds(name, X, y, seed):
    """Return the seconds of a fit from an empty store."""
    with tempfile.TemporaryDirectory() as empty:
        model = dict(approaches(empty, seed))[name]
        start = time.perf_counter()
        model.fit(X, y)
        return time.perf_counter() - start


def main(folder, cache):
    train, validation = (
        load_image_files(Path(folder) / part) for part in ("train", "validation")
    )
    X, y = train.data, train.target
    for n_per_class, n_draws in DRAWS.items():
        n = n_per_class * len(train.target_names)
        scores, seconds = {}, {}
        for draw in range(n_draws):
            some = np.arange(n)
            if n < len(y):
                splitter = StratifiedShuffleSplit(1, train_size=n, random_state=draw)
                some = next(splitter.split(y, y))[0]
            for name, model in approaches(cache, draw):
                if draw == 0:
                    seconds[name] = fit_seconds(name, X[some], y[some], draw)
                model.fit(X[some], y[some])
                score = model.score(validation.data, validation.target)
                scores.setdefault(name, []).append(score)
        for name, values in scores.items():
            error = np.std(values, ddof=1) / n_draws**0.5 if n_draws > 1 else 0
            print(
                f"{n_per_class} of each class, {name}: {np.mean(values):.4f} +- "
                f"{error:.4f} ({n_draws} draws), {seconds[name]:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
