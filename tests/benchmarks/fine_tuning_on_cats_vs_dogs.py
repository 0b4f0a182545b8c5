"""Fine-tuning on the post's images, with the real weights: accuracies by epoch.

``python tests/benchmarks/fine_tuning_on_cats_vs_dogs.py FOLDER SETTINGS CACHE SEED...``
with the folder of the images (train/ and validation/), "flips", "views" or "post", and
a folder for the feature store, takes about 10 minutes for the store and 7 for each
seed of "flips" on 2 cores. The validation data are measured, and decide nothing.
"""

import sys
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, log_loss

from skvision import FineTunedVGGClassifier, ImageAugmenter
from skvision.datasets import load_image_files

POST = ImageAugmenter(shear_range=np.rad2deg(0.2), zoom_range=0.2, horizontal_flip=True)
SETTINGS = {
    "flips": {"augmenter": ImageAugmenter(horizontal_flip=True)},
    "views": {"augmenter": POST},
    "post": {  # but for the number of epochs, and of views
        "augmenter": POST,
        "n_augmented_views": 3,
        "preprocessing": "rescale",
        "interpolation": "nearest",
        "normalize_features": False,
        "flip_average": False,
        "head_learning_rate": 1e-3,
        "head_epochs": 50,
        "learning_rate": 1e-4,
        "learning_rate_schedule": "constant",
        "epochs": 9,
    },
}


def main(folder, settings, cache, *seeds):
    train, validation = (
        load_image_files(Path(folder) / part) for part in ("train", "validation")
    )
    accuracies = []
    for seed in map(int, seeds):
        start = time.perf_counter()
        classifier = FineTunedVGGClassifier(
            **SETTINGS[settings], cache_dir=cache, random_state=seed, verbose=2
        )
        classifier.fit(
            train.data,
            train.target,
            X_val=validation.data,
            y_val=validation.target,
        )
        head, fine_tuning = (
            np.round(classifier.history_[phase]["val_accuracy"], 4).tolist()
            for phase in ("head", "fine_tuning")
        )
        seconds = time.perf_counter() - start
        proba = classifier.predict_proba(validation.data)
        accuracies.append(accuracy_score(validation.target, proba[:, 1] > 0.5))
        print(
            f"{settings}, seed {seed}: head alone {head[-1]}, then {fine_tuning}; "
            f"predictions {accuracies[-1]:.4f}, cross-entropy "
            f"{log_loss(validation.target, proba):.4f} ({seconds:.0f} s)",
            flush=True,
        )
    print(f"mean accuracy of the predictions: {np.mean(accuracies):.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
