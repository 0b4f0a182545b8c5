"""
How many photos are enough?
===========================

A learning curve answers this for your own photos: fit on more and more of them, and see
where the accuracy stops rising. This one compares features of a pretrained network with
a model that sees only colours.
"""

# %%
# Two models
# ----------
# The features of 600 photos are computed once, at the first fit, and read from
# `cache_dir` in all others, so that the many fits of a learning curve take seconds.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skvision import ImageEncoder, read_image
from skvision.datasets import get_data_home, load_sample_photos

train = load_sample_photos(subset="train")
test = load_sample_photos(subset="test")


def colours(paths):
    """Return the mean and standard deviation of each colour channel."""
    images = np.stack([read_image(path) for path in paths])
    return np.hstack([images.mean(axis=(1, 2)), images.std(axis=(1, 2))])


models = {
    "features of VGG16": make_pipeline(
        ImageEncoder(
            "VGG16",
            image_size=(48, 48),  # that of the photos
            cache_dir=Path(get_data_home()) / "features",
        ),
        LogisticRegression(),
    ),
    "colours only": make_pipeline(
        FunctionTransformer(colours), StandardScaler(), LogisticRegression()
    ),
}

# %%
# Fit on 1 to 40 photos per class
# -------------------------------
# Which photos are drawn matters most when there are few. So each size is drawn ten
# times.
numbers = [1, 2, 3, 5, 10, 20, 40]
scores = {name: np.empty((len(numbers), 10)) for name in models}
n_classes = len(train.target_names)
for i, n in enumerate(numbers):
    for repetition in range(10):
        X, _, y, _ = train_test_split(
            train.data,
            train.target,
            train_size=n * n_classes,
            stratify=train.target,
            random_state=repetition,
        )
        for name, model in models.items():
            score = model.fit(X, y).score(test.data, test.target)
            scores[name][i, repetition] = score

# %%
# The curve
# ---------
# The lines are medians, the bands extend from the worst to the best of ten draws. Two
# things to see: with pretrained features ten photos per class are nearly as good as
# forty, and with one photo per class the luck of the draw decides. More photos of the
# same kind would not help any more; photos of the kinds that are still wrong would.
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
