"""Choosing and saving the photos that searches have found."""

import glob
import hashlib
import os
from collections import Counter

from skvision._images.decode import decode_image, open_image
from skvision._images.resize import ImageSettings
from skvision._utils.files import make_folder
from skvision._utils.progress import Progress
from skvision.datasets._attribution import Row
from skvision.datasets._flickr_api import MAX_PHOTOS, PER_PAGE
from skvision.exceptions import DownloadError

# Photos that are saved together, after their attribution.
_BATCH = 20
# Search results to have for each photo before the first download, so that photos in
# several classes are known.
_RESULTS_PER_PHOTO = 2
# A single photo may be unavailable; so many in a row mean that the server is.
_MAX_FAILURES = 5

_EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}


class Collector:
    """Saves photos in the folder of an `Attribution`.

    Nothing appears under its name before it was read as an image and is listed in the
    attribution. Until then it is a hidden file.
    """

    def __init__(self, api, attribution, licenses, size):
        self.api, self.attribution, self.size = api, attribution, size
        self.requested = licenses
        # All rows, also of photos that the user has deleted.
        self.class_of = {row.photo_id: row.class_name for row in attribution.rows}
        self.digests = {row.sha256 for row in attribution.rows}
        self.left_out, self.n_failures = Counter(), 0
        self.batch = []

    def collect(self, missing, searches):
        """Download the missing photos, and return why others were left out."""
        self.licenses = self._chosen_licenses()
        self.searches = {
            name: _Search(self.api, searches[name], list(self.licenses), self.size)
            for name in missing
        }
        for name, n in missing.items():
            self._finish_staged(name)
            while self.searches[name].n_waiting < _RESULTS_PER_PHOTO * n:
                if not self.searches[name].load_page():
                    break
        try:
            for name, n in missing.items():
                self._collect_class(name, n)
        finally:  # also after Ctrl-C
            self._publish()
        return self.left_out

    def _chosen_licenses(self):
        known = self.api.licenses()
        for item in self.requested or ():
            if not any(license.is_among([item]) for license in known.values()):
                names = ", ".join(
                    f"{i} ({license.name})" for i, license in known.items()
                )
                raise ValueError(
                    f"licenses contains {item!r}, which Flickr does not have. Choose "
                    f"from {names}."
                )
        return {i: x for i, x in known.items() if x.is_among(self.requested)}

    def _collect_class(self, name, n_missing):
        make_folder(os.path.join(self.attribution.folder, name))
        with Progress(name, n_missing, "image", verbose=1) as progress:
            while n_missing and (photo := self.searches[name].next()) is not None:
                if photo.id in self.class_of and self.class_of[photo.id] == name:
                    continue  # from an earlier call
                reason = self._reason_against(photo, name) or self._save(photo, name)
                if reason:
                    self.left_out[reason] += 1
                else:
                    n_missing -= 1
                    progress.add(1)

    def _reason_against(self, photo, name):
        """Return why a photo is left out, as far as the search tells, or None."""
        others = (s for other, s in self.searches.items() if other != name)
        if photo.id in self.class_of or any(photo.id in s.seen for s in others):
            return "found for several classes"
        if photo.license_id not in self.licenses:
            return "under another licence"
        if photo.image_url is None:
            return "not available in this size"
        return None

    def _save(self, photo, name):
        """Download a photo to a hidden file; return why it is left out, or None."""
        try:
            content = self.api.image(photo.image_url)
        except DownloadError:
            self.n_failures += 1
            if self.n_failures >= _MAX_FAILURES:
                raise
            return "not available"
        self.n_failures = 0
        digest = hashlib.sha256(content).hexdigest()
        if digest in self.digests:
            return "same content as another photo"
        extension = _extension(content)
        if extension is None:
            return "not a readable image"
        row = self._row(photo, name, f"{photo.id}.{extension}", digest)
        self._stage(row, content)
        return None

    def _row(self, photo, name, file, digest):
        license = self.licenses[photo.license_id]
        return Row(
            name,
            file,
            photo.id,
            photo.title,
            photo.owner,
            license.name,
            license.url,
            photo.page_url,
            str(license.id),
            digest,
        )

    def _stage(self, row, content):
        path = os.path.join(
            self.attribution.folder, row.class_name, f".{row.file}.part"
        )
        try:
            with open(path, "wb") as file:
                file.write(content)
        except OSError as error:
            raise OSError(
                error.errno,
                f"Cannot write {path!r} ({error.strerror}). What was downloaded before "
                "is kept, and the next call goes on",
            ) from error
        self.batch.append((row, path))
        self.class_of[row.photo_id] = row.class_name
        self.digests.add(row.sha256)
        if len(self.batch) >= _BATCH:
            self._publish()

    def _publish(self):
        """List the photos of the batch, and then give them their names."""
        batch, self.batch = self.batch, []
        if not batch:
            return
        earlier = self.attribution.rows
        self.attribution.rows = earlier + [row for row, _ in batch]
        try:
            self.attribution.write()
        except BaseException:
            self.attribution.rows = earlier
            for _, path in batch:
                os.unlink(path)
            raise
        for row, path in batch:
            os.replace(path, os.path.join(os.path.dirname(path), row.file))

    def _finish_staged(self, name):
        """Name the listed photos of a process that was killed; remove the others."""
        listed = {row.file for row in self.attribution.rows if row.class_name == name}
        folder = glob.escape(os.path.join(self.attribution.folder, name))
        for path in glob.glob(os.path.join(folder, ".[0-9]*.part")):
            file = os.path.basename(path)[1 : -len(".part")]
            if file in listed:
                os.replace(path, os.path.join(os.path.dirname(path), file))
            else:
                os.unlink(path)


class _Search:
    """The photos that a search finds, each once."""

    def __init__(self, api, tags, license_ids, size):
        self.parameters = api, tags, license_ids, size
        self.page, self.is_done = 0, False
        self.seen, self.waiting = set(), []

    @property
    def n_waiting(self):
        """Number of results that were not taken yet."""
        return len(self.waiting)

    def next(self):
        """Return the next photo, or None after the last one."""
        while not self.waiting and self.load_page():
            pass
        return self.waiting.pop(0) if self.waiting else None

    def load_page(self):
        """Load a page; return whether there may be more.

        After the last page Flickr repeats photos, so that one without new ones is the
        end.
        """
        if self.is_done:
            return False
        api, *parameters = self.parameters
        self.page += 1
        photos = api.search(*parameters, self.page)
        new = {photo.id: photo for photo in photos if photo.id not in self.seen}
        self.seen.update(new)
        self.waiting += new.values()
        self.is_done = not new or self.page * PER_PAGE >= MAX_PHOTOS
        return not self.is_done


def _extension(content):
    """Return the file name extension of an image, or None if it cannot be read."""
    try:
        with open_image(content) as image:
            extension = _EXTENSIONS.get(image.format)
        decode_image(content, ImageSettings(None))
    except Exception:  # Pillow's decoders raise almost anything
        return None
    return extension
