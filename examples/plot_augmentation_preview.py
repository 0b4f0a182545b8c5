"""
Augmentation: what the network gets to see
==========================================

The post `Building powerful image classification models using very little data
<https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html>`_
makes more of few images by transforming them at random, and recommends a look at the
results before anything is trained on them: a picture that people cannot recognize any
more teaches a network nothing. Here is that look, first at all the post's settings
together, then at each alone.

Run it on an image of yours, or on a folder of images, of which it takes the first::

    pip install ".[plot]"
    python examples/plot_augmentation_preview.py data/train/cats/cat.0.jpg

Without an argument it takes one of the handwritten digits that come with scikit-learn.
"""

# %%
# The image
# ---------
# A digit has 8 x 8 pixels only; enlarged first, it is moved by less than whole pixels.
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skvision import ImageAugmenter
from skvision.datasets import IMAGE_EXTENSIONS, load_digit_images
from skvision.plot import AugmentationDisplay

path, image_size = Path(sys.argv[1]) if len(sys.argv) > 1 else None, None
if path is None:
    path = load_digit_images(n_per_class=1).data[4]
    image_size = (96, 96)
elif path.is_dir():
    path = min(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_EXTENSIONS)
print("the image:", path)

# %%
# All together
# ------------
# The names and units are those of Keras' `ImageDataGenerator`, so the post's settings
# can be copied, but for one: when the post was written, `shear_range` was in radians.
post = ImageAugmenter(
    rotation_range=40,
    width_shift_range=0.2,
    height_shift_range=0.2,
    shear_range=np.rad2deg(0.2),
    zoom_range=0.2,
    horizontal_flip=True,
    fill_mode="nearest",
)
display = AugmentationDisplay.from_augmenter(
    post, path, n_images=20, random_state=0, image_size=image_size
)
display.figure_.suptitle("the post's settings")

# %%
# Each alone
# ----------
# One row for each parameter. The two shifts have the names that they have in Keras 3,
# where ``width_shift_range`` moves up and down; see the notes of `ImageAugmenter`.
settings = {
    "rotation_range": 40,
    "width_shift_range": 0.2,
    "height_shift_range": 0.2,
    "shear_range": np.rad2deg(0.2),
    "zoom_range": 0.2,
    "horizontal_flip": True,
    "brightness_range": (0.5, 1.5),
    "channel_shift_range": 60,
}
figure, axes = plt.subplots(
    len(settings), 7, figsize=(9, 1.25 * len(settings)), layout="constrained"
)
for row, (name, value) in zip(axes, settings.items(), strict=True):
    AugmentationDisplay.from_augmenter(
        ImageAugmenter(**{name: value}),
        path,
        n_images=6,
        random_state=0,
        image_size=image_size,
        ax=row,
    )
    text = f"{value:.1f}" if isinstance(value, float) else value
    row[1].set_title(f"{name}={text}", loc="left", fontsize=9)

# %%
# What lies beyond the border
# ---------------------------
# A transformed image has corners that were not in the picture. `fill_mode` says what to
# put there.
modes = ["nearest", "constant", "reflect", "wrap"]
figure, axes = plt.subplots(len(modes), 7, figsize=(9, 5), layout="constrained")
for row, mode in zip(axes, modes, strict=True):
    AugmentationDisplay.from_augmenter(
        ImageAugmenter(rotation_range=40, zoom_range=(1.2, 1.6), fill_mode=mode),
        path,
        n_images=6,
        random_state=0,
        image_size=image_size,
        ax=row,
    )
    row[1].set_title(f'fill_mode="{mode}"', loc="left", fontsize=9)

# %%
# To have the images as files, as the post's loop writes them, call
# ``post.preview(path, n_images=20, save_to_dir="preview", save_format="jpeg")``.
plt.show()
