import pytest


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Pages write files by relative paths, as their readers do."""
    monkeypatch.chdir(tmp_path)
