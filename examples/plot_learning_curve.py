"""
How many photos are enough?
===========================

A learning curve answers this for your own photos: fit on more and more of them, and see
where the accuracy stops rising. This one compares features of a pretrained network with
a model that sees only colours.
"""

# %%
# Two kinds of features
# ---------------------
# The features of a photo do not depend on the other photos, nor on the labels. So they
# are computed once here, and the many fits of a learning curve take seconds.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skvision import ImageEncoder, read_image
from skvision.datasets import load_sample_photos

train = load_sample_photos(subset="train")
test = load_sample_photos(subset="test")


def colours(paths):
    """Return the mean and standard deviation of each colour channel."""
    images = np.stack([read_image(path) for path in paths])
    return np.hstack([images.mean(axis=(1, 2)), images.std(axis=(1, 2))])


encoders = {
    # The size of these photos; for photos of usual size leave it out.
    "features of VGG16": ImageEncoder("VGG16", image_size=(48, 48)),
    "colours only": make_pipeline(FunctionTransformer(colours), StandardScaler()),
}
features = {
    name: (encoder.fit_transform(train.data), encoder.transform(test.data))
    for name, encoder in encoders.items()
}

# %%
# Fit on 1 to 40 photos per class
# -------------------------------
# Which photos are drawn matters most when there are few. So each size is drawn ten
# times.
numbers = [1, 2, 3, 5, 10, 20, 40]
scores = {name: np.empty((len(numbers), 10)) for name in features}
n_classes = len(train.target_names)
for i, n in enumerate(numbers):
    for repetition in range(10):
        chosen, _ = train_test_split(
            np.arange(len(train.data)),
            train_size=n * n_classes,
            stratify=train.target,
            random_state=repetition,
        )
        for name, (X, X_test) in features.items():
            model = LogisticRegression().fit(X[chosen], train.target[chosen])
            scores[name][i, repetition] = model.score(X_test, test.target)

# %%
# The curve
# ---------
# The lines are medians, the bands extend from the worst to the best of ten draws. What
# to see: with pretrained features ten photos per class are nearly as good as forty.
# With a few photos the luck of the draw decides, so do not trust a single small
# experiment. And colours alone would need far more photos, if they ever got there.
figure, ax = plt.subplots(layout="constrained")
for name, values in scores.items():
    ax.plot(numbers, np.median(values, axis=1), marker="o", label=name)
    ax.fill_between(numbers, values.min(axis=1), values.max(axis=1), alpha=0.2)
ax.set_xscale("log")
ax.set_xticks(numbers, numbers)
ax.minorticks_off()
ax.set(xlabel="training photos per class", ylabel="accuracy on 240 test photos")
ax.grid(alpha=0.3)
ax.legend(loc="lower right")

for name, values in scores.items():
    medians = ", ".join(
        f"{n}: {m:.3f}" for n, m in zip(numbers, np.median(values, axis=1), strict=True)
    )
    print(f"{name}: {medians}")
plt.show()
