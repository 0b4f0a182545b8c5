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

import math
import os
import sqlite3
import threading
import time
import warnings
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skvision.exceptions import FeatureStoreError, SkvisionWarning

_FILE_NAME = "features.sqlite3"
_APPLICATION_ID = 0x736B7669  # "skvi"
_FORMAT = 1
_NEW = (0, 0, 0)  # what _identity finds in an empty file
_LOCK_TIMEOUT = 60.0  # seconds
_KEYS_PER_QUERY = 500  # the oldest limit of SQLite is 999 variables
_REMEDY = "Delete the file (if nobody else needs it) or choose another cache_dir."

# A rowid table with an index on the key, not WITHOUT ROWID: large values in the tree
# of the keys would slow every look-up, and `clear` needs the order of insertion.
_SCHEMA = """
CREATE TABLE features (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    value BLOB NOT NULL,
    checksum BLOB NOT NULL
)"""
# Of 4, 8 and 16 KiB the only size without a bad case: for values of 2 to 98 KiB the
# file is at most 1.4 times as large as the values (the other two: up to 2.0 times).
_PAGE_SIZE = 8192

_DELETE_OLDEST = """
DELETE FROM features WHERE id <= (
    SELECT max(id) FROM (
        SELECT id, sum(length(value)) OVER (ORDER BY id DESC) AS n_bytes FROM features
    ) WHERE n_bytes > ?
)"""

# Codes that blame the circumstances. All else that SQLite reports ("malformed", "not
# a database", "no such table") is damage to the file.
_CIRCUMSTANCES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


class CacheInfo(NamedTuple):
    """What a feature store holds.

    Parameters
    ----------
    path : str
        The database file.
    n_entries : int
        Number of images with stored features.
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
    >>> from skvision._store import FeatureStore, content_digest
    >>> key = FeatureStore.key(content_digest(b"pixels"), "vgg16 224x224")
    >>> with tempfile.TemporaryDirectory() as folder, FeatureStore(folder) as store:
    ...     store.write({key: np.array([0.5, 1.5], dtype="float32")})
    ...     store.read([key], dtype="float32", shape=(2,))[key]
    array([0.5, 1.5], dtype=float32)
    """

    def __init__(self, cache_dir):
        self._path = _database_path(cache_dir)
        self._lock = threading.RLock()
        self._given_up = False
        with _damage_reported(self._path):
            self._connection, self._refusal = _open(self._path)

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
            with _transaction(self._connection):
                self._connection.executemany(
                    "INSERT OR IGNORE INTO features (key, value, checksum)"
                    " VALUES (?, ?, ?)",
                    rows,
                )

    def info(self):
        """Return the CacheInfo: path, number of entries, bytes on disk."""
        n_entries = 0
        with self._tolerant():
            count = self._connection.execute("SELECT count(*) FROM features")
            (n_entries,) = count.fetchone()
        n_bytes = _file_size(self._path) + _file_size(self._path + "-wal")
        return CacheInfo(self._path, n_entries, n_bytes)

    def clear(self, max_bytes=0):
        """Remove the oldest entries until the values take at most `max_bytes` bytes.

        The space goes back to the file system. Returns the number of removed entries;
        raises a FeatureStoreError if the store is damaged or cannot be written to.
        """
        with self._lock, _damage_reported(self._path):
            try:
                self._require_writable()
                return _remove_oldest(self._connection, max_bytes)
            except sqlite3.OperationalError as error:
                if not _is_circumstance(error):
                    raise
                raise FeatureStoreError(
                    f"Cannot clear the feature store {self._path!r}: {error}. Free"
                    " space on the disk, make the folder writable, or delete the file"
                    " while nothing uses it."
                ) from error

    @contextmanager
    def _tolerant(self):
        """Hold the lock; survive bad circumstances, not damage."""
        with self._lock, _damage_reported(self._path):
            try:
                yield
            except sqlite3.OperationalError as error:
                if not _is_circumstance(error):
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


