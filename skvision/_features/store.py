"""A cache of image features in one SQLite file.

Every value carries a checksum, so a damaged file gives an error and never wrong
features. A store that cannot be written to (full disk, read-only folder, lock that
does not come free) costs one warning and the speed of the cache, never the result.

The file is kept in WAL mode: a committed batch survives the death of the process at
any moment (`kill -9`), and readers do not wait for the writer. After a power failure
the last batches may be missing; the file stays sound. WAL needs memory shared between
the processes, so it does *not* work over network file systems (NFS, SMB): give every
machine a `cache_dir` on a local disk.
"""

import errno
import math
import os
import shutil
import sqlite3
import tempfile
import threading
import warnings
import weakref
from contextlib import contextmanager
from hashlib import blake2b
from numbers import Real
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_scalar

from skvision._features.sqlite import (
    damage_reported,
    file_size,
    is_circumstance,
    make_room,
    newest,
    open_database,
    remove_oldest,
    shrink_to,
    transaction,
)
from skvision.exceptions import FeatureStoreError, SkvisionWarning

_FILE_NAME = "features.sqlite3"
# Reasons not to make the folder that are no mistake in its name.
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
_KEYS_PER_QUERY = 500  # the oldest limit of SQLite is 999 variables


class CacheInfo(NamedTuple):
    """What a feature store holds.

    Parameters
    ----------
    path : str
        The database file.
    n_entries : int
        Number of stored rows: one for each image, view and choice of settings.
    n_bytes : int
        Size on disk in bytes, with the write-ahead log if there is one.
    """

    path: str
    n_entries: int
    n_bytes: int


def content_digest(data):
    """Return the 20-byte BLAKE2b digest of an image's bytes."""
    return blake2b(data, digest_size=20).digest()


