"""
Photos of the same thing: split by group
========================================

Photos from one burst, one camera or one day look alike. If some of them are used for
training and others for testing, the test is too easy, and the accuracy is one that you
will not see in use. This example shows how much, and what to do.
"""

# %%
# Photos that overlap
# -------------------
# The sample photos are patches of two large photos. `groups` says which of them come
# from the same area. A row of the picture is a group: the photos are almost the same.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skvision import ImageEncoder, read_image
from skvision.datasets import get_data_home, load_sample_photos

# sphinx_gallery_thumbnail_number = 2

train = load_sample_photos(subset="train")
test = load_sample_photos(subset="test")
figure, axes = plt.subplots(3, 8, figsize=(8, 3.3), layout="constrained")
names = [name for name in np.unique(train.groups) if name.startswith("china")]
groups = [name for name in names if np.sum(train.groups == name) >= 8]
for row, group in zip(axes, groups[::4], strict=False):
    for ax, path in zip(row, train.data[train.groups == group], strict=False):
        ax.imshow(read_image(path))
        ax.set_axis_off()
    row[0].set_title(group, loc="left", fontsize=9)

# %%
# Three estimates of one accuracy
# -------------------------------
# The same model, evaluated with folds drawn at random, with folds that keep groups
# together, and on test photos from other areas, which is what counts. The model is the
# nearest neighbour, which finds the near-duplicate of a photo if there is one.
model = make_pipeline(
    ImageEncoder("EfficientNetLite0", cache_dir=Path(get_data_home()) / "features"),
    KNeighborsClassifier(1),
)
random_folds = StratifiedKFold(4, shuffle=True, random_state=0)
group_folds = StratifiedGroupKFold(4, shuffle=True, random_state=0)
X, y = train.data, train.target
estimates = {
    "random folds": cross_val_score(model, X, y, cv=random_folds).mean(),
    "folds by group": cross_val_score(
        model, X, y, cv=group_folds, groups=train.groups
    ).mean(),
    "test photos": model.fit(X, y).score(test.data, test.target),
}

# %%
# What to see: random folds promise one error in 200 photos. On photos from other areas
# there is one in 15. Folds by group err on the safe side: in each fold whole areas are
# missing from the training photos, and there are only a few areas of each class.
figure, ax = plt.subplots(figsize=(6, 2.2), layout="constrained")
bars = ax.barh(
    list(estimates),
    list(estimates.values()),
    color=["tab:red", "tab:green", "tab:gray"],
)
ax.bar_label(bars, fmt="%.3f", padding=4)
ax.set(xlabel="accuracy", xlim=(0.8, 1.03))
ax.invert_yaxis()
plt.show()

# %%
# In your own work
# ----------------
# Ask what could make two photos alike: the same animal, patient, product, camera, day
# or street. Put it into a list of the same length as your paths, and pass it as
# `groups` to the splitter, or to :class:`~sklearn.model_selection.GridSearchCV`'s
# `fit`. :func:`~skvision.datasets.check_image_files` finds photos that are alike if you
# do not know: see :ref:`sphx_glr_auto_examples_plot_check_folder.py`.
