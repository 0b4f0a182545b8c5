"""Tests of what is read, kept and written once features are stored."""

import contextlib
import os
import sqlite3
import subprocess
import traceback
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skvision import FineTunedVGGClassifier, ImageAugmenter, VGG16BottleneckTransformer
from skvision._features.store import FeatureStore
from skvision._images import files as image_files
from skvision._images import inputs
from skvision._nets import builders
from skvision._utils import files
from skvision.exceptions import FeatureStoreError, SkvisionWarning

ZOOM = ImageAugmenter(zoom_range=0.2)


def vgg16(**params):
    return VGG16BottleneckTransformer(weights=None, image_size=(32, 32), **params)


def fine_tuned(**params):
    params = {"head_epochs": 1, "epochs": 2, "hidden_units": (4,)} | params
    return FineTunedVGGClassifier(weights=None, image_size=(32, 32), **params)


@pytest.fixture
def trusted_times(monkeypatch):
    """Treat timestamps as if the files had been written long ago."""
    monkeypatch.setattr(files, "_RACY_NS", 0)
    monkeypatch.setattr(image_files, "_digests", {})


@pytest.fixture
def reads(monkeypatch):
    """How often each file is read."""
    counts = Counter()
    original = image_files.read_file

    def counting(path):
        counts[path] += 1
        return original(path)

    for module in (image_files, inputs):
        monkeypatch.setattr(module, "read_file", counting)
    return counts


@pytest.fixture
def values_read(monkeypatch):
    """The number of keys of each read from a store."""
    counts = []
    original = FeatureStore.read

    def counting(self, keys, *args):
        found = original(self, keys, *args)
        counts.append(len(found))
        return found

    monkeypatch.setattr(FeatureStore, "read", counting)
    return counts


@pytest.mark.slow
def test_warm_grid_reads_each_file_twice_at_most(paths, tmp_path, reads, trusted_times):
    y = [0, 1] * 12
    pipeline = make_pipeline(vgg16(cache_dir=tmp_path / "c"), LogisticRegression())
    grid = {"logisticregression__C": np.logspace(-3, 3, 8)}
    search = GridSearchCV(pipeline, grid, cv=5)
    search.fit(paths, y)
    assert max(reads.values()) == 2  # to hash and to decode
    reads.clear()
    search.fit(paths, y)
    assert not reads


@pytest.mark.parametrize("is_racy", [True, False])
def test_file_rewritten_in_place_is_noticed(paths, monkeypatch, is_racy):
    monkeypatch.setattr(image_files, "_digests", {})
    if not is_racy:
        monkeypatch.setattr(files, "_RACY_NS", 10**7)
    images = inputs.Images(paths[:1])
    status = os.stat(paths[0])
    with open(paths[0], "rb") as file:
        content = bytearray(file.read())
    digests = {images.digest(0)}
    for i in range(20):
        content[-1] = i
        if not is_racy:
            subprocess.run(["sleep", "0.02"], check=True)
            images.digest(0)  # remembered
        with open(paths[0], "r+b") as file:
            file.write(content)
        os.utime(paths[0], ns=(status.st_atime_ns, status.st_mtime_ns))
        digests.add(images.digest(0))
    assert len(digests) == 21


def test_memory_of_digests_is_bounded(paths, monkeypatch, trusted_times):
    monkeypatch.setattr(image_files, "_MAX_DIGESTS", 5)
    images = inputs.Images(paths)
    for _ in range(2):
        assert len({images.digest(i) for i in range(len(paths))}) == len(paths)
        assert len(image_files._digests) <= 5


@pytest.mark.parametrize(
    "augmenter", [ZOOM, pytest.param(None, marks=pytest.mark.slow)]
)
def test_warm_fit_reads_only_what_it_trains_on(
    pixels, tmp_path, values_read, augmenter
):
    y = [0, 1] * 12
    n, n_epochs = len(y), 2
    classifier = fine_tuned(
        cache_dir=tmp_path, augmenter=augmenter, random_state=0, epochs=n_epochs
    )
    classifier.fit(pixels, y)
    values_read.clear()
    classifier.fit(pixels, y)
    # Once for the head, and once in each epoch.
    assert sum(values_read) == n * (1 + n_epochs)