class FeatureStore:
    """Features of images on disk, by a key made of content and settings.

    Use it as a context manager: on exit the connection is closed, and the last user
    leaves nothing behind but the database file.

    Parameters
    ----------
    cache_dir : str or os.PathLike
        Folder of the database file `features.sqlite3`, created with its parents if
        it does not exist. A leading `~` is the home folder.
    max_bytes : int or None, default=None
        Largest size of the file. For what is written beyond it the oldest entries make
        room, but only those that were there when this store was opened: one that
        replaced its own entries would have none of them left when it comes back to the
        first. What then does not fit is not stored. None sets no limit.

    Attributes
    ----------
    is_full : bool
        Whether something did not fit.

    Raises
    ------
    FeatureStoreError
        If the folder cannot be created, or the file in it is damaged, belongs to
        another program or has another format version.

    Notes
    -----
    Threads may share one instance, processes one folder. A forked child must not use
    an instance of its parent (SQLite forbids it): open a store where it is used.

    A store that cannot be opened for writing opens all the same: it reads what it
    can, and the first `write` gives the warning.

    References
    ----------
    .. [1] SQLite, "Write-Ahead Logging", https://sqlite.org/wal.html
    .. [2] SQLite, "How To Corrupt An SQLite Database File",
       https://sqlite.org/howtocorrupt.html

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skvision._features.store import FeatureStore, content_digest
    >>> key = FeatureStore.key(content_digest(b"pixels"), "vgg16 224x224")
    >>> with tempfile.TemporaryDirectory() as folder, FeatureStore(folder) as store:
    ...     store.write({key: np.array([0.5, 1.5], dtype="float32")})
    ...     store.read([key], dtype="float32", shape=(2,))[key]
    array([0.5, 1.5], dtype=float32)
    """

    def __init__(self, cache_dir, max_bytes=None):
        self._path = _database_path(cache_dir)
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._given_up = self.is_full = False
        with damage_reported(self._path):
            self._connection, self._refusal = open_database(self._path)
            # Only what is asked for: a damaged file is found out when it is used.
            self._newest_before = newest(self._connection) if max_bytes else 0
        weakref.finalize(self, self._connection.close)

    @classmethod
    def temporary(cls, max_bytes=None):
        """Return a store in a folder that is removed with the store's last user."""
        folder = tempfile.mkdtemp(prefix="skvision-")
        store = cls(folder, max_bytes)
        weakref.finalize(store, _remove, store._connection, folder)
        return store

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def close(self):
        """Close the connection; after that the store cannot be used any more."""
        with self._lock:
            self._connection.close()

    @staticmethod
    def key(content_digest, settings):
        """Return the 20-byte key of an image's features.

        `content_digest` is that of the image (20 bytes); the string `settings` names
        all else that the features depend on: network, weights, preprocessing, dtype.
        """
        return blake2b(content_digest + settings.encode(), digest_size=20).digest()

    def contains(self, keys):
        """Return the set of those `keys` (any number) that have an entry."""
        present = set()
        with self._tolerant():
            for rows in self._select("key", keys):
                present.update(key for (key,) in rows)
        return present

    def read(self, keys, dtype, shape):
        """Return the features of those `keys` that have an entry, as a dict.

        The arrays have the given dtype and shape and are read-only. A key which
        `contains` has just reported can be missing, if another process cleared the
        store. An entry that is not what was written raises a FeatureStoreError.
        """
        features = {}
        with self._tolerant():
            for rows in self._select("key, value, checksum", keys):
                for row in rows:
                    features[row[0]] = _to_array(row, np.dtype(dtype), shape)
        return features

    def write(self, features):
        """Add a dict of arrays by key in one transaction; on return they are stored.

        Keys that have an entry keep it. If the store cannot be written to, one
        SkvisionWarning says so, and this and all later calls store nothing.
        """
        rows = [_to_row(key, array) for key, array in features.items()]
        with self._tolerant():
            if self._given_up or not rows:
                return
            self._require_writable()
            with transaction(self._connection):
                self._connection.executemany(
                    "INSERT OR IGNORE INTO features (key, value, checksum)"
                    " VALUES (?, ?, ?)",
                    self._fitting(rows),
                )
            if self._max_bytes is not None:
                shrink_to(self._connection, self._path, self._max_bytes)

    def _fitting(self, rows):
        """Return the first of `rows`, for which there is room or can be made."""
        if self._max_bytes is None:
            return rows
        sizes = [len(value) for _, value, _ in rows]
        limits = self._max_bytes, self._newest_before
        n_fitting = make_room(self._connection, sizes, *limits)
        self.is_full |= n_fitting < len(rows)
        return rows[:n_fitting]

    def info(self):
        """Return the CacheInfo: path, number of entries, bytes on disk."""
        n_entries = 0
        with self._tolerant():
            count = self._connection.execute("SELECT count(*) FROM features")
            (n_entries,) = count.fetchone()
        n_bytes = file_size(self._path) + file_size(self._path + "-wal")
        return CacheInfo(self._path, n_entries, n_bytes)

    def clear(self, max_bytes=0):
        """Remove the oldest entries until the values take at most `max_bytes` bytes.

        The space goes back to the file system. Returns the number of removed entries;
        raises a FeatureStoreError if the store is damaged or cannot be written to.
        """
        check_scalar(max_bytes, "max_bytes", Real, min_val=0)
        with self._lock, damage_reported(self._path):
            try:
                self._require_writable()
                return remove_oldest(self._connection, int(max_bytes))
            except sqlite3.OperationalError as error:
                if not is_circumstance(error):
                    raise
                raise FeatureStoreError(
                    f"Cannot clear the feature store {self._path!r}: {error}. Free"
                    " space on the disk, make the folder writable, or delete the file"
                    " while nothing uses it."
                ) from error

    @contextmanager
    def _tolerant(self):
        """Hold the lock; survive bad circumstances, not damage."""
        with self._lock, damage_reported(self._path):
            try:
                yield
            except sqlite3.OperationalError as error:
                if not is_circumstance(error):
                    raise
                self._give_up(error)

    def _give_up(self, error):
        """Write nothing from now on, and say so once."""
        if not self._given_up:
            self._given_up = True
            warnings.warn(
                f"The feature store {self._path!r} takes no new features: {error}. The"
                " result is right, but not cached. Free space on the disk, make the"
                " folder writable, or choose another cache_dir.",
                SkvisionWarning,
                stacklevel=5,  # the caller of the public method
            )

    def _require_writable(self):
        """Fail with the reason for which the store was opened read-only, if any."""
        if self._refusal is not None:
            raise self._refusal

    def _select(self, columns, keys):
        """Yield the rows of `keys` in lists; no query stays open in between."""
        keys = list(keys)
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            some = keys[start : start + _KEYS_PER_QUERY]
            marks = ", ".join("?" * len(some))
            query = f"SELECT {columns} FROM features WHERE key IN ({marks})"
            yield self._connection.execute(query, some).fetchall()


def _remove(connection, folder):
    connection.close()
    shutil.rmtree(folder, ignore_errors=True)


def _to_row(key, array):
    """Turn an array into key, little-endian bytes and checksum."""
    value = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return key, value, _checksum(key, value)


def _to_array(row, dtype, shape):
    """Turn a row into a read-only array after a check of its integrity."""
    key, value, checksum = row
    size = dtype.itemsize * math.prod(shape)
    if not all(isinstance(field, bytes) for field in row):
        problem = "has a field that is not binary"
    elif checksum != _checksum(key, value):
        problem = "does not match its checksum"
    elif len(value) != size:
        problem = f"has {len(value)} bytes, expected {size} for {dtype} {shape}"
    else:
        array = np.ndarray(shape, dtype.newbyteorder("<"), buffer=value)
        return array.astype(dtype, copy=False)
    raise sqlite3.DatabaseError(f"an entry {problem}; clear_cache() removes it")


def _checksum(key, value):
    """Digest of an entry: the key is in it, so a swapped value does not pass."""
    return blake2b(key + value, digest_size=8).digest()


def _database_path(cache_dir):
    """Create the folder and return the absolute path of the database in it."""
    # Absolute, for SQLite may take a relative "file:..." for a URI.
    folder = os.path.abspath(os.path.expanduser(os.fsdecode(cache_dir)))
    try:
        os.makedirs(folder, exist_ok=True)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in _UNWRITABLE:
            return os.path.join(folder, _FILE_NAME)  # opened as an empty stand-in
        raise FeatureStoreError(
            f"cache_dir must be a folder or a path where one can be created, got"
            f" {cache_dir!r}: {error}. Choose another cache_dir."
        ) from error
    return os.path.join(folder, _FILE_NAME)