def _file_size(path):
    """Size in bytes, 0 for a file that is not there."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _database_path(cache_dir):
    """Create the folder and return the absolute path of the database in it."""
    # Absolute, for SQLite may take a relative "file:..." for a URI.
    folder = os.path.abspath(os.path.expanduser(os.fsdecode(cache_dir)))
    try:
        os.makedirs(folder, exist_ok=True)
    except (OSError, ValueError) as error:
        raise FeatureStoreError(
            f"cache_dir must be a folder or a path where one can be created, got"
            f" {cache_dir!r}: {error}. Choose another cache_dir."
        ) from error
    return os.path.join(folder, _FILE_NAME)


def _is_circumstance(error):
    """Tell a full disk, missing right or lock from damage to the file."""
    # Errors of Python's own (text that is not UTF-8) have no code: damage.
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _CIRCUMSTANCES


@contextmanager
def _damage_reported(path):
    """Turn SQLite's errors about the content of the file into FeatureStoreError."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # use of a closed store
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise FeatureStoreError(
            f"{path!r} is not a feature store of skvision, or is damaged: {error}."
            f" {_REMEDY}"
        ) from error


@contextmanager
def _transaction(connection, kind="IMMEDIATE"):
    """Commit on success, roll back on any exception."""
    try:
        connection.execute(f"BEGIN {kind}")
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _open(path):
    """Return a connection, and the error that forbids to write or None."""
    try:
        return _connect(path, _prepare), None
    except sqlite3.OperationalError as error:
        if not _is_circumstance(error):
            raise
        return _connect_read_only(path), error


def _connect(database, prepare, uri=False):
    """Connect and call `prepare`; if that fails, leave no connection open."""
    connection = sqlite3.connect(
        database,
        timeout=_LOCK_TIMEOUT,
        isolation_level=None,  # transactions are begun and ended explicitly
        check_same_thread=False,  # FeatureStore has a lock
        uri=uri,
    )
    try:
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_read_only(path):
    """Connect to a file that cannot be written to, or to an empty stand-in."""
    # SQLite reads a WAL database without a right to write only as "immutable", which
    # is safe as long as nobody else writes: then there would be a log.
    if _file_size(path) and not _file_size(path + "-wal"):
        try:
            return _connect(f"{Path(path).as_uri()}?immutable=1", _check, uri=True)
        except sqlite3.OperationalError as error:
            if not _is_circumstance(error):
                raise
    return _connect(":memory:", lambda connection: connection.execute(_SCHEMA))


def _prepare(connection):
    """Create the database if it is new, check it, and set the connection up."""
    with _transaction(connection, "DEFERRED"):
        is_new = _identity(connection) == _NEW
    if is_new:
        _create(connection)
    _check(connection)
    if _enter_wal(connection) == "wal":
        # Without WAL, less than FULL could damage the file in a power failure.
        connection.execute("PRAGMA synchronous = NORMAL")
    # Some builds overwrite what is deleted, which only costs time here.
    connection.execute("PRAGMA secure_delete = OFF")


def _enter_wal(connection):
    """Ask for WAL mode and return the mode that the file is in now."""
    # Processes that switch a new file at the same moment block each other; SQLite
    # then reports BUSY without a wait, whatever the timeout.
    deadline = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            return connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _create(connection):
    """Create the table and the marks of the file, unless another process did."""
    connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with _transaction(connection):
        if _identity(connection) == _NEW:
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_FORMAT}")


def _identity(connection):
    """Return application id, format version and number of tables."""
    queries = (
        "PRAGMA application_id",
        "PRAGMA user_version",
        "SELECT count(*) FROM sqlite_master",
    )
    return tuple(connection.execute(query).fetchone()[0] for query in queries)


def _check(connection):
    """Fail unless the file is a feature store of this format."""
    application_id, version, _ = _identity(connection)
    if application_id != _APPLICATION_ID:
        raise sqlite3.DatabaseError(
            f"its application_id is {application_id}, expected {_APPLICATION_ID}"
        )
    if version != _FORMAT:
        raise sqlite3.DatabaseError(
            f"its format version is {version}, this skvision reads {_FORMAT}"
        )


def _remove_oldest(connection, max_bytes):
    """Delete rows and shrink the file; return the number of rows."""
    # Incremental, not VACUUM, which copies the file and so needs the disk space whose
    # lack is the usual reason to clear.
    with _transaction(connection):
        n_removed = connection.execute(_DELETE_OLDEST, (max_bytes,)).rowcount
    # Not `execute`: the pragma frees one page per step, and that makes one step only.
    connection.executescript("PRAGMA incremental_vacuum")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return n_removed
