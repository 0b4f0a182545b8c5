"""Image folders as scikit-learn datasets: paths and labels, without decoding.

As in :mod:`sklearn.datasets`, each loader returns a :class:`~sklearn.utils.Bunch`;
its ``data`` are the paths that skvision's estimators accept as `X`. Files with one of
the `IMAGE_EXTENSIONS`, in lower or upper case, are taken as images.
"""

from skvision.datasets._cats_vs_dogs import fetch_cats_vs_dogs
from skvision.datasets._check import check_image_files
from skvision.datasets._digits import get_data_home, load_digit_images
from skvision.datasets._dogs_vs_cats import arrange_dogs_vs_cats
from skvision.datasets._flickr import fetch_flickr_images
from skvision.datasets._folders import IMAGE_EXTENSIONS, list_images, load_image_files
from skvision.datasets._report import ImageCheckReport
from skvision.datasets._sample_photos import load_sample_photos
from skvision.datasets._walk import SYSTEM_NAMES

__all__ = [
    "IMAGE_EXTENSIONS",
    "SYSTEM_NAMES",
    "ImageCheckReport",
    "arrange_dogs_vs_cats",
    "check_image_files",
    "fetch_cats_vs_dogs",
    "fetch_flickr_images",
    "get_data_home",
    "list_images",
    "load_digit_images",
    "load_image_files",
    "load_sample_photos",
]
