"""Atomic writing of files."""

import contextlib
import os
import secrets
from pathlib import Path


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
