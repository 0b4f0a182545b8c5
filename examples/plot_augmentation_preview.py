"""
Data augmentation: what the network sees
========================================

Chollet (2016), `Building powerful image classification models using very little data
<https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html>`_,
augments a small dataset with random transformations, and recommends looking at the
results before training: a network learns nothing from an image that people no longer
recognize. This example shows Chollet's settings, first combined, then one by one.

Run it on one of your images, or on a folder, of which it uses the first image::

    pip install ".[plot]"
    python examples/plot_augmentation_preview.py data/train/cats/cat.0.jpg

Without an argument it uses one of the handwritten digits included in scikit-learn.
"""

# %%
# The image
# ---------
# A digit has only 8 x 8 pixels, so it is enlarged before it is transformed.
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
# All transformations
# -------------------
# Names and units are those of Keras' `ImageDataGenerator`, so Chollet's settings can be
# copied, with one exception: `shear_range` was in radians in 2016.
chollet = ImageAugmenter(
    rotation_range=40,
    width_shift_range=0.2,
    height_shift_range=0.2,
    shear_range=np.rad2deg(0.2),
    zoom_range=0.2,
    horizontal_flip=True,
    fill_mode="nearest",
)
display = AugmentationDisplay.from_augmenter(
    chollet, path, n_images=20, random_state=0, image_size=image_size
)
display.figure_.suptitle("Settings of Chollet (2016)")

# %%
# One transformation at a time
# ----------------------------
# One row per parameter.
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
# Pixels outside the image
# ------------------------
# A transformed image has regions that lie outside the original. `fill_mode` determines
# how they are filled.
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
# To save the images to files, as Chollet (2016) does, call
# ``chollet.preview(path, n_images=20, save_to_dir="preview", save_format="jpeg")``.
plt.show()
