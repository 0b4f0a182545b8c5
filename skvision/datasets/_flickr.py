"""Photos from Flickr for classes of one's own, with their authors and licences."""

import os
import re
from collections.abc import Mapping
from numbers import Integral, Real

from sklearn.utils import check_scalar

from skvision._utils.files import expand_path, make_folder
from skvision._utils.locks import locked
from skvision._utils.warning import warn
from skvision.datasets._attribution import Attribution
from skvision.datasets._class_names import same_spelling
from skvision.datasets._digits import get_data_home
from skvision.datasets._flickr_api import MAX_PHOTOS, SIZES, FlickrApi, License
from skvision.datasets._flickr_collector import Collector
from skvision.datasets._folders import load_image_files
from skvision.datasets._walk import is_hidden_or_of_system

# Characters that file systems or archives do not accept.
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


def fetch_flickr_images(
    tags,
    folder=None,
    *,
    api_key=None,
    n_images=100,
    licenses=None,
    size=500,
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
):
    """Load photos from Flickr, one folder per class, and download what is missing.

    For each class, photos with one of its tags are searched and saved as
    ``folder/class_name/photo_id.jpg``. Tags are given by the people who upload photos,
    so look at the result: delete what does not belong to a class, and call the function
    again. Deleted photos are not downloaded again, others take their places.

    Parameters
    ----------
    tags : dict of {str: str or list of str}
        Maps the name of each class to the tag, or tags, to search for. A photo that has
        any of them is found; a tag that starts with a hyphen excludes photos.
    folder : str or os.PathLike, default=None
        Where to save the photos; ``~`` is expanded. None means ``flickr`` in
        :func:`get_data_home`.
    api_key : str, default=None
        A key of Flickr's API, from https://www.flickr.com/services/api/keys/. None
        means the environment variable ``FLICKR_API_KEY``. It is not needed if nothing
        is missing. It appears in no file, URL or message.
    n_images : int, default=100
        Number of photos per class, at most 4000.
    licenses : list of int or str, default=None
        The licences to accept, as Flickr's ids or as names, such as ``"CC0 1.0"`` or
        ``"CC BY"``, which includes all versions. None means the licences of Creative
        Commons that allow derivative works, CC0 and the public domain mark.
    size : {320, 500, 640, 800, 1024}, default=500
        The longest side of the photos in pixels. Photos that Flickr does not offer in
        this size are left out.
    download_if_missing : bool, default=True
        If False, raise an OSError instead of downloading.
    n_retries : int, default=3
        How often a failed request is repeated.
    delay : float, default=1.0
        Seconds to wait before the first repetition. Each further wait is twice as long,
        and at least as long as the server asks for.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        As returned by :func:`load_image_files` for these classes, with one more
        attribute: `attribution`, the path of a CSV file with the author, title, licence
        and page of each photo. `DESCR` also counts the photos that were left out, by
        reason.

    Raises
    ------
    DownloadError
        If Flickr cannot be reached or refuses a request. What was downloaded is kept,
        and the next call goes on. It is an OSError too.
    OSError
        If photos are missing and `download_if_missing` is False, or the disk is full.
    ValueError
        If a parameter is not valid, the key is not accepted, nothing is found for a
        class, or the folder contains photos under other licences from earlier calls.

    Warns
    -----
    SkvisionWarning
        If fewer than `n_images` photos are found for a class.

    See Also
    --------
    check_image_files : Find near-duplicates and other problems.
    load_image_files : Load the same folder again.

    Notes
    -----
    The licences require attribution when you publish photos: it is in
    ``folder/attribution.csv``, which lists every photo before it appears. Titles and
    names that a spreadsheet could take as formulas start with an apostrophe there.

    Left out are photos that the searches of several classes have found, photos and
    contents that are already there, licences that were not asked for whatever the
    search returns, and files that skvision cannot read. Searches are restricted to
    photos (no screenshots or videos) that Flickr considers safe. They keep within the
    limit of 3600 requests an hour.

    Examples
    --------
    >>> from skvision.datasets import fetch_flickr_images
    >>> tags = {"pug": ["pug", "pugdog"], "corgi": "corgi"}
    >>> data = fetch_flickr_images(tags, "dogs", n_images=200)  # doctest: +SKIP
    >>> X, y = data.data, data.target  # doctest: +SKIP
    """
    searches = _check_tags(tags)
    _check_options(licenses, size)
    check_scalar(n_images, "n_images", Integral, min_val=1, max_val=MAX_PHOTOS)
    check_scalar(n_retries, "n_retries", Integral, min_val=0)
    check_scalar(delay, "delay", Real, min_val=0)
    if folder is None:
        folder = os.path.join(get_data_home(), "flickr")
    folder = expand_path(folder, "folder")
    left_out = {}
    if _missing(folder, searches, licenses, n_images):
        if not download_if_missing:
            raise OSError(
                f"Photos are missing in {folder!r}, and `download_if_missing` is "
                "False. Pass True and a key of Flickr's API."
            )
        if api_key is None:
            api_key = os.environ.get("FLICKR_API_KEY")
        api = FlickrApi(api_key, n_retries, delay)
        make_folder(folder)
        with locked(os.path.join(folder, ".flickr.lock")):
            missing = _missing(folder, searches, licenses, n_images)
            collector = Collector(api, Attribution(folder), licenses, size)
            left_out = collector.collect(missing, searches)
    return _load(folder, searches, licenses, n_images, left_out)


