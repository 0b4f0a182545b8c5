"""Tests of skvision.datasets."""

import os
import shutil
import subprocess
import sys
import tracemalloc
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from _optional import pd
from PIL import Image
from sklearn.datasets import load_digits, load_files, load_sample_image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import learning_curve, train_test_split
from sklearn.semi_supervised import SelfTrainingClassifier

from skvision._images.preview import preview_files
from skvision.datasets import (
    IMAGE_EXTENSIONS,
    arrange_dogs_vs_cats,
    get_data_home,
    list_images,
    load_digit_images,
    load_image_files,
    load_sample_photos,
)
from skvision.exceptions import SkvisionWarning

PHOTOS = "china", "flower"
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


@pytest.fixture
def locked(monkeypatch):
    """Make folders whose names contain "locked" or "lost" impossible to open."""
    scandir = os.scandir

    def refuse(path):
        if "locked" in str(path) or "lost" in str(path):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


class TestLoadImageFiles:
    def test_bunch(self, tmp_path):
        touch(tmp_path, "dog/a.jpg", "cat/b.PNG", "cat/a.jpeg", "cat/notes.txt")
        bunch = load_image_files(tmp_path, shuffle=False)
        assert relative(bunch.data, tmp_path) == [
            "cat/a.jpeg",
            "cat/b.PNG",
            "dog/a.jpg",
        ]
        assert bunch.target.tolist() == ["cat", "cat", "dog"]
        assert bunch.target_names == ["cat", "dog"]
        assert "3 images in 2 classes" in bunch.DESCR
        assert "'cat': 2" in bunch.DESCR
        X, y = load_image_files(tmp_path, shuffle=False, return_X_y=True)
        assert X.tolist() == bunch.data.tolist()
        assert y.tolist() == bunch.target.tolist()

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
            data = load_image_files(folder, shuffle=False).data
            assert relative(data, folder) == expected
            assert relative(list_images(folder), folder) == expected

    @pytest.mark.parametrize("key", ["data", "target"])
    def test_longer_str_can_be_assigned(self, tmp_path, key):
        values = load_image_files(touch(tmp_path, "cat/a.jpg"))[key]
        assert type(values[0]) is str
        values[0] = "x" * 5000
        assert len(values[0]) == 5000

    def test_names_work_in_scikit_learn(self, tmp_path):
        touch(tmp_path, *(f"{kind}/{i}.jpg" for kind in "ab" for i in range(10)))
        X, y = load_image_files(tmp_path, return_X_y=True)
        X_train, X_test = train_test_split(X, stratify=y, random_state=0)
        assert sorted([*X_train, *X_test]) == sorted(X)
        features = np.array([[path.split(os.sep)[-2] == "a"] for path in X], float)
        model = LogisticRegression().fit(features, y)
        assert model.score(features, y) == 1
        assert roc_auc_score(y, model.decision_function(features)) == 1
        # As they are sorted in the folder, the first images have a single class.
        _, scores, _ = learning_curve(
            LogisticRegression(), features, y, train_sizes=[0.5, 1.0], cv=3
        )
        assert np.isfinite(scores).all()
        # This one refuses labels of a fixed-width dtype.
        partly = y.copy()
        partly[:6] = -1
        assert (
            SelfTrainingClassifier(model).fit(features, partly).score(features, y) > 0
        )

    def test_shuffled_by_default_as_in_load_files(self, tmp_path):
        touch(tmp_path, *(f"{kind}/{i}.jpg" for kind in "abc" for i in range(10)))
        bunch, files = load_image_files(tmp_path), load_files(tmp_path)
        assert bunch.data.tolist() == files.filenames.tolist()
        assert [Path(path).parent.name for path in bunch.data] == bunch.target.tolist()
        orders = [
            load_image_files(tmp_path, random_state=seed).data.tolist()
            for seed in (0, 0, 1)
        ]
        assert orders[0] == orders[1] == bunch.data.tolist() != orders[2]

    def test_global_random_state_is_unchanged(self, tmp_path):
        touch(tmp_path, "a/1.jpg", "a/2.jpg")
        before = np.random.get_state()[1].tolist()
        load_image_files(tmp_path)
        assert np.random.get_state()[1].tolist() == before

    def test_as_frame(self, tmp_path):
        touch(tmp_path, "dog/a.jpg", "cat/b.jpg")
        array = load_image_files(tmp_path)
        bunch = load_image_files(tmp_path, as_frame=True)
        assert isinstance(bunch.frame, pd.DataFrame)
        assert bunch.frame.columns.tolist() == ["path", "label"]
        assert bunch.frame["path"].tolist() == array.data.tolist()
        assert bunch.frame["label"].tolist() == array.target.tolist()
        X, y = load_image_files(tmp_path, as_frame=True, return_X_y=True)
        assert (X.name, y.name) == ("path", "label")
        assert X.tolist() == bunch.data.tolist()

    def test_as_frame_without_pandas(self, tmp_path, monkeypatch):
        touch(tmp_path, "cat/a.jpg")
        monkeypatch.setitem(sys.modules, "pandas", None)
        match = r"load_image_files\(as_frame=True\) requires pandas.*pip install"
        with pytest.raises(ImportError, match=match):
            load_image_files(tmp_path, as_frame=True)

    def test_what_systems_create_is_left_out_and_counted(self, tmp_path):
        touch(tmp_path, "cat/a.jpg", "cat/._a.jpg", "cat/.DS_Store", "cat/Thumbs.db")
        touch(tmp_path, "cat/notes.txt", "cat/more/x.TXT", "cat/README", "top.jpg")
        system = [
            *("@eaDir/a.jpg", "#recycle", "$RECYCLE.BIN", "System Volume Information"),
            *("lost+found", ".Trash-1000", "__MACOSX", "#snapshot", "@Recycle"),
            *("@Recently-Snapshot", ".@__thumb", "$Recycle.Bin", "LOST.DIR"),
        ]
        for name in system:
            touch(tmp_path, f"{name}/a.jpg", f"cat/{name}/a.jpg", f"cat/b/{name}/a.jpg")
        bunch = load_image_files(tmp_path)
        assert relative(bunch.data, tmp_path) == ["cat/a.jpg"]
        assert bunch.target_names == ["cat"]
        _, _, passed_over = bunch.DESCR.partition("Passed over:")
        for line in [
            "extension '.txt': 2",
            "extension missing: 1",
            "images outside class folders: 1",
            "hidden (the name starts with a dot): 5",
            "of the system: '@eaDir': 3",
            "of the system: 'Thumbs.db': 1",
        ]:
            assert f"- {line}\n" in passed_over + "\n"
        files = list_images(tmp_path)
        assert relative(files, tmp_path) == ["cat/a.jpg", "top.jpg"]

    def test_many_reasons_are_summed_up(self, tmp_path):
        touch(tmp_path, "cat/a.jpg", *(f"cat/{i}.{i}" for i in range(100)))
        assert "- other reasons: 80" in load_image_files(tmp_path).DESCR

    def test_nested_folders_belong_to_the_class(self, tmp_path):
        touch(tmp_path, "cat/2019/may/a.jpg", "cat/b.jpg", "dog/x.jpg/c.jpg")
        bunch = load_image_files(tmp_path, shuffle=False)
        expected = ["cat/2019/may/a.jpg", "cat/b.jpg", "dog/x.jpg/c.jpg"]
        assert relative(bunch.data, tmp_path) == expected
        assert bunch.target.tolist() == ["cat", "cat", "dog"]

    def test_symbolic_links_are_followed_without_loops(self, tmp_path):
        touch(tmp_path, "elsewhere/a.jpg", "more/b.jpg", "data/dog/c.jpg")
        try:
            (tmp_path / "data/cat").symlink_to(tmp_path / "elsewhere")
        except OSError:
            pytest.skip("this file system allows no symbolic links")
        (tmp_path / "elsewhere/more").symlink_to(tmp_path / "more")
        (tmp_path / "more/back").symlink_to(tmp_path / "elsewhere")
        # To the dataset, which is then not a class, and to what is above it.
        (tmp_path / "data/all").symlink_to(tmp_path / "data")
        (tmp_path / "data/dog/up").symlink_to("/")
        (tmp_path / "data/dog/itself").symlink_to(tmp_path / "data/dog/itself")
        bunch = load_image_files(tmp_path / "data", shuffle=False)
        expected = ["cat/a.jpg", "cat/more/b.jpg", "dog/c.jpg"]
        assert relative(bunch.data, tmp_path / "data") == expected
        assert "links to folders listed elsewhere: 3" in bunch.DESCR
        assert len(list_images(tmp_path / "data")) == 3

    @pytest.mark.parametrize("name", ["locked", "cat/locked"])
    def test_folder_that_cannot_be_opened(self, tmp_path, locked, name):
        touch(tmp_path, "cat/a.jpg", f"{name}/b.jpg")
        match = rf"Cannot open the folder .*{name}' \(Permission denied\).*permission"
        for function in (load_image_files, list_images):
            with pytest.raises(PermissionError, match=match):
                function(tmp_path)

    def test_system_folder_that_cannot_be_opened(self, tmp_path, locked):
        touch(tmp_path, "cat/a.jpg", "lost+found/b.jpg")
        with pytest.warns(SkvisionWarning, match=r"lost\+found.*cannot be opened"):
            bunch = load_image_files(tmp_path)
        assert len(bunch.data) == 1
        assert "system folders that cannot be opened: 1" in bunch.DESCR

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
        frame = load_image_files(tmp_path, as_frame=True)["frame"]
        assert isinstance(frame, pd.DataFrame)
        assert frame["path"][0] == bunch.data[0]

    def test_names_are_normalized(self, tmp_path):
        for part, form in [("train", "NFC"), ("validation", "NFD")]:
            touch(
                tmp_path / part, unicodedata.normalize(form, "Bär/a.jpg"), "Wal/b.jpg"
            )
        train, validation = (
            load_image_files(tmp_path / part) for part in ("train", "validation")
        )
        assert train.target.tolist() == validation.target.tolist()
        assert all(map(os.path.isfile, validation.data))
        chosen = load_image_files(tmp_path / "validation", categories=["Bär"])
        assert chosen.target_names == ["Bär"]

    @pytest.mark.parametrize(
        "names", [("Cat", "cat"), ("B\xe4r", "Ba\u0308r"), ("big cat", "big_Cat")]
    )
    def test_names_that_differ_in_spelling_only(self, tmp_path, names):
        touch(tmp_path, *(f"{name}/a.jpg" for name in (*names, "dog")))
        if len(list(tmp_path.iterdir())) < 3:
            pytest.skip("this file system ignores case or normalization")
        with pytest.raises(ValueError, match=r"class folders '.*differ only in case"):
            load_image_files(tmp_path)
        if names[0].startswith("B"):  # the same name: no choice of categories helps
            with pytest.raises(ValueError, match="differ only in case"):
                load_image_files(tmp_path, categories=names)
        else:
            assert len(load_image_files(tmp_path, categories=names).data) == 2

    def test_categories(self, tmp_path):
        touch(tmp_path, "a/1.jpg", "b/1.jpg", "c/1.jpg")
        (tmp_path / "empty").mkdir()
        bunch = load_image_files(tmp_path, categories=["c", "a"], shuffle=False)
        assert bunch.target_names == ["a", "c"]
        assert relative(bunch.data, tmp_path) == ["a/1.jpg", "c/1.jpg"]
        assert "folders not in categories: 2" in bunch.DESCR

    def test_extensions(self, tmp_path):
        touch(tmp_path, "a/1.jpg", "a/2.DCM", "a/3")
        data = load_image_files(tmp_path, extensions=[".dcm"]).data
        assert relative(data, tmp_path) == ["a/2.DCM"]
        assert len(load_image_files(tmp_path, extensions=None).data) == 3

    def test_pillow_reads_every_extension(self):
        read = Image.registered_extensions().keys()
        assert set(IMAGE_EXTENSIONS) - {".avif", ".heic", ".heif"} <= read

    @pytest.mark.parametrize("function", [load_image_files, list_images])
    def test_folder_is_none(self, tmp_path, function):
        touch(tmp_path, "a.jpg")
        with pytest.raises(FileNotFoundError, match=r"nowhere.*Expected a folder"):
            function(tmp_path / "nowhere")
        with pytest.raises(NotADirectoryError, match=r"a\.jpg.*Expected a folder"):
            function(tmp_path / "a.jpg")
        with pytest.raises(TypeError, match=r"folder must be a path.*got 3"):
            function(3)

    def test_no_classes(self, tmp_path):
        with pytest.raises(ValueError, match=r"No class folders.*folder/class_name"):
            load_image_files(tmp_path)
        touch(tmp_path, "a.jpg", "b.png", "c.txt", "@eaDir/a.jpg")
        with pytest.raises(ValueError, match=r"2 images directly in it.*list_images"):
            load_image_files(tmp_path)

    def test_class_without_images(self, tmp_path):
        touch(tmp_path, "cat/a.jpg", "dog/a.psd")
        match = r"No images.*dog.*\.jpg.*over: extension '\.psd': 1\..*categories="
        with pytest.raises(ValueError, match=match):
            load_image_files(tmp_path)
        shutil.rmtree(tmp_path / "dog")
        (tmp_path / "dog").symlink_to("cat")
        with pytest.raises(ValueError, match="over: links to folders listed elsewhere"):
            load_image_files(tmp_path)

    def test_classes_below_a_single_folder(self, tmp_path):
        touch(tmp_path, "data/cat/a.jpg", "data/dog/b.jpg", "data/labels.csv")
        with pytest.raises(ValueError, match=r"single folder, 'data'.*load '.*data';"):
            load_image_files(tmp_path)
        bunch = load_image_files(tmp_path, categories=["data"])
        assert bunch.target.tolist() == ["data", "data"]
        touch(tmp_path, "data/c.jpg")
        assert load_image_files(tmp_path).target_names == ["data"]

    @pytest.mark.parametrize(
        "names",
        [
            ("train", "validation"),
            ("training_set", "test_set"),
            ("Train", "Val2017", "annotations"),
            ("1_train",),
        ],
    )
    def test_parts_of_a_dataset_are_not_classes(self, tmp_path, names):
        touch(tmp_path, *(f"{name}/cat/b.jpg" for name in names))
        with pytest.raises(ValueError, match=r"parts of a dataset.*rain.*' instead"):
            load_image_files(tmp_path)
        bunch = load_image_files(tmp_path, categories=names)
        assert bunch.target_names == sorted(names)

    def test_a_train_may_be_a_class(self, tmp_path):
        touch(tmp_path, "bus/a.jpg", "train/a.jpg", "training_shoe/a.jpg")
        assert len(load_image_files(tmp_path).target_names) == 3

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


