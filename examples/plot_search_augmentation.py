"""
Search over augmentation and dropout
====================================

The parameters of the augmenter are parameters of the classifier, so that
:class:`~sklearn.model_selection.GridSearchCV` can choose them like any others. Here the
photos have no natural orientation, as those from a microscope, a drone or a conveyor
belt.
"""

# %%
# The photos
# ----------
# A third of the sample photos, each turned by a random angle.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from skvision import ImageAugmenter, ScratchCNNClassifier, read_image
from skvision.datasets import load_sample_photos
from skvision.plot import AugmentationDisplay

turn = ImageAugmenter(rotation_range=180, fill_mode="reflect")


def turned(paths, random_state):
    """Return the photos, each turned by a random angle."""
    images = np.stack([read_image(path) for path in paths])
    return turn.transform(images, random_state=random_state).round().astype(np.uint8)


train = load_sample_photos(subset="train")
test = load_sample_photos(subset="test")
X, y, groups = turned(train.data[::3], 0), train.target[::3], train.groups[::3]
X_test, y_test = turned(test.data, 1), test.target
figure, axes = plt.subplots(2, 6, figsize=(8, 2.8), layout="constrained")
for ax, image in zip(axes.T.ravel(), X[::10], strict=True):
    ax.imshow(image)
    ax.set_axis_off()

# %%
# The search
# ----------
# Three augmenters, from none to one that turns and mirrors, and two rates of dropout.
# Photos that overlap stay in the same fold: see
# :ref:`sphx_glr_auto_examples_plot_groups.py`.
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
    cv=StratifiedGroupKFold(3, shuffle=True, random_state=0),
)
search.fit(X, y, groups=groups)

# %%
# What the best augmenter does to one photo:
best = search.best_params_["augmenter"]
if best is not None:
    AugmentationDisplay.from_augmenter(best, X[60], n_images=9, random_state=0)

# %%
# The result
# ----------
# The bars are means over the folds, the black lines their standard deviation. The
# crosses are accuracies on the test photos, of each candidate fitted on all training
# photos. In your own work look at these for the chosen candidate only.
results = search.cv_results_
names = {id(augmenter): name for name, augmenter in augmenters.items()}
labels = [
    f"{names[id(p['augmenter'])]}, dropout {p['dropout']}" for p in results["params"]
]
test_scores = [
    clone(classifier).set_params(**p).fit(X, y).score(X_test, y_test)
    for p in results["params"]
]
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.barh(
    labels,
    results["mean_test_score"],
    xerr=results["std_test_score"],
    color="tab:blue",
    alpha=0.6,
    label="cross-validation",
)
ax.plot(test_scores, labels, "kx", label="test photos")
ax.set(xlabel="accuracy", xlim=(0.5, 1))
ax.legend(loc="upper right", fontsize="small")

for label, score, std, test_score in zip(
    labels,
    results["mean_test_score"],
    results["std_test_score"],
    test_scores,
    strict=True,
):
    print(f"{label:<32}{score:.3f} ± {std:.3f}   test {test_score:.3f}")
print("chosen:", labels[search.best_index_])
plt.show()
