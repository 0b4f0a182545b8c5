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

train = load_sample_photos(subset="train")
test = load_sample_photos(subset="test")
names = [backbone.name for backbone in list_backbones() if backbone.available]
print(names)

# %%
# Accuracy and time
# -----------------
# All see the photos at 96 x 96 pixels, and VGG16, which is slow, also at their own size
# of 48 x 48. For photos of usual size leave out `image_size`: each network then uses the
# size that it was trained with. Only 10 training photos per class, so that there are
# errors to compare, and every fourth test photo.
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
    print(f"{rows[-1][0]:<30}{accuracy:.3f}{milliseconds:8.1f} ms{n_features:6} features")

# %%
# What to see: up is better, left is faster. With 120 test photos, differences of less
# than 0.05 mean little. A larger network is not always more accurate, and the size of
# the images matters as much as the network: these small photos only get blurred when
# they are enlarged.
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for label, accuracy, milliseconds in rows:
    ax.plot(milliseconds, accuracy, "o")
    ax.annotate(
        label, (milliseconds, accuracy), xytext=(6, 6), textcoords="offset points"
    )
ax.set(xlabel="milliseconds per photo", ylabel="accuracy")
ax.margins(x=0.35, y=0.2)
ax.grid(alpha=0.3)
plt.show()