class TestListImages:
    def test_sorted_paths(self, tmp_path):
        touch(tmp_path, "b.jpg", "a/c.PNG", "notes.txt")
        paths = list_images(str(tmp_path))
        assert relative(paths, tmp_path) == ["a/c.PNG", "b.jpg"]
        assert paths.dtype == object
        assert relative(list_images(tmp_path, extensions=[".txt"]), tmp_path) == [
            "notes.txt"
        ]

    def test_no_images(self, tmp_path):
        touch(tmp_path, "notes.txt", ".a.jpg")
        match = r"No images in .*passed over: .*extension '\.txt': 1.*extensions="
        with pytest.raises(ValueError, match=match):
            list_images(tmp_path)


class TestHomeFolder:
    @pytest.fixture(autouse=True)
    def home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
        return tmp_path / "home"

    def test_is_expanded_and_never_created(self, home):
        write_zip(touch(home, "x") / "train.zip", images(3))
        data = arrange_dogs_vs_cats("~/train.zip", "~/data", 2, 1)
        assert len(data.train.data) == 4
        assert (
            data.train.data.tolist() == load_image_files("~/data/train").data.tolist()
        )
        assert len(list_images("~/data")) == 6
        load_digit_images("~/digits", n_per_class=1)
        get_data_home("~/skvision")
        preview_files("~/preview", "a", "png", 1)
        names = {path.name for path in home.iterdir()}
        assert names == {"x", "train.zip", "data", "digits", "skvision", "preview"}
        assert os.listdir() == []

    def test_of_an_unknown_user(self):
        with pytest.raises(ValueError, match=r"folder='~nobody-at-all/a'.*is unknown"):
            load_digit_images("~nobody-at-all/a", n_per_class=1)
        assert os.listdir() == []
        Path("~mine/cat").mkdir(parents=True)
        touch("~mine", "cat/a.jpg")
        assert len(load_image_files("~mine").data) == 1


