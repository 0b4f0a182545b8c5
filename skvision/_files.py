"""Writing files so that nobody ever sees half of one."""

import contextlib
import os
import tempfile
from contextlib import contextmanager


@contextmanager
def replacing(path):
    """Open a file to write that takes the place of `path` when all went well.

    Until then it has a temporary name in the same folder; after an error or Ctrl-C it
    is removed, and `path` is as before.
    """
    folder, name = os.path.split(os.path.abspath(path))
    descriptor, temporary = tempfile.mkstemp(".tmp", f".{name}.", dir=folder)
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
