"""Tests of check_image_files and its report."""

import os
import re
import struct
import sys
import unicodedata
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from _optional import pd
from numpy.testing import assert_array_equal
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from skvision.datasets import _duplicates, check_image_files, load_image_files


def problems(report):
    """Return {problem: sorted indices}, with classes in place of missing indices."""
    found = {}
    for finding in report.findings:
        key = finding.label if finding.index is None else finding.index
        found.setdefault(finding.problem, set()).add(key)
    return {problem: sorted(keys) for problem, keys in found.items()}


def scene(seed, size=(90, 70)):
    """Return a smooth image with as much structure as a photo."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def scenes(tmp_path):
    """The paths of 12 different images."""
    paths = [str(tmp_path / f"{i:02d}.png") for i in range(12)]
    for i, path in enumerate(paths):
        scene(i).save(path)
    return paths


LABELS = ["cat"] * 6 + ["dog"] * 6


def test_sound_images(scenes):
    report = check_image_files(scenes, LABELS)
    assert report.findings == []
    assert str(report) == (
        "X: 12 images in 2 classes\n\nclass      y\ncat        6\ndog        6\n\n"
        "No problems found."
    )
    assert report.class_counts == {"cat": 6, "dog": 6}
    assert report.readable.all()
    assert report.readable_val is None
    assert report.errors == report.duplicates == []
    assert isinstance(report.to_frame(), pd.DataFrame)
    assert len(report.to_frame()) == 0
    assert "class" not in str(check_image_files(scenes))


def test_unreadable_truncated_and_equal_files(scenes):
    Path(scenes[3]).write_bytes(b"not an image")
    Path(scenes[4]).write_bytes(Path(scenes[4]).read_bytes()[:-3000])
    Path(scenes[9]).unlink()
    for copy, original in [(11, 5), (7, 5), (2, 1)]:
        Path(scenes[copy]).write_bytes(Path(scenes[original]).read_bytes())
    report = check_image_files(scenes, LABELS)
    assert_array_equal(np.flatnonzero(~report.readable), [3, 4, 9])
    assert [(error.index, error.path) for error in report.errors] == [
        (i, scenes[i]) for i in (3, 4, 9)
    ]
    assert sorted(i.tolist() for i in report.duplicates) == [[1, 2], [5, 7, 11]]
    assert problems(report) == {
        "unreadable": [3, 9],
        "truncated": [4],
        "duplicate in other class": [5, 7, 11],
        "duplicate": [1, 2],
    }
    text = str(report)
    assert f"{scenes[3]!r}: it is not a complete image" in text
    assert f"{scenes[9]!r}: No such file" in text
    assert f"    {scenes[5]!r}, {scenes[7]!r}, {scenes[11]!r}\n" in text


def test_between_X_and_X_val(scenes, tmp_path):
    Path(scenes[8]).write_bytes(Path(scenes[2]).read_bytes())
    scene(3).resize((60, 60)).save(tmp_path / "resized.jpg", quality=40)
    Path(scenes[11]).write_bytes(b"")
    X, X_val = scenes[:6], [*scenes[6:], str(tmp_path / "resized.jpg")]
    report = check_image_files(X, LABELS[:6], X_val=X_val, y_val=["cat"] * 7)
    assert [f[:4] for f in report.findings] == [
        ("unreadable", "X_val", 5, scenes[11]),
        ("duplicate in X_val", "X", 2, scenes[2]),
        ("duplicate in X_val", "X_val", 2, scenes[8]),
        ("near-duplicate in X_val", "X", 3, scenes[3]),
        ("near-duplicate in X_val", "X_val", 6, X_val[6]),
        ("one class", None, None, None),
    ]
    assert report.errors == report.duplicates == []
    assert report.readable.all()
    assert_array_equal(np.flatnonzero(~report.readable_val), [5])
    assert "X_val: 7 images in 1 class" in str(report)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((45, 35)),
        lambda image: image.resize((200, 200)),
        lambda image: image.convert("L"),
        lambda image: ImageEnhance.Brightness(image).enhance(0.9),
    ],
    ids=["half", "other aspect ratio", "grey", "darker"],
)
def test_near_duplicates(scenes, change):
    stream = BytesIO()
    change(scene(2)).save(stream, "JPEG", quality=50)
    Path(scenes[8]).write_bytes(stream.getvalue())
    assert problems(check_image_files(scenes)) == {"near-duplicate": [2, 8]}
    report = check_image_files(scenes, LABELS)
    assert problems(report) == {"near-duplicate in other class": [2, 8]}
    assert check_image_files(scenes, max_hash_distance=None).findings == []


def test_blank_images_are_not_near_duplicates(tmp_path):
    images = [Image.new("RGB", (40, 40), (30 * i, 99, 99)) for i in range(6)]
    transparent = scene(0).convert("RGBA")
    transparent.putalpha(0)
    report = check_image_files([*images, transparent, scene(0)])
    assert problems(report) == {"blank": [0, 1, 2, 3, 4, 5, 6]}
    assert "X[1]: RGB (30, 99, 99)" in str(report)
    assert report.findings[6].detail == "RGB (255, 255, 255)"


def test_blank_images_are_not_compared(monkeypatch):
    """Their hashes are equal, so that thousands would take minutes."""
    monkeypatch.setattr(_duplicates, "_correlation", lambda *args: pytest.fail("slow"))
    blank = [np.full((32, 32), i, np.uint8) for i in range(9)]
    assert _duplicates.near_groups([*map(str, range(9))], blank, 8) == []


def test_simple_drawings_of_different_things_are_not_near_duplicates():
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    changed = images[1500].copy()
    changed[4, 4] -= 3
    y = [*map(str, digits.target), "changed"]
    found = check_image_files([*images, changed], y).findings
    found = [f.index for f in found if f.problem == "near-duplicate in other class"]
    assert found == [1500, 1797]


def test_many_images_that_are_alike_are_one_group():
    # Frames of a video: 45 thousand pairs, all of them near-duplicates.
    frames = np.asarray(scene(0, (40, 40)))[np.newaxis].repeat(300, axis=0)
    frames[np.arange(300), 0, 0, 0] = np.arange(300) % 256
    frames[np.arange(300), 0, 1, 0] = np.arange(300) // 256
    report = check_image_files(frames)
    assert {f.problem for f in report.findings} == {"near-duplicate"}
    assert {f.group for f in report.findings} == {0}
    assert str(report).endswith(", X[4] and 295 more")
    assert len(report.findings) == 300


GREY = np.tile(np.arange(256), (64, 1))


@pytest.mark.parametrize(
    ("name", "values", "is_suspicious"),
    [
        ("a.png", GREY.astype("uint16"), True),
        ("a.png", (GREY * 16).astype("uint16"), True),  # 12 bits
        ("a.png", (GREY * 257).astype("uint16"), False),
        ("a.tif", GREY.astype("int32"), True),
        ("a.tif", (GREY / 5000).astype("float32"), True),
        ("a.tif", (GREY / 255).astype("float32"), False),
        ("a.png", (GREY // 20).astype("uint8"), False),
    ],
)
def test_bit_depth(tmp_path, name, values, is_suspicious):
    Image.fromarray(values).save(tmp_path / name)
    found = problems(check_image_files([tmp_path / name]))
    assert found == ({"bit depth": [0]} if is_suspicious else {})


@pytest.mark.parametrize(("factor", "is_suspicious"), [(1, True), (257, False)])
def test_bit_depth_of_colours(tmp_path, factor, is_suspicious):
    # Pillow does not write PNG files with 16-bit colours, but reads them.
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    values = (GREY * factor).astype(">u2")[..., np.newaxis].repeat(4, axis=2)
    values[..., 3] = 65535  # opaque
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 256, 64, 16, 6, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows))
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))
    found = problems(check_image_files([path]))
    # Pillow reads the upper of two bytes.
    assert found == ({"bit depth": [0], "blank": [0]} if is_suspicious else {})


def test_sizes(tmp_path):
    sizes = {"small": (31, 40), "aspect ratio": (200, 49), "large": (8001, 8000)}
    paths = [tmp_path / f"{name}.jpg" for name in sizes]
    for path, size in zip(paths, sizes.values(), strict=True):
        Image.linear_gradient("L").resize(size).save(path)
    report = check_image_files(paths, max_hash_distance=None)
    assert problems(report) == {"small": [0], "aspect ratio": [1], "large": [2]}
    assert "large.jpg': 8001 x 8000 pixels" in str(report)


@pytest.mark.parametrize("format", ["GIF", "TIFF", "PNG", "WEBP", "MPO"])
def test_several_frames(format):
    files = []
    for others in ([], [scene(1), scene(2)]):
        stream = BytesIO()
        scene(0).save(stream, format, save_all=True, append_images=others)
        files.append(stream.getvalue())
    found = problems(check_image_files(files, max_hash_distance=None))
    assert found == ({} if format == "MPO" else {"several frames": [1]})


def test_progress(scenes, capsys):
    check_image_files(scenes[:2], X_val=scenes[2:5], verbose=1)
    assert "checking: 100%" in (text := capsys.readouterr().err)
    assert "5/5" in text
    check_image_files(scenes[:2])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("names", "names_val", "expected"),
    [
        ("ab", "ab", {}),
        ("abc", "ac", {"class only in y": ["b"]}),
        ("ac", "abc", {"class only in y_val": ["b"]}),
        (
            ("Cat", "dog"),
            ("cat", "Dog"),
            {
                "class spelling": ["Cat", "Dog", "cat", "dog"],
                "class only in y": ["Cat", "dog"],
                "class only in y_val": ["Dog", "cat"],
            },
        ),
        (("big cat", "Big_cat"), None, {"class spelling": ["Big_cat", "big cat"]}),
        (("-1", "1"), None, {}),
        ((-1, 1, "1"), None, {}),
    ],
)
def test_classes(pixels, names, names_val, expected):
    y = [name for name in names for _ in range(5)]
    parts = {}
    if names_val is not None:
        parts["y_val"] = [name for name in names_val for _ in range(2)]
        parts["X_val"] = 255 - pixels[: len(parts["y_val"])]
    report = check_image_files(pixels[: len(y)], y, **parts)
    assert problems(report) == expected
    column = np.array(y, dtype=object)[:, np.newaxis]
    assert problems(check_image_files(pixels[: len(y)], column, **parts)) == expected


def test_accents_of_macos_are_the_same_class(pixels):
    y = [unicodedata.normalize("NFD", "B\xe4r")] * 5
    report = check_image_files(pixels[:5], y, X_val=pixels[5:6], y_val=["B\xe4r"])
    assert len(problems(report)["class spelling"]) == 2
    # The summary has to tell them apart.
    assert r"'Ba\u0308r' and 'B\xe4r'" in str(report)


def test_counts(pixels):
    images = np.random.default_rng(0).integers(0, 256, (60, 40, 40, 3), np.uint8)
    y = np.array(["a"] * 51 + ["b"] * 5 + ["c"] * 4)
    report = check_image_files(images, y)
    assert problems(report) == {"imbalance": ["b"], "few images": ["c"]}
    assert report.class_counts == {"a": 51, "b": 5, "c": 4}
    assert problems(check_image_files(images[:5], y[:5])) == {"one class": ["a"]}


@pytest.mark.parametrize("missing", [None, np.nan, "pd.NA"])
def test_missing_labels(scenes, missing):
    missing = pd.NA if missing == "pd.NA" else missing
    y = [*LABELS[:11], missing]
    report = check_image_files(scenes, y)
    assert problems(report) == {"missing label": [11]}
    assert report.class_counts == {"cat": 6, "dog": 5}


def test_images_in_memory(pixels):
    report = check_image_files(pixels[[0, 1, 0]])
    assert_array_equal(report.readable, True)
    assert report.errors == []
    assert [i.tolist() for i in report.duplicates] == [[0, 2]]
    assert "X[0], X[2]" in str(report)


def test_lists_of_bytes_and_pillow_images(scenes):
    data = [Path(path).read_bytes() for path in scenes[:3]]
    deep = Image.fromarray(GREY.astype("uint16"))
    small = np.zeros((8, 90, 3), np.uint8)
    report = check_image_files([*data, scene(0), data[1], b"damaged", deep, small])
    assert problems(report) == {
        "unreadable": [5],
        "near-duplicate": [0, 3],
        "duplicate": [1, 4],
        "bit depth": [6],
        "blank": [7],
        "small": [7],
        "aspect ratio": [7],
    }
    assert "X[5]: it is not a complete image" in str(report)


def test_to_frame(scenes):
    Path(scenes[8]).write_bytes(Path(scenes[2]).read_bytes())
    Path(scenes[5]).unlink()
    y = [*LABELS[:11], "eel"]
    frame = check_image_files(scenes, y).to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame["problem"].tolist() == [
        "unreadable",
        *["duplicate in other class"] * 2,
        "few images",
    ]
    bad = frame.query("problem == 'unreadable' and part == 'X'")["index"]
    assert np.delete(scenes, bad.astype(int)).tolist() == [*scenes[:5], *scenes[6:]]
    assert frame.groupby("group")["path"].agg(list).tolist() == [[scenes[2], scenes[8]]]
    assert frame["label"].tolist() == ["cat", "cat", "dog", "eel"]
    assert frame["index"].isna().tolist() == [False] * 3 + [True]


def test_summary_stays_short(pixels):
    y = [f"class {i:02d}" for i in range(24)]
    lines = str(check_image_files(pixels, y)).splitlines()
    assert lines[-1] == "    and 19 more"
    assert "and 4 more" in lines
    assert len(lines) == 32


def test_plot_tells_how_many_classes_it_leaves_out(pixels):
    plt = pytest.importorskip("matplotlib.pyplot", reason="needs the extra 'plot'")
    X, y = [*pixels, *pixels[:8]], [f"class {i:02d}" for i in range(32)]
    report = check_image_files(X, y, max_hash_distance=None)
    axes = report.plot(n_images=1)
    assert axes[-1].get_ylabel() == "class 29\n1 image"
    assert axes[-1].figure.get_supxlabel() == "and 2 more classes"
    plt.close("all")


def test_plot(scenes):
    plt = pytest.importorskip("matplotlib.pyplot", reason="needs the extra 'plot'")
    Path(scenes[8]).write_bytes(Path(scenes[2]).read_bytes())
    Path(scenes[5]).write_bytes(b"no image")
    report = check_image_files(scenes, LABELS)
    axes = report.plot(n_images=3)
    assert [ax.get_ylabel() for ax in axes[::3]] == ["cat\n6 images", "dog\n6 images"]
    assert all(ax.images and ax.get_xlabel().endswith(".png") for ax in axes)
    assert len(report.plot(n_images=99)) == 11
    axes = report.plot(problems=True)
    assert [ax.get_title() for ax in axes] == ["X, cat", "X, dog"]
    assert [ax.get_xlabel() for ax in axes] == ["02.png", "08.png"]
    assert check_image_files(scenes[:1]).plot(problems=True).size == 0
    assert len(check_image_files(scenes[:3]).plot()) == 3
    labels = [
        "$x_{",
        "a\nb",
        "a very long name of a class, which is much higher than a row",
    ]
    axes = check_image_files(scenes[:3], labels).plot()
    axes[0].figure.canvas.draw()
    titles = [ax.get_ylabel() for ax in axes]
    assert titles[:2] == ["$x_{\n1 image", "a\\nb\n1 image"]
    assert re.fullmatch("a very lo.*….*row\n1 image", titles[2])
    with pytest.raises(ValueError, match="n_images"):
        report.plot(n_images=0)
    plt.close("all")


@pytest.mark.parametrize(
    ("library", "method"), [("pandas", "to_frame"), ("matplotlib.pyplot", "plot")]
)
def test_missing_libraries(pixels, monkeypatch, library, method):
    monkeypatch.setitem(sys.modules, library, None)
    report = check_image_files(pixels[:2])
    match = rf"ImageCheckReport\.{method} requires {library.split('.')[0]}.*pip install"
    with pytest.raises(ImportError, match=match):
        getattr(report, method)()


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ({"X": "photo.jpg"}, "a single path: wrap it in a list"),
        ({"X_val": "photo.jpg"}, r"X_val is of type str, a single path: wrap it"),
        ({"y": ["a"]}, "y has 1 label, but X has 3 images"),
        ({"y": np.zeros((3, 2))}, r"y must have shape \(n_images,\).*\(3, 2\)"),
        (
            {"y": [["a"], ["a", "b"], []]},
            r"one class.*y\[0\] is of type list",
        ),
        ({"y": [np.ones(2), np.ones(3), 1]}, r"y\[0\] is of type ndarray"),
        ({"y_val": ["a"]}, "y_val was given without X_val"),
        (
            {"X_val": ["a.jpg"], "y_val": []},
            "y_val has 0 labels, but X_val has 1 image",
        ),
        ({"max_hash_distance": 65}, "max_hash_distance == 65"),
    ],
)
def test_invalid_arguments(args, match):
    with pytest.raises(ValueError, match=match):
        check_image_files(**{"X": ["a.jpg", "b.jpg", "c.jpg"]} | args)


def test_two_folders_with_different_classes(tmp_path):
    # Their classes were numbered separately once, so that scores were wrong silently.
    colours = {"a": (220, 20, 20), "b": (20, 220, 20), "c": (20, 20, 220)}
    for part, names in [("train", "abc"), ("validation", "ac"), ("more", "0abc")]:
        for name in names:
            os.makedirs(tmp_path / part / name)
            for i in range(5):
                colour = tuple(v + i for v in colours.get(name, (99, 99, 99)))
                path = tmp_path / part / name / f"{i}.png"
                Image.new("RGB", (40, 40), colour).save(path)

    def colours_of(paths):
        return np.array(
            [Image.open(path).resize((1, 1)).getpixel((0, 0)) for path in paths]
        )

    train = load_image_files(tmp_path / "train")
    model = LogisticRegression(max_iter=1000).fit(colours_of(train.data), train.target)
    for part, only_in, names in [("validation", "y", ["b"]), ("more", "y_val", ["0"])]:
        other = load_image_files(tmp_path / part)
        some = np.isin(other.target, model.classes_)
        assert model.score(colours_of(other.data[some]), other.target[some]) == 1
        report = check_image_files(
            train.data, train.target, X_val=other.data, y_val=other.target
        )
        found = problems(report)
        assert found[f"class only in {only_in}"] == names
        assert len(found["duplicate in X_val"]) > 0


def test_leaks_among_the_photos_of_chollet_2016(cats_vs_dogs):
    train, validation = (
        load_image_files(cats_vs_dogs / part) for part in ("train", "validation")
    )
    report = check_image_files(
        train.data, train.target, X_val=validation.data, y_val=validation.target
    )
    found = [(f.problem, Path(f.path).stem) for f in report.findings]
    assert sorted(found) == [
        ("near-duplicate", "dog.180"),
        ("near-duplicate", "dog.74"),
        ("near-duplicate in X_val", "dog.1273"),
        ("near-duplicate in X_val", "dog.980"),
    ]