def _check_tags(tags):
    """Return {class name: list of tags}."""
    if not isinstance(tags, Mapping) or not tags:
        raise ValueError(
            "tags must be a dict that maps the name of each class to a tag or a list "
            f"of tags, such as {{'pug': ['pug', 'pugdog']}}; got {tags!r}."
        )
    searches = {}
    for name, words in tags.items():
        _check_class_name(name)
        words = [words] if isinstance(words, str) else words
        is_list = isinstance(words, list | tuple) and len(words) > 0
        if not is_list or not all(isinstance(w, str) and w.strip() for w in words):
            raise ValueError(
                f"tags[{name!r}] must be a tag or a non-empty list of tags; got "
                f"{words!r}."
            )
        if any("," in word for word in words):
            raise ValueError(
                f"tags[{name!r}] contains a comma; got {words!r}. Pass a list: "
                "['pug', 'pugdog']."
            )
        searches[name] = list(words)
    for group in same_spelling(searches):
        raise ValueError(f"tags: the classes {group} differ in spelling only.")
    return searches


def _check_class_name(name):
    is_valid = (
        isinstance(name, str)
        and name == name.strip().rstrip(".")
        and len(name.encode("utf-8", "replace")) in range(1, 200)
        and not _NOT_IN_NAMES.search(name)
        and not is_hidden_or_of_system(name)
    )
    if not is_valid:
        raise ValueError(
            f"tags: the class {name!r} cannot be the name of a folder. Use a str "
            "without slashes and other special characters, that does not start or end "
            "with a dot or a space."
        )


def _check_options(licenses, size):
    if size not in SIZES:
        raise ValueError(f"size must be one of {list(SIZES)}; got {size!r}.")
    if licenses is None:
        return
    is_list = isinstance(licenses, list | tuple | set) and len(licenses) > 0
    if not is_list or not all(isinstance(item, Integral | str) for item in licenses):
        raise ValueError(
            "licenses must be None or a non-empty list of Flickr's ids or of names, "
            f"such as ['CC0 1.0', 'CC BY']; got {licenses!r}."
        )


def _missing(folder, searches, licenses, n_images):
    """Return {class name: number of photos that are missing}, without those at 0."""
    attribution = Attribution(folder)
    missing = dict.fromkeys(searches, n_images)
    for row in attribution.rows:
        if row.class_name not in searches or not attribution.has_file(row):
            continue
        license = License(int(row.license_id), row.license, row.license_url)
        if not license.is_among(licenses):
            raise ValueError(
                f"{folder!r} contains photos under the licence {row.license!r} from an "
                "earlier call, which licenses does not include. Choose another folder, "
                "or include it."
            )
        missing[row.class_name] -= 1
    return {name: n for name, n in missing.items() if n > 0}


def _load(folder, searches, licenses, n_images, left_out):
    """Load the photos, and warn about classes with too few."""
    missing = _missing(folder, searches, licenses, n_images)
    for name, n in missing.items():
        found = f"Flickr has {n_images - n} suitable photos for the class {name!r}"
        hint = "Search for more tags, or accept more licenses or another size"
        if n == n_images:
            raise ValueError(f"{found} and the tags {searches[name]}. {hint}.")
        warn(f"{found}, fewer than n_images={n_images}. {hint}.")
    bunch = load_image_files(folder, categories=list(searches))
    bunch.attribution = Attribution(folder).path
    lines = [f"- {reason}: {n}" for reason, n in left_out.items()]
    if lines:
        bunch.DESCR = "\n".join([bunch.DESCR, "", "Left out:", "", *lines])
    return bunch
