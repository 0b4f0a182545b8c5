"""Situations from reports of users of other tools, from the data to the result."""

import os
import subprocess
import sys
import traceback
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import skvision
from conftest import SHARED
from skvision import ScratchCNNClassifier, VGG16BottleneckTransformer
from skvision.exceptions import ImageReadError, SkvisionWarning


@pytest.fixture(scope="module")
def transformer():
    return VGG16BottleneckTransformer(weights=None, image_size=(32, 32))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """120 JPEGs, turned by their EXIF orientation, and their classes."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    paths, y = [], []
    for i in range(120):
        originals = SHARED / "data" / "photos" / ("cats", "dogs")[i % 2]
        if originals.is_dir():
            with Image.open(sorted(originals.iterdir())[i // 2]) as photo:
                image = photo.resize((100, 75))
        else:  # a gradient from top to bottom, or from left to right
            ramp = np.linspace(0, 200, 80).astype("uint8") + rng.integers(50, size=80)
            image = Image.fromarray(np.tile(ramp.astype("uint8"), (60, 1)))
            image = image.rotate(90 * (i % 2), expand=True)
        paths.append(str(folder / f"{i:03d}.jpg"))
        image.save(paths[-1], exif=exif)
        y.append(("cat", "dog")[i % 2])
    return paths, np.array(y)


def test_turned_photos_are_predicted_alike_in_all_forms(photos, transformer):
    paths, y = photos
    model = make_pipeline(transformer, LogisticRegression(C=100)).fit(paths, y)
    expected = model.predict_proba(paths)
    encoded = [Path(path).read_bytes() for path in paths]
    opened = [Image.open(BytesIO(data)) for data in encoded]
    loaded = [image.copy() for image in opened]
    read = [skvision.read_image(path) for path in paths]
    for X in (encoded, opened, loaded, read):
        np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_classes_are_compared_by_name(tmp_path, transformer):
    """In one folder a class is missing, so that numbers would differ."""
    from skvision.datasets import load_image_files

    colours = {"a": (220, 20, 20), "b": (20, 220, 20), "c": (20, 20, 220)}
    for part, names in (("train", "abc"), ("validation", "ac")):
        for name in names:
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(4):
                colour = tuple(value + i for value in colours[name])
                image = Image.new("RGB", (40, 40), colour)
                image.save(tmp_path / part / name / f"{i}.png")
    train, validation = (
        load_image_files(tmp_path / part) for part in ("train", "validation")
    )
    model = make_pipeline(transformer, LogisticRegression(C=1e6, max_iter=5000))
    model.fit(train.data, train.target)
    assert model.score(validation.data, validation.target) == 1


def test_images_of_8_bits_in_16_are_not_silently_black(tmp_path, transformer):
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    for path in paths:
        ramp = np.tile(np.arange(256, dtype="uint16"), (64, 1))
        Image.fromarray(ramp).save(path)
    with pytest.warns(SkvisionWarning, match=r"0\.png' \(X\[0\]\) and 3 other images"):
        transformer.transform(paths)
    right = VGG16BottleneckTransformer(
        weights=None, image_size=(32, 32), value_range=(0, 255)
    )
    expected = right.transform([ramp.astype("uint8")])[0]
    np.testing.assert_allclose(right.transform(paths), np.tile(expected, (4, 1)), 1e-4)


def test_value_range_and_resize_mode_are_part_of_the_key(tmp_path):
    path = str(tmp_path / "a.png")
    Image.fromarray(np.arange(4800, dtype="uint16").reshape(60, 80)).save(path)
    settings = [
        {"value_range": (0, 4095)},
        {"value_range": (0, 4800)},
        {"value_range": (0, 4095), "resize_mode": "crop"},
        {"value_range": (0, 4095), "resize_mode": "pad"},
    ]
    features = []
    for parameters in settings:
        transformer = VGG16BottleneckTransformer(
            weights=None, image_size=(32, 32), cache_dir=tmp_path / "c", **parameters
        )
        features.append(transformer.transform([path])[0])
    assert transformer.cache_info().n_entries == len(settings)
    assert len({row.tobytes() for row in features}) == len(settings)


def test_error_names_the_argument_and_the_file_first(paths, tmp_path):
    bad = str(tmp_path / "broken.jpg")
    with open(bad, "wb") as file:
        file.write(b"no image")
    classifier = ScratchCNNClassifier(image_size=(24, 24), filters=(4,), epochs=1)
    y = [0, 1] * 12
    with pytest.raises(ImageReadError, match=r"^Cannot read '.*broken.jpg' \(X_val\[2"):
        classifier.fit(paths, y, X_val=[*paths[:2], bad], y_val=y[:3])
    model = make_pipeline(
        VGG16BottleneckTransformer(weights=None, image_size=(32, 32)),
        LogisticRegression(),
    )
    X = [*paths[:20], bad, *paths[20:23]]
    with pytest.raises(ImageReadError, match="check_image_files") as info:
        cross_val_score(model, X, y, cv=4, error_score="raise")
    # The index is within the fold, the path is not.
    assert info.value.path == bad
    with pytest.raises(ImageReadError, match="broken") as info:
        model.fit(X, y)
    ours = [f for f in traceback.extract_tb(info.tb) if "skvision/" in f.filename]
    assert len(ours) <= 3
    assert info.value.__cause__ is None


@pytest.mark.slow
def test_limit_is_in_force_in_worker_processes(tmp_path):
    script = """
import sys
from joblib import Parallel, delayed
from skvision import read_image
from skvision.exceptions import ImageReadError
try:
    Parallel(n_jobs=2)(delayed(read_image)(sys.argv[1]) for _ in range(2))
except ImageReadError as error:
    print(error)
"""
    path = str(tmp_path / "a.png")
    Image.new("RGB", (200, 100)).save(path)
    variables = os.environ | {"SKVISION_MAX_IMAGE_PIXELS": "1000"}
    command = [sys.executable, "-c", script, path]
    output = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert "a.png' (image)" in output.stdout
    assert "SKVISION_MAX_IMAGE_PIXELS" in output.stdout


def test_many_arrays_in_a_list_take_little_more_time_and_memory_than_one():
    import tracemalloc

    from skvision._images.inputs import check_images

    X = list(np.zeros((2000, 15, 15, 3), np.uint8))
    tracemalloc.start()
    check_images(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.1 * sum(image.nbytes for image in X)
