"""A cache of image features in one SQLite file.

Every value has a checksum, so a damaged file raises an error and never returns wrong
features. If the store cannot be written to (full disk, read-only folder, locked by
another process), there is one warning, and the result is computed without the cache.

The file is in WAL mode: a committed batch survives `kill -9` at any moment, and readers
do not wait for the writer. After a power failure the last batches may be missing, but
the file is intact. WAL needs shared memory between the processes, so it does *not* work
on network file systems (NFS, SMB): use a `cache_dir` on a local disk on each machine.
"""

import errno
import math
import os
import sqlite3
import threading
import weakref
from contextlib import contextmanager
from hashlib import blake2b
from numbers import Real
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_scalar

from skvision._features.sqlite import (
    damage_reported,
    delete_database,
    describe,
    evict,
    file_size,
    is_environment_error,
    is_full,
    newest,
    open_database,
    patiently,
    remove_oldest,
    shrink_to,
    transaction,
)
from skvision._utils.warning import warn
from skvision.exceptions import FeatureStoreError

_FILE_NAME = "features.sqlite3"
# Errors of creating the folder that are not the user's mistake.
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
_KEYS_PER_QUERY = 500  # the oldest limit of SQLite is 999 variables


class CacheInfo(NamedTuple):
    """The content of a feature store.

    Parameters
    ----------
    path : str
        The database file.
    n_entries : int
        Number of stored rows: one for each image, view and combination of settings.
    n_bytes : int
        Size on disk in bytes, with the write-ahead log if there is one.
    """

    path: str
    n_entries: int
    n_bytes: int


