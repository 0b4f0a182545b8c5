"""
A grid search over augmentation and dropout
===========================================

How far to rotate, how much to drop? Both keep a network from learning its images by
heart, and too much of both keeps it from learning at all. The parameters of the
augmenter are parameters of the classifier, ``augmenter__...``, so scikit-learn searches
over them as over any others.

Run it on your images, arranged as ``data/{train,validation}/{cats,dogs}``::

    pip install ".[plot]"
    python examples/plot_grid_search_augmentation.py data

That takes a while: 8 candidates, 3 times 15 epochs each. Without an argument it takes
a few of the handwritten digits that come with scikit-learn, and less than a minute.
"""

# %%
# The images
# ----------
import sys
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skvision import ImageAugmenter, ScratchCNNClassifier
from skvision.datasets import load_digit_images, load_image_files
from skvision.plot import TrainingHistoryDisplay

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
if folder is None:
    train = load_digit_images(subset="train", n_per_class=30)
    validation = load_digit_images(subset="test")
else:
    train = load_image_files(folder / "train")
    validation = load_image_files(folder / "validation")

# %%
# The search
# ----------
# Few epochs are enough to tell the candidates apart. The images are in the order of
# their classes, hence the shuffling. The candidates differ in what is an input of the
# traced network, so within a process it is traced once for all of them.
classifier = ScratchCNNClassifier(
    augmenter=ImageAugmenter(zoom_range=0.2, horizontal_flip=True),
    epochs=15,
    random_state=0,
)
if folder is None:
    classifier.set_params(image_size=(28, 28), augmenter__horizontal_flip=False)
search = GridSearchCV(
    classifier,
    {"augmenter__rotation_range": [0, 10, 20, 40], "dropout": [0.3, 0.5]},
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
)
search.fit(train.data, train.target)

# %%
# The results
# -----------
# Look at the standard deviation over the folds before you believe in a winner.
results = search.cv_results_
print(f"{'rotation':>8}{'dropout':>9}{'accuracy':>10}{'deviation':>11}{'seconds':>9}")
for i in np.argsort(results["rank_test_score"], kind="stable"):
    print(
        f"{results['param_augmenter__rotation_range'][i]:>8}"
        f"{results['param_dropout'][i]:>9}"
        f"{results['mean_test_score'][i]:>10.3f}"
        f"{results['std_test_score'][i]:>11.3f}"
        f"{results['mean_fit_time'][i]:>9.1f}"
    )

# %%
# Without augmentation at all
# ---------------------------
# The augmenter is a parameter itself, so the search could have taken it out, with
# ``{"augmenter": [None, ImageAugmenter(...)]}``. Here, the same classifier without it.
plain = clone(search.best_estimator_).set_params(augmenter=None)
plain.fit(train.data, train.target)
for name, model in [("best of the search", search), ("no augmentation", plain)]:
    print(f"{name}: {model.score(validation.data, validation.target):.3f}")

# %%
# Keep the best
# -------------
# It was trained again on all images. The file holds the parameters and the weights, and
# gives the same probabilities to the last bit.
joblib.dump(search.best_estimator_, "best_cnn.joblib")
loaded = joblib.load("best_cnn.joblib")
same = loaded.predict_proba(validation.data) == search.predict_proba(validation.data)
print("the same probabilities after loading:", bool(same.all()))

# %%
# How it was trained
# ------------------
TrainingHistoryDisplay.from_estimator(search)
plt.show()
