"""Hyperparameter search for `ScratchCNNClassifier`; results in docs/notes/.

``search_scratch_cnn.py FOLDER cv SIZE EPOCHS NAME...``, run with Python, trains
candidates on 70% of the training images and prints their accuracy on the other 30%.
``... FOLDER final SIZE EPOCHS NAME SEED...`` trains one candidate on all training
images, once per seed, and prints its accuracy on the validation images.

FOLDER has the subfolders train and validation; SIZE is the image size in pixels; NAME
is a key of `CANDIDATES`.
"""

import sys
import time
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from skvision import ImageAugmenter, ScratchCNNClassifier
from skvision._images.inputs import check_images
from skvision._images.resize import ImageSettings
from skvision._training.image_data import ImageData, predicted_views
from skvision.datasets import load_image_files

CHOLLET = {"shear_range": 11.5, "zoom_range": 0.2, "horizontal_flip": True}
STRONG = {
    "rotation_range": 15,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "shear_range": 10,
    "zoom_range": 0.2,
    "horizontal_flip": True,
}
STRONGER = {
    "rotation_range": 20,
    "width_shift_range": 0.15,
    "height_shift_range": 0.15,
    "shear_range": 15,
    "zoom_range": 0.3,
    "horizontal_flip": True,
}
COLOUR = {"brightness_range": (0.6, 1.4), "channel_shift_range": 25}
ADAM = {
    "optimizer": "adam",
    "learning_rate_schedule": "cosine",
    "ema_momentum": None,
}
AVERAGED = {
    "optimizer": "adamw",
    "learning_rate_schedule": "cosine",
    "batch_size": 32,
}

# Changes to the settings of Chollet (2016), which are "post".
CANDIDATES = {
    "post": {},
    "post, latest weights": {"ema_momentum": None},
    "post, as written": {
        "interpolation": "nearest",
        "augmenter": CHOLLET | {"shear_range": 0.2},
        "ema_momentum": None,
    },
    "adam": ADAM,
    "adam, l2 5e-4": ADAM | {"l2": 5e-4},
    "adam, dropout 0.3": ADAM | {"dropout": 0.3},
    "adam, dropout 0.7": ADAM | {"dropout": 0.7},
    "strong": ADAM | {"augmenter": STRONG},
    "strong, dropout 0.3": ADAM | {"augmenter": STRONG, "dropout": 0.3},
    "strong, l2 5e-4": ADAM | {"augmenter": STRONG, "l2": 5e-4},
    "averaged": AVERAGED | {"augmenter": STRONG},
    "stronger": AVERAGED | {"augmenter": STRONGER},
    "stronger, colour": AVERAGED | {"augmenter": STRONGER | COLOUR},
}


def optimizer(name):
    """Return Keras' optimizer of this name; "adamw" has a weight decay of 0.1."""
    from skvision._nets.backend import keras  # enables oneDNN, unlike `import keras`

    if name != "adamw":
        return keras.optimizers.get(name)
    return keras.optimizers.AdamW(weight_decay=0.1)


def train(settings, size, epochs, train, validation, seed):
    """Return the validation accuracy after each epoch, and the fitted classifier."""
    settings = {"optimizer": "rmsprop", "augmenter": CHOLLET} | settings
    classifier = ScratchCNNClassifier(
        image_size=(size, size),
        epochs=epochs,
        learning_rate=1e-3,
        random_state=seed,
        **settings
        | {
            "optimizer": optimizer(settings["optimizer"]),
            "augmenter": ImageAugmenter(**settings["augmenter"]),
        },
    )
    classifier.fit(*train, X_val=validation[0], y_val=validation[1])
    return np.array(classifier.history_["val_accuracy"]), classifier


def flip_averaged_accuracy(X, y, size, interpolation, last_epochs, accuracies):
    """Return a callback that appends the accuracy after each of the last epochs.

    Predictions are averaged over each image and its mirror image.
    """
    from skvision._nets.backend import keras, tf

    settings = ImageSettings((size, size), interpolation)
    images = ImageData(check_images(X), settings, None).load()
    classes = np.unique(y)
    views = predicted_views(images, flip_average=True, augmenter=None)

    class Accuracy(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.predict = tf.function(lambda x: self.model(x, training=False))

        def on_epoch_end(self, epoch, logs=None):
            if epoch < self.params["epochs"] - last_epochs:
                return
            logits = 0
            for view in views:
                batches = np.split(np.arange(len(y)), len(y) // 16)
                passes = [self.predict(view.batch(b).astype("f")) for b in batches]
                logits = logits + np.concatenate(passes)[:, 0]
            accuracies.append(np.mean(classes[(logits > 0).astype(int)] == y))

    return Accuracy()


def cross_validate(files, names, size, epochs, n_splits):
    """Print the accuracy of each candidate on held-out training images."""
    splits = StratifiedShuffleSplit(n_splits, test_size=0.3, random_state=0)
    splits = list(splits.split(files.data, files.target))
    X, y = np.array(files.data), np.array(files.target)
    for name in names:
        start, scores = time.perf_counter(), []
        for seed, (fit, held) in enumerate(splits):
            parts = (X[fit], y[fit]), (X[held], y[held])
            by_epoch, classifier = train(CANDIDATES[name], size, epochs, *parts, seed)
            scores.append(by_epoch)
            print(
                f"  {name}, fold {seed}: {by_epoch[9::10].round(3)}, "
                f"flip-averaged {classifier.score(*parts[1]):.4f}",
                flush=True,
            )
        last = np.mean([s[-5:].mean() for s in scores])
        seconds = time.perf_counter() - start
        print(f"{name}, {size} px, {epochs} epochs: {last:.4f} ({seconds:.0f} s)")
        sys.stdout.flush()


def measure(root, name, seeds, size, epochs):
    """Print the accuracy of a candidate on the validation images, for each seed."""
    files, held = (
        load_image_files(root / part, shuffle=False) for part in ("train", "validation")
    )
    for seed in map(int, seeds):
        parts = (files.data, files.target), (held.data, held.target)
        settings, flip_averaged = dict(CANDIDATES[name]), []
        interpolation = settings.get("interpolation", "bilinear")
        args = *parts[1], size, interpolation, 10, flip_averaged
        settings["callbacks"] = [flip_averaged_accuracy(*args)]
        by_epoch, classifier = train(settings, size, epochs, *parts, seed)
        print(
            f"{name}, seed {seed}: {by_epoch[-10:].mean():.4f} over the last ten, "
            f"{np.mean(flip_averaged):.4f} flip-averaged; "
            f"{by_epoch[-1]:.4f} and {classifier.score(*parts[1]):.4f} after the last; "
            f"every tenth epoch {by_epoch[9::10].round(3)}",
            flush=True,
        )


if __name__ == "__main__":
    root, what, size, epochs, *rest = sys.argv[1:]
    if what == "cv":
        files = load_image_files(Path(root) / "train")
        cross_validate(files, rest, int(size), int(epochs), n_splits=1)
    else:
        measure(Path(root), rest[0], rest[1:], int(size), int(epochs))
