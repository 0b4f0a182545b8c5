"""Fine-tuning VGG16 on cats and dogs with ImageNet weights; results in docs/notes/.

Run with Python. FOLDER has the subfolders train and validation, CACHE is a folder for
the feature store, and NAME is a key of `CANDIDATES`.

- ``fine_tuning_on_cats_vs_dogs.py FOLDER cv N CACHE NAME...`` compares candidates
  within the training images: for N of at most half of them, trained on N random images
  and evaluated on the others, four times; otherwise in a 5-fold cross-validation.
- ``... FOLDER final N CACHE NAME SEED...`` trains one candidate on N training images,
  drawn by the seed, and evaluates it on the validation images.

Each line has accuracy and cross-entropy of the second approach (features and a logistic
regression) and of fine-tuning, on the same images.
"""

import sys
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline

from skvision import (
    FineTunedVGGClassifier,
    ImageAugmenter,
    VGG16BottleneckTransformer,
)
from skvision.datasets import load_image_files

CHOLLET = ImageAugmenter(
    shear_range=np.rad2deg(0.2), zoom_range=0.2, horizontal_flip=True
)
CROPS = ImageAugmenter(rotation_range=10, zoom_range=(0.75, 1), horizontal_flip=True)
POST = {  # Chollet (2016), except for the number of epochs and views
    "image_size": (150, 150),
    "interpolation": "nearest",
    "preprocessing": "rescale",
    "pooling": None,
    "normalization": None,
    "hidden_units": (256,),
    "dropout": 0.5,
    "head_learning_rate": 1e-3,
    "head_epochs": 50,
    "learning_rate": 1e-4,
    "learning_rate_schedule": "constant",
    "ema_momentum": None,
    "augmenter": CHOLLET,
    "flip_average": False,
}
CANDIDATES = {
    "defaults": {},
    "flips": {"augmenter": ImageAugmenter(horizontal_flip=True)},
    "crops": {"augmenter": CROPS},
    "Chollet's augmenter": {"augmenter": CHOLLET},
    "two blocks": {"n_trainable_blocks": 2},
    "post": POST | {"n_augmented_views": 2, "epochs": 9},
    "longer": POST | {"n_augmented_views": 4, "epochs": 24},
}


def evaluate(model, X, y):
    proba = model.predict_proba(X)
    accuracy = accuracy_score(y, model.classes_[proba.argmax(axis=1)])
    return accuracy, log_loss(y, proba)


def measure(name, cache, train, test, seed):
    """Return (accuracy, cross-entropy) of both approaches, and of each epoch."""
    common = {"cache_dir": cache, "compute_dtype": "auto"}
    second = make_pipeline(VGG16BottleneckTransformer(**common), LogisticRegression())
    classifier = FineTunedVGGClassifier(
        **common | CANDIDATES[name], random_state=seed, verbose=0
    )
    results = [evaluate(second.fit(*train), *test)]
    start = time.perf_counter()
    classifier.fit(*train, X_val=test[0], y_val=test[1])
    seconds = time.perf_counter() - start
    results.append(evaluate(classifier, *test))
    for history in classifier.history_.values():
        epochs = zip(history["val_accuracy"], history["val_loss"], strict=True)
        results += list(epochs)[-classifier.epochs :]
    (second, loss), (tuned, tuned_loss) = results[:2]
    print(
        f"    {name}, seed {seed}: {second:.4f} / {loss:.4f} -> {tuned:.4f} / "
        f"{tuned_loss:.4f} in {seconds:.0f} s",
        flush=True,
    )
    return np.array(results)


def report(name, results):
    mean, error = (f(results, axis=0) for f in (np.mean, standard_error))
    cells = [
        f"{accuracy:.4f} / {loss:.4f} (+-{e_accuracy:.4f} / {e_loss:.4f})"
        for (accuracy, loss), (e_accuracy, e_loss) in zip(mean, error, strict=True)
    ]
    gains = np.array(results)[:, 1] - np.array(results)[:, 0]
    (gain, gain_loss), (e_gain, e_loss) = gains.mean(axis=0), standard_error(gains)
    print(
        f"{name} ({len(results)}): second approach {cells[0]}; fine-tuned {cells[1]}; "
        f"difference {gain:+.4f} +- {e_gain:.4f} / {gain_loss:+.4f} +- {e_loss:.4f}; "
        f"head and epochs: {', '.join(cells[2:])}",
        flush=True,
    )


def standard_error(values, axis=0):
    n = np.shape(values)[axis]
    return np.std(values, axis=axis, ddof=1) / n**0.5 if n > 1 else 0 * values[0]


def splits(y, n):
    if n <= len(y) / 2:
        splitter = StratifiedShuffleSplit(4, train_size=n, random_state=0)
    else:
        splitter = StratifiedKFold(5, shuffle=True, random_state=0)
    return list(splitter.split(y, y))


def main(folder, task, n, cache, *args):
    train, validation = (
        load_image_files(Path(folder) / part) for part in ("train", "validation")
    )
    X, y, n = train.data, train.target, int(n)
    if task == "cv":
        results = {name: [] for name in args}
        for seed, (some, others) in enumerate(splits(y, n)):
            for name in args:
                parts = (X[some], y[some]), (X[others], y[others])
                results[name].append(measure(name, cache, *parts, seed))
                report(name, results[name])
        return
    name, *seeds = args
    results = []
    for seed in map(int, seeds):
        some = np.arange(n)
        if n < len(y):
            splitter = StratifiedShuffleSplit(1, train_size=n, random_state=seed)
            some = next(splitter.split(y, y))[0]
        parts = (X[some], y[some]), (validation.data, validation.target)
        results.append(measure(name, cache, *parts, seed))
        report(name, results)


if __name__ == "__main__":
    main(*sys.argv[1:])
