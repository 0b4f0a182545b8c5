"""
A convnet from scratch
======================

:class:`~skvision.ScratchCNNClassifier` is the small convnet of `Chollet (2016)
<https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html>`_.
It learns everything from your photos, without pretrained weights. That suits images
which are unlike photos, and it is the baseline that pretrained features have to beat.
"""

# %%
# The photos
# ----------
import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skvision import ImageAugmenter, ImageEncoder, ScratchCNNClassifier
from skvision.datasets import load_sample_photos
from skvision.plot import (
    AugmentationDisplay,
    ImagePredictionDisplay,
    TrainingHistoryDisplay,
)

# sphinx_gallery_thumbnail_number = 2

train = load_sample_photos(subset="train")
test = load_sample_photos(subset="test")

# %%
# The network and its augmentation
# --------------------------------
# Three convolutional layers, and a dense layer with dropout. `image_size` is the size
# of our photos; for photos of usual size leave it out. The network sees each training
# photo with other random transformations in every epoch, for example these of the first
# photo:
classifier = ScratchCNNClassifier(
    image_size=(48, 48),
    augmenter=ImageAugmenter(rotation_range=10, zoom_range=0.2, horizontal_flip=True),
    epochs=25,
    random_state=0,
)
roof = train.data[train.target == "roof"][0]
AugmentationDisplay.from_estimator(
    classifier, roof, n_images=9, random_state=0, n_cols=5
)

# %%
# Training
# --------
# `X_val` and `y_val` are only evaluated after each epoch, not trained on.
classifier.fit(train.data, train.target, X_val=test.data, y_val=test.target)
accuracy = classifier.score(test.data, test.target)
print(f"accuracy after {classifier.n_iter_} epochs: {accuracy:.3f}")

# %%
# What to see: both losses fall together, and after about 15 epochs that of the test
# photos stays where it is. If it rose again while that of the training photos goes on
# falling, the network would be overfitting: use more augmentation, more dropout, or
# fewer epochs. The accuracy on test photos can be the higher one, because dropout and
# augmentation are only used in training.
TrainingHistoryDisplay.from_estimator(classifier)

# %%
# Wrong predictions
# -----------------
# The photos to which the network gives the lowest probability of their true class.
ImagePredictionDisplay.from_estimator(classifier, test.data, test.target, n_images=10)

# %%
# With fewer photos
# -----------------
# The convnet needs its 60 photos per class. With 6 per class, the pretrained features
# are far ahead.
few = slice(None, None, 10)
X, y = train.data[few], train.target[few]
pretrained = make_pipeline(ImageEncoder("EfficientNetLite0"), LogisticRegression())
for name, model in [
    ("convnet from scratch", classifier.set_params(epochs=60)),
    ("pretrained features", pretrained),
]:
    score = model.fit(X, y).score(test.data, test.target)
    print(f"{name}, {len(X)} photos: {score:.3f}")
plt.show()
