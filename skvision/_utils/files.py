"""Writing files so that nobody ever sees half of one."""

import contextlib
import os
import secrets
from pathlib import Path


@contextlib.contextmanager
def replacing(path, *, durable=True):
    """Open a file to write that takes the place of `path` when all went well.

    Until then it has a temporary name in the same folder; after an error or Ctrl-C it
    is removed, and `path` is as before. If `durable`, that holds after a power failure
    too: the bytes are on the disk before the name is.
    """
    path = os.path.abspath(path)
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.tmp")
    try:
        # Not `tempfile`, whose files only their owner may read, whatever the umask.
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


def holds(path, content):
    """Tell whether a file is there and has this content."""
    return os.path.isfile(path) and Path(path).read_bytes() == content


def make_folder(path):
    """Create a folder and those above it, where they are missing."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Cannot create the folder {path!r} ({error.strerror}). Pass the path of a "
            "folder that can be written to (SKVISION_DATA sets the default one)",
        ) from error
