"""Tests of skvision._utils.files."""

import os

import pytest

from skvision._utils.files import replacing


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


@pytest.mark.parametrize("durable", [True, False])
def test_new_content_replaces_the_old(path, durable):
    with replacing(path, durable=durable) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file"]


def test_new_file(tmp_path):
    with replacing(tmp_path / "file") as file:
        file.write(b"new")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_bytes() == b"new"


def test_mode_follows_the_umask(path):
    with open(path.with_name("plain"), "wb") as plain, replacing(path):
        pass
    assert path.stat().st_mode == os.stat(plain.name).st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_keeps_the_old_content_and_no_temporary_file(path, error):
    with pytest.raises(error, match="in the middle"), replacing(path) as file:
        file.write(b"half")
        raise error("in the middle")
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["file"]


def test_only_durable_files_are_synced(path, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with replacing(path, durable=False) as file:
        file.write(b"new")
    with pytest.raises(OSError, match="No space left"), replacing(path) as file:
        file.write(b"newer")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file"]


def test_two_writers_of_one_file_use_different_hidden_names(path):
    with replacing(path) as first, replacing(path) as second:
        first.write(b"first")
        second.write(b"second")
        hidden = set(os.listdir(path.parent)) - {"file"}
        assert len(hidden) == 2
        assert all(name.startswith(".file.") for name in hidden)
    assert path.read_bytes() == b"first"
    assert os.listdir(path.parent) == ["file"]


def test_relative_path_is_resolved_on_entry(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with replacing("file") as file:
        file.write(b"new")
        monkeypatch.chdir(tmp_path / "elsewhere")
    assert path.read_bytes() == b"new"


def test_error_names_the_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        with replacing(tmp_path / "nowhere" / "file"):
            pass
