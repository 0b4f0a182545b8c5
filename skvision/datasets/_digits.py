"""scikit-learn's handwritten digits as image files, and skvision's data folder."""

import io
import os
from numbers import Integral

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.utils import check_scalar

from skvision._utils.files import expand_path, make_folder, write_if_different
from skvision.datasets._folders import make_bunch

_TRAIN_FRACTION = 0.75


def get_data_home(data_home=None):
    """Return the folder where skvision stores datasets, and create it if missing.

    Parameters
    ----------
    data_home : str or os.PathLike, default=None
        The folder; ``~`` is expanded. None means the environment variable
        ``SKVISION_DATA``, or ``~/skvision_data`` if that is not set.

    Returns
    -------
    data_home : str
        The path of the folder.

    Examples
    --------
    >>> import os, tempfile
    >>> from skvision.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     os.path.isdir(get_data_home(os.path.join(folder, "data")))
    True
    """
    if data_home is None:
        data_home = os.environ.get("SKVISION_DATA") or "~/skvision_data"
    data_home = expand_path(data_home, "data_home")
    make_folder(data_home)
    return data_home


def load_digit_images(folder=None, *, subset="all", n_per_class=None, return_X_y=False):
    """Load scikit-learn's handwritten digits as image files.

    The 1797 images of :func:`sklearn.datasets.load_digits` (8 x 8 pixels, 10 classes,
    about 180 each) are written as ``folder/<digit>/<digit>_<number>.png``, where
    ``number`` is the index in ``load_digits().images``. Nothing is downloaded.

    Parameters
    ----------
    folder : str or os.PathLike, default=None
        Where to write the files; ``~`` is expanded. None means ``digits`` in
        :func:`get_data_home`. Existing files with the right content are not rewritten.
    subset : {'train', 'test', 'all'}, default='all'
        'train' is the first three quarters of each digit in the order of
        `load_digits`, 'test' the rest. The split is the same at each call.
    n_per_class : int, default=None
        Load only the first `n_per_class` images of each digit in the subset.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        As returned by :func:`load_image_files`: `data` (paths), `target` (the digits as
        str), `target_names` and `DESCR`, but sorted by class. Other files in the folder
        are not included.

    (data, target) : tuple of ndarray, if `return_X_y` is True

    Raises
    ------
    ValueError
        If `subset` is unknown, or a digit has fewer than `n_per_class` images.

    Notes
    -----
    Grey levels 0 to 16 are scaled to 0 to 255. Each file is written atomically, so
    several processes may call this function at the same time.

    References
    ----------
    E. Alpaydin, C. Kaynak (1998). Optical Recognition of Handwritten Digits. UCI
    Machine Learning Repository.
    https://archive.ics.uci.edu/ml/datasets/Optical+Recognition+of+Handwritten+Digits

    Examples
    --------
    >>> import tempfile
    >>> from skvision.datasets import load_digit_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train = load_digit_images(folder, subset="train", n_per_class=20)
    ...     test = load_digit_images(folder, subset="test", n_per_class=5)
    >>> train.data.shape, test.data.shape
    ((200,), (50,))
    """
    digits = load_digits()
    numbers = _digit_numbers(digits.target, subset, n_per_class)
    if folder is None:
        folder = os.path.join(get_data_home(), "digits")
    folder = expand_path(folder, "folder")
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    groups = {str(digit): [] for digit in digits.target_names}
    for digit in groups:
        make_folder(os.path.join(folder, digit))
    for number in numbers:
        digit = str(digits.target[number])
        path = os.path.join(folder, digit, f"{digit}_{number:04d}.png")
        write_if_different(path, _png(pixels[number]))
        groups[digit].append(path)
    bunch = make_bunch(groups, f"PNG files in {folder!r}", digits.DESCR)
    return (bunch.data, bunch.target) if return_X_y else bunch


def _digit_numbers(target, subset, n_per_class):
    """Return the indices in `target` that belong to a subset, digit by digit."""
    if subset not in ("train", "test", "all"):
        raise ValueError(f"subset must be 'train', 'test' or 'all'; got {subset!r}.")
    if n_per_class is not None:
        check_scalar(n_per_class, "n_per_class", Integral, min_val=1)
    groups = []
    for digit in range(10):
        numbers = np.flatnonzero(target == digit)
        # The order appears to follow the writers, so the split separates them.
        train, test = np.split(numbers, [int(_TRAIN_FRACTION * len(numbers))])
        numbers = {"train": train, "test": test, "all": numbers}[subset]
        if n_per_class is not None and n_per_class > len(numbers):
            raise ValueError(
                f"n_per_class={n_per_class}, but the digit {digit} has {len(numbers)} "
                f"images in subset={subset!r}. Pass at most that, or None for all."
            )
        groups.append(numbers[:n_per_class])
    return np.concatenate(groups)


def _png(pixels):
    """Encode without compression, whose result depends on the version of zlib."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=0)
    return stream.getvalue()
