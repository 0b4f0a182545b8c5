"""Locks between processes, released by the system when a process dies."""

import contextlib
import os
import time

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    fcntl = None

_SECONDS_BETWEEN_TRIES = 0.2


@contextlib.contextmanager
def locked(path):
    """Hold the lock file `path` within a `with` block, after waiting for others.

    The file exists only while it is needed. On file systems without locks nothing is
    locked: what is written under the lock must be safe without it, if slower.
    """
    file = _acquire(path)
    try:
        yield
    finally:
        # First unlink, then release: whoever waits for this file sees that it is gone.
        with contextlib.suppress(OSError):
            os.unlink(path)
        file.close()


def _acquire(path):
    while True:
        try:
            file = open(path, "ab")
        except OSError as error:
            raise OSError(
                error.errno,
                f"Cannot write to the folder {os.path.dirname(path)!r} "
                f"({error.strerror}). Pass the path of a writable folder",
            ) from error
        try:
            _lock(file)
            if _is_at(file, path):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(file):
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        return
    while True:
        try:
            return msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            time.sleep(_SECONDS_BETWEEN_TRIES)


def _is_at(file, path):
    """Return whether the open file still has this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