class FeatureStore:
    """Features of images on disk, with a key made of content and settings.

    Use it as a context manager: on exit the connection is closed, and the last process
    to close it leaves only the database file.

    Parameters
    ----------
    cache_dir : str, os.PathLike or None
        Folder of the database file `features.sqlite3`, created with its parents if
        it does not exist. A leading `~` is the home folder. None means a temporary
        file, which is removed with the store, or if the process is killed.
    max_bytes : int or None, default=None
        Largest size of the file. When it is reached, the oldest entries are evicted,
        but only those from before this store was opened: evicting its own would leave
        nothing to reuse. What does not fit is not stored. None means no limit.

    Attributes
    ----------
    is_full : bool
        Whether an entry did not fit.

    Raises
    ------
    FeatureStoreError
        If the folder cannot be created, or the file in it is damaged, belongs to
        another program or has another format version.

    Notes
    -----
    Threads may share one instance, and processes one folder. A forked child must not
    use an instance of its parent (SQLite forbids it): open a store where it is used.

    A store that cannot be opened for writing is opened for reading, and the first
    `write` warns.

    References
    ----------
    .. [1] SQLite, "Write-Ahead Logging", https://sqlite.org/wal.html
    .. [2] SQLite, "How To Corrupt An SQLite Database File",
       https://sqlite.org/howtocorrupt.html

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skvision._features.store import FeatureStore
    >>> from skvision._utils.files import content_digest
    >>> key = FeatureStore.key(content_digest(b"pixels"), "vgg16 224x224")
    >>> with tempfile.TemporaryDirectory() as folder, FeatureStore(folder) as store:
    ...     store.write({key: np.array([0.5, 1.5], dtype="float32")})
    ...     store.read([key], dtype="float32", shape=(2,))[key]
    array([0.5, 1.5], dtype=float32)
    """

    def __init__(self, cache_dir, max_bytes=None):
        self._path = "" if cache_dir is None else _database_path(cache_dir)
        self._max_bytes = None if max_bytes is None else int(max_bytes)
        self._lock = threading.RLock()
        self._given_up = self.is_full = False
        with damage_reported(self._path):
            self._connection, self._refusal = open_database(self._path)
            # Nothing else is read here: a damaged file is detected when it is used.
            self._newest_before = newest(self._connection) if max_bytes else 0
        weakref.finalize(self, self._connection.close)

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

        `content_digest` is that of the image (20 bytes); the string `settings` contains
        everything else that determines the features: network, weights, preprocessing...
        """
        return blake2b(content_digest + settings.encode(), digest_size=20).digest()

    def contains(self, keys):
        """Return the set of those `keys` (any number) that have an entry."""
        present = set()
        with self._degrading():
            for rows in self._select("key", keys):
                present.update(key for (key,) in rows)
        return present

    def read(self, keys, dtype, shape):
        """Return the features of those `keys` that have an entry, as a dict.

        The arrays have the given dtype and shape and are read-only. A key that
        `contains` has just returned can be missing if another process cleared the
        store. A damaged entry raises a FeatureStoreError.
        """
        features = {}
        with self._degrading():
            for rows in self._select("key, value, checksum", keys):
                for row in rows:
                    features[row[0]] = _to_array(row, np.dtype(dtype), shape)
        return features

    def write(self, features):
        """Add a dict of arrays by key in one transaction.

        Existing entries are kept. If the store cannot be written to, there is one
        SkvisionWarning, and this and all later calls store nothing.
        """
        rows = [_to_row(key, array) for key, array in features.items()]
        with self._degrading():
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
        """Return the first of `rows` that fit, after eviction of older entries."""
        if self._max_bytes is None:
            return rows
        sizes = [len(value) for _, value, _ in rows]
        limits = self._max_bytes, self._newest_before
        n_fitting = evict(self._connection, sizes, *limits)
        self.is_full |= n_fitting < len(rows)
        return rows[:n_fitting]

    def info(self):
        """Return the CacheInfo: path, number of entries, bytes on disk."""
        n_entries = 0
        with self._degrading():
            count = self._connection.execute("SELECT count(*) FROM features")
            (n_entries,) = count.fetchone()
        n_bytes = file_size(self._path) + file_size(self._path + "-wal")
        return CacheInfo(self._path, n_entries, n_bytes)

    def clear(self, max_bytes=0):
        """Remove the oldest entries until the values take at most `max_bytes` bytes.

        The space is returned to the file system. Returns the number of removed entries
        (on a full disk without those that are only in a write-ahead log); raises a
        FeatureStoreError if the store is damaged or cannot be written to.
        """
        check_scalar(max_bytes, "max_bytes", Real, min_val=0)
        with self._lock, damage_reported(self._path):
            try:
                self._require_writable()
                return remove_oldest(self._connection, int(max_bytes))
            except sqlite3.OperationalError as error:
                if is_full(error, self._path) and max_bytes == 0:
                    return self._replace_database()
                if not is_environment_error(error):
                    raise
                cause, remedy = describe(error, self._path)
                if is_full(error, self._path):
                    remedy += ", clear all of it (without 'max_bytes')"
                raise FeatureStoreError(
                    f"Cannot clear the feature store {self._path!r}: {cause}. {remedy},"
                    " or delete the file while nothing uses it."
                ) from error

    @property
    def is_writable(self):
        """Whether new entries are stored; False after the warning that they are not."""
        return not self._given_up

    def _replace_database(self):
        """Start a new file. On a full disk there is no space for a transaction."""
        query = "SELECT count(*) FROM features"
        (n_removed,) = self._connection.execute(query).fetchone()
        self._connection.close()
        try:
            delete_database(self._path)
        except OSError as error:  # no permission; on Windows, if a process uses it
            self._refusal = error
        else:
            self._connection, self._refusal = open_database(self._path)
            weakref.finalize(self, self._connection.close)
        if self._refusal is not None:
            raise FeatureStoreError(
                f"Cannot clear the feature store {self._path!r} on a full disk:"
                f" {self._refusal}. End other processes that use it, and try again."
            ) from self._refusal
        return n_removed

    @contextmanager
    def _degrading(self):
        """Hold the lock; stop caching if the store is not writable, raise on damage."""
        with self._lock, damage_reported(self._path):
            try:
                yield
            except sqlite3.OperationalError as error:
                if not is_environment_error(error):
                    raise
                self._give_up(error)

    def _give_up(self, error):
        """Write nothing from now on, and warn once."""
        if not self._given_up:
            self._given_up = True
            cause, remedy = describe(error, self._path)
            if self._path:
                name, remedy = (
                    repr(self._path),
                    f"{remedy}, or choose another cache_dir",
                )
            else:
                name = "in a temporary file"
                remedy += ", choose another folder for temporary files, or a cache_dir"
            warn(
                f"The feature store {name} cannot store new features: {cause}. The"
                f" result is correct, but not cached. {remedy}."
            )

    def _require_writable(self):
        """Raise the error that made the store read-only, if any."""
        if self._refusal is not None:
            raise self._refusal

    def _select(self, columns, keys):
        """Yield the rows of `keys` in lists, each from a completed query."""
        keys = list(keys)
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            some = keys[start : start + _KEYS_PER_QUERY]
            marks = ", ".join("?" * len(some))
            query = f"SELECT {columns} FROM features WHERE key IN ({marks})"
            yield patiently(self._fetch, query, some)

    def _fetch(self, query, values=()):
        return self._connection.execute(query, values).fetchall()


def _to_row(key, array):
    """Return key, little-endian bytes and checksum of an array."""
    value = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return key, value, _checksum(key, value)


def _to_array(row, dtype, shape):
    """Return the read-only array of a row, after checking its integrity."""
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
    """Return the checksum of an entry and its key, which detects swapped values."""
    return blake2b(key + value, digest_size=8).digest()


def _database_path(cache_dir):
    """Create the folder and return the absolute path of the database in it."""
    folder = os.path.expanduser(os.fsdecode(cache_dir))
    try:
        if not folder:
            raise ValueError("it is empty; '.' is the current folder")
        # SQLite may interpret a relative path "file:..." as a URI.
        folder = os.path.abspath(folder)
        os.makedirs(folder, exist_ok=True)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in _UNWRITABLE:
            return os.path.join(folder, _FILE_NAME)  # replaced by one in memory
        raise FeatureStoreError(
            f"cache_dir must be a folder, or a path where one can be created. Got"
            f" {cache_dir!r}: {error}. Choose another cache_dir."
        ) from error
    return os.path.join(folder, _FILE_NAME)
