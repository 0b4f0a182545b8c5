"""Tests of the feature store: round trips, damage, full disks and concurrency."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from contextlib import closing, contextmanager

import numpy as np
import pytest

from skvision._features import sqlite
from skvision._features.store import FeatureStore
from skvision._utils.files import content_digest
from skvision.exceptions import FeatureStoreError, SkvisionWarning

SHAPE = (2048,)
FILE_NAME = "features.sqlite3"

# Each value is derived from its key, so that any process can verify it.
HELPERS = """
import sys, time, warnings
import numpy as np
from skvision._features.store import FeatureStore
warnings.simplefilter("error")

def entry(i):
    value = np.random.default_rng(i).random(2048, dtype="float32")
    return i.to_bytes(20, "big"), value
"""


def entry(i):
    value = np.random.default_rng(i).random(2048, dtype="float32")
    return i.to_bytes(20, "big"), value


def entries(*numbers):
    return dict(entry(i) for i in numbers)


def read(store, keys):
    return store.read(keys, dtype="float32", shape=SHAPE)


def assert_values_match_keys(features):
    for key, value in features.items():
        expected = entry(int.from_bytes(key, "big"))[1]
        np.testing.assert_array_equal(value, expected)


def start(script, *arguments):
    command = [sys.executable, "-c", HELPERS + script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(script, *arguments):
    process = start(script, *arguments)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    return output.decode()


@pytest.fixture
def store(tmp_path):
    with FeatureStore(tmp_path) as store:
        yield store


@pytest.fixture
def filled(tmp_path):
    """Path of a closed database with the entries 0 to 19."""
    with FeatureStore(tmp_path) as store:
        store.write(entries(*range(20)))
    return tmp_path / FILE_NAME


# Keys


def test_key_depends_on_content_and_settings():
    a, b = content_digest(b"a"), content_digest(b"b")
    keys = {FeatureStore.key(d, s) for d in (a, b) for s in ("224", "128")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {20}
    assert FeatureStore.key(a, "224") == FeatureStore.key(content_digest(b"a"), "224")


# Round trips


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", ">f4"])
@pytest.mark.parametrize("shape", [(512,), (7, 7, 32), ()])
def test_round_trip(store, dtype, shape):
    value = np.random.default_rng(0).normal(size=shape).astype(dtype)
    store.write({b"key": value})
    (result,) = store.read([b"key"], dtype=dtype, shape=shape).values()
    assert result.dtype == np.dtype(dtype)
    assert result.shape == shape
    np.testing.assert_array_equal(result, value)


def test_non_contiguous_arrays_keep_their_order(store):
    value = np.arange(12, dtype="float32").reshape(3, 4).T[::2]
    store.write({b"key": value})
    result = store.read([b"key"], "float32", (2, 3))
    np.testing.assert_array_equal(result[b"key"], value)


def test_special_values_keep_their_bits(store):
    value = np.array([np.nan, np.inf, -0.0, 1e-45], dtype="float32")
    store.write({b"key": value})
    assert store.read([b"key"], "float32", (4,))[b"key"].tobytes() == value.tobytes()


def test_arrays_are_read_only_and_outlive_the_store(tmp_path):
    with FeatureStore(tmp_path) as store:
        store.write(entries(1))
        features = read(store, entries(1))
    assert_values_match_keys(features)
    (value,) = features.values()
    with pytest.raises(ValueError, match="read-only"):
        value[0] = 1


def test_missing_keys_are_left_out(store):
    store.write(entries(1, 3))
    present = set(entries(1, 3))
    assert store.contains(entries(1, 2, 3)) == present
    assert set(read(store, entries(1, 2, 3))) == present
    assert store.contains([]) == set()
    assert read(store, []) == {}


def test_existing_entries_are_not_overwritten(store):
    store.write(entries(1))
    store.write({entry(1)[0]: np.zeros(SHAPE, "float32"), **entries(2)})
    features = read(store, entries(1, 2))
    assert len(features) == 2
    assert_values_match_keys(features)


def test_more_keys_than_sqlite_allows_variables(store):
    value = np.zeros(1, "float32")
    keys = [i.to_bytes(20, "big") for i in range(45_000)]
    store._connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
    store.write(dict.fromkeys(keys[::2], value))
    assert store.contains(iter(keys)) == set(keys[::2])
    assert len(store.read(keys, "float32", (1,))) == 22_500


def test_two_instances_see_the_same_entries(tmp_path):
    with FeatureStore(tmp_path) as one, FeatureStore(tmp_path) as two:
        one.write(entries(1))
        two.write(entries(2))
        assert_values_match_keys(read(one, entries(1, 2)))
        assert one.contains(entries(1, 2)) == two.contains(entries(1, 2))
        assert two.info().n_entries == 2
    assert os.listdir(tmp_path) == [FILE_NAME]


def test_entries_are_there_after_reopening(filled):
    with FeatureStore(filled.parent) as store:
        features = read(store, entries(*range(20)))
    assert len(features) == 20
    assert_values_match_keys(features)
    assert os.listdir(filled.parent) == [FILE_NAME]


def test_use_after_close_raises(store):
    store.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        store.contains(entries(1))


def test_failed_write_is_rolled_back(store):
    store._connection.executescript(
        "CREATE TEMP TRIGGER stop BEFORE INSERT ON features WHEN NEW.key = x'02'"
        " BEGIN SELECT RAISE(ABORT, 'stopped'); END"
    )
    with pytest.raises(FeatureStoreError, match="stopped"):
        store.write({**entries(1), b"\2": np.zeros(2)})
    assert store.info().n_entries == 0
    store.write(entries(1))
    assert store.info().n_entries == 1


# cache_dir


def test_folder_and_parents_are_created(tmp_path):
    cache_dir = tmp_path / "a b" / "ü?#%20" / "file:c"
    with FeatureStore(str(cache_dir)) as store:
        store.write(entries(1))
    assert os.listdir(cache_dir) == [FILE_NAME]


def test_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    with FeatureStore("~/features") as store:
        assert store.info().path == str(tmp_path / "features" / FILE_NAME)
    assert (tmp_path / "features" / FILE_NAME).is_file()


def test_relative_folder_may_look_like_a_uri(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with FeatureStore("file:cache") as store:
        assert store.info().path == str(tmp_path / "file:cache" / FILE_NAME)


@pytest.mark.parametrize("name", ["file", "file/below", "nul\0"])
def test_cache_dir_that_cannot_be_a_folder(tmp_path, name):
    (tmp_path / "file").write_text("hello")
    with pytest.raises(
        FeatureStoreError, match=r"cache_dir must be a folder.* another"
    ):
        FeatureStore(tmp_path / name)


# Files of other programs, and damaged files


def make_foreign(path, kind):
    """Write a file that is not a store of this version."""
    if kind == "text":
        path.write_text("These are not the features you are looking for.\n" * 50)
    elif kind == "other program":
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript("PRAGMA application_id = 7; CREATE TABLE t (x)")
    elif kind == "no application":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE features (key, value)")
    else:
        with FeatureStore(path.parent) as store:
            store.write(entries(*range(20)))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 2")


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("text", "file is not a database"),
        ("other program", r"application_id is 7, expected \d+"),
        ("no application", r"application_id is 0, expected \d+"),
        ("newer format", "format version is 2, this skvision reads 1"),
    ],
)
def test_foreign_file_raises_and_is_not_modified(tmp_path, kind, found):
    path = tmp_path / FILE_NAME
    make_foreign(path, kind)
    content = path.read_bytes()
    with pytest.raises(FeatureStoreError, match=f"{found}.*Delete the file") as info:
        FeatureStore(tmp_path)
    assert repr(str(path)) in str(info.value)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == [FILE_NAME]


def test_empty_file_becomes_a_store(tmp_path):
    (tmp_path / FILE_NAME).touch()
    with FeatureStore(tmp_path) as store:
        store.write(entries(1))
        assert_values_match_keys(read(store, entries(1)))


def test_write_ahead_log_of_a_deleted_database_is_ignored(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    with FeatureStore(old) as store:
        store.write(entries(1))
        new.mkdir()
        shutil.copy(old / f"{FILE_NAME}-wal", new)
    with FeatureStore(new) as store:
        assert store.info().n_entries == 0
        store.write(entries(2))
    assert os.listdir(new) == [FILE_NAME]


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_truncated_file_raises(filled, part):
    os.truncate(filled, int(filled.stat().st_size * part))
    message = r"features\.sqlite3' .*damaged: .*malformed.*Delete the file"
    with pytest.raises(FeatureStoreError, match=message):
        with FeatureStore(filled.parent) as store:
            read(store, entries(*range(20)))


def flip(path, position, mask=0xFF):
    """Invert the bits of the mask in one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= mask
    path.write_bytes(content)


