"""
Bottleneck features: the post's second road, and a better one
=============================================================

The second road of `Building powerful image classification models using very little data
<https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html>`_
runs each image through the convolution base of VGG16 once, keeps the features, and
trains a small fully-connected network on them. Here it is in scikit-learn's words, and
then what two lines of scikit-learn make of the same features.

Run it on the post's images, arranged as ``data/{train,validation}/{cats,dogs}``::

    python examples/plot_bottleneck_logistic_regression.py data
"""

# %%
# The images
# ----------
# From Kaggle's ``train.zip``, `arrange_dogs_vs_cats` makes the post's folders: the
# first 1000 images of each class to train, the next 400 to validate.
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
# The post's recipe
# -----------------
# Pixels divided by 255, resized by picking the nearest pixel, and the post's network:
# 256 hidden units, dropout of one half, 50 epochs of RMSprop. The post says 0.90 to
# 0.91.
post = make_pipeline(
    VGG16BottleneckTransformer(
        preprocessing="rescale",
        interpolation="nearest",
        cache_dir="features",
        verbose=1,
    ),
    DenseHeadClassifier(random_state=0),
)
post.fit(train.data, train.target)
print("the post's recipe:", post.score(validation.data, validation.target))

# %%
# The preprocessing that the weights were trained with
# ----------------------------------------------------
# VGG16 learned on images with the channels in the order BGR and their mean taken off.
# With that, the default here, and an antialiased resizing, a plain logistic regression
# does better than the post's network did.
vgg16 = VGG16BottleneckTransformer(cache_dir="features", verbose=1)
plain = make_pipeline(vgg16, LogisticRegression(max_iter=1000))
plain.fit(train.data, train.target)
print("logistic regression:", plain.score(validation.data, validation.target))

# %%
# Square root and length 1
# ------------------------
# The features are sums of rectified responses: a few are huge and drown the others.
# Their square root evens that out, and with a length of 1 a bright image weighs no more
# than a dark one. The images do not go through VGG16 again: `cache_dir` has them.
better = make_pipeline(
    vgg16,
    FunctionTransformer(np.sqrt, feature_names_out="one-to-one"),
    Normalizer(),
    LogisticRegression(C=10, max_iter=1000),
)
better.fit(train.data, train.target)
print("with square root:", better.score(validation.data, validation.target))

# %%
# The probabilities are those of any scikit-learn classifier, so its displays work.
try:
    import matplotlib.pyplot as plt
    from sklearn.metrics import RocCurveDisplay
except ImportError:
    print('For the plot, install the extra: pip install ".[plot]"')
else:
    figure, ax = plt.subplots()
    for name, model in [
        ("the post's recipe", post),
        ("logistic regression", plain),
        ("with square root", better),
    ]:
        RocCurveDisplay.from_estimator(
            model, validation.data, validation.target, name=name, ax=ax
        )
    ax.set(xlim=(0, 0.2), ylim=(0.8, 1))
    plt.show()
