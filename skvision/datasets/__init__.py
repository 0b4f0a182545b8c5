"""Folders of images as scikit-learn data sets: paths and labels, nothing decoded.

As in :mod:`sklearn.datasets`, each loader returns a :class:`~sklearn.utils.Bunch`;
its ``data`` are the paths that skvision's estimators take as `X`. `IMAGE_EXTENSIONS`
are the endings of file names that are taken for images, in lower or upper case.
"""

from skvision.datasets._check import check_image_files
from skvision.datasets._digits import get_data_home, load_digit_images
from skvision.datasets._dogs_vs_cats import arrange_dogs_vs_cats
from skvision.datasets._folders import IMAGE_EXTENSIONS, load_image_files

__all__ = [
    "IMAGE_EXTENSIONS",
    "arrange_dogs_vs_cats",
    "check_image_files",
    "get_data_home",
    "load_digit_images",
    "load_image_files",
]
