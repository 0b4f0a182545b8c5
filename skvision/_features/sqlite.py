"""SQLite for the feature store: open, create, check, evict, classify errors."""

import contextlib
import os
import shutil
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from skvision.exceptions import FeatureStoreError

_APPLICATION_ID = 0x736B7669  # "skvi"
_FORMAT = 1
_NEW = (0, 0, 0)  # what _identity finds in an empty file
_LOCK_TIMEOUT = 5.0  # seconds; a transaction takes some milliseconds
_UNINTERRUPTED = 0.2  # seconds that SQLite itself waits, in which Ctrl-C has to wait
_REMEDY = "Delete the file (if nobody else needs it) or choose another cache_dir."

# A rowid table with an index on the key, not WITHOUT ROWID: large values in the B-tree
# of the keys would slow down look-ups, and `clear` needs the order of insertion.
_SCHEMA = """
CREATE TABLE features (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    value BLOB NOT NULL,
    checksum BLOB NOT NULL
)"""
# For values of 2 to 98 KiB the file is at most 1.4 times as large as the values; with
# pages of 4 or 16 KiB it is up to 2.0 times as large.
_PAGE_SIZE = 8192

_DELETE_OLDEST = """
DELETE FROM features WHERE id <= (
    SELECT max(id) FROM (
        SELECT id, sum(length(value)) OVER (ORDER BY id DESC) AS n_bytes FROM features
    ) WHERE n_bytes > ?
)"""

_DELETE_OLDEST_UP_TO = """
DELETE FROM features WHERE id IN (
    SELECT id FROM features WHERE id <= ? ORDER BY id LIMIT 4
)"""

