"""Reading image files: only regular ones, within the limit, and not twice."""

import os
import stat

from skvision._images.limits import check_bytes
from skvision._utils.files import content_digest, file_version

# Digests of files in this process, by `file_version`.
_digests = {}
_MAX_DIGESTS = 100_000


def read_file(path):
    """Read a regular file; opening anything else, such as a pipe, could block."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        if stat.S_ISDIR(status.st_mode):
            what = "a folder, not a regular file (skvision.datasets.list_images lists "
            raise OSError(f"it is {what}the images in it)")
        raise OSError("it is a pipe, socket or device, not a regular file")
    check_bytes(status.st_size)
    with open(path, "rb") as file:
        data = file.read(status.st_size + 1)  # it may grow meanwhile
    if not data:
        raise OSError("the file is empty")
    return data


def file_digest(path):
    """Return the digest of a file, read again only if the file has changed."""
    version = file_version(path)
    digest = _digests.get(version)
    if digest is not None:
        return digest
    digest = content_digest(read_file(path))
    if version is not None and file_version(path) == version:
        if len(_digests) >= _MAX_DIGESTS:
            _digests.clear()
        _digests[version] = digest
    return digest
