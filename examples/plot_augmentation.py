"""
Data augmentation: what each parameter does
===========================================

:class:`~skvision.ImageAugmenter` transforms images at random, so that a network does
not see the same image twice. Choose transformations that photos of your classes could
have undergone, and look at the result: what you no longer recognize, a network cannot
learn from. Names and units are those of Keras' ``ImageDataGenerator``.
"""

# %%
# A photo
# -------
# Any path of an image file will do. Here it is one of the two photos in scikit-learn.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import sklearn.datasets

from skvision import ImageAugmenter
from skvision.plot import AugmentationDisplay

# sphinx_gallery_thumbnail_number = 2

images = Path(sklearn.datasets.__file__).parent / "images"
china, flower = images / "china.jpg", images / "flower.jpg"

# %%
# Usual settings
# --------------
# Top left is the original. The settings are those of `Chollet (2016)
# <https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html>`_
# for a first look. The object stays recognizable, but some images lose a part of it: a
# shift of 0.2 of the width is a lot for an object that fills the photo.
chollet = ImageAugmenter(
    rotation_range=40,
    width_shift_range=0.2,
    height_shift_range=0.2,
    shear_range=np.rad2deg(0.2),  # Keras used radians in 2016
    zoom_range=0.2,
    horizontal_flip=True,
    fill_mode="nearest",
)
AugmentationDisplay.from_augmenter(
    chollet, china, n_images=11, random_state=0, n_cols=4
)


# %%
# One parameter at a time
# -----------------------
def compare(path, settings, n_images=5):
    """Draw random results of each augmenter in a row, next to the original."""
    _, axes = plt.subplots(
        len(settings),
        n_images + 1,
        figsize=(9, 1.35 * len(settings)),
        layout="constrained",
        squeeze=False,
    )
    for row, values in zip(axes, settings, strict=True):
        AugmentationDisplay.from_augmenter(
            ImageAugmenter(**values), path, n_images=n_images, random_state=1, ax=row
        )
        text = ", ".join(f"{name}={value!r}" for name, value in values.items())
        title = row[1].set_title(text, loc="left", fontsize=9)
        title.set_in_layout(False)


# %%
# **Rotation and shear** are in degrees. A photo taken by hand is rarely off by more
# than ten.
compare(china, [{"rotation_range": 10}, {"rotation_range": 40}, {"shear_range": 20}])

# %%
# **Shifts** are fractions of the width and height.
compare(china, [{"width_shift_range": 0.2}, {"height_shift_range": 0.2}])

# %%
# **Zoom** draws a factor for each direction, here from 0.7 to 1.3, so that the photo is
# also stretched. Factors below 1 enlarge the object.
compare(china, [{"zoom_range": 0.3}, {"zoom_range": (0.5, 0.7)}])

# %%
# **Mirror images.** A horizontal flip suits most photos, but not letters and digits. A
# vertical flip suits photos taken from above. For the pavilion it is wrong, for the
# flower it is not.
compare(china, [{"horizontal_flip": True}, {"vertical_flip": True}])

# %%
compare(flower, [{"horizontal_flip": True, "vertical_flip": True}])

# %%
# **Brightness** multiplies all pixel values by a factor, as another exposure would.
compare(flower, [{"brightness_range": (0.4, 1.6)}])

# %%
# **Channel shift** adds a number to all pixel values: black becomes grey, or dark parts
# become black.
compare(flower, [{"channel_shift_range": 80}])

# %%
# **Pixels from outside the photo.** A rotated or shifted photo leaves corners that
# `fill_mode` fills. The default "nearest" repeats the border; "reflect" mirrors the
# photo, which suits textures; "constant" fills with `cval`; "wrap" repeats the photo.
compare(
    china,
    [
        {"rotation_range": 40, "zoom_range": (1.2, 1.5), "fill_mode": mode}
        for mode in ("nearest", "reflect", "constant", "wrap")
    ],
)

# %%
# Use
# ---
# Pass the augmenter to a network that is trained on images::
#
#     ScratchCNNClassifier(augmenter=ImageAugmenter(rotation_range=10))
#
# It is used in training only; images to predict are not transformed. Whether it raises
# the accuracy depends on the photos: see
# :ref:`sphx_glr_auto_examples_plot_search_augmentation.py`. To write such images to
# files, use :meth:`~skvision.ImageAugmenter.preview`.
plt.show()
