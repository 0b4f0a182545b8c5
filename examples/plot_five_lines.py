"""
Classify photos in five lines
=============================

A network that was trained on ImageNet turns each photo into a vector of numbers, its
features. A logistic regression on the features needs only a few labelled photos. This
is the approach to try first.
"""

# %%
# The photos
# ----------
# `train` and `test` contain paths of image files and the names of their classes.
# For your own photos, in one folder per class, use
# ``load_image_files("photos/train")``.
from pathlib import Path

from skvision.datasets import load_sample_photos

# sphinx_gallery_thumbnail_number = 2

train = load_sample_photos(subset="train")
test = load_sample_photos(subset="test")
print(len(train.data), "training photos, for example", Path(train.data[0]).name)

# %%
# One row per class. Roof and wall have the same colours, and many photos show both:
# they are the difficult ones.
from skvision.datasets import check_image_files

check_image_files(train.data, train.target).plot(n_images=8)

# %%
# Five lines
# ----------
# The features are stored in `cache_dir`: the next fit, the next fold of a
# cross-validation and the next script do not compute them again.
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skvision import ImageEncoder
from skvision.datasets import get_data_home

cache_dir = Path(get_data_home()) / "features"
encoder = ImageEncoder("EfficientNetLite0", cache_dir=cache_dir)
model = make_pipeline(encoder, LogisticRegression())
model.fit(train.data, train.target)
accuracy = model.score(test.data, test.target)

# %%
# Is it good?
# -----------
# Compare with the simplest model, which always predicts the most frequent class, and
# look at the interval: 240 test photos determine an accuracy only to a few percent.
# Here the interval is Wilson's, for a confidence level of 95 %.
from scipy.stats import binomtest
from sklearn.dummy import DummyClassifier

n_test = len(test.data)
interval = binomtest(round(accuracy * n_test), n_test).proportion_ci(method="wilson")
baseline = DummyClassifier().fit(train.data, train.target)
print(f"most frequent class: {baseline.score(test.data, test.target):.3f}")
print(f"accuracy: {accuracy:.3f} (95 % interval {interval.low:.3f} to ", end="")
print(f"{interval.high:.3f})")

# %%
# Look at the errors
# ------------------
# First the photos to which the model gives the lowest probability of their true class.
# Wrong predictions are red. They show what the accuracy does not: the photos are mostly
# sky, as their label says, but the model sees the corner of a roof or the top of a
# tree. Here the labels, not the model, need another thought.
from skvision.plot import ImagePredictionDisplay

ImagePredictionDisplay.from_estimator(
    model, test.data, test.target, n_images=10, n_cols=5
)

# %%
# Which classes are confused? Off the diagonal are the errors.
from sklearn.metrics import ConfusionMatrixDisplay

ConfusionMatrixDisplay.from_estimator(
    model, test.data, test.target, cmap="Blues", colorbar=False
)
