"""Photos for examples: patches of the two photos that scikit-learn includes."""

import io
import os
from collections import defaultdict
from itertools import chain, islice, zip_longest

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from sklearn.datasets import load_sample_image

from skvision._utils.files import make_folder, write_if_different
from skvision.datasets._digits import get_data_home
from skvision.datasets._folders import make_bunch

# What each 20 x 20 pixels of a photo show: a letter of a class, or a dot for anything
# else.
_CHINA = """
SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS
SSSSSSSSSSRSSSSSSSSSSSSSSSSSSSSS
SSSSSSSSSSRSSSSSSSSSSSSSSSSSSSSS
SSSSSSSSSRRRSSSSSSSSSSSSSSSSSSSS
SSSSSSSRRRRRRSSSSSSSSSSSSSSSSSSS
SSSSSRRRRRRRRRRRSSSSSSSSSSSSSSSS
SSSSSVVVVVVVVVVVSSSSSSSSSSSSS..S
SSSSSSVVVVVVVVVSSSSSSSSSSSSSSTTS
.SSSRRRRRRRRRRRRRSSSSSSSSSSS.TTT
TT.SSVVVVVVVVVVVSSSSSSSSSSSS.TTT
TT...VVVVVVVVVVV............TTTT
TTT..VVVVVVVVVVV...........TTTTT
TT..RRRRRRRRRRRRRR..........TTTT
T..RRRRRRRRRRRRRR...........TTTT
....VVVVVVVVVVVVV.........TTTTTT
T...VVVVVVVVVVVVV....TTTTTTTTTTT
T...VVVVVVVVVVVRRR.TTTTTTTTTTTTT
TTTTTTTTVVVVVVRRRRTTTTTTTTTTTTTT
TTTTTTTTTTRRRRRRRTTTTTTTTTTTTTTT
TTTTTTTTTTTRRRR..TTTTTTTTTTTTTTT
TTTTTTTTTTTTTT..TTTTTTTTTTTTTTTT
""".split()
_FLOWER = """
.LLLLL.....LLLLLLLLLL..LL..LLLLL
.LLLLLL.....LLLLLLL.........LLLL
.LLLLL......LLLLLLL.LLLLL..LLLLL
.LLLLLL.....LLLLLLLL.LLLLLLLLLLL
LLLLLLL.............LLLLLLLLLLLL
LLLLLLL...L.FFFFFFF.L..LLLLLLLLL
LLLLLLLLLL.FFFFFFFFF...LLLLLLLLL
LLLLLLLLL.FFFFFFFFFFF...LLLLLLLL
LLLLLLLL.FFFFFFFFFFFFF..LLLLLLLL
LLLLLLLL.FFFFFFFFFFFFF..LLLLLLLL
LLLLLLLL.FFFFFFFFFFFFF..LLLLLLLL
LLLLLLLL.FFFFFFFFFFFFF..LL.LLLL.
LLLLLLLL.FFFFFFFFFFFFF.LLL.LLLL.
LLLLLLLL.FFFFFFFFFFFFF.LLLLLLL..
LLLL...LL.FFFFFFFFFFF.LLLLLLLL..
LL........FFFFFFFFFF.LLLLLLLLLL.
LL.........FFFFFFFFF..LLLLLLLLLL
..........L..FFFFF..LLLLLLLLLLLL
LLLL..........LL.....LLLLLLLLLLL
L.LLL......LLLLL.FFFF.LL..LL...L
...L.........L.FFFFFFF.LL.LL...L
""".split()
_PHOTOS = {"china": _CHINA, "flower": _FLOWER}
_CLASSES = {
    "L": "leaves",
    "F": "petals",
    "R": "roof",
    "S": "sky",
    "T": "trees",
    "V": "wall",
}
_LETTER = 20
# Patches are cut from square cells, each of which is used for one subset only.
_CELL, _SIDE, _STEP = 80, 48, 4
_MIN_SHARE = 0.6
_N_PER_CLASS = {"train": 60, "test": 40}

_DESCR = f"""\
Patches of {_SIDE} x {_SIDE} pixels from the two photos of
:func:`sklearn.datasets.load_sample_images`, by what they show: leaves and petals in
flower.jpg; roof, sky, trees and wall in china.jpg. Patches of the same group may
overlap, patches of different groups do not.

Both photos are licensed CC BY 2.0, https://creativecommons.org/licenses/by/2.0/:

- china.jpg by danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035/
- flower.jpg by vultilion, https://www.flickr.com/photos/vultilion/6056698931/"""


