"""
Bottleneck features: Chollet's second approach, and a better one
================================================================

The second approach of Chollet (2016), `Building powerful image classification models
using very little data
<https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html>`_,
passes each image through the convolutional base of VGG16 once, stores the features, and
trains a small fully-connected network on them. This example does the same in a
scikit-learn pipeline, then improves on it with a logistic regression and normalized
features.

Run it on photos of cats and dogs, in ``data/{train,validation}/{cats,dogs}``::

    python examples/plot_bottleneck_logistic_regression.py data
"""

# %%
# The images
# ----------
# `arrange_dogs_vs_cats` creates Chollet's folders from Kaggle's ``train.zip``: the
# first 1000 images of each class for training, the next 400 for validation.
import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

from skvision import DenseHeadClassifier, VGG16BottleneckTransformer
from skvision.datasets import load_image_files

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "data")
train = load_image_files(folder / "train")
validation = load_image_files(folder / "validation")

# %%
# Chollet's recipe
# ----------------
# Nearest-neighbour resizing, pixels divided by 255, and a network with 256 hidden units
# and a dropout rate of 0.5, trained for 50 epochs with RMSprop. Chollet reports an
# accuracy of 0.90 to 0.91.
chollet = make_pipeline(
    VGG16BottleneckTransformer(
        preprocessing="rescale",
        interpolation="nearest",
        cache_dir="features",
        verbose=1,
    ),
    DenseHeadClassifier(random_state=0),
)
chollet.fit(train.data, train.target)
print("Chollet's recipe:", chollet.score(validation.data, validation.target))

# %%
# The original preprocessing of VGG16
# -----------------------------------
# VGG16 was trained on mean-centred images with BGR channels. With this preprocessing
# and antialiased resizing, both defaults here, a logistic regression is more accurate
# than Chollet's network.
vgg16 = VGG16BottleneckTransformer(cache_dir="features", verbose=1)
plain = make_pipeline(vgg16, LogisticRegression(max_iter=1000))
plain.fit(train.data, train.target)
print("logistic regression:", plain.score(validation.data, validation.target))

# %%
# Power and L2 normalization
# --------------------------
# Feature values are skewed: a few large ones dominate the others. The square root
# reduces the skew, and with unit norm bright images do not outweigh dark ones. VGG16
# does not run again: the features are read from `cache_dir`.
better = make_pipeline(
    vgg16,
    FunctionTransformer(np.sqrt, feature_names_out="one-to-one"),
    Normalizer(),
    LogisticRegression(C=10, max_iter=1000),
)
better.fit(train.data, train.target)
print("with normalized features:", better.score(validation.data, validation.target))

# %%
# The models are scikit-learn classifiers, so scikit-learn's displays work with them.
try:
    import matplotlib.pyplot as plt
    from sklearn.metrics import RocCurveDisplay
except ImportError:
    print('The plot requires matplotlib: pip install ".[plot]"')
else:
    figure, ax = plt.subplots()
    for name, model in [
        ("Chollet's recipe", chollet),
        ("logistic regression", plain),
        ("with normalized features", better),
    ]:
        RocCurveDisplay.from_estimator(
            model, validation.data, validation.target, name=name, ax=ax
        )
    ax.set(xlim=(0, 0.2), ylim=(0.8, 1))
    plt.show()
