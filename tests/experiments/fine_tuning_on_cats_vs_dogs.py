"""Fine-tuning VGG16 on cats and dogs with ImageNet weights; results in docs/notes/.

``fine_tuning_on_cats_vs_dogs.py FOLDER SETTINGS CACHE SEED...``, run with Python,
prints the validation accuracy after each epoch. FOLDER has the subfolders train and
validation; CACHE is a folder for the feature store. SETTINGS is one of

- "flips": the defaults, augmented with horizontal flips;
- "views": the defaults, with the augmentation of Chollet (2016);
- "post": the recipe of Chollet (2016), with three augmented views and 9 epochs;
- "longer": "post" with six views and 24 epochs;
- "keras": "post" with Keras' layers, optimizers and `fit`, on the same views;
- "curve": "views" with 1, 2 and 4 views, trained on one half of the training images and
  evaluated on the other half.

The validation data do not influence training. On 2 cores, filling the store takes 3 to
10 minutes, and each seed of "flips" 2 to 7 minutes.
"""

import itertools
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

from skvision import FineTunedVGGClassifier, ImageAugmenter
from skvision._nets.program_pool import predict_logits
from skvision.datasets import load_image_files

CHOLLET = ImageAugmenter(
    shear_range=np.rad2deg(0.2), zoom_range=0.2, horizontal_flip=True
)
SETTINGS = {
    "flips": {"augmenter": ImageAugmenter(horizontal_flip=True)},
    "views": {"augmenter": CHOLLET},
    "post": {  # except for the number of epochs and views
        "augmenter": CHOLLET,
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
SETTINGS["longer"] = SETTINGS["post"] | {"n_augmented_views": 6, "epochs": 24}


def by_keras(train, validation, cache, seed):
    """Train with Keras and return the validation accuracy after each epoch."""
    import keras

    settings = SETTINGS["post"]
    ours = FineTunedVGGClassifier(**settings, cache_dir=cache, random_state=seed)
    seed_of_views = ours._draw_seed()
    features = ours._check_data(train.data, reset=True).load(seed_of_views)
    features_val = ours._check_data(validation.data, reset=False).load()

    keras.utils.set_random_seed(seed)
    shape = (150, 150, 3)
    vgg16 = keras.applications.VGG16(weights=None, include_top=False, input_shape=shape)
    vgg16.set_weights(ours._vgg16_weights()[1])
    block = keras.Sequential(
        [keras.Input((9, 9, 512)), *vgg16.layers[-4:], keras.layers.Flatten()]
    )
    head = keras.Sequential(
        [
            keras.Input((8192,)),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model = keras.Sequential([block, head])

    def compiled(network, optimizer):
        network.compile(
            optimizer, "binary_crossentropy", metrics=["accuracy"], jit_compile=False
        )
        return network

    class Batches(keras.utils.PyDataset):
        """Feature maps; with a seed, each epoch uses a different view of each image."""

        def __init__(self, data, y, seed=None):
            super().__init__()
            self.data, self.y, self.seed, self.epoch = data, y, seed, 0
            self.order = np.arange(len(y))

        def __len__(self):
            return len(self.y) // 16

        def __getitem__(self, number):
            some = self.order[16 * number : 16 * number + 16]
            randomness = None if self.seed is None else (self.seed, self.epoch)
            return self.data.batch(some, randomness), self.y[some]

        def on_epoch_end(self):
            if self.seed is not None:
                self.epoch += 1
                self.order = np.random.default_rng(self.epoch).permutation(self.order)

    train_batches = Batches(features, train.target, seed_of_views)
    order = np.random.default_rng(0).permutation(train_batches.order)
    train_batches.order = order
    val_batches = Batches(features_val, validation.target)
    head_inputs = block.predict(Batches(features, train.target), verbose=0)
    compiled(head, "rmsprop").fit(
        head_inputs,
        train.target,
        batch_size=16,
        epochs=settings["head_epochs"],
        verbose=0,
    )
    accuracy = compiled(model, "sgd").evaluate(val_batches, verbose=0)[1]
    optimizer = keras.optimizers.SGD(settings["learning_rate"], momentum=0.9)
    epochs = settings["epochs"]
    history = compiled(model, optimizer).fit(
        train_batches,
        validation_data=val_batches,
        epochs=epochs,
        shuffle=False,
        verbose=2,
    )
    return [accuracy, *history.history["val_accuracy"]]


def measure(name, settings, train, validation, cache, seed):
    """Fit, print the results on one line, and return the accuracy of `predict`."""
    start = time.perf_counter()
    classifier = FineTunedVGGClassifier(
        **settings, cache_dir=cache, random_state=seed, verbose=2
    )
    classifier.fit(*train, X_val=validation[0], y_val=validation[1])
    seconds = time.perf_counter() - start
    head, fine_tuning = (
        np.round(classifier.history_[phase]["val_accuracy"], 4).tolist()
        for phase in ("head", "fine_tuning")
    )
    proba = classifier.predict_proba(validation[0])
    accuracy = accuracy_score(validation[1], proba[:, 1] > 0.5)
    print(
        f"{name}, seed {seed}: head {head[-1]}, fine-tuning {fine_tuning}; predictions "
        f"{accuracy:.4f}, cross-entropy {log_loss(validation[1], proba):.4f} "
        f"({seconds:.0f} s); {effect_of_float16(classifier, validation)}",
        flush=True,
    )
    return accuracy


def effect_of_float16(classifier, validation):
    """Describe how rounding the feature maps to float16 changes predictions."""
    X, y = validation
    features = classifier._check_data(X, reset=False).load()
    exact, rounded = (
        predict_logits(classifier._network, classifier._weights, data)[:, 0]
        for data in (features, Rounded(features))
    )
    accuracies = [np.mean((logits > 0) == y) for logits in (exact, rounded)]
    return (
        f"feature maps as float16: accuracy {accuracies[1]:.4f} instead of "
        f"{accuracies[0]:.4f}; logits differ by up to "
        f"{np.abs(rounded - exact).max():.4f}, their standard deviation is "
        f"{exact.std():.2f}"
    )


class Rounded:
    """`FrozenMaps` rounded to float16."""

    def __init__(self, data):
        self.data = data
        self.max_predict_batch = data.max_predict_batch

    def __len__(self):
        return len(self.data)

    def batch(self, indices):
        return self.data.batch(indices).astype(np.float16).astype(np.float32)


def main(folder, settings, cache, *seeds):
    train, validation = (
        load_image_files(Path(folder) / part) for part in ("train", "validation")
    )
    if settings == "curve":
        X, X_val, y, y_val = train_test_split(
            train.data,
            train.target,
            test_size=0.5,
            stratify=train.target,
            random_state=0,
        )
        for seed, n_views in itertools.product(map(int, seeds), (4, 1, 2)):
            varied = SETTINGS["views"] | {"n_augmented_views": n_views}
            measure(f"{n_views} views", varied, (X, y), (X_val, y_val), cache, seed)
        return
    if settings == "keras":
        for seed in map(int, seeds):
            accuracies = by_keras(train, validation, cache, seed)
            print(f"keras, seed {seed}: {np.round(accuracies, 4).tolist()}", flush=True)
        return
    parts = [(part.data, part.target) for part in (train, validation)]
    accuracies = [
        measure(settings, SETTINGS[settings], *parts, cache, seed)
        for seed in map(int, seeds)
    ]
    print(f"mean accuracy of the predictions: {np.mean(accuracies):.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
