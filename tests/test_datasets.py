"""Tests of skvision.datasets."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from _optional import pd
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skvision import datasets
from skvision.datasets import (
    IMAGE_EXTENSIONS,
    arrange_dogs_vs_cats,
    get_data_home,
    load_digit_images,
    load_image_files,
)

CATS_VS_DOGS = Path(__file__).parents[2] / "shared/data/cats_vs_dogs"


def touch(folder, *names):
    """Create empty files, and the folders above them."""
    for name in names:
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def relative(paths, folder):
    return [Path(path).relative_to(folder).as_posix() for path in paths]


def snapshot(folder):
    """Content, inode and modification time of all files, to detect rewriting."""
    return {
        path: (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns)
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def contents(folder):
    """The bytes of all files, by their paths relative to the folder."""
    found = snapshot(folder).items()
    return {path.relative_to(folder).as_posix(): value[0] for path, value in found}


def images(n):
    """The names and contents of n images per class, named as by Kaggle."""
    return {
        f"{kind}.{i}.jpg": f"{kind} {i}".encode()
        for i in reversed(range(n))
        for kind in ("dog", "cat")
    }


def write_folder(folder, contents):
    folder.mkdir(parents=True)
    for name, content in contents.items():
        Path(folder, name).write_bytes(content)
    return folder


def write_zip(path, contents, prefix="train/"):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(prefix + name, content)
    return path


class TestLoadImageFiles:
    def test_bunch(self, tmp_path):
        touch(tmp_path, "dog/a.jpg", "cat/b.PNG", "cat/a.jpeg", "cat/notes.txt")
        bunch = load_image_files(tmp_path)
        assert relative(bunch.data, tmp_path) == [
            "cat/a.jpeg",
            "cat/b.PNG",
            "dog/a.jpg",
        ]
        assert bunch.target.tolist() == [0, 0, 1]
        assert bunch.target.dtype == int
        assert bunch.target_names == ["cat", "dog"]
        assert "3 images in 2 classes" in bunch.DESCR
        assert "'cat': 2" in bunch.DESCR

    def test_return_X_y(self, tmp_path):
        touch(tmp_path, "dog/a.jpg", "cat/b.jpg")
        bunch = load_image_files(tmp_path)
        X, y = load_image_files(tmp_path, return_X_y=True)
        np.testing.assert_array_equal(X, bunch.data)
        np.testing.assert_array_equal(y, bunch.target)

    def test_paths_begin_with_the_folder_as_given(self, tmp_path, monkeypatch):
        touch(tmp_path, "data/cat/a.jpg")
        monkeypatch.chdir(tmp_path)
        expected = os.path.join("data", "cat", "a.jpg")
        assert load_image_files("data").data.tolist() == [expected]
        assert load_image_files(Path("data")).data.tolist() == [expected]

    def test_sorted_by_code_points_for_any_directory_order(self, tmp_path):
        # Code points: upper before lower case, accents last, a folder's files together.
        expected = [f"B/{i:02d}.jpg" for i in range(20)]
        expected += [
            "a/B.jpg",
            "a/a/2.jpg",
            "a/a-1.jpg",
            "a/a.jpg",
            "a/b.jpg",
            "a/ä.jpg",
        ]
        expected += ["ä/1.jpg", "ä/10.jpg", "ä/2.jpg"]
        for seed in range(2):
            folder = tmp_path / str(seed)
            touch(folder, *np.random.RandomState(seed).permutation(expected))
            assert relative(load_image_files(folder).data, folder) == expected

    def test_paths_are_str_objects_and_can_be_replaced_by_longer_ones(self, tmp_path):
        data = load_image_files(touch(tmp_path, "cat/a.jpg")).data
        assert type(data[0]) is str
        data[0] = "x" * 5000
        assert len(data[0]) == 5000

    def test_works_with_sklearn_splitting_and_pandas(self, tmp_path):
        touch(tmp_path, *(f"{kind}/{i}.jpg" for kind in "ab" for i in range(10)))
        X, y = load_image_files(tmp_path, return_X_y=True)
        X_train, X_test, _, y_test = train_test_split(X, y, stratify=y, random_state=0)
        assert sorted([*X_train, *X_test]) == X.tolist()
        frame = pd.DataFrame({"path": X_test, "label": y_test})
        assert frame["path"].tolist() == X_test.tolist()

    def test_shuffle_is_reproducible_and_keeps_labels_with_paths(self, tmp_path):
        touch(tmp_path, *(f"{kind}/{i}.jpg" for kind in "abc" for i in range(10)))
        plain = load_image_files(tmp_path)
        first = load_image_files(tmp_path, shuffle=True, random_state=3)
        again = load_image_files(tmp_path, shuffle=True, random_state=3)
        other = load_image_files(tmp_path, shuffle=True, random_state=4)
        assert first.data.tolist() == again.data.tolist()
        assert first.data.tolist() != other.data.tolist()
        assert first.data.tolist() != plain.data.tolist()
        assert sorted(first.data) == plain.data.tolist()
        classes = [Path(path).parent.name for path in first.data]
        assert [first.target_names[code] for code in first.target] == classes

    def test_global_random_state_is_unchanged(self, tmp_path):
        touch(tmp_path, "a/1.jpg", "a/2.jpg")
        before = np.random.get_state()[1].tolist()
        load_image_files(tmp_path, shuffle=True, random_state=0)
        assert np.random.get_state()[1].tolist() == before

    def test_hidden_entries_are_skipped(self, tmp_path):
        touch(tmp_path, "cat/a.jpg", "cat/._a.jpg", "cat/.DS_Store", "cat/Thumbs.db")
        touch(tmp_path, "cat/.ipynb_checkpoints/a.jpg", ".ipynb_checkpoints/a.jpg")
        touch(
            tmp_path, "__MACOSX/cat/a.jpg", "cat/__MACOSX/a.jpg", ".DS_Store", "x.jpg"
        )
        bunch = load_image_files(tmp_path)
        assert relative(bunch.data, tmp_path) == ["cat/a.jpg"]
        assert bunch.target_names == ["cat"]

    def test_nested_folders_belong_to_the_class(self, tmp_path):
        touch(tmp_path, "cat/2019/may/a.jpg", "cat/b.jpg", "dog/x.jpg/c.jpg")
        bunch = load_image_files(tmp_path)
        expected = ["cat/2019/may/a.jpg", "cat/b.jpg", "dog/x.jpg/c.jpg"]
        assert relative(bunch.data, tmp_path) == expected
        assert bunch.target.tolist() == [0, 0, 1]

    def test_symbolic_links_are_followed_without_loops(self, tmp_path):
        touch(tmp_path, "elsewhere/a.jpg", "more/b.jpg", "data/dog/c.jpg")
        try:
            (tmp_path / "data/cat").symlink_to(tmp_path / "elsewhere")
        except OSError:
            pytest.skip("this file system allows no symbolic links")
        (tmp_path / "elsewhere/more").symlink_to(tmp_path / "more")
        (tmp_path / "more/back").symlink_to(tmp_path / "elsewhere")
        bunch = load_image_files(tmp_path / "data")
        expected = ["cat/a.jpg", "cat/more/b.jpg", "dog/c.jpg"]
        assert relative(bunch.data, tmp_path / "data") == expected

    def test_unreadable_subfolder_raises(self, tmp_path, monkeypatch):
        touch(tmp_path, "cat/a.jpg", "cat/locked/b.jpg")
        scandir = os.scandir

        def refuse(path):
            if str(path).endswith("locked"):
                raise PermissionError(13, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
        with pytest.raises(PermissionError, match=r"denied.*locked"):
            load_image_files(tmp_path)

    def test_non_utf8_names(self, tmp_path):
        folder = os.path.join(os.fsencode(tmp_path), b"chat\xe9")
        try:
            os.mkdir(folder)
            Path(os.fsdecode(os.path.join(folder, b"caf\xe9.jpg"))).touch()
        except (OSError, UnicodeError):
            pytest.skip("this file system allows only UTF-8 names")
        bunch = load_image_files(tmp_path)
        assert os.path.isfile(bunch.data[0])
        assert [os.fsencode(name) for name in bunch.target_names] == [b"chat\xe9"]
        assert bunch.DESCR.encode()  # can be printed

    def test_categories(self, tmp_path):
        touch(tmp_path, "a/1.jpg", "b/1.jpg", "c/1.jpg")
        (tmp_path / "empty").mkdir()
        bunch = load_image_files(tmp_path, categories=["c", "a"])
        assert bunch.target_names == ["a", "c"]
        assert relative(bunch.data, tmp_path) == ["a/1.jpg", "c/1.jpg"]
        assert bunch.target.tolist() == [0, 1]

    def test_extensions(self, tmp_path):
        touch(tmp_path, "a/1.jpg", "a/2.DCM", "a/3")
        data = load_image_files(tmp_path, extensions=[".dcm"]).data
        assert relative(data, tmp_path) == ["a/2.DCM"]
        assert len(load_image_files(tmp_path, extensions=None).data) == 3

    def test_pillow_reads_every_extension(self):
        read = Image.registered_extensions().keys()
        assert set(IMAGE_EXTENSIONS) - {".avif", ".heic", ".heif"} <= read

    def test_folder_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nowhere.*one folder per class"):
            load_image_files(tmp_path / "nowhere")

    def test_folder_is_a_file(self, tmp_path):
        touch(tmp_path, "a.jpg")
        with pytest.raises(NotADirectoryError, match=r"a\.jpg.*one folder per class"):
            load_image_files(tmp_path / "a.jpg")

    def test_folder_is_not_a_path(self):
        with pytest.raises(TypeError, match=r"folder must be a path.*got 3"):
            load_image_files(3)

    def test_no_classes(self, tmp_path):
        with pytest.raises(ValueError, match=r"No class folders.*folder/class_name"):
            load_image_files(tmp_path)

    def test_images_directly_in_the_folder(self, tmp_path):
        touch(tmp_path, "a.jpg", "b.png", "c.txt")
        with pytest.raises(
            ValueError, match=r"2 images directly in it.*move the images"
        ):
            load_image_files(tmp_path)

    def test_class_without_images(self, tmp_path):
        touch(tmp_path, "cat/a.jpg", "dog/a.psd")
        with pytest.raises(ValueError, match=r"No images.*dog.*\.jpg.*categories="):
            load_image_files(tmp_path)

    def test_parts_of_a_dataset_are_not_classes(self, tmp_path):
        touch(tmp_path, "train/cat/a.jpg", "validation/cat/b.jpg")
        with pytest.raises(ValueError, match=r"parts of a dataset.*train' instead"):
            load_image_files(tmp_path)
        categories = ["train", "validation"]
        bunch = load_image_files(tmp_path, categories=categories)
        assert bunch.target_names == categories

    def test_unknown_categories(self, tmp_path):
        touch(tmp_path, "cat/a.jpg", "dog/a.jpg")
        with pytest.raises(ValueError, match=r"\['cow'\].*\['cat', 'dog'\]"):
            load_image_files(tmp_path, categories=["cat", "cow"])

    @pytest.mark.parametrize("categories", ["cat", [], 3])
    def test_bad_categories(self, tmp_path, categories):
        touch(tmp_path, "cat/a.jpg")
        with pytest.raises(ValueError, match=r"non-empty list of names.*\['cat'\]"):
            load_image_files(tmp_path, categories=categories)

    @pytest.mark.parametrize("extensions", [".jpg", ["jpg"], [], 3])
    def test_bad_extensions(self, tmp_path, extensions):
        touch(tmp_path, "cat/a.jpg")
        with pytest.raises(ValueError, match="extensions must be None or"):
            load_image_files(tmp_path, extensions=extensions)


class TestLoadDigitImages:
    def test_pixels_are_those_of_load_digits(self, tmp_path):
        digits = load_digits()
        bunch = load_digit_images(tmp_path)
        assert len(bunch.data) == len(digits.images)
        for path, label in zip(bunch.data, bunch.target, strict=True):
            number = int(Path(path).stem.split("_")[1])
            with Image.open(path) as image:
                assert image.mode == "L"
                pixels = np.asarray(image)
            np.testing.assert_allclose(
                pixels, digits.images[number] / 16 * 255, atol=0.5
            )
            assert digits.target[number] == label
        assert pixels.max() == 255
        assert "Alpaydin" in bunch.DESCR

    def test_same_bunch_as_load_image_files(self, tmp_path):
        digits = load_digit_images(tmp_path, n_per_class=3)
        files = load_image_files(tmp_path)
        assert digits.data.tolist() == files.data.tolist()
        assert digits.target.tolist() == files.target.tolist()
        assert digits.target_names == files.target_names
        X, y = load_digit_images(tmp_path, n_per_class=3, return_X_y=True)
        assert X.tolist() == files.data.tolist()
        assert y.tolist() == files.target.tolist()

    def test_subsets_are_disjoint_and_stratified(self, tmp_path):
        train = load_digit_images(tmp_path, subset="train")
        test = load_digit_images(tmp_path, subset="test")
        everything = load_digit_images(tmp_path, subset="all")
        assert sorted([*train.data, *test.data]) == everything.data.tolist()
        share = np.bincount(test.target) / np.bincount(everything.target)
        np.testing.assert_allclose(share, 0.25, atol=0.01)

    def test_n_per_class_selects_the_first_of_the_subset(self, tmp_path):
        few = load_digit_images(tmp_path, subset="test", n_per_class=2)
        test = load_digit_images(tmp_path, subset="test")
        assert np.bincount(few.target).tolist() == [2] * 10
        assert few.data[few.target == 7].tolist() == (
            test.data[test.target == 7][:2].tolist()
        )

    def test_only_damaged_files_are_rewritten(self, tmp_path):
        paths = load_digit_images(tmp_path, n_per_class=2).data
        before = snapshot(tmp_path)
        damaged = Path(paths[5])
        damaged.write_bytes(before[damaged][0][:40])
        load_digit_images(tmp_path, n_per_class=2)
        after = snapshot(tmp_path)
        assert after.pop(damaged)[0] == before.pop(damaged)[0]
        assert after == before

    def test_files_have_ordinary_permissions(self, tmp_path):
        path = load_digit_images(tmp_path, n_per_class=1).data[0]
        plain = tmp_path / "plain"
        plain.touch()
        assert os.stat(path).st_mode == plain.stat().st_mode

    def test_default_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SKVISION_DATA", str(tmp_path / "home"))
        paths = load_digit_images(n_per_class=1).data
        assert Path(paths[0]).parents[1] == tmp_path / "home" / "digits"

    def test_failed_write_leaves_nothing(self, tmp_path, monkeypatch):
        def fail(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="No space left"):
            load_digit_images(tmp_path, n_per_class=1)
        assert snapshot(tmp_path) == {}

    def test_another_process_writes_before_the_rename(self, tmp_path, monkeypatch):
        replace = os.replace

        def overtaken(*args):
            monkeypatch.setattr(os, "replace", replace)
            load_digit_images(tmp_path / "raced", n_per_class=2)
            replace(*args)

        monkeypatch.setattr(os, "replace", overtaken)
        load_digit_images(tmp_path / "raced", n_per_class=2)
        load_digit_images(tmp_path / "alone", n_per_class=2)
        assert contents(tmp_path / "raced") == contents(tmp_path / "alone")

    def test_two_processes_at_once(self, tmp_path):
        code = (
            "import sys; from skvision.datasets import load_digit_images\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "load_digit_images(sys.argv[1], n_per_class=40)"
        )
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, tmp_path / "digits"], text=True, **pipes
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
        load_digit_images(tmp_path / "alone", n_per_class=40)
        assert contents(tmp_path / "digits") == contents(tmp_path / "alone")

    def test_unknown_subset(self, tmp_path):
        with pytest.raises(ValueError, match="'train', 'test' or 'all'; got 'valid'"):
            load_digit_images(tmp_path, subset="valid")

    def test_n_per_class_too_large(self, tmp_path):
        match = "n_per_class=50, but the digit 0 has 45 images in subset='test'"
        with pytest.raises(ValueError, match=match):
            load_digit_images(tmp_path, subset="test", n_per_class=50)

    @pytest.mark.parametrize(("n", "error"), [(0, ValueError), (1.5, TypeError)])
    def test_bad_n_per_class(self, tmp_path, n, error):
        with pytest.raises(error, match="n_per_class"):
            load_digit_images(tmp_path, n_per_class=n)

    def test_folder_is_a_file(self, tmp_path):
        touch(tmp_path, "file")
        with pytest.raises(OSError, match=r"Cannot create the folder.*file"):
            load_digit_images(tmp_path / "file", n_per_class=1)


class TestArrangeDogsVsCats:
    sizes = MappingProxyType({"n_train": 11, "n_validation": 2})

    def check(self, data, destination):
        """Check the layout of images(n), for the sizes above."""
        numbers = {"train": range(11), "validation": range(11, 13)}
        expected = {
            f"{part}/{kind}s/{kind}.{i}.jpg": f"{kind} {i}".encode()
            for part in numbers
            for kind in ("cat", "dog")
            for i in numbers[part]
        }
        assert contents(destination) == expected
        for part in numbers:
            assert data[part].target_names == ["cats", "dogs"]
            n = len(numbers[part])
            assert data[part].target.tolist() == [0] * n + [1] * n
            names = relative(data[part].data, destination)
            assert sorted(names) == sorted(k for k in expected if k.startswith(part))

    @pytest.mark.parametrize("below", ["", "train"])
    def test_from_folder(self, tmp_path, below):
        write_folder(tmp_path / "source" / below, images(20))
        touch(tmp_path, "source/notes.txt", "source/test/1.jpg")
        data = arrange_dogs_vs_cats(tmp_path / "source", tmp_path / "to", **self.sizes)
        self.check(data, tmp_path / "to")

    @pytest.mark.parametrize("prefix", ["train/", ""])
    def test_from_zip(self, tmp_path, prefix):
        others = {
            "test/1.jpg": b"",
            "__MACOSX/train/._cat.0.jpg": b"",
            "cat.x.jpg": b"",
        }
        source = write_zip(tmp_path / "train.zip", images(20) | others, prefix)
        data = arrange_dogs_vs_cats(source, str(tmp_path / "to"), **self.sizes)
        self.check(data, tmp_path / "to")

    def test_from_nested_zip(self, tmp_path):
        inner = write_zip(tmp_path / "inner.zip", images(20))
        outer = tmp_path / "dogs-vs-cats.zip"
        with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("sampleSubmission.csv", "id,label")
            archive.write(inner, "train.zip")
            archive.writestr("test1.zip", "unused")
        data = arrange_dogs_vs_cats(outer, tmp_path / "to", **self.sizes)
        self.check(data, tmp_path / "to")

    def test_from_folder_with_zip(self, tmp_path):
        touch(tmp_path, "source/sampleSubmission.csv")
        write_zip(tmp_path / "source" / "train.zip", images(20))
        data = arrange_dogs_vs_cats(tmp_path / "source", tmp_path / "to", 11, 2)
        self.check(data, tmp_path / "to")

    def test_numbers_with_gaps(self, tmp_path):
        names = [f"{k}.{i}.jpg" for k in ("cat", "dog") for i in (2, 30, 100)]
        source = write_folder(tmp_path / "from", dict.fromkeys(names, b""))
        data = arrange_dogs_vs_cats(source, tmp_path / "to", n_train=2, n_validation=1)
        names = [Path(path).name for path in data.train.data]
        assert names == ["cat.2.jpg", "cat.30.jpg", "dog.2.jpg", "dog.30.jpg"]
        names = [Path(path).name for path in data.validation.data]
        assert names == ["cat.100.jpg", "dog.100.jpg"]

    def test_second_call_writes_nothing(self, tmp_path):
        source = write_zip(tmp_path / "train.zip", images(20))
        arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)
        touch(tmp_path, "to/.DS_Store", "to/train/cats/.cat.3.jpg.1f.tmp")
        before = snapshot(tmp_path)
        data = arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)
        assert snapshot(tmp_path) == before
        assert len(data.train.data) == 22

    def test_interrupted_call_is_completed(self, tmp_path, monkeypatch):
        source = write_zip(tmp_path / "train.zip", images(20))
        replace, calls = os.replace, []

        def interrupt(*args):
            calls.append(args)
            if len(calls) == 9:
                raise KeyboardInterrupt("by the user")
            replace(*args)

        monkeypatch.setattr(os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt, match="by the user"):
            arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)
        before = snapshot(tmp_path / "to")
        assert len(before) == 8
        data = arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)
        self.check(data, tmp_path / "to")
        assert before.items() <= snapshot(tmp_path / "to").items()

    @pytest.mark.parametrize(
        "name", ["notes.txt", "train/notes.txt", "train/cats/cat.12.jpg", "birds/a.jpg"]
    )
    def test_destination_with_other_files(self, tmp_path, name):
        source = write_folder(tmp_path / "from", images(20))
        touch(tmp_path / "to", name)
        before = snapshot(tmp_path)
        with pytest.raises(FileExistsError, match=f"such as .*to/{name.split('/')[0]}"):
            arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)
        assert snapshot(tmp_path) == before

    def test_destination_with_a_different_image_of_the_same_name(self, tmp_path):
        source = write_folder(tmp_path / "from", images(20))
        touch(tmp_path / "to", "train/cats/cat.3.jpg")
        before = snapshot(tmp_path)
        with pytest.raises(FileExistsError, match=r"1 in total.*cats/cat\.3\.jpg"):
            arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)
        assert snapshot(tmp_path) == before

    def test_destination_is_a_file(self, tmp_path):
        source = write_folder(tmp_path / "from", images(20))
        touch(tmp_path, "to")
        with pytest.raises(FileExistsError, match=r"Cannot create the folder.*to"):
            arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)

    def test_too_few_images(self, tmp_path):
        source = write_folder(tmp_path / "from", images(20))
        (source / "dog.7.jpg").unlink()
        match = r"20 images named like cat.* 19 like dog.*20 of each.*n_validation=9"
        with pytest.raises(ValueError, match=match):
            arrange_dogs_vs_cats(source, tmp_path / "to", n_train=11, n_validation=9)
        assert not (tmp_path / "to").exists()

    @pytest.mark.parametrize("write", [write_folder, write_zip])
    def test_source_without_images(self, tmp_path, write):
        source = write(tmp_path / "source", {"Cat.0.jpg": b"", "1.jpg": b""})
        with pytest.raises(
            ValueError, match=r"contains 0 images named.*Kaggle's train\.zip"
        ):
            arrange_dogs_vs_cats(source, tmp_path / "to")

    def test_source_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nowhere.*not exist\. Download"):
            arrange_dogs_vs_cats(tmp_path / "nowhere", tmp_path / "to")

    def test_source_is_not_a_zip_file(self, tmp_path):
        touch(tmp_path, "train.zip")
        with pytest.raises(
            ValueError, match=r"train\.zip' cannot be read as a zip file"
        ):
            arrange_dogs_vs_cats(tmp_path / "train.zip", tmp_path / "to")

    def test_damaged_zip(self, tmp_path):
        source = write_zip(tmp_path / "train.zip", images(20))
        source.write_bytes(source.read_bytes().replace(b"cat 3", b"cow 3"))
        match = r"train\.zip' cannot .*Bad CRC-32.*cat\.3\.jpg.*download it again"
        with pytest.raises(ValueError, match=match):
            arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)

    def test_duplicate_image(self, tmp_path):
        source = write_zip(tmp_path / "train.zip", images(20) | {"b/cat.0.jpg": b""})
        with pytest.raises(ValueError, match=r"cat\.0\.jpg more than once.*remove"):
            arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)

    @pytest.mark.parametrize("prefix", ["../../", "/", "..\\..\\", "C:\\"])
    def test_members_never_leave_the_destination(self, tmp_path, prefix):
        (tmp_path / "a/b").mkdir(parents=True)
        source = write_zip(tmp_path / "train.zip", images(20), prefix)
        with zipfile.ZipFile(source, "a") as archive:
            archive.writestr("train/cat.1.jpg/../../../evil.jpg", "evil")
            archive.writestr("../evil.jpg", "evil")
        data = arrange_dogs_vs_cats(source, tmp_path / "a/b/to", **self.sizes)
        self.check(data, tmp_path / "a/b/to")
        outside = [path for path in snapshot(tmp_path) if "to" not in path.parts]
        assert outside == [source]

    @pytest.mark.parametrize("name", ["n_train", "n_validation"])
    @pytest.mark.parametrize(("n", "error"), [(0, ValueError), ("5", TypeError)])
    def test_bad_sizes(self, tmp_path, name, n, error):
        with pytest.raises(error, match=name):
            arrange_dogs_vs_cats(tmp_path, tmp_path / "to", **{name: n})


class TestGetDataHome:
    def test_given(self, tmp_path):
        assert get_data_home(tmp_path / "a/b") == str(tmp_path / "a/b")
        assert (tmp_path / "a/b").is_dir()

    def test_environment_variable(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SKVISION_DATA", str(tmp_path / "c"))
        assert get_data_home() == str(tmp_path / "c")

    @pytest.mark.parametrize("value", [None, ""])
    def test_default_is_in_the_user_folder(self, tmp_path, monkeypatch, value):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        monkeypatch.delenv("SKVISION_DATA", raising=False)
        if value is not None:
            monkeypatch.setenv("SKVISION_DATA", value)
        assert Path(get_data_home()) == tmp_path / "skvision_data"
        assert (tmp_path / "skvision_data").is_dir()

    def test_cannot_be_created(self, tmp_path):
        touch(tmp_path, "file")
        with pytest.raises(NotADirectoryError, match=r"file/home.*SKVISION_DATA"):
            get_data_home(tmp_path / "file/home")


def test_public_names_are_sorted():
    assert datasets.__all__ == sorted(datasets.__all__)


def test_import_does_not_start_tensorflow():
    code = (
        "import sys, skvision.datasets\n"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not CATS_VS_DOGS.is_dir(), reason="needs the dogs-vs-cats images")
@pytest.mark.parametrize(("part", "n"), [("train", 1000), ("validation", 400)])
def test_subset_used_by_chollet_2016(part, n):
    bunch = load_image_files(CATS_VS_DOGS / part)
    assert bunch.target_names == ["cats", "dogs"]
    assert np.bincount(bunch.target).tolist() == [n, n]
    with Image.open(bunch.data[0]) as image:
        assert image.size == (200, 200)


@pytest.mark.skipif(not CATS_VS_DOGS.is_dir(), reason="needs the dogs-vs-cats images")
def test_real_images_are_copied_unchanged(tmp_path):
    train = load_image_files(CATS_VS_DOGS / "train").data
    source = tmp_path / "train.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for path in train:
            archive.write(path, f"train/{Path(path).name}")
    data = arrange_dogs_vs_cats(source, tmp_path / "to", n_train=60, n_validation=20)
    for path in [*data.train.data, *data.validation.data]:
        original = CATS_VS_DOGS / "train" / Path(path).parent.name / Path(path).name
        assert Path(path).read_bytes() == original.read_bytes()
