"""
Doubtful photos: abstain, and leave them to a person
====================================================

A classifier gives a label to every photo, also to those that it cannot tell and to
those that show none of its classes. This example accepts only predictions above a
threshold, chooses it without the test photos, and shows what a threshold cannot do.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# A model that does not know petals
# ---------------------------------
# The model is trained on five of the six kinds of sample photos. Petals are left out:
# they stand for everything that a camera sees and nobody thought of.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from skvision import ImageEncoder
from skvision.datasets import get_data_home, load_sample_photos

train = load_sample_photos(subset="train")
test = load_sample_photos(subset="test")
known, petals = train.target != "petals", test.data[test.target == "petals"]
X, y, groups = train.data[known], train.target[known], train.groups[known]
X_test, y_test = (
    test.data[test.target != "petals"],
    test.target[test.target != "petals"],
)

encoder = ImageEncoder(
    "EfficientNetLite0", cache_dir=Path(get_data_home()) / "features"
)
model = make_pipeline(encoder, LogisticRegression()).fit(X, y)
proba = model.predict_proba(X_test)
correct = model.classes_[proba.argmax(axis=1)] == y_test
print(f"accuracy without abstaining: {correct.mean():.3f}")

# %%
# The least certain photos
# ------------------------
# They show two kinds of things at once, such as a roof with a piece of wall, or hardly
# anything. A person would hesitate, too.
from skvision.plot import ImagePredictionDisplay

ImagePredictionDisplay.from_estimator(
    model, X_test, y_test, order="uncertain", n_images=10, n_cols=5
)

# %%
# A threshold from the training photos
# ------------------------------------
# Each training photo is predicted by a model that has not seen it. Folds by group keep
# patches that overlap together. The threshold is the lowest one at which 99 % of the
# accepted photos are right. Never choose it on the test photos: their accuracy would be
# too high afterwards.


def accuracy_by_share(proba, y):
    """Return thresholds from high to low, and the accuracy above each of them."""
    p, y_pred = proba.max(axis=1), np.unique(y)[proba.argmax(axis=1)]
    order = np.argsort(-p)
    right = np.cumsum((y_pred == y)[order])
    return p[order], right / np.arange(1, len(p) + 1)


folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
held_out = cross_val_predict(
    model, X, y, groups=groups, cv=folds, method="predict_proba"
)
thresholds, accuracies = accuracy_by_share(held_out, y)
threshold = thresholds[accuracies >= 0.99].min()

# %%
# What to see: the fewer photos are accepted, from right to left, the more of them are
# right. The dotted line is the share of test photos above the threshold. On held-out
# areas the models are less accurate than on the test photos, since each has seen fewer
# areas. So the threshold is on the safe side.
kept = proba.max(axis=1) >= threshold
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, p, labels in (("training, held out", held_out, y), ("test", proba, y_test)):
    _, curve = accuracy_by_share(p, labels)
    ax.plot(np.arange(1, len(curve) + 1) / len(curve), curve, label=name)
ax.axvline(kept.mean(), color="gray", linestyle=":")
ax.set(xlabel="share of photos accepted", ylabel="accuracy of those", ylim=(0.9, 1.005))
ax.legend()
plt.show()

# %%
# Photos of none of the classes
# -----------------------------
# The probabilities say which of the five kinds is the most likely, *if it is one of
# them*. The distance to the nearest training photos, in features, is a second question:
# have I seen anything like this? The limit is exceeded by 5 % of the training photos,
# measured to those from other areas.
from sklearn.neighbors import NearestNeighbors


def distance(features, others):
    neighbours = NearestNeighbors(n_neighbors=5).fit(features)
    return neighbours.kneighbors(others)[0].mean(axis=1)


def limits(X, y, groups):
    """Return a threshold for the probability, and a limit of the distance."""
    proba = cross_val_predict(
        model, X, y, groups=groups, cv=folds, method="predict_proba"
    )
    thresholds, accuracies = accuracy_by_share(proba, y)
    features, far = encoder.transform(X), np.empty(len(X))
    for index, other in folds.split(X, y, groups):
        far[other] = distance(features[index], features[other])
    return thresholds[accuracies >= 0.99].min(), np.quantile(far, 0.95)


# %%
# Now each kind is left out in turn. How many of its test photos are accepted, as one of
# the other five?
accepted = {}
for kind in train.target_names:
    chosen = train.target != kind
    X, y, groups = train.data[chosen], train.target[chosen], train.groups[chosen]
    unknown = test.data[test.target == kind]
    least, limit = limits(X, y, groups)
    sure = model.fit(X, y).predict_proba(unknown).max(axis=1) >= least
    near = distance(encoder.transform(X), encoder.transform(unknown)) <= limit
    accepted[kind] = sure.mean(), (sure & near).mean()

# %%
# What to see: petals and trees look like nothing else, and are left to a person. Leaves
# are often taken for trees; the distance notices a few more. Without walls among the
# classes, a wall is a roof, and neither the probability nor the distance objects.
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
positions = np.arange(len(accepted))
for i, label in enumerate(["probability", "probability and distance"]):
    values = [row[i] for row in accepted.values()]
    ax.barh(positions + 0.38 * i, values, 0.36, label=label)
ax.set_yticks(positions + 0.19, accepted)
ax.invert_yaxis()
ax.set(xlabel="accepted, if the kind is unknown to the model", xlim=(0, 1))
figure.legend(loc="outside lower center", ncols=2)
plt.show()

# %%
# The result
# ----------
print(f"threshold {threshold:.2f}: {kept.mean():.2f} of the test photos accepted,")
print(
    f"{correct[kept].mean():.3f} of them right, instead of {correct.mean():.3f} of all"
)
for kind, (by_threshold, by_both) in accepted.items():
    print(f"{kind}, if unknown: {by_threshold:.2f} accepted, {by_both:.2f} by both")

# %%
# Abstaining works for doubt between the classes that the model knows. It is no way to
# recognize anything else: collect photos of what else there is, and train on them as a
# class of their own.
