"""
Bottleneck features: Chollet's second approach, and a better one
================================================================

The second approach of Chollet (2016), `Building powerful image classification models
using very little data
<https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html>`_,
passes each image through the convolutional base of VGG16 once, stores the features, and
trains a small fully-connected network on them. This example does the same in a
scikit-learn pipeline, compares it with the defaults of skvision and a logistic
regression, and shows what the normalization of the features contributes.

Run it on photos of cats and dogs, in ``data/{train,validation}/{cats,dogs}``::

    python examples/plot_bottleneck_logistic_regression.py data
"""

# %%
# The images
# ----------
# `arrange_dogs_vs_cats` creates Chollet's folders from Kaggle's ``train.zip``: the
# first 1000 images of each class for training, the next 400 for validation.
# `fetch_cats_vs_dogs` downloads the photos and returns both parts, without an account
# at Kaggle.
import sys
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skvision import DenseHeadClassifier, VGG16BottleneckTransformer
from skvision.datasets import load_image_files

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "data")
train = load_image_files(folder / "train")
validation = load_image_files(folder / "validation")

# %%
# Chollet's recipe
# ----------------
# Images of 150 x 150 pixels, nearest-neighbour resizing, pixels divided by 255, all
# outputs of the last layer, and a network with 256 hidden units and a dropout rate of
# 0.5, trained for 50 epochs with RMSprop. Chollet reports an accuracy of 0.90 to 0.91.
chollet = make_pipeline(
    VGG16BottleneckTransformer(
        pooling=None,
        normalization=None,
        image_size=(150, 150),
        interpolation="nearest",
        preprocessing="rescale",
        cache_dir="features",
        verbose=1,
    ),
    DenseHeadClassifier(random_state=0),
)
chollet.fit(train.data, train.target)
print("Chollet's recipe:", chollet.score(validation.data, validation.target))

# %%
# The defaults
# ------------
# VGG16 was trained on mean-centred images of 224 x 224 pixels with BGR channels. With
# this size and preprocessing, antialiased resizing, and features that are averaged over
# the image and normalized, a logistic regression is more accurate than Chollet's
# network.
default = make_pipeline(
    VGG16BottleneckTransformer(cache_dir="features", verbose=1), LogisticRegression()
)
default.fit(train.data, train.target)
print("defaults:", default.score(validation.data, validation.target))

# %%
# Without normalization
# ---------------------
# Feature values are skewed: a few large ones dominate the others. The default
# ``normalization="power"`` takes square roots, which reduces the skew, and scales the
# features of each image to the same Euclidean length, so that images with strong
# activations do not outweigh others. It is applied to the stored features, so no image
# passes through VGG16 again. Without it the regression needs more iterations.
raw = make_pipeline(
    VGG16BottleneckTransformer(normalization=None, cache_dir="features"),
    LogisticRegression(max_iter=10_000),
)
raw.fit(train.data, train.target)
print("without normalization:", raw.score(validation.data, validation.target))

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
        ("defaults", default),
        ("without normalization", raw),
    ]:
        RocCurveDisplay.from_estimator(
            model, validation.data, validation.target, name=name, ax=ax
        )
    ax.set(xlim=(0, 0.2), ylim=(0.8, 1))
    plt.show()
