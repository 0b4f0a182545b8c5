"""
New photos: add a class, notice a change, find wrong labels
===========================================================

A model is in use, and photos keep arriving. This example adds a class in seconds, shows
by which signs you notice that new photos differ from the old ones, and finds photos
that somebody put into the wrong folder.
"""

# sphinx_gallery_thumbnail_number = 3

# %%
# A new class
# -----------
# The first model knows five kinds. Then photos of petals arrive. Features are stored in
# `cache_dir` under the content of each photo, so only the new ones go through the
# network.
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skvision import ImageEncoder
from skvision.datasets import load_sample_photos

train = load_sample_photos(subset="train")
test = load_sample_photos(subset="test")
X, y, X_test, y_test = train.data, train.target, test.data, test.target
folder = tempfile.TemporaryDirectory()  # an empty store, for the times
encoder = ImageEncoder("EfficientNetLite0", cache_dir=folder.name).fit(X)
encoder.set_params(cache_dir=None).transform(X[:1])  # starts TensorFlow
model = make_pipeline(encoder.set_params(cache_dir=folder.name), LogisticRegression())
old = y != "petals"
seconds = {}
for name, chosen in (
    ("300 photos, empty store", old),
    ("60 new ones", np.ones(len(y), bool)),
    ("all stored", np.ones(len(y), bool)),
):
    start = time.perf_counter()
    model.fit(X[chosen], y[chosen])
    seconds[name] = time.perf_counter() - start
accuracy = model.score(X_test, y_test)
print(f"{len(model.classes_)} classes, accuracy on the test photos: {accuracy:.3f}")

# %%
# What to see: adding a class costs what its own photos cost.
figure, ax = plt.subplots(figsize=(6, 1.8), layout="constrained")
ax.bar_label(ax.barh(list(seconds), list(seconds.values())), fmt="%.1f", padding=4)
ax.invert_yaxis()
ax.margins(x=0.12)
ax.set_xlabel("seconds of fit")
plt.show()

# %%
# When the new photos differ
# --------------------------
# Another camera, rain on the lens, evening: here the test photos are changed in three
# ways. The accuracy needs labels. What the other two signs need is the photos alone:
# the mean of the largest probability, and how well a classifier can tell the new photos
# from the old ones (area under the ROC curve; 0.5 means not at all).
from PIL import Image, ImageEnhance, ImageFilter
from sklearn.model_selection import StratifiedKFold, cross_val_score

changes = {
    "unchanged": lambda image: image,
    "dark": lambda image: ImageEnhance.Brightness(image).enhance(0.3),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "small": lambda image: image.resize((8, 8), Image.Resampling.BILINEAR),
}
photos = [Image.open(path) for path in X_test]
folds = StratifiedKFold(5, shuffle=True, random_state=0)
half = np.random.default_rng(0).permutation(len(X_test)) % 2 == 0
signs = {}
for name, change in changes.items():
    images = np.empty(len(photos), dtype=object)
    images[:] = [change(photo) for photo in photos]
    proba = model.predict_proba(images)
    right = model.classes_[proba.argmax(axis=1)] == y_test
    both = np.r_[encoder.transform(X_test[half]), encoder.transform(images[~half])]
    is_new = np.repeat([0, 1], [half.sum(), (~half).sum()])
    auc = cross_val_score(
        LogisticRegression(), both, is_new, cv=folds, scoring="roc_auc"
    )
    signs[name] = right.mean(), proba.max(axis=1).mean(), auc.mean()

# %%
# What to see: the mean probability falls together with the accuracy. The AUC notices
# any change, also one that does no harm.
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
labels = ["accuracy (needs labels)", "mean largest probability", "AUC, new or old"]
for i, label in enumerate(labels):
    values = [row[i] for row in signs.values()]
    ax.bar(np.arange(len(signs)) + 0.27 * (i - 1), values, 0.25, label=label)
ax.set_xticks(np.arange(len(signs)), signs)
figure.legend(loc="outside lower center", ncols=3)
plt.show()

# %%
# Wrong labels
# ------------
# Somebody put 18 of the 360 training photos into a wrong folder. Each photo is
# predicted by a model that has not seen it. Those whose own label gets the lowest
# probability come first.
from sklearn.model_selection import cross_val_predict

from skvision.plot import ImagePredictionDisplay

rng = np.random.default_rng(0)
moved = rng.choice(len(y), 18, replace=False)
given = y.copy()
for i in moved:
    given[i] = rng.choice(np.setdiff1d(model.classes_, [y[i]]))
proba = cross_val_predict(model, X, given, cv=folds, method="predict_proba")
own = proba[np.arange(len(y)), np.searchsorted(model.classes_, given)]
suspects = np.argsort(own)
y_pred = model.classes_[proba.argmax(axis=1)]
ImagePredictionDisplay.from_predictions(
    X, given, y_pred, y_proba=proba, classes=model.classes_, n_images=10, n_cols=5
)

# %%
# What to see: in the titles, the prediction is what the photo shows, and "true" the
# wrong folder.

# %%
# The result
# ----------
# A person looks at the first 36 photos, a tenth of all, and moves those that are wrong.
corrected = given.copy()
corrected[suspects[:36]] = y[suspects[:36]]
n_found = np.isin(suspects[:36], moved).sum()
before = model.fit(X, given).score(X_test, y_test)
after = model.fit(X, corrected).score(X_test, y_test)
print(f"{n_found} of {len(moved)} wrong labels are among the first 36 photos")
print(
    f"accuracy in cross-validation, with wrong labels: {np.mean(y_pred == given):.3f}"
)
print(f"accuracy on the test photos: {before:.3f}, after the correction {after:.3f}")
folder.cleanup()
