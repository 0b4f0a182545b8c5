"""Time of fine-tuning VGG16, compared with the loop of Chollet (2016) in Keras.

``python -m pytest tests/benchmarks/bench_fine_tuning.py -m slow -s`` prints the
results. The weights are random, which does not change the time.
"""

import time

import pytest
from _keras_baseline import epoch_times, keras_batches, run_in_new_process

from skvision import FineTunedVGGClassifier, ImageAugmenter
from skvision.datasets import load_image_files

pytestmark = pytest.mark.slow

N_EPOCHS = 5  # measured, out of 50


def keras_seconds(folder, n_images):
    """Return the seconds of two epochs; each step runs all of VGG16."""
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
        keras_batches(folder),
        epochs=2,
        steps_per_epoch=n_images // 16,
        callbacks=[epoch_times(seconds)],
        verbose=0,
    )
    return seconds


def skvision_seconds(folder, n_images):
    """Return the seconds of the whole fit, and of each epoch of fine-tuning."""
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
    total = time.perf_counter() - start
    return total, seconds[-N_EPOCHS:]  # without those of the head


def test_faster_than_keras(cats_vs_dogs):
    args = str(cats_vs_dogs / "train"), 8 * 16
    theirs = min(run_in_new_process(keras_seconds, *args))
    total, seconds = run_in_new_process(skvision_seconds, *args)
    later = min(seconds[1:])
    # All epochs take the same time, so 50 are extrapolated for both sides.
    theirs_total, ours_total = 50 * theirs, total + (50 - N_EPOCHS) * later
    print(
        f"\n{args[1]} images: {theirs:.1f} s per epoch in Keras, {later:.1f} s in "
        f"skvision after the first, ratio {theirs / later:.1f}; 50 epochs, "
        f"extrapolated: {theirs_total:.0f} and {ours_total:.0f} s, ratio "
        f"{theirs_total / ours_total:.1f}"
    )
    assert theirs / later >= 3  # measured: 4.5
    assert theirs_total / ours_total >= 2.5  # measured: 3.7
