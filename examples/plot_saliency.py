"""
Where the model looked
======================

A model can be right for the wrong reasons, such as a background or a watermark. A
saliency map shows which parts of a photo speak for a class.
"""

# %%
# A model
# -------
# Features of a pretrained network and a logistic regression, as in
# :ref:`sphx_glr_auto_examples_plot_five_lines.py`.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skvision import ImageEncoder
from skvision.datasets import get_data_home, load_sample_photos
from skvision.plot import SaliencyDisplay

# sphinx_gallery_thumbnail_number = 2

train = load_sample_photos(subset="train")
test = load_sample_photos(subset="test")
cache_dir = Path(get_data_home()) / "features"
model = make_pipeline(
    ImageEncoder("EfficientNetLite0", cache_dir=cache_dir), LogisticRegression()
)
model.fit(train.data, train.target)

# %%
# Photos of one thing
# -------------------
# Bright regions raise the score of the predicted class. In photos that show a single
# thing, nearly all of it counts.
petals = test.data[test.target == "petals"][:5]
wall = test.data[test.target == "wall"][:5]
SaliencyDisplay.from_estimator(model, np.concatenate([petals, wall]), n_cols=5)

# %%
# One photo, several classes
# --------------------------
# A larger part of the photo shows roof, wall, trees and sky at once. `target` asks for
# the evidence of each class in turn. What to see: the bright region moves to where that
# class is. A model that used only the background could not do this.
china = load_sample_image("china.jpg")
views = [china[230:427, 200:397], china[150:427, 0:277]]
figure, axes = plt.subplots(2, 4, figsize=(10, 5.4), layout="constrained")
for name, column in zip(("roof", "wall", "trees", "sky"), axes.T, strict=True):
    SaliencyDisplay.from_estimator(model, views, target=name, ax=column)
    column[0].set_title(f"evidence for {name}", fontsize=10)
    column[1].set_title("")
