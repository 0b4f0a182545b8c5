"""
Search over augmentation and dropout
====================================

The parameters of the augmenter are parameters of the classifier, so that
:class:`~sklearn.model_selection.GridSearchCV` can choose them like any others. Here the
photos have no natural orientation, as those from a microscope, a drone or a conveyor
belt.
"""

# sphinx_gallery_thumbnail_number = 3

# %%
# The photos
# ----------
# Each photo is turned by a random angle. Because they come from few places, folds would
# differ a lot from each other. So there is one set of validation photos instead, from
# places of its own: see :ref:`sphx_glr_auto_examples_plot_groups.py`.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, PredefinedSplit, StratifiedGroupKFold

from skvision import ImageAugmenter, ScratchCNNClassifier, read_image
from skvision.datasets import load_sample_photos
from skvision.plot import AugmentationDisplay

turn = ImageAugmenter(rotation_range=180, fill_mode="reflect")


def turned(paths, random_state):
    """Return the photos, each turned by a random angle."""
    images = np.stack([read_image(path) for path in paths])
    return turn.transform(images, random_state=random_state).round().astype(np.uint8)


train = load_sample_photos(subset="train")
others = load_sample_photos(subset="test")
halves = StratifiedGroupKFold(2, shuffle=True, random_state=0)
val, test = next(halves.split(others.data, others.target, others.groups))
X_train, y_train = turned(train.data[::3], 0), train.target[::3]
X_val, y_val = turned(others.data[val], 1), others.target[val]
X_test, y_test = turned(others.data[test], 2), others.target[test]
print(
    f"{len(X_train)} photos to train, {len(X_val)} to validate, {len(X_test)} to test"
)
figure, axes = plt.subplots(2, 6, figsize=(8, 2.8), layout="constrained")
for ax, image in zip(axes.T.ravel(), X_train[::10], strict=True):
    ax.imshow(image)
    ax.set_axis_off()

# %%
# The search
# ----------
# Three augmenters, from none to one that turns and mirrors, and two rates of dropout.
augmenters = {
    "none": None,
    "turn by up to 15°": ImageAugmenter(rotation_range=15, fill_mode="reflect"),
    "turn and mirror": ImageAugmenter(
        rotation_range=180, horizontal_flip=True, fill_mode="reflect"
    ),
}
classifier = ScratchCNNClassifier(image_size=(32, 32), epochs=30, random_state=0)
search = GridSearchCV(
    classifier,
    {"augmenter": list(augmenters.values()), "dropout": [0.2, 0.5]},
    cv=PredefinedSplit([-1] * len(X_train) + [0] * len(X_val)),
)
search.fit(np.concatenate([X_train, X_val]), np.concatenate([y_train, y_val]))

# %%
# The validation scores
# ---------------------
results = search.cv_results_
names = {id(augmenter): name for name, augmenter in augmenters.items()}
labels = [
    f"{names[id(p['augmenter'])]}, dropout {p['dropout']}" for p in results["params"]
]
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
bars = ax.barh(labels, results["mean_test_score"], color="tab:blue", alpha=0.7)
bars[search.best_index_].set_color("tab:orange")
ax.bar_label(bars, fmt="%.3f", padding=4)
ax.set(xlabel="accuracy on validation photos", xlim=(0.5, 1))
ax.invert_yaxis()

# %%
# What the largest augmenter does to a photo of a roof:
roof = X_train[np.flatnonzero(y_train == "roof")[3]]
AugmentationDisplay.from_augmenter(
    augmenters["turn and mirror"], roof, n_images=9, random_state=0, n_cols=5
)

# %%
# The test
# --------
# The best candidate, fitted on training and validation photos, on photos that played no
# part in the choice. The validation score of the best of several candidates is usually
# a little too high: that is why there are test photos.
n = len(X_test)
score = search.score(X_test, y_test)
error = np.sqrt(score * (1 - score) / n)
print("chosen:", labels[search.best_index_])
print(f"validation: {search.best_score_:.3f}")
print(f"test: {score:.3f}, standard error {error:.3f}")
plt.show()
