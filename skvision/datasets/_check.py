"""Checking images before training: unreadable ones and duplicates."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sklearn.utils import Bunch

from skvision._images.inputs import check_images
from skvision._images.resize import ImageSettings
from skvision._utils.files import content_digest
from skvision._utils.parallel import map_ahead, n_threads
from skvision.exceptions import ImageReadError


def check_image_files(X):
    """Find images that cannot be read, and duplicates.

    An estimator stops at the first image that it cannot read. This function reads all
    of them, at a small size, and reports what it finds.

    Parameters
    ----------
    X : array-like of shape (n_images,) or (n_images, 1), or ndarray of shape \
            (n_images, height, width, 3) or (n_images, height, width)
        Paths of the images, or the images themselves as uint8.

    Returns
    -------
    report : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        readable : ndarray of shape (n_images,), dtype bool
            False for each image that cannot be read.
        errors : list of ImageReadError
            One for each unreadable image, in order, with `index`, `path` and a message.
        duplicates : list of ndarray of int
            The indices of each group of images with the same content. Duplicates in
            both the training and the test set leak test data into the training.

    Examples
    --------
    >>> from pathlib import Path
    >>> from skvision.datasets import check_image_files, load_digit_images
    >>> paths = load_digit_images("digits", n_per_class=1).data
    >>> _ = Path(paths[4]).write_text("not an image")
    >>> _ = Path(paths[7]).write_bytes(Path(paths[2]).read_bytes())
    >>> report = check_image_files(paths)
    >>> report.errors[0].index
    4
    >>> report.duplicates
    [array([2, 7])]
    >>> paths[report.readable].shape
    (9,)
    """
    images = check_images(X)

    def check(i):
        try:
            data = images.read_bytes(i)
            images.decode(i, data, ImageSettings((32, 32)))
        except ImageReadError as error:
            return error
        return content_digest(data)

    with ThreadPoolExecutor(n_threads()) as pool:
        results = list(map_ahead(pool, check, range(len(images)), 2 * n_threads()))
    errors = [result for result in results if isinstance(result, ImageReadError)]
    by_content = {}
    for i, result in enumerate(results):
        if isinstance(result, bytes):
            by_content.setdefault(result, []).append(i)
    return Bunch(
        readable=np.array([isinstance(result, bytes) for result in results]),
        errors=errors,
        duplicates=[np.array(i) for i in by_content.values() if len(i) > 1],
    )
