"""Microsoft's public archive of Kaggle's cats and dogs, downloaded and arranged."""

import glob
import itertools
import os
import re
import shutil
import tempfile
from numbers import Integral, Real

from sklearn.utils import Bunch, check_scalar

from skvision._images.decode import decode_image
from skvision._images.limits import ImageRefused
from skvision._images.resize import ImageSettings
from skvision._utils.download import download, is_file
from skvision._utils.files import make_folder
from skvision._utils.locks import locked
from skvision._utils.progress import Progress
from skvision.datasets._archive import open_archive, read_member
from skvision.datasets._digits import get_data_home
from skvision.datasets._dogs_vs_cats import PARTS, load_parts

URL = (
    "https://download.microsoft.com/download/3/E/1/"
    "3E1C3F21-ECDB-4869-8368-6DEBA77B919F/kagglecatsanddogs_5340.zip"
)
SIZE = 824_887_076
# As pinned by GoMLX, in its example dogsvscats.
SHA256 = "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9"

_MEMBER = re.compile(r"PetImages/(Cat|Dog)/(0|[1-9][0-9]{0,8})\.jpg")
_LEFT_OUT = "left_out.txt"

# At a small size a JPEG is still read to its end, and in a third of the time.
_SETTINGS = ImageSettings((32, 32))


def fetch_cats_vs_dogs(
    *,
    data_home=None,
    n_train=1000,
    n_validation=400,
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
):
    """Load photos of cats and dogs, and download them first if necessary.

    Microsoft publishes the 25,000 photos of Kaggle's competition "Dogs vs. Cats" as one
    archive of 825 MB, which needs no account. As in Chollet (2016), the first `n_train`
    photos of each class, by number, are for training, and the next `n_validation` for
    validation.

    Parameters
    ----------
    data_home : str or os.PathLike, default=None
        The folder for datasets; None means the one of :func:`get_data_home`. The
        photos are in ``cats_vs_dogs`` in that folder.
    n_train, n_validation : int, default=1000 and 400
        Number of photos per class. There are 12,500 of each class, of which a few are
        damaged.
    download_if_missing : bool, default=True
        If False, raise an OSError instead of downloading.
    n_retries : int, default=3
        How often a failed attempt is repeated. An attempt that brings at least 1 MB
        does not count as failed.
    delay : float, default=1.0
        Seconds to wait before the first repetition. Each further wait is twice as
        long.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        train, validation : :class:`~sklearn.utils.Bunch`
            As returned by :func:`load_image_files`: `data` (paths), `target` ("cats" or
            "dogs"), `target_names` and `DESCR`.
        DESCR : str
            Where the photos come from, and which were left out because they are
            damaged.

    Raises
    ------
    OSError
        If the photos are missing and `download_if_missing` is False, the disk is full,
        or files were added to or removed from the arranged photos.
    DownloadError
        If the archive cannot be downloaded, or is not the expected one. It is an
        OSError too.
    ValueError
        If there are not enough photos for `n_train` and `n_validation`.

    See Also
    --------
    arrange_dogs_vs_cats : The same for the files that Kaggle offers.
    fetch_flickr_images : Photos of other classes.

    Notes
    -----
    An interrupted download is resumed by the next call. The archive gets its name only
    when its SHA-256 digest is right; the digest is the one that the project GoMLX
    records. Several processes may call this function at the same time: one downloads,
    the others wait. The archive is kept for other values of `n_train` and
    `n_validation`; delete it to save space.

    Some files in the archive are no images, such as ``Cat/666.jpg``, which is empty.
    They are left out, and the next ones take their places.

    References
    ----------
    J. Elson, J. R. Douceur, J. Howell, J. Saul (2007). Asirra: a CAPTCHA that exploits
    interest-aligned manual image categorization. ACM CCS.

    F. Chollet (2016). Building powerful image classification models using very little
    data. https://blog.keras.io

    Examples
    --------
    >>> from skvision.datasets import fetch_cats_vs_dogs
    >>> data = fetch_cats_vs_dogs()  # doctest: +SKIP
    >>> len(data.train.data), len(data.validation.data)  # doctest: +SKIP
    (2000, 800)
    """
    sizes = {"train": n_train, "validation": n_validation}
    for part in PARTS:
        check_scalar(sizes[part], f"n_{part}", Integral, min_val=1)
    check_scalar(n_retries, "n_retries", Integral, min_val=0)
    check_scalar(delay, "delay", Real, min_val=0)
    home = os.path.join(get_data_home(data_home), "cats_vs_dogs")
    folder = os.path.join(home, f"{n_train}_{n_validation}")
    archive = os.path.join(home, os.path.basename(URL))
    if not os.path.isdir(folder):
        if download_if_missing:
            settings = {"n_retries": n_retries, "delay": delay, "label": "download"}
            download(URL, archive, size=SIZE, sha256=SHA256, **settings)
        elif not is_file(archive, SIZE, SHA256):
            raise OSError(
                f"Data not found in {home!r}, and `download_if_missing` is False. Pass "
                f"True, or save {URL} as {archive!r}."
            )
        with locked(os.path.join(home, f".{n_train}_{n_validation}.lock")):
            _arrange(archive, folder, sizes)
    return _load(folder, sizes)


