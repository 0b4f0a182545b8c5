"""
A convnet from scratch: the post's first road
=============================================

The first road of `Building powerful image classification models using very little data
<https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html>`_
trains a small convolutional network on 2000 images, and keeps it from learning them by
heart with dropout and random transformations. The post reports an accuracy of 0.79 to
0.81 on 800 other images, after 50 epochs.

Run it on the post's images, arranged as ``data/{train,validation}/{cats,dogs}`` (from
Kaggle's ``train.zip``, `arrange_dogs_vs_cats` makes these folders), or on yours::

    pip install ".[plot]"
    python examples/plot_scratch_cnn.py data

Without an argument it takes the handwritten digits that come with scikit-learn, which
are trained in less than a minute.
"""

# %%
# The images
# ----------
# `X` are paths, `y` are numbers of classes, and `target_names` are their names.
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
# The post's settings
# -------------------
# They are the defaults: three blocks of 32, 32 and 64 filters, 64 hidden units, dropout
# of one half, RMSprop with batches of 16. The post picked the nearest pixel in resizing
# and gave the shear in radians. One default the post does not have: predictions take an
# average of the weights over the last steps (`ema_momentum`), for a constant learning
# rate leaves the last ones to luck.
#
# Digits are small, and the mirror image of a digit is none, so they get other settings.
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
# This is what it will see of one image:
AugmentationDisplay.from_estimator(classifier, train.data[0], random_state=0)

# %%
# Training
# --------
# The validation data are evaluated after each epoch, and nothing else: the result is
# the network after the last one. Add ``early_stopping=True`` for that of the best.
classifier.fit(train.data, train.target, X_val=validation.data, y_val=validation.target)
print("accuracy:", classifier.score(validation.data, validation.target))

# %%
# With dropout and transformed images, training looks harder than validation at first.
# Where the curve of the training rises on and the other does not, the network begins to
# learn the images by heart.
TrainingHistoryDisplay.from_estimator(classifier)

# %%
# Where it is wrong
# -----------------
# The images whose true class got the lowest probability. Look here for wrong labels,
# for images that show both or neither, and for what the network has not understood.
ImagePredictionDisplay.from_estimator(
    classifier,
    validation.data,
    validation.target,
    display_labels=validation.target_names,
)
plt.show()