# Errors of the environment. Everything else ("malformed", "not a database", "no such
# table") means that the file is damaged.
_ENVIRONMENT_ERRORS = {
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


def file_size(path):
    """Return the size in bytes, 0 for a file that is missing or inaccessible."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def is_environment_error(error):
    """Return whether an error is a full disk, a missing permission or a lock."""
    # Errors of the sqlite3 module itself (text that is not UTF-8) have no code.
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _ENVIRONMENT_ERRORS


@contextmanager
def damage_reported(path):
    """Convert SQLite's errors about the content of the file to FeatureStoreError."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # use of a closed store
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise FeatureStoreError(
            f"{path!r} is not a feature store of skvision, or is damaged: {error}."
            f" {_REMEDY}"
        ) from error


def patiently(function, *arguments):
    """Call `function` again while another process has locked the database, for 5 s."""
    deadline = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            return function(*arguments)
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _is_busy(error):
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_BUSY


def describe(error, path):
    """Return what an error of the environment means, and how to remove its cause."""
    if _is_busy(error):
        holders = " or ".join(map(str, _lock_holders(path)))
        holders = f" ({holders})" if holders else ""
        return (
            f"another process{holders} has kept it locked for {_LOCK_TIMEOUT:g} seconds"
            f" ({error})",
            "End that process",
        )
    if is_full(error, path):
        return str(error), "Free space on the disk"
    return str(error), "Make the folder writable"


def _lock_holders(path):
    """Return the ids of the processes that have locked the database, as Linux does."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        inodes = {os.stat(p).st_ino for p in (path, path + "-shm") if file_size(p)}
        locks = Path("/proc/locks").read_text().splitlines()
        # "1: POSIX  ADVISORY  WRITE 1234 00:2f:5678 124 124"
        fields = [line.split() for line in locks if "WRITE" in line]
        found = {int(f[4]) for f in fields if int(f[5].split(":")[2]) in inodes}
        return sorted(found - {os.getpid()})
    return []


@contextmanager
def transaction(connection, kind="IMMEDIATE"):
    """Commit on success, roll back on any exception."""
    try:
        patiently(connection.execute, f"BEGIN {kind}")
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def open_database(path):
    """Return a connection, and the error that prevents writing or None.

    The database of the empty path is a temporary file, which SQLite removes from its
    folder when it creates it: nothing stays, even if the process is killed.
    """
    try:
        return _connect(path, _prepare), None
    except sqlite3.OperationalError as error:
        if not is_environment_error(error):
            raise
        return _connect_read_only(path), error


def _connect(database, prepare, uri=False):
    """Connect and call `prepare`; close the connection if that fails."""
    connection = sqlite3.connect(
        database,
        timeout=_UNINTERRUPTED,
        isolation_level=None,  # transactions are begun and ended explicitly
        check_same_thread=False,  # FeatureStore has a lock
        uri=uri,
    )
    try:
        patiently(prepare, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_read_only(path):
    """Connect to a read-only file, or to an empty database in memory."""
    # Without write permission, SQLite reads a WAL database only as "immutable": this
    # is safe if nobody else writes, for otherwise there would be a log.
    if file_size(path) and not file_size(path + "-wal"):
        try:
            return _connect(f"{Path(path).as_uri()}?immutable=1", _check, uri=True)
        except sqlite3.OperationalError as error:
            if not is_environment_error(error):
                raise
    return _connect(":memory:", lambda connection: connection.execute(_SCHEMA))


def _prepare(connection):
    """Create the database if it is new, check it, and configure the connection."""
    with transaction(connection, "DEFERRED"):
        is_new = _identity(connection) == _NEW
    if is_new:
        _create(connection)
    _check(connection)
    # Processes that switch a new file at the same time block each other: SQLite then
    # reports BUSY at once, whatever the timeout.
    mode = patiently(connection.execute, "PRAGMA journal_mode = WAL").fetchone()[0]
    if mode == "wal":
        # Without WAL, NORMAL could damage the file in a power failure.
        connection.execute("PRAGMA synchronous = NORMAL")
    # Some builds overwrite deleted content, which only takes time here.
    connection.execute("PRAGMA secure_delete = OFF")


def _create(connection):
    """Create the table and the header, unless another process has."""
    connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with transaction(connection):
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


def remove_oldest(connection, max_bytes):
    """Delete rows and shrink the file; return the number of rows."""
    with transaction(connection):
        n_removed = connection.execute(_DELETE_OLDEST, (max_bytes,)).rowcount
    _shrink(connection)
    return n_removed


def is_full(error, path):
    """Return whether the disk is full, or the limit of the database reached."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    if code & 0xFF == sqlite3.SQLITE_IOERR:  # no space for the files next to it
        with contextlib.suppress(OSError):
            return shutil.disk_usage(os.path.dirname(path) or ".").free < 2**16
    return code & 0xFF == sqlite3.SQLITE_FULL


def delete_database(path):
    """Delete the files of a feature store, which frees space without needing any."""
    with open(path, "rb") as file:
        header = file.read(72)  # SQLite's, with the application id at its end
    if header[68:] != _APPLICATION_ID.to_bytes(4, "big"):
        raise OSError("it is not a feature store")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + suffix)


def newest(connection):
    """Return the id of the newest row, 0 if there is none."""
    return connection.execute("SELECT ifnull(max(id), 0) FROM features").fetchone()[0]


def evict(connection, sizes, max_bytes, newest):
    """Evict the oldest rows, up to `newest`, for new values of `sizes` bytes.

    Returns how many of these, from the first one on, fit into a file of `max_bytes`. To
    be called in the transaction that inserts them.
    """
    count = lambda name: connection.execute(f"PRAGMA {name}").fetchone()[0]  # noqa: E731
    page_size = count("page_size")
    # A page holds a little less than its size, and a row needs an entry in the index.
    needed = np.cumsum([size // (page_size - 64) + 2 for size in sizes])
    while True:
        used = count("page_count") - count("freelist_count")
        n_fitting = int(np.searchsorted(needed, max_bytes // page_size - used, "right"))
        if n_fitting == len(sizes):
            return n_fitting
        if connection.execute(_DELETE_OLDEST_UP_TO, (newest,)).rowcount == 0:
            return n_fitting


def shrink_to(connection, path, max_bytes):
    """Return free pages to the file system if the file exceeds its limit."""
    if file_size(path) > max_bytes:
        _shrink(connection)


def _shrink(connection):
    # Incremental, since VACUUM copies the file, and disk space may be missing.
    # By `executescript`: the pragma frees one page per step, and `execute` makes one.
    connection.executescript("PRAGMA incremental_vacuum")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