def test_flipped_byte_in_a_value_raises(filled):
    flip(filled, filled.read_bytes().index(entry(7)[1][1000:1010].tobytes()))
    with FeatureStore(filled.parent) as store:
        assert_values_match_keys(read(store, entries(6, 8)))
        message = r"features\.sqlite3' .*does not match its checksum; clear_cache\(\)"
        with pytest.raises(FeatureStoreError, match=message):
            read(store, entries(7))
        assert store.clear() == 20
        store.write(entries(7))
        assert_values_match_keys(read(store, entries(7)))


def positions(path, n_anywhere):
    """Return positions in the header, in the schema and anywhere in the file."""
    rng = random.Random(0)
    size = path.stat().st_size
    schema = path.read_bytes().index(b"CREATE TABLE")
    n_header = min(100, 2 * n_anywhere // 3)
    header = rng.sample(range(100), n_header)
    anywhere = rng.sample(range(size), n_anywhere)
    return [*header, *range(schema, schema + 100, 10), *anywhere]


@pytest.mark.parametrize("n", [30, pytest.param(250, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mask", [0x01, 0xFF])
def test_flipped_byte_never_returns_wrong_features(filled, mask, n):
    content = filled.read_bytes()
    n_errors = 0
    for position in positions(filled, n):
        flip(filled, position, mask)
        try:
            with warnings.catch_warnings():
                # With some changes of the header SQLite opens the file read-only.
                warnings.simplefilter("ignore", SkvisionWarning)
                with FeatureStore(filled.parent) as store:
                    assert_values_match_keys(read(store, entries(*range(20))))
                    store.write(entries(*range(25)))
                    assert_values_match_keys(read(store, entries(*range(25))))
        except FeatureStoreError:
            n_errors += 1
        for path in filled.parent.iterdir():
            path.unlink()
        filled.write_bytes(content)
    assert n_errors > n / 2


@pytest.mark.parametrize(
    ("dtype", "shape"), [("float16", SHAPE), ("float32", (2047,)), ("float32", ())]
)
def test_value_of_unexpected_size_raises(store, dtype, shape):
    store.write(entries(1))
    with pytest.raises(FeatureStoreError, match="has 8192 bytes, expected"):
        store.read(entries(1), dtype, shape)


def test_swapped_values_raise(filled):
    with closing(sqlite3.connect(filled)) as connection, connection:
        value = connection.execute(
            "SELECT value, checksum FROM features WHERE key = ?", entry(2)[:1]
        ).fetchone()
        connection.execute(
            "UPDATE features SET value = ?, checksum = ? WHERE key = ?",
            (*value, entry(1)[0]),
        )
    with FeatureStore(filled.parent) as store:
        with pytest.raises(FeatureStoreError, match="does not match its checksum"):
            read(store, entries(1))


def test_file_without_the_table_raises(filled):
    with closing(sqlite3.connect(filled)) as connection:
        connection.execute("DROP TABLE features")
    with FeatureStore(filled.parent) as store:
        for action in (store.info, store.clear):
            with pytest.raises(FeatureStoreError, match=r"no such table.*Delete"):
                action()


def test_field_of_wrong_type_raises(filled):
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("UPDATE features SET value = 'text'")
    with FeatureStore(filled.parent) as store:
        with pytest.raises(FeatureStoreError, match="field that is not binary"):
            read(store, entries(1))


# Failing writes


def test_full_disk_gives_one_warning_and_no_partial_batch(tmp_path):
    with FeatureStore(tmp_path) as store:
        store.write(entries(*range(5)))
        store._connection.execute("PRAGMA max_page_count = 40")
        with pytest.warns(SkvisionWarning) as record:
            store.write(entries(*range(5, 50)))
        store.write(entries(60))
        assert_values_match_keys(read(store, entries(*range(61))))
        path = store.info().path
    (warning,) = record
    for part in (repr(path), "disk is full", "result is correct, but not cached"):
        assert part in str(warning.message)
    assert warning.filename == __file__
    with FeatureStore(tmp_path) as store:
        assert store.contains(entries(*range(61))) == set(entries(*range(5)))
        store.write(entries(60))
        assert store.info().n_entries == 6


# Eviction


def large(*numbers):
    value = np.zeros(10_000, "float32")
    return {i.to_bytes(20, "big"): value + i for i in numbers}


def present(store, n):
    return [i for i in range(n) if store.contains(large(i))]


def test_oldest_entries_are_evicted_but_not_those_of_this_instance(tmp_path):
    limit = 1_000_000
    with FeatureStore(tmp_path, limit) as store:
        for i in range(0, 40, 4):
            store.write(large(*range(i, i + 4)))
        kept = present(store, 40)
        assert kept == list(range(len(kept)))
        assert 0.7 * limit < 40_000 * len(kept) < limit
        assert store.is_full
    assert os.path.getsize(tmp_path / FILE_NAME) <= limit
    with FeatureStore(tmp_path, limit) as store:
        store.write(large(50, 51))
        assert set(large(50, 51)) == store.contains(large(50, 51))
        assert present(store, 40) == kept[-len(present(store, 40)) :]
        assert len(kept) - 8 <= len(present(store, 40)) < len(kept)
        assert not store.is_full
        for i in range(60, 100):
            store.write(large(i))
        assert store.is_full
        assert present(store, 50) == []
        assert set(large(50, 51)) == store.contains(large(50, 51))
        (value,) = store.read(large(51), "float32", (10_000,)).values()
        assert value[0] == 51
    assert os.path.getsize(tmp_path / FILE_NAME) <= limit


def test_limit_below_the_current_size_shrinks_the_file(tmp_path):
    with FeatureStore(tmp_path) as store:
        store.write(large(*range(50)))
    with FeatureStore(tmp_path, 800_000) as store:
        store.write(large(60))
        assert present(store, 70)[-1] == 60
    assert os.path.getsize(tmp_path / FILE_NAME) <= 800_000


def test_read_only_store_gives_one_warning(filled):
    with FeatureStore(filled.parent) as store:
        store._connection.execute("PRAGMA query_only = ON")
        with pytest.warns(SkvisionWarning, match="cannot store new features.*readonly"):
            store.write(entries(30))
        store.write(entries(30))
        assert store.contains(entries(1, 30)) == set(entries(1))
        with pytest.raises(FeatureStoreError, match=r"Cannot clear.*readonly.*delete"):
            store.clear()
        assert store.info().n_entries == 20


def test_write_to_a_locked_store_warns(filled, monkeypatch):
    monkeypatch.setattr(sqlite, "_LOCK_TIMEOUT", 0.1)
    with FeatureStore(filled.parent) as one, FeatureStore(filled.parent) as two:
        one._connection.execute("BEGIN IMMEDIATE")
        with pytest.warns(SkvisionWarning, match="cannot store new features.*locked"):
            two.write(entries(30))
        features = read(two, entries(*range(20)))
        one._connection.execute("ROLLBACK")
    assert len(features) == 20
    assert_values_match_keys(features)


def test_failed_reads_give_one_warning(filled, monkeypatch):
    monkeypatch.setattr(sqlite, "_LOCK_TIMEOUT", 0.1)
    with FeatureStore(filled.parent) as store:
        # Without WAL a writer locks readers out.
        store._connection.execute("PRAGMA journal_mode = DELETE")
        with closing(sqlite3.connect(filled, isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            with pytest.warns(SkvisionWarning, match="locked") as record:
                assert read(store, entries(1)) == {}
                assert store.contains(entries(1)) == set()
                store.write(entries(30))
        assert len(record) == 1
        assert_values_match_keys(read(store, entries(1)))


UNWRITABLE = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
with warnings.catch_warnings(record=True) as record:
    warnings.simplefilter("always")
    with FeatureStore(sys.argv[1]) as store:
        store.write(dict([entry(30)]))
        store.write(dict([entry(31)]))
        keys = [entry(i)[0] for i in range(40)]
        features = store.read(keys, "float32", (2048,))
        assert set(features) == store.contains(keys)
        for key, value in features.items():
            assert (value == entry(int.from_bytes(key, "big"))[1]).all()
        print(store.info().n_entries, len(record), record[0].category.__name__)
        try:
            store.clear()
        except OSError as error:
            print(error)
"""


@pytest.mark.parametrize(("n_entries", "cache_dir"), [(20, "."), (0, "new")])
def test_open_when_no_file_can_be_written(filled, n_entries, cache_dir):
    pytest.importorskip("resource")
    content = filled.read_bytes()
    output = run(UNWRITABLE, filled.parent / cache_dir)
    assert output.startswith(f"{n_entries} 1 SkvisionWarning\nCannot clear")
    assert filled.read_bytes() == content
    with FeatureStore(filled.parent / cache_dir) as store:
        store.write(entries(50))
        assert store.info().n_entries == n_entries + 1


@contextmanager
def ordinary_user():
    """Be subject to permissions within the block, also in a test run by root."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs permissions of folders")
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize(("mode", "n_readable"), [(0o555, 20), (0o000, 0)])
def test_folder_without_rights(mode, n_readable):
    # Not in `tmp_path`, whose parents belong to the user who runs the tests.
    with tempfile.TemporaryDirectory() as folder:
        with FeatureStore(folder) as store:
            store.write(entries(*range(20)))
        os.chmod(folder, mode)
        try:
            with ordinary_user(), FeatureStore(folder) as store:
                assert len(read(store, entries(*range(20)))) == n_readable
                with pytest.warns(SkvisionWarning, match="cannot store new") as record:
                    store.write(entries(30))
                    store.write(entries(31))
                with pytest.raises(FeatureStoreError, match="Cannot clear"):
                    store.clear()
                with pytest.warns(SkvisionWarning, match="cannot store new"):
                    with FeatureStore(os.path.join(folder, "new")) as below:
                        below.write(entries(30))
        finally:
            os.chmod(folder, 0o755)
        assert len(record) == 1


HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print(flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/locks")
def test_warning_names_the_process_that_locks_the_store(filled, monkeypatch):
    monkeypatch.setattr(sqlite, "_LOCK_TIMEOUT", 0.1)
    command = [sys.executable, "-c", HOLDER, str(filled)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            holder.stdout.readline()
            with FeatureStore(filled.parent) as store:
                message = rf"another process \({holder.pid}\) has kept it locked"
                with pytest.warns(SkvisionWarning, match=message):
                    store.write(entries(30))
        finally:
            holder.kill()


TEMPORARY = """
with FeatureStore(None) as store:
    store.write(dict(entry(i) for i in range(1000)))
    print(store.info().n_entries, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_nothing_stays_of_a_temporary_store(tmp_path, monkeypatch):
    for name in ("SQLITE_TMPDIR", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    process = start(TEMPORARY)
    assert process.stdout.readline() == b"1000\n"
    process.kill()
    process.communicate(timeout=60)
    assert os.listdir(tmp_path) == []


def test_clear_on_a_full_disk_deletes_stores_only(tmp_path, filled):
    text = tmp_path / "text"
    text.write_text("not a feature store" * 10)
    with pytest.raises(OSError, match="not a feature store"):
        sqlite.delete_database(str(text))
    sqlite.delete_database(str(filled))
    assert os.listdir(tmp_path) == ["text"]


# info and clear


def test_info_reports_path_and_size(tmp_path):
    with FeatureStore(tmp_path) as store:
        empty = store.info()
        store.write(entries(*range(10)))
        full = store.info()
    assert full.path == str(tmp_path / FILE_NAME)
    assert (empty.n_entries, full.n_entries) == (0, 10)
    assert full.n_bytes >= empty.n_bytes + 10 * 8192


def test_clear_removes_all_entries_and_shrinks_the_file(filled):
    before = filled.stat().st_size
    with FeatureStore(filled.parent) as store:
        assert store.clear() == 20
        assert store.info().n_entries == 0
        assert store.info().n_bytes < before / 4
        assert store.clear() == 0
    assert filled.stat().st_size < before / 4


def test_clear_keeps_the_newest_entries(filled):
    before = filled.stat().st_size
    with FeatureStore(filled.parent) as store:
        store.write(entries(*range(100, 105)))
        assert store.clear(max_bytes=8 * 8192 - 1) == 18
        kept = set(entries(18, 19, *range(100, 105)))
        assert store.contains(entries(*range(105))) == kept
        assert_values_match_keys(read(store, kept))
        assert store.clear(max_bytes=7 * 8192) == 0
        store.write(entries(0))
        assert store.clear(max_bytes=8192) == 7
        assert store.contains(entries(*range(105))) == set(entries(0))
    assert filled.stat().st_size < before / 3


# Threads and processes


def test_threads_share_an_instance(store):
    failures = []

    def work(offset):
        try:
            for i in range(40):
                store.write(entries((i + offset) % 20))
                assert_values_match_keys(read(store, entries(*range(20))))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(5 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.info().n_entries == 20


WORKER = """
cache_dir, number, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
keys = [entry(i)[0] for i in range(20)]
end, n_read, i = time.monotonic() + seconds, 0, number
while time.monotonic() < end:
    with FeatureStore(cache_dir) as store:
        for _ in range(5):
            i = (i + 7) % 20
            store.write(dict([entry(i)]))
            for key, value in store.read(keys, "float32", (2048,)).items():
                assert (value == entry(int.from_bytes(key, "big"))[1]).all()
                n_read += 1
        if number == 0:
            store.clear(max_bytes=80_000)
print(n_read)
"""


@pytest.mark.slow
def test_concurrent_writes_reads_and_clears(tmp_path):
    processes = [start(WORKER, tmp_path, i, 2) for i in range(4)]
    for process in processes:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
        assert int(output) > 0
    with FeatureStore(tmp_path) as store:
        assert_values_match_keys(read(store, entries(*range(20))))
    assert os.listdir(tmp_path) == [FILE_NAME]


CREATOR = """
cache_dir, number, start = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
while time.time() < start:
    pass
with FeatureStore(cache_dir) as store:
    store.write(dict([entry(number)]))
"""


@pytest.mark.slow
def test_concurrent_creation(tmp_path):
    for i in range(5):
        cache_dir = tmp_path / str(i)
        moment = time.time() + 1.5
        processes = [start(CREATOR, cache_dir, j, moment) for j in range(5)]
        for process in processes:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors.decode()
        with FeatureStore(cache_dir) as store:
            assert store.contains(entries(*range(5))) == set(entries(*range(5)))


WRITER = """
i = int(sys.argv[2])
with FeatureStore(sys.argv[1]) as store:
    while True:
        store.write(dict(entry(j) for j in range(i, i + 8)))
        i += 8
        print(i, flush=True)
"""


def kill_in_a_write(cache_dir, first, delay):
    """Return the end of the range that the killed writer had confirmed."""
    process = start(WRITER, cache_dir, first)
    confirmed = process.stdout.readline()
    time.sleep(delay)
    process.kill()
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors.decode()
    return int((confirmed + rest).split(b"\n")[-2])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("n_rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_9_loses_no_confirmed_entries(tmp_path, n_rounds):
    rng = random.Random(0)
    confirmed = []
    for i in range(n_rounds):
        first = 1_000_000 * i
        last = kill_in_a_write(tmp_path, first, delay=rng.uniform(0, 0.2))
        confirmed += range(first, last)
    with FeatureStore(tmp_path) as store:
        for some in range(0, len(confirmed), 1000):
            keys = entries(*confirmed[some : some + 1000])
            features = read(store, keys)
            assert set(features) == set(keys)
            assert_values_match_keys(features)
        n_unconfirmed = store.info().n_entries - len(confirmed)
    # At most one batch per kill was committed but not yet confirmed.
    assert n_unconfirmed in range(0, 8 * n_rounds + 1, 8)
    assert os.listdir(tmp_path) == [FILE_NAME]