class TestLoadSamplePhotos:
    @pytest.fixture(scope="class")
    @staticmethod
    def home(tmp_path_factory):
        home = tmp_path_factory.mktemp("home")
        load_sample_photos(data_home=home)
        return home

    @pytest.mark.parametrize("subset, n_images", [("train", 60), ("test", 40)])
    def test_writes_a_folder_per_class(self, home, subset, n_images):
        photos = load_sample_photos(data_home=home, subset=subset)
        files = load_image_files(home / "sample_photos" / subset, shuffle=False)
        assert sorted(photos.data) == files.data.tolist()
        assert photos.target.tolist() == files.target.tolist()
        assert photos.target_names == files.target_names
        assert set(Counter(photos.target).values()) == {n_images}
        X, y = load_sample_photos(data_home=home, subset=subset, return_X_y=True)
        assert X.tolist() == photos.data.tolist()
        assert y.tolist() == photos.target.tolist()

    def test_patches_of_different_groups_do_not_overlap(self, home):
        photos = load_sample_photos(data_home=home)
        originals = {name: load_sample_image(f"{name}.jpg") for name in PHOTOS}
        owner = {name: np.full((427, 640), "", object) for name in PHOTOS}
        for path, group in zip(photos.data, photos.groups, strict=True):
            name, y, x = Path(path).stem.split("_")
            subset = Path(path).parts[-3]
            y, x = int(y), int(x)
            patch = owner[name][y : y + 48, x : x + 48]
            assert patch.shape == (48, 48)
            assert set(patch.ravel()) <= {"", f"{subset} {group}"}
            patch[:] = f"{subset} {group}"
            pixels = originals[name][y : y + 48, x : x + 48]
            with Image.open(path) as image:
                difference = np.asarray(image).astype(float) - pixels
            assert np.abs(difference).mean() < 12

    def test_only_missing_or_damaged_files_are_written(self, home):
        before = snapshot(home)
        damaged, missing, *_ = before
        damaged.write_bytes(b"")
        missing.unlink()
        load_sample_photos(data_home=home)
        after = snapshot(home)
        assert {path: value[0] for path, value in after.items()} == {
            path: value[0] for path, value in before.items()
        }
        rewritten = {path for path in after if after[path] != before[path]}
        assert rewritten == {damaged, missing}

    def test_names_the_authors_and_the_licence(self, home):
        description = load_sample_photos(data_home=home).DESCR
        for text in ("CC BY 2.0", "danielbuechele", "vultilion"):
            assert text in description

    def test_unknown_subset(self, tmp_path):
        with pytest.raises(ValueError, match="'train', 'test' or 'all'; got 'val'"):
            load_sample_photos(data_home=tmp_path, subset="val")
        assert os.listdir(tmp_path) == []


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
            assert str(digits.target[number]) == label
        assert pixels.max() == 255
        assert "Alpaydin" in bunch.DESCR

    def test_same_bunch_as_load_image_files(self, tmp_path):
        digits = load_digit_images(tmp_path, n_per_class=3)
        files = load_image_files(tmp_path, shuffle=False)
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
        n_test, n = (
            np.unique(bunch.target, return_counts=True)[1]
            for bunch in (test, everything)
        )
        share = n_test / n
        np.testing.assert_allclose(share, 0.25, atol=0.01)

    def test_n_per_class_selects_the_first_of_the_subset(self, tmp_path):
        few = load_digit_images(tmp_path, subset="test", n_per_class=2)
        test = load_digit_images(tmp_path, subset="test")
        assert few.target.tolist() == [str(i) for i in range(10) for _ in range(2)]
        assert few.data[few.target == "7"].tolist() == (
            test.data[test.target == "7"][:2].tolist()
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

    @pytest.mark.slow
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
            assert sorted(data[part].target) == ["cats"] * n + ["dogs"] * n
            assert all(
                Path(p).parent.name == y
                for p, y in zip(data[part].data, data[part].target, strict=True)
            )
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
        names = sorted(Path(path).name for path in data.train.data)
        assert names == ["cat.2.jpg", "cat.30.jpg", "dog.2.jpg", "dog.30.jpg"]
        names = sorted(Path(path).name for path in data.validation.data)
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

    def test_source_that_cannot_be_opened(self, tmp_path, locked):
        source = write_folder(tmp_path / "locked", images(20))
        with pytest.raises(PermissionError, match=r"Cannot open the folder .*locked"):
            arrange_dogs_vs_cats(source, tmp_path / "to")

    def test_source_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nowhere.*not exist\. Download"):
            arrange_dogs_vs_cats(tmp_path / "nowhere", tmp_path / "to")

    @pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x05\x06" + bytes(9)])
    def test_source_is_not_a_zip_file(self, tmp_path, content):
        (tmp_path / "train.zip").write_bytes(content)
        with pytest.raises(
            ValueError, match=r"train\.zip' cannot be read as a zip file"
        ):
            arrange_dogs_vs_cats(tmp_path / "train.zip", tmp_path / "to")

    @pytest.mark.parametrize("kind", ["source", "inner", "image"])
    def test_pipe_does_not_hang(self, tmp_path, kind):
        if not hasattr(os, "mkfifo"):
            pytest.skip("this system has no named pipes")
        source = write_folder(tmp_path / "from", {} if kind == "inner" else images(20))
        name = {"source": "t.zip", "inner": "train.zip", "image": "cat.0.jpg"}[kind]
        (source / name).unlink(missing_ok=True)
        os.mkfifo(source / name)
        source = source / name if kind == "source" else source
        match = (
            "contains 0 images"
            if kind == "inner"
            else "is a folder, pipe, socket or device"
        )
        with pytest.raises(ValueError, match=match):
            arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)
        assert not snapshot(tmp_path / "to") if kind == "image" else True

    @pytest.mark.parametrize(
        "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]
    )
    def test_damaged_members(self, tmp_path, method):
        noise = {
            name: np.random.default_rng(0).bytes(300) + content
            for name, content in images(20).items()
        }
        source = tmp_path / "train.zip"
        with zipfile.ZipFile(source, "w", method) as archive:
            for name, content in noise.items():
                archive.writestr(name, content)
            damaged = archive.getinfo("cat.3.jpg").header_offset + 200
        content = bytearray(source.read_bytes())
        content[damaged] ^= 255
        source.write_bytes(content)
        match = r"'cat\.3\.jpg' in .*train\.zip' cannot be unpacked .*download it again"
        with pytest.raises(ValueError, match=match):
            arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)
        for path, (content, *_) in snapshot(tmp_path / "to").items():
            assert content == noise[path.name]

    def test_any_flipped_byte_gives_the_images_or_one_kind_of_error(self, tmp_path):
        original = tmp_path / "original.zip"
        with zipfile.ZipFile(original, "w", zipfile.ZIP_LZMA) as archive:
            for name, content in images(2).items():
                archive.writestr(name, content)
        original = original.read_bytes()
        source = tmp_path / "train.zip"
        for position in range(0, len(original), 5):
            content = bytearray(original)
            content[position] ^= 1 << position % 8
            source.write_bytes(content)
            try:
                arrange_dogs_vs_cats(source, tmp_path / "to", 1, 1)
            except ValueError as error:
                assert "train.zip" in str(error)
            assert set(contents(tmp_path / "to").values()) <= set(images(2).values())
            shutil.rmtree(tmp_path / "to", ignore_errors=True)

    @pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
    @pytest.mark.parametrize("is_header_false", [False, True])
    @pytest.mark.parametrize("n_bytes", [3 * 2**20, 51 * 2**20])
    def test_bombs(self, tmp_path, method, is_header_false, n_bytes):
        source = write_zip(tmp_path / "train.zip", images(20))
        with zipfile.ZipFile(source, "a", method) as archive:
            archive.writestr("cat.-.jpg", bytes(n_bytes))
        content = source.read_bytes().replace(b"train/cat.0.jpg", b"train/no.0.jpg_")
        content = content.replace(b"cat.-.jpg", b"cat.0.jpg")
        if is_header_false:  # both in the local header and in the directory
            content = content.replace(n_bytes.to_bytes(4, "little"), bytes(4))
        source.write_bytes(content)
        match = r"'cat\.0\.jpg' in .*train\.zip' (is larger than|cannot be unpacked)"
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=match):
                arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)
            assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
        finally:
            tracemalloc.stop()
        assert not (tmp_path / "to").exists() or is_header_false

    def test_nested_bomb(self, tmp_path):
        outer = tmp_path / "dogs-vs-cats.zip"
        with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("train.zip", bytes(20 * 2**20))
        with pytest.raises(ValueError, match=r"'train\.zip' in .*may be a zip bomb"):
            arrange_dogs_vs_cats(outer, tmp_path / "to")

    def test_large_file_in_a_folder(self, tmp_path):
        source = write_folder(tmp_path / "from", images(20))
        with open(source / "cat.0.jpg", "wb") as file:
            file.truncate(2**31)
        with pytest.raises(ValueError, match=r"cat\.0\.jpg' is larger than"):
            arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)

    def test_encrypted_zip(self, tmp_path):
        source = write_zip(tmp_path / "train.zip", images(20))
        content = bytearray(source.read_bytes())
        with zipfile.ZipFile(source) as archive:
            offset = archive.getinfo("train/dog.5.jpg").header_offset
        content[offset + 6] |= 1
        entry = content.rindex(b"train/dog.5.jpg") - 46
        content[entry + 8] |= 1
        source.write_bytes(content)
        with pytest.raises(ValueError, match=r"dog\.5\.jpg' in .*it is encrypted"):
            arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)
        assert not (tmp_path / "to").exists()

    def test_odd_encodings_of_names(self, tmp_path):
        source = write_zip(tmp_path / "train.zip", images(20))
        with zipfile.ZipFile(source, "a") as archive:
            archive.writestr("Hunde/\u72d7/\u00e4.jpg", b"")  # with the flag for UTF-8
            archive.writestr("xxxxxx.jpg", b"")
        content = source.read_bytes().replace(
            b"xxxxxx.jpg", b"\xb9\xb7\xff\xfe\x01x.jpg"
        )
        source.write_bytes(content)
        data = arrange_dogs_vs_cats(source, tmp_path / "to", **self.sizes)
        self.check(data, tmp_path / "to")
        source.write_bytes(content.replace("\u72d7".encode(), b"\xff\xff\xff"))
        with pytest.raises(
            ValueError, match=r"train\.zip' cannot be read as a zip file"
        ):
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
    assert sorted(bunch.target) == ["cats"] * n + ["dogs"] * n
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
