"""Tests of check_image_files."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skvision.datasets import check_image_files


def test_all_unreadable_files_and_duplicates_are_listed(paths):
    Path(paths[3]).write_bytes(b"not an image")
    Path(paths[9]).unlink()
    for copy, original in [(11, 5), (20, 5), (15, 14)]:
        Path(paths[copy]).write_bytes(Path(paths[original]).read_bytes())
    report = check_image_files(paths)
    assert np.flatnonzero(~report.readable).tolist() == [3, 9]
    assert [(error.index, error.path) for error in report.errors] == [
        (3, paths[3]),
        (9, paths[9]),
    ]
    assert [i.tolist() for i in report.duplicates] == [[5, 11, 20], [14, 15]]


def test_images_in_memory(pixels):
    report = check_image_files(pixels[[0, 1, 0]])
    assert_array_equal(report.readable, True)
    assert report.errors == []
    assert [i.tolist() for i in report.duplicates] == [[0, 2]]


def test_invalid_X():
    with pytest.raises(ValueError, match="a single path: wrap it in a list"):
        check_image_files("photo.jpg")