def test_warm_transform_reads_each_value_once(pixels, tmp_path, values_read):
    transformer = vgg16(cache_dir=tmp_path)
    cold = transformer.transform(pixels)
    values_read.clear()
    assert_array_equal(transformer.transform(pixels), cold)
    assert sum(values_read) == len(pixels)


@pytest.mark.parametrize(
    ("augmenter", "random_state", "n_entries"),
    [
        (ImageAugmenter(horizontal_flip=True, zoom_range=0.1), 0, 12 * (2 + 4)),
        (ZOOM, None, 12),
        pytest.param(ZOOM, 0, 12 * (1 + 4), marks=pytest.mark.slow),
        pytest.param(
            *(ImageAugmenter(horizontal_flip=True), None, 12 * 2),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_views_that_no_other_fit_can_use_are_not_kept(
    pixels, tmp_path, augmenter, random_state, n_entries
):
    search = GridSearchCV(
        fine_tuned(
            cache_dir=tmp_path,
            augmenter=augmenter,
            n_augmented_views=4,
            random_state=random_state,
            epochs=1,
        ),
        {"dropout": [0.1, 0.2]},
        cv=2,
    )
    search.fit(pixels[:12], [0, 1] * 6)
    with FeatureStore(tmp_path) as store:
        assert store.info().n_entries == n_entries


def test_store_that_cannot_be_written_does_not_slow_training(
    pixels, tmp_path, monkeypatch
):
    passes = []
    original = builders.vgg16_extractor

    def counting(*args):
        network = original(*args)
        return lambda images: passes.append(len(images)) or network(images)

    monkeypatch.setattr(builders, "vgg16_extractor", counting)
    FeatureStore(tmp_path).close()
    os.truncate(tmp_path / "features.sqlite3", 0)
    monkeypatch.setattr(FeatureStore, "_require_writable", _raise_readonly)
    with pytest.warns(SkvisionWarning, match="cannot store") as warned:
        fine_tuned(cache_dir=tmp_path).fit(pixels, [0, 1] * 12)
    assert warned[0].filename == __file__
    assert sum(passes) <= 2 * len(pixels) + 16


def _raise_readonly(self):
    if self._path:
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY
        raise error


def test_empty_cache_dir_is_an_error(pixels, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FeatureStoreError, match=r"cache_dir.*Got ''.*it is empty"):
        vgg16(cache_dir="").transform(pixels)
    with pytest.raises(ValueError, match=r"save_to_dir must be a folder\. Got"):
        ZOOM.preview(_image(tmp_path), save_to_dir="")
    assert os.listdir(tmp_path) == ["image.png"]


def _image(folder):
    from PIL import Image

    path = folder / "image.png"
    Image.new("RGB", (8, 8)).save(path)
    return path


def write_and_read(folder):
    with pytest.warns(SkvisionWarning, match="cannot store new features"):
        with FeatureStore(folder) as store:
            store.write({bytes(20): np.zeros(3, np.float32)})
            assert store.contains([bytes(20)]) == set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to change the user")
def test_folder_without_permission_costs_a_warning(tmp_path):
    folder = tmp_path / "private"
    (folder / "cache").mkdir(parents=True)
    folder.chmod(0)
    pid = os.fork()
    if pid == 0:  # root may read everything, so become nobody
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            write_and_read(folder / "cache")
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    folder.chmod(0o700)


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the permission to mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk_can_be_cleared(full_disk):
    value = np.zeros(2048, np.float32)
    with FeatureStore(full_disk) as store:
        with pytest.warns(SkvisionWarning, match="full"):
            for i in range(200):
                store.write({i.to_bytes(20, "big"): value})
    with contextlib.suppress(OSError), open(full_disk / "filler", "wb") as file:
        while True:
            file.write(bytes(1000))
            file.flush()
    with FeatureStore(full_disk) as store:
        n_entries = store.info().n_entries
        assert n_entries > 10
        with pytest.raises(FeatureStoreError, match="without 'max_bytes'"):
            store.clear(max_bytes=1000)
        assert store.clear() == n_entries
        store.write({bytes(20): value})
        assert store.info().n_entries == 1
