"""Paths, atomic writing of files, digests of their content, and versions."""

import contextlib
import os
import re
import secrets
import time
from hashlib import blake2b
from pathlib import Path

# A file that changed less than this ago may change again without new timestamps: those
# of FAT have a resolution of 2 s. Git calls such entries racy.
_RACY_NS = 2 * 10**9


def expand_path(value, name):
    """Return the path parameter `name` as str, with ``~`` replaced by the home folder.

    Bytes that are not UTF-8 are preserved.
    """
    try:
        path = os.fsdecode(value)
    except TypeError as error:
        raise TypeError(
            f"{name} must be a path (str or os.PathLike); got {value!r}."
        ) from error
    expanded = os.path.expanduser(path)
    first = re.split(r"[/\\]", expanded)[0]
    if first.startswith("~") and not os.path.lexists(first):
        raise ValueError(
            f"{name}={path!r} starts with '~', but that home folder is unknown. Pass "
            f"the full path, or './{first}' for a folder of that name."
        )
    return expanded


@contextlib.contextmanager
def replacing(path, *, durable=True):
    """Open a file for writing that replaces `path` if the block succeeds.

    Until then it has a temporary name in the same folder. After an error or Ctrl-C it
    is removed, and `path` is unchanged. With `durable`, this also holds after a power
    failure: the data is synced to disk before the file is renamed.
    """
    path = os.path.abspath(path)
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.tmp")
    try:
        # Not `tempfile`: only the owner can read its files, whatever the umask.
        with open(temporary, "xb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def has_content(path, content):
    """Return whether a file exists and has this content."""
    return os.path.isfile(path) and Path(path).read_bytes() == content


def write_if_different(path, content):
    """Write a file atomically, unless it has this content."""
    if not has_content(path, content):
        with replacing(path, durable=False) as file:
            file.write(content)


def make_folder(path):
    """Create a folder and its parents, if they are missing."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Cannot create the folder {path!r} ({error.strerror}). Pass the path of a "
            "writable folder (SKVISION_DATA sets the default one)",
        ) from error


def content_digest(data):
    """Return the 20-byte BLAKE2b digest of the content of a file."""
    return blake2b(data, digest_size=20).digest()


def file_version(path):
    """Return values that differ if the file was rewritten, even in place.

    Size and modification time can be the same afterwards; on most file systems the
    change time and the inode cannot. Returns None for a file that changed in the last
    two seconds, whose timestamps cannot be trusted yet.
    """
    status = os.stat(path)
    newest = max(status.st_mtime_ns, status.st_ctime_ns)
    if time.time_ns() - newest < _RACY_NS:
        return None
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
