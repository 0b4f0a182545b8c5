"""Fine-tuning VGG16, beside the post's own loop in the same run.

``python -m pytest tests/benchmarks/bench_fine_tuning.py -m slow -s`` prints figures.
The weights are random, which takes the same time as others.
"""

import time

import pytest
from _beside_keras import batches_of_keras, epoch_times, in_a_new_process

from skvision import FineTunedVGGClassifier, ImageAugmenter
from skvision.datasets import load_image_files

pytestmark = pytest.mark.slow

N_EPOCHS = 5  # that are measured, of the 50 of the post


def seconds_of_the_posts_epochs(folder, n_images):
    """Seconds of each of two epochs: all of VGG16 in every step, as the post has it."""
    import keras

    base = keras.applications.VGG16(
        weights=None, include_top=False, input_shape=(150, 150, 3)
    )
    head = [
        keras.layers.Flatten(),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
    model = keras.Sequential([base, *head])
    for layer in base.layers:
        layer.trainable = layer.name.startswith("block5")
    model.compile(
        keras.optimizers.SGD(1e-4, momentum=0.9),
        "binary_crossentropy",
        metrics=["accuracy"],
    )
    seconds = []
    model.fit(
        batches_of_keras(folder),
        epochs=2,
        steps_per_epoch=n_images // 16,
        callbacks=[epoch_times(seconds)],
        verbose=0,
    )
    return seconds


def seconds_of_ours(folder, n_images):
    """Seconds in all, from nothing, and of each epoch of the second step."""
    train = load_image_files(folder, shuffle=True, random_state=0)
    seconds = []
    classifier = FineTunedVGGClassifier(
        weights=None,
        augmenter=ImageAugmenter(horizontal_flip=True),
        head_epochs=50,
        epochs=N_EPOCHS,
        callbacks=[lambda: epoch_times(seconds)],
        random_state=0,
    )
    start = time.perf_counter()
    classifier.fit(train.data[:n_images], train.target[:n_images])
    in_all = time.perf_counter() - start
    return in_all, seconds[-N_EPOCHS:]  # those before are of the head


def test_against_the_posts_loop(cats_vs_dogs):
    args = str(cats_vs_dogs / "train"), 8 * 16
    theirs = min(in_a_new_process(seconds_of_the_posts_epochs, *args))
    in_all, seconds = in_a_new_process(seconds_of_ours, *args)
    later = min(seconds[1:])
    # Epochs are alike, so the rest of the post's 50 is extrapolated for both sides.
    theirs_in_all, ours_in_all = 50 * theirs, in_all + (50 - N_EPOCHS) * later
    print(
        f"\n{args[1]} images, an epoch of the post's loop {theirs:.1f} s, a later one "
        f"of ours {later:.1f} s, ratio {theirs / later:.1f}; 50 epochs from nothing: "
        f"{theirs_in_all:.0f} and {ours_in_all:.0f} s (extrapolated), ratio "
        f"{theirs_in_all / ours_in_all:.1f}"
    )
    assert theirs / later >= 4
    assert theirs_in_all / ours_in_all >= 3
