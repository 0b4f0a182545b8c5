"""
When to fine-tune
=================

Pretrained features suit the question that ImageNet asks: what is in the photo? For
another question, training the last layers of the network as well can help. Here it is:
which way up is the photo? Its labels are free, since any photo can be turned.
"""

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

# sphinx_gallery_thumbnail_number = 1


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
# First the accuracy of the head alone, which is the second approach, then that after
# each epoch of fine-tuning. What to see: the first epoch brings the gain. From then on
# all training images are right, and there is nothing left to learn from so few photos.
head = classifier.history_["head"]["val_accuracy"][0]
print(f"features of VGG16 and logistic regression: {head:.3f}")
for epoch, accuracy in enumerate(classifier.history_["fine_tuning"]["val_accuracy"]):
    print(f"fine-tuned, epoch {epoch + 1}: {accuracy:.3f}")
TrainingHistoryDisplay.from_estimator(classifier)

# %%
# The most difficult images
# -------------------------
# Many show rows of tiles, whose two sides look alike. You would need a second look,
# too.
ImagePredictionDisplay.from_estimator(classifier, X_test, y_test, n_images=10)

# %%
# When not to
# -----------
# What is in a photo, a roof or a wall, is the kind of question that ImageNet asks.
# There the features alone are hard to improve on. Fit the logistic regression first,
# and fine-tune only if you measure that it helps.
plt.show()