def _arrange(archive, folder, sizes):
    """Unpack the photos to a temporary folder, and rename it when it is complete."""
    if os.path.isdir(folder):  # by another process, meanwhile
        return
    home, name = os.path.split(folder)
    for stale in glob.glob(os.path.join(glob.escape(home), f".{name}.*.tmp")):
        shutil.rmtree(stale, ignore_errors=True)  # of a process that was killed
    temporary = tempfile.mkdtemp(prefix=f".{name}.", suffix=".tmp", dir=home)
    try:
        # Temporary folders are for their owner only, the one inside is not.
        content = os.path.join(temporary, name)
        _unpack(archive, content, sizes)
        os.rename(content, folder)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Cannot unpack the photos to {home!r} ({error.strerror}). The archive is "
            "complete and is kept: free some space, and call again",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack(path, folder, sizes):
    """Write the photos of both classes, and the list of those that are damaged."""
    left_out, total = [], 2 * sum(sizes.values())
    with (
        open_archive(path, "train.zip") as archive,
        Progress("unpacking", total, "image", verbose=1) as progress,
    ):
        members = {member.filename: member for member in archive.infolist()}
        for kind in ("Cat", "Dog"):
            names = _numbered(members, kind)
            for place in _places(folder, kind, sizes):
                content = None
                while content is None:
                    name, number = next(names, (None, None))
                    if name is None:
                        raise _too_few(kind, sizes)
                    content = _readable(archive, members[name], path)
                    left_out += [name] if content is None else []
                _write(os.path.join(place, f"{kind.lower()}.{number}.jpg"), content)
                progress.add(1)
    _write(os.path.join(folder, _LEFT_OUT), "\n".join(left_out).encode())


def _places(folder, kind, sizes):
    """Yield the folder of each photo of a class, in the order of their numbers."""
    for part in PARTS:
        place = os.path.join(folder, part, f"{kind.lower()}s")
        make_folder(place)
        yield from itertools.repeat(place, sizes[part])


def _numbered(members, kind):
    """Yield (name, number) of the photos of a class, sorted by number."""
    matches = [match for match in map(_MEMBER.fullmatch, members) if match]
    found = [(int(match[2]), match[0]) for match in matches if match[1] == kind]
    for number, name in sorted(found):
        yield name, number


def _readable(archive, member, path):
    """Return the content of a member, or None if it is no image."""
    try:
        content = read_member(archive, member, path)
        decode_image(content, _SETTINGS)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise almost anything
        if isinstance(error, ImageRefused) or getattr(error, "errno", None):
            raise
        return None
    return content


def _write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def _too_few(kind, sizes):
    return ValueError(
        f"The archive has too few readable photos of the class {kind!r} for "
        f"n_train={sizes['train']} and n_validation={sizes['validation']}. It has "
        "12,500 of each class, of which a few are damaged: lower these numbers."
    )


def _load(folder, sizes):
    """Load the arranged photos, after checking that none is missing."""
    try:
        parts = load_parts(folder)
        with open(os.path.join(folder, _LEFT_OUT), encoding="utf-8") as file:
            left_out = file.read().split()
    except (ValueError, FileNotFoundError, NotADirectoryError) as error:
        raise _changed(folder, str(error)) from None
    for part, bunch in parts.items():
        if len(bunch.data) != 2 * sizes[part]:
            found = f"{part!r} has {len(bunch.data)} photos, not {2 * sizes[part]}"
            raise _changed(folder, found)
    return Bunch(**parts, DESCR=_description(left_out))


def _changed(folder, reason):
    return OSError(
        f"Files were added to or removed from {folder!r} ({reason}). Delete that "
        "folder, and call again: the photos are unpacked anew."
    )


def _description(left_out):
    lines = [f"Photos of cats and dogs from {URL}.", ""]
    lines.append(f"Damaged and left out: {len(left_out)}")
    return "\n".join([*lines, *(f"- {name}" for name in left_out)])
