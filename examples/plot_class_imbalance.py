"""
Few photos of one class: weights and thresholds
===============================================

There are 60 photos of walls and 6 of roofs. A model trained on them calls most photos
walls, and its accuracy looks good where walls are as frequent. This example shows how
to measure that, and three ways to change it.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Roofs and walls
# ---------------
# They have the same colours, and some photos show both. The six roofs are drawn ten
# times, because the result depends much on which ones they are. The test photos are 40
# of each.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    accuracy_score,
    balanced_accuracy_score,
    recall_score,
)
from sklearn.model_selection import StratifiedKFold, TunedThresholdClassifierCV

from skvision import ImageEncoder
from skvision.datasets import get_data_home, load_sample_photos


def load(subset):
    photos = load_sample_photos(subset=subset)
    chosen = np.isin(photos.target, ["roof", "wall"])
    encoder = ImageEncoder(
        "EfficientNetLite0", cache_dir=Path(get_data_home()) / "features"
    )
    return encoder.fit_transform(photos.data[chosen]), photos.target[chosen]


X, y = load("train")
X_test, y_test = load("test")
roofs, walls = np.flatnonzero(y == "roof"), np.flatnonzero(y == "wall")

# %%
# Three ways, and none
# --------------------
# All work on the same features, so everything below takes seconds.
# `TunedThresholdClassifierCV` looks for the best threshold in a cross-validation within
# the 66 training photos.
folds = StratifiedKFold(5, shuffle=True, random_state=0)
models = {
    "nothing": LogisticRegression(),
    "class_weight='balanced'": LogisticRegression(class_weight="balanced"),
    "tuned threshold": TunedThresholdClassifierCV(
        LogisticRegression(), scoring="balanced_accuracy", cv=folds
    ),
    "only 6 of the walls": LogisticRegression(),
}
rows = {name: [] for name in models}
predictions = {name: [] for name in models}
rng = np.random.default_rng(0)
for _ in range(10):
    few = rng.choice(roofs, 6, replace=False)
    for name, model in models.items():
        others = rng.choice(walls, 6, replace=False) if "only" in name else walls
        chosen = np.r_[few, others]
        y_pred = model.fit(X[chosen], y[chosen]).predict(X_test)
        predictions[name].extend(y_pred)
        recalls = recall_score(y_test, y_pred, average=None)
        rows[name].append([*recalls, balanced_accuracy_score(y_test, y_pred)])

# %%
# What to see: without a countermeasure the model finds all walls and misses many roofs.
# The lines are standard errors over the ten draws.
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
positions = np.arange(len(rows))
for i, kind in enumerate(["recall of roofs", "recall of walls", "balanced accuracy"]):
    values = np.array([np.array(row)[:, i] for row in rows.values()])
    errors = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    ax.barh(
        positions + 0.26 * (i - 1), values.mean(axis=1), 0.25, xerr=errors, label=kind
    )
ax.set_yticks(positions, rows)
ax.invert_yaxis()
ax.set(xlim=(0, 1.02))
figure.legend(loc="outside lower center", ncols=3)
plt.show()

# %%
# The same as confusion matrices, over all draws.
figure, axes = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
for ax, name in zip(axes, ["nothing", "class_weight='balanced'"], strict=True):
    ConfusionMatrixDisplay.from_predictions(
        np.tile(y_test, 10), predictions[name], cmap="Blues", colorbar=False, ax=ax
    )
    ax.set_title(name)

# %%
# Where the threshold is
# ----------------------
# Balanced accuracy for each threshold of the probability of a roof, for the last draw.
# The features separate the two well. The default threshold of 0.5 is in the wrong
# place, because the model has learned that roofs are rare.
chosen = np.r_[few, walls]
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
grid = np.linspace(0.01, 0.99, 99)
for name in ("nothing", "class_weight='balanced'"):
    p = models[name].fit(X[chosen], y[chosen]).predict_proba(X_test)[:, 0]
    curve = [
        balanced_accuracy_score(y_test, np.where(p >= t, "roof", "wall")) for t in grid
    ]
    ax.plot(grid, curve, label=name)
tuned = models["tuned threshold"].fit(X[chosen], y[chosen])
threshold = 1 - tuned.best_threshold_  # that of `classes_[1]`, the walls
print(f"tuned threshold for roof: {threshold:.2f}")
for x, label in ((0.5, "default"), (threshold, "tuned")):
    ax.axvline(x, color="gray", linestyle=":")
    ax.annotate(label, (x, 0.47), rotation=90, ha="right")
ax.set(xlabel="threshold for roof", ylabel="balanced accuracy", ylim=(0.45, 1.02))
ax.legend()
plt.show()

# %%
# The result
# ----------
# The accuracy where walls are ten times as frequent as roofs, as in training, hides the
# problem: always saying "wall" would reach 0.91 there.
weights = np.where(y_test == "roof", 0.1, 1.0)
print(f"{'':<25}{'balanced accuracy':>18}{'accuracy, 1 roof per 10 walls':>32}")
for name, values in rows.items():
    balanced = np.mean(values, axis=0)[2]
    rare = accuracy_score(
        np.tile(y_test, 10), predictions[name], sample_weight=np.tile(weights, 10)
    )
    print(f"{name:<25}{balanced:>18.3f}{rare:>32.3f}")

# %%
# Weights change the probabilities, a threshold does not. If roofs are as rare where the
# model is used as in training, the unweighted probabilities are the right ones.
