"""
When to fine-tune
=================

Pretrained features know what ImageNet's photos are about. For a question that ImageNet
does not ask, training the last layers of the network as well can help. Here the question
is: which way up is a photo? It comes with free labels, since any photo can be turned.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# The photos
# ----------
# Roofs and walls, in all four orientations. `X` can also be an array of images in
# memory, as here.
import matplotlib.pyplot as plt
import numpy as np

from skvision import FineTunedVGGClassifier, read_image
from skvision.datasets import load_sample_photos
from skvision.plot import ImagePredictionDisplay, TrainingHistoryDisplay


def turned(photos):
    """Return the photos in each of four orientations, and the names of these."""
    chosen = np.isin(photos.target, ["roof", "wall"])
    images = np.stack([read_image(path) for path in photos.data[chosen]])
    X = np.concatenate([np.rot90(images, n, axes=(1, 2)) for n in range(4)])
    return X, np.repeat(["upright", "left", "upside down", "right"], len(images))


X_train, y_train = turned(load_sample_photos(subset="train"))
X_test, y_test = turned(load_sample_photos(subset="test"))
figure, axes = plt.subplots(1, 4, figsize=(8, 2.3), layout="constrained")
for ax, i in zip(axes, range(0, len(X_train), len(X_train) // 4), strict=True):
    ax.imshow(X_train[i])
    ax.set_title(y_train[i])
    ax.set_axis_off()

# %%
# Fit
# ---
# First a logistic regression is trained on the features of VGG16, then this head and
# the last block of VGG16 together. The blocks before it are frozen: their output is
# computed once per image. No `augmenter` here: a mirror image would change left to
# right.
classifier = FineTunedVGGClassifier(image_size=(64, 64), epochs=3, random_state=0)
classifier.fit(X_train, y_train, X_val=X_test, y_val=y_test)

# %%
# The gain
# --------
# Epoch 0 is the head alone, the second approach.
head = classifier.history_["head"]["val_accuracy"][0]
tuned = classifier.score(X_test, y_test)
print(f"features of VGG16 and logistic regression: {head:.3f}")
print(f"after fine-tuning the last block:          {tuned:.3f}")
print(f"{len(X_test)} test images")
TrainingHistoryDisplay.from_estimator(classifier)

# %%
# The most difficult images
# -------------------------
# Most are photos whose upper and lower half look alike. You would need a second look,
# too.
ImagePredictionDisplay.from_estimator(classifier, X_test, y_test, n_images=10)

# %%
# When not to
# -----------
# To tell roofs from walls is a question of the kind that ImageNet asks. There the
# features are good enough, and fine-tuning costs minutes and gains nothing: fit the
# logistic regression first, and fine-tune only if you measure that it helps.
plt.show()