def load_sample_photos(*, data_home=None, subset="all", return_X_y=False):
    """Load 600 small photos in 6 classes, cut from scikit-learn's sample photos.

    The two photos of :func:`sklearn.datasets.load_sample_images` are cut into patches
    of 48 x 48 pixels, which are written as
    ``sample_photos/<subset>/<class>/<photo>_<row>_<column>.jpg`` below `data_home`. The
    classes are leaves, petals, roof, sky, trees and wall, with 60 training and 40 test
    images each. Nothing is downloaded.

    Parameters
    ----------
    data_home : str or os.PathLike, default=None
        Where to create the folder ``sample_photos``; None means the default of
        :func:`get_data_home`. Existing files with the right content are not rewritten.
    subset : {'train', 'test', 'all'}, default='all'
        Which images to load. Training and test images have no pixels in common.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        As returned by :func:`load_image_files`: `data` (paths), `target` (names of the
        classes), `target_names` and `DESCR`, but sorted by class. In addition `groups`,
        an ndarray of str of the same length: images of the same group come from the
        same area of a photo and may overlap. For cross-validation, pass it to a
        splitter such as :class:`~sklearn.model_selection.StratifiedGroupKFold`;
        otherwise the scores are too high.

    (data, target) : tuple of ndarray, if `return_X_y` is True

    Raises
    ------
    ValueError
        If `subset` is unknown.

    Notes
    -----
    These images are for examples, not for benchmarks: two photos say little about
    others. At least 60 % of the pixels of an image belong to its class. Roof and wall
    are the hardest to distinguish, because many images show both.

    Each file is written atomically, so several processes may call this function at the
    same time.

    References
    ----------
    `china.jpg <https://www.flickr.com/photos/danielbuechele/6061409035/>`_ by
    danielbuechele and `flower.jpg
    <https://www.flickr.com/photos/vultilion/6056698931/>`_ by vultilion are licensed
    `CC BY 2.0 <https://creativecommons.org/licenses/by/2.0/>`_: attribute them if you
    publish the images.

    Examples
    --------
    >>> import tempfile
    >>> from skvision.datasets import load_sample_photos
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train = load_sample_photos(data_home=folder, subset="train")
    ...     test = load_sample_photos(data_home=folder, subset="test")
    >>> train.data.shape, test.data.shape
    ((360,), (240,))
    >>> train.target_names
    ['leaves', 'petals', 'roof', 'sky', 'trees', 'wall']
    """
    if subset not in ("train", "test", "all"):
        raise ValueError(f"subset must be 'train', 'test' or 'all'; got {subset!r}.")
    home = os.path.join(get_data_home(data_home), "sample_photos")
    images = {photo: load_sample_image(f"{photo}.jpg") for photo in _PHOTOS}
    places = _places()
    paths, groups = {}, []
    for label in sorted(_CLASSES.values()):
        paths[label] = []
        for part in ("train", "test") if subset == "all" else (subset,):
            folder = os.path.join(home, part, label)
            make_folder(folder)
            for photo, group, y, x in _alternating(places[part, label], part):
                path = os.path.join(folder, f"{photo}_{y:03}_{x:03}.jpg")
                _write(path, images[photo][y : y + _SIDE, x : x + _SIDE])
                paths[label].append(path)
                groups.append(group)
    bunch = make_bunch(paths, f"JPEG files in {home!r}", _DESCR)
    bunch.groups = np.array(groups)
    return (bunch.data, bunch.target) if return_X_y else bunch


def _places():
    """Return {(subset, class): {group: [(photo, group, y, x) of its patches]}}."""
    places = defaultdict(lambda: defaultdict(list))
    for photo, rows in _PHOTOS.items():
        letters = np.array([list(row) for row in rows])
        shares = {label: _shares(letters == key) for key, label in _CLASSES.items()}
        for y, x in _corners(*letters.shape):
            row, column = y // _CELL, x // _CELL
            part = "test" if (2 * row + column) % 5 > 2 else "train"
            for label, share in shares.items():
                if share[y // _STEP, x // _STEP] >= _MIN_SHARE:
                    group = f"{photo}_{row}_{column}"
                    places[part, label][group].append((photo, group, y, x))
    return places


def _shares(mask):
    """Return which part of each patch is in the mask, given for each letter."""
    n = _LETTER // _STEP
    mask = mask.repeat(n, axis=0).repeat(n, axis=1)
    patches = sliding_window_view(mask, (_SIDE // _STEP, _SIDE // _STEP))
    return patches.mean(axis=(2, 3))


def _corners(n_rows, n_columns):
    """Return the top left corners of patches inside cells, in random order."""
    height, width = n_rows * _LETTER, n_columns * _LETTER
    y, x = np.mgrid[0 : height - _SIDE + 1 : _STEP, 0 : width - _SIDE + 1 : _STEP]
    inside = (y % _CELL <= _CELL - _SIDE) & (x % _CELL <= _CELL - _SIDE)
    corners = np.column_stack([y[inside], x[inside]])
    return np.random.RandomState(0).permutation(corners).tolist()


def _alternating(groups, part):
    """Return the places of a class and subset, one of each group in turn."""
    turns = chain.from_iterable(zip_longest(*groups.values()))
    return islice(filter(None, turns), _N_PER_CLASS[part])


def _write(path, pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    write_if_different(path, stream.getvalue())
