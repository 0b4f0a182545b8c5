"""
A convnet from scratch: Chollet's first approach
================================================

The first approach of Chollet (2016), `Building powerful image classification models
using very little data
<https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html>`_,
trains a small convolutional network on 2000 images, with dropout and data augmentation
to reduce overfitting. Chollet reports an accuracy of 0.79 to 0.81 on 800 validation
images after 50 epochs.

Run it on your own images or on Kaggle's photos of cats and dogs, arranged as
``data/{train,validation}/{cats,dogs}`` (`arrange_dogs_vs_cats` creates these folders
from Kaggle's ``train.zip``)::

    pip install ".[plot]"
    python examples/plot_scratch_cnn.py data

Without an argument it uses the handwritten digits included in scikit-learn and takes
less than a minute.
"""

# %%
# The images
# ----------
# `data` contains paths and `target` the names of the classes.
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skvision import ImageAugmenter, ScratchCNNClassifier
from skvision.datasets import load_digit_images, load_image_files
from skvision.plot import (
    AugmentationDisplay,
    ImagePredictionDisplay,
    TrainingHistoryDisplay,
)

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
if folder is None:
    train = load_digit_images(subset="train")
    validation = load_digit_images(subset="test")
else:
    train = load_image_files(folder / "train")
    validation = load_image_files(folder / "validation")

# %%
# Chollet's settings
# ------------------
# Chollet's architecture and optimizer are the defaults: three convolutional blocks of
# 32, 32 and 64 filters, 64 hidden units, a dropout rate of 0.5, RMSprop, and batches of
# 16. Chollet uses nearest-neighbour resizing and gives the shear in radians. Unlike
# there, predictions use a moving average of the weights (`ema_momentum`), because with
# a constant learning rate the final weights are noisy.
#
# Digits are small and must not be mirrored, so they need other settings.
classifier = ScratchCNNClassifier(
    interpolation="nearest",
    augmenter=ImageAugmenter(
        shear_range=np.rad2deg(0.2), zoom_range=0.2, horizontal_flip=True
    ),
    random_state=0,
    verbose=2,
)
if folder is None:
    classifier.set_params(
        image_size=(28, 28),
        interpolation="bilinear",
        augmenter__horizontal_flip=False,
        epochs=12,
    )

# %%
# Random transformations of one training image:
AugmentationDisplay.from_estimator(classifier, train.data[0], random_state=0)

# %%
# Training
# --------
# The validation data are only used for evaluation after each epoch. The result is the
# network after the last epoch; pass ``early_stopping=True`` to keep the best epoch.
classifier.fit(train.data, train.target, X_val=validation.data, y_val=validation.target)
print("accuracy:", classifier.score(validation.data, validation.target))

# %%
# Because of dropout and augmentation, the training accuracy is below the validation
# accuracy at first. If the training accuracy keeps rising and the validation accuracy
# does not, the network overfits.
TrainingHistoryDisplay.from_estimator(classifier)

# %%
# Wrong predictions
# -----------------
# The images whose true class has the lowest probability. Look for wrong labels, for
# images that show both classes or neither, and for patterns in the errors.
ImagePredictionDisplay.from_estimator(classifier, validation.data, validation.target)
plt.show()
