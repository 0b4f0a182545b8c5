"""The list of photos with their authors and licences, a CSV file beside the photos."""

import csv
import io
import os
import re
from typing import NamedTuple

from skvision._utils.files import replacing

NAME = "attribution.csv"
_FILE = re.compile(r"[0-9]{1,20}\.(jpg|png|gif|webp)")
_MAX_BYTES = 10**8


class Row(NamedTuple):
    """A photo in the list; the fields are the columns of the file."""

    class_name: str
    file: str  # without the folder
    photo_id: str
    title: str
    owner: str
    license: str
    license_url: str
    page_url: str
    license_id: str
    sha256: str


class Attribution:
    """The rows of the file in a folder, which is written as a whole."""

    def __init__(self, folder):
        self.folder, self.path = folder, os.path.join(folder, NAME)
        self.rows = _read(self.path) if os.path.lexists(self.path) else []

    def write(self):
        """Write the file, which replaces the previous one."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(Row._fields)
        writer.writerows(self.rows)
        with replacing(self.path) as file:
            file.write(text.getvalue().encode())

    def has_file(self, row):
        """Return whether the photo is still there."""
        return os.path.isfile(os.path.join(self.folder, row.class_name, row.file))


def _read(path):
    """Read the rows; raises a ValueError unless the file is as `write` makes it."""
    try:
        if os.path.getsize(path) > _MAX_BYTES:
            raise ValueError("it is too large")
        with open(path, encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file, strict=True)
        if tuple(header) != Row._fields:
            raise ValueError(f"its columns are {header}")
        rows = [Row(*line) for line in lines]
        bad = [row.file for row in rows if not _FILE.fullmatch(row.file)]
        if bad:
            raise ValueError(f"it contains the file {bad[0]!r}")
        for row in rows:
            int(row.license_id)
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(
            f"{path!r} is not a list of photos as fetch_flickr_images writes it "
            f"({error}). Restore it, or choose an empty folder."
        ) from None
    return rows
