"""
A grid search over augmentation and dropout
===========================================

Augmentation and dropout both reduce overfitting, but too much of either leads to
underfitting. The parameters of the augmenter are nested parameters of the classifier,
``augmenter__...``, so `GridSearchCV` can search over them like any others.

Run it on your images, arranged as ``data/{train,validation}/{cats,dogs}``::

    pip install ".[plot]"
    python examples/plot_grid_search_augmentation.py data

This takes a while: 8 candidates, each fitted on 3 folds for 15 epochs. Without an
argument it uses some of the handwritten digits included in scikit-learn and takes less
than a minute.
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
# A few epochs are enough to compare the candidates. The digits are sorted by class,
# hence the shuffling. Rotation and dropout are inputs of the traced network, so
# TensorFlow traces it only once per process.
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
# Compare score differences between candidates with the standard deviation over folds.
results = search.cv_results_
print(f"{'rotation':>8}{'dropout':>9}{'accuracy':>10}{'std':>11}{'seconds':>9}")
for i in np.argsort(results["rank_test_score"], kind="stable"):
    print(
        f"{results['param_augmenter__rotation_range'][i]:>8}"
        f"{results['param_dropout'][i]:>9}"
        f"{results['mean_test_score'][i]:>10.3f}"
        f"{results['std_test_score'][i]:>11.3f}"
        f"{results['mean_fit_time'][i]:>9.1f}"
    )

# %%
# Without augmentation
# --------------------
# The augmenter is itself a parameter, so a search can also include
# ``{"augmenter": [None, ImageAugmenter(...)]}``. Here we refit the best classifier
# without an augmenter.
plain = clone(search.best_estimator_).set_params(augmenter=None)
plain.fit(train.data, train.target)
for name, model in [("best candidate", search), ("no augmentation", plain)]:
    print(f"{name}: {model.score(validation.data, validation.target):.3f}")

# %%
# Save the best estimator
# -----------------------
# The search has refitted it on all training images. The saved file contains parameters
# and weights; the loaded estimator predicts bitwise identical probabilities.
joblib.dump(search.best_estimator_, "best_cnn.joblib")
loaded = joblib.load("best_cnn.joblib")
same = loaded.predict_proba(validation.data) == search.predict_proba(validation.data)
print("same probabilities after loading:", bool(same.all()))

# %%
# Training history
# ----------------
TrainingHistoryDisplay.from_estimator(search)
plt.show()
