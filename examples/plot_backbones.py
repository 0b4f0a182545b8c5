"""
Which backbone?
===============

:class:`~skvision.ImageEncoder` computes features with any network of
:func:`~skvision.list_backbones`. This example compares those whose weights are on this
machine, by accuracy and by time.
"""

# %%
# The networks
# ------------
import time

import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skvision import ImageEncoder, list_backbones
from skvision.datasets import load_sample_photos
from skvision.plot import ImagePredictionDisplay

train = load_sample_photos(subset="train")
test = load_sample_photos(subset="test")
names = [backbone.name for backbone in list_backbones() if backbone.available]
print(names)

# %%
# Accuracy and time
# -----------------
# All see the photos at 96 x 96 pixels, and VGG16, which is slow, also at their own size
# of 48 x 48. For photos of usual size leave out `image_size`: each network then uses
# the size that it was trained with. Only 10 training photos per class, so that there
# are errors to compare, and every second test photo.
X, y = train.data[::6], train.target[::6]
X_test, y_test = test.data[::2], test.target[::2]
candidates = [(name, (96, 96)) for name in names]
if "VGG16" in names:
    candidates.append(("VGG16", (48, 48)))
rows = []
for name, image_size in candidates:
    encoder = ImageEncoder(name, image_size=image_size)
    model = make_pipeline(encoder, LogisticRegression()).fit(X, y)
    start = time.perf_counter()
    accuracy = model.score(X_test, y_test)
    milliseconds = 1000 * (time.perf_counter() - start) / len(X_test)
    n_features = model[-1].n_features_in_
    rows.append((f"{name}, {image_size[0]} pixels", accuracy, milliseconds))
    print(
        f"{rows[-1][0]:<30}{accuracy:.3f}{milliseconds:8.1f} ms{n_features:6} features"
    )

# %%
# What to see: VGG16 is the most accurate here, at the size of the photos, which only
# get blurred when they are enlarged. The size of the images matters as much as the
# network. EfficientNet-Lite is many times faster at the same size. With 120 test
# photos, differences of less than 0.04 mean little, and on photos of usual size the
# order is another: compare on yours.
labels, accuracies, times = zip(*rows, strict=True)
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True, layout="constrained")
for ax, values, text, fmt in zip(
    axes,
    (accuracies, times),
    ("accuracy", "milliseconds per photo"),
    ("%.3f", "%.0f"),
    strict=True,
):
    ax.bar_label(ax.barh(labels, values, alpha=0.7), fmt=fmt, padding=4)
    ax.set_xlabel(text)
    ax.margins(x=0.18)
axes[0].set_xlim(0.8, 1.04)
axes[0].invert_yaxis()

# %%
# The same photo, another network
# -------------------------------
# What the last model, VGG16 at 48 pixels, finds most difficult. To see whether networks
# differ in what they get wrong tells more than a third decimal place.
ImagePredictionDisplay.from_estimator(model, X_test, y_test, n_images=5)
plt.show()
