"""``python -m skvision``, mostly in this process."""

import csv
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from PIL import Image
from scipy.optimize import brentq
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, confusion_matrix

import skvision
from skvision.__main__ import main
from skvision._cli import fit as fit_command
from skvision._cli.scores import accuracy_lines
from skvision.datasets import load_digit_images, load_image_files
from skvision.exceptions import WeightsNotFoundError

N_CLASSES = 10


def small(*arguments, make_model=fit_command.make_model, **settings):
    """Return the model of `fit` with random weights and images of 32 x 32 pixels."""
    model, approach = make_model(*arguments, **settings), arguments[0]
    if approach == "features":
        return model.set_params(**{f"{model.steps[0][0]}__{k}": v for k, v in TINY})
    model.set_params(image_size=(32, 32), epochs=2)
    if approach == "fine-tune":
        model.set_params(weights=None, n_augmented_views=1, head_epochs=1)
    return model


TINY = [("weights", None), ("image_size", (32, 32))]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folder with `data/train`, `data/validation` and, fitted to them, `model`."""
    home = tmp_path_factory.mktemp("home")
    load_digit_images(home / "data/train", subset="train", n_per_class=4)
    load_digit_images(home / "data/validation", subset="test", n_per_class=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKVISION_DATA", str(home / "store"))
        patch.setattr(fit_command, "make_model", small)
        arguments = ["fit", str(home / "data"), "-o", str(home / "model"), "-q"]
        assert main([*arguments, "--backbone", "VGG16"]) == 0
    return home


@pytest.fixture(autouse=True)
def settings(home, monkeypatch):
    monkeypatch.setenv("SKVISION_DATA", str(home / "store"))
    monkeypatch.setattr(fit_command, "make_model", small)


@pytest.fixture
def run(capsys):
    """Run a command; check its exit status, and return its standard output."""

    def run(*arguments, status=0):
        capsys.readouterr()
        try:
            assert main([*map(str, arguments)]) == status
        except SystemExit as error:
            assert error.code == status
        run.stderr = (output := capsys.readouterr()).err
        return output.out

    return run


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def wilson(k, n):
    """Return the bounds from the definition: where the score test just rejects."""
    z, p = 1.959964, k / n
    score = [lambda q, s=s: (p - q) / np.sqrt(q * (1 - q) / n) - s * z for s in (1, -1)]
    return brentq(score[0], 1e-9, p), brentq(score[1], p, 1 - 1e-9)


def test_fit_predicts_validation_and_saves_a_plain_estimator(home, run):
    output = run("fit", home / "data", "-o", home / "again.joblib", "--quiet")
    validation = load_image_files(home / "data/validation")
    model = joblib.load(home / "again.joblib")
    n_correct = int((model.predict(validation.data) == validation.target).sum())
    assert 0 < n_correct < 20
    low, high = wilson(n_correct, 20)
    assert output.splitlines() == [
        f"validation accuracy: {n_correct / 20:.3f} ({n_correct} of 20), "
        f"95 % confidence interval {low:.3f} to {high:.3f}",
        f"model: {home / 'again.joblib'}",
    ]
    assert model[-1].get_params()["class_weight"] is None
    assert f"40 images in {home / 'data/train'}" in run.stderr


def test_accuracy_has_the_balanced_one_beside_it_for_unequal_classes():
    y_true = np.array(["cat"] * 6 + ["dog"] * 2, dtype=object)
    y_pred = np.array(["cat"] * 7 + ["fox"], dtype=object)  # a class not in y_true
    first, second = accuracy_lines(y_true, y_pred, "accuracy").splitlines()
    assert first.startswith("accuracy: 0.750 (6 of 8)")
    assert second == "balanced accuracy: 0.500"
    assert len(accuracy_lines(y_true[4:], y_pred[4:], "accuracy").splitlines()) == 1


def test_fit_without_validation_images_cross_validates(home, run, tmp_path):
    folder = home / "data/train"
    output = run("fit", folder, "-o", tmp_path / "m", "--backbone=VGG16", "--balanced")
    assert output.startswith("accuracy in 4-fold cross-validation: 0.")
    assert "of 40)" in output
    assert joblib.load(tmp_path / "m")[-1].class_weight == "balanced"
    # All features are in the store: nothing is left to show.
    assert "features: " not in run.stderr


def test_evaluate_counts_the_predictions_of_the_model(home, run):
    validation = load_image_files(home / "data/validation")
    predicted = joblib.load(home / "model").predict(validation.data)
    accuracy = accuracy_score(validation.target, predicted)
    matrix = confusion_matrix(validation.target, predicted)
    output = run("evaluate", home / "model", home / "data")
    assert output.startswith(f"accuracy: {accuracy:.3f} (")
    assert f"balanced accuracy: {accuracy:.3f}\n" in output
    lines = [line.split() for line in output.splitlines()]
    i = lines.index(["true", "\\", "predicted", *map(str, range(N_CLASSES))])
    assert [[int(n) for n in line[1:]] for line in lines[i + 1 :]] == matrix.tolist()
    recall = matrix.diagonal() / 2
    i = next(i for i, line in enumerate(lines) if line[:2] == ["class", "images"])
    table = lines[i + 1 : i + 1 + N_CLASSES]
    assert [(row[1], float(row[2])) for row in table] == [("2", r) for r in recall]


def test_evaluate_counts_images_of_the_training(home, run, tmp_path):
    assert "trained on 40 of these 40" in run(
        *("evaluate", home / "model", home / "data/train")
    )
    (tmp_path / "0").mkdir()
    shutil.copy(next((home / "data/train/0").iterdir()), tmp_path / "0/copy.png")
    shutil.copy(next((home / "data/validation/0").iterdir()), tmp_path / "0/new.png")
    assert "trained on 1 of these 2" in run("evaluate", home / "model", tmp_path)
    assert "trained on" not in run("evaluate", home / "model", home / "data")


def test_parts_and_classes_of_the_same_name(home, run, tmp_path):
    parts = shutil.copytree(home / "data", tmp_path / "parts")
    run("check", parts)
    assert "Not used" not in run.stderr
    shutil.move(parts / "validation", parts / "val")
    assert f"\nX_val, {parts}/val: 20 images" in run("check", parts)
    shutil.move(parts / "val", parts / "test")
    assert run("check", parts).startswith(f"{parts}/train: 40 images")
    assert "Not used: the folders ['test']" in run.stderr
    for name in ("train", "bus"):  # two classes
        shutil.copytree(home / "data/train/3", tmp_path / "vehicles" / name)
    output = run("check", tmp_path / "vehicles", status=1)
    assert output.startswith(f"{tmp_path / 'vehicles'}: 8 images in 2 classes")
    (tmp_path / "vehicles/train").rename(tmp_path / "train")
    assert "one class (1)" in run("check", tmp_path / "vehicles", status=1)


@pytest.mark.slow
def test_fit_counts_copies(home, run, tmp_path):
    train = shutil.copytree(home / "data/train", tmp_path / "data/train")
    source = next((train / "0").iterdir())
    (tmp_path / "data/validation/0").mkdir(parents=True)
    shutil.copy(source, tmp_path / "data/validation/0")
    output = run("fit", tmp_path / "data", "-o", tmp_path / "m")
    assert output.startswith("The model was trained on 1 of these 1 images")
    shutil.copy(source, train / "0/copy.png")
    output = run("fit", train, "-o", tmp_path / "m")
    assert output.startswith("1 of these 41 images are copies of others")
    output = run("fit", home / "data/train", "-o", tmp_path / "m")
    assert output.startswith("accuracy in")


def test_evaluate_draws_the_worst_predictions(home, run, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    picture = tmp_path / "worst.png"
    run("evaluate", home / "model", home / "data", "--worst", picture)
    with Image.open(picture) as image:
        assert image.format == "PNG" and min(image.size) > 300
    assert os.listdir(tmp_path) == ["worst.png"]


def test_many_classes_have_a_list_of_confusions(home, run, tmp_path):
    long = {str(i): f"{i} with a long name" for i in range(N_CLASSES)}
    model = joblib.load(home / "model")
    model[-1].classes_ = np.array([long[name] for name in model.classes_], object)
    joblib.dump(model, tmp_path / "model")
    for i, name in long.items():
        shutil.copytree(home / "data/validation" / i, tmp_path / "data" / name)
    output = run("evaluate", tmp_path / "model", tmp_path / "data")
    validation = load_image_files(tmp_path / "data")
    matrix = confusion_matrix(validation.target, model.predict(validation.data))
    wrong = matrix[~np.eye(N_CLASSES, dtype=bool)]
    lines = output.partition("true ")[2].splitlines()[1:]
    counts = [line.split()[-1] for line in lines]
    assert counts == [str(n) for n in sorted(wrong[wrong > 0], reverse=True)]


def test_predict_gives_labels_and_probabilities_in_order(home, run):
    folder = home / "data/validation/7"
    paths = [home / "data/train/3/3_0003.png", *sorted(folder.iterdir())]
    found = rows(run("predict", home / "model", paths[0], folder, "--csv"))
    model = joblib.load(home / "model")
    X = [str(path) for path in paths]
    assert [row["path"] for row in found] == X
    assert [row["label"] for row in found] == list(model.predict(X))
    proba = model.predict_proba(X).max(axis=1)
    np.testing.assert_allclose(
        [float(r["probability"]) for r in found], proba, atol=6e-5
    )
    plain = run("predict", home / "model", paths[0])
    assert plain == "\t".join(found[0].values()) + "\n"


def test_predict_abstains_below_the_probability(home, run):
    command = ["predict", home / "model", home / "data/validation", "--csv"]
    proba = sorted(float(row["probability"]) for row in rows(run(*command)))
    limit = (proba[9] + proba[10]) / 2
    found = rows(run(*command, "--min-proba", limit))
    assert sum(row["label"] == "" for row in found) == 10
    assert all(
        (row["label"] == "") == (float(row["probability"]) < limit) for row in found
    )


def test_predict_leaves_out_images_that_cannot_be_read(home, run, tmp_path):
    good = next((home / "data/validation/7").iterdir())
    bad = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in bad:
        path.write_text("not an image")
    output = run("predict", home / "model", bad[0], good, bad[1], "--csv", status=1)
    found = rows(output)
    assert [row["label"] == "" for row in found] == [True, False, True]
    assert found[0] == {"path": str(bad[0]), "label": "", "probability": ""}
    alone = rows(run("predict", home / "model", good, "--csv"))
    assert found[1] == alone[0]
    run("predict", home / "model", *bad, status=1)
    assert "a.png" in run.stderr and "b.png" in run.stderr
    assert "Traceback" not in run.stderr and "check_image_files" not in run.stderr
    missing = tmp_path / "missing"
    output = run("predict", home / "model", missing, good, "--csv", status=1)
    assert rows(output) == alone
    assert f"error: {str(missing)!r} is neither a file nor a folder" in run.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_names_that_are_not_text_are_printed(home, tmp_path, capfdbinary):
    name = os.fsencode(tmp_path) + b"/caf\xe9, 1.png"
    shutil.copy(next((home / "data/validation/7").iterdir()), name)
    assert main(["predict", str(home / "model"), os.fsdecode(name), "--csv"]) == 0
    assert b'"' + name + b'",' in capfdbinary.readouterr().out


def test_model_from_another_machine_uses_the_local_store(home, run, tmp_path):
    model = joblib.load(home / "model")
    model[0].set_params(cache_dir=tmp_path / "gone")
    train = load_image_files(home / "data/train")
    calibrated = CalibratedClassifierCV(model, cv=2).fit(train.data, train.target)
    for estimator in (model, calibrated):
        shutil.rmtree(tmp_path / "gone", ignore_errors=True)
        joblib.dump(estimator, tmp_path / "model")
        run("predict", tmp_path / "model", home / "data/validation/7")
        assert not (tmp_path / "gone").exists()


def test_models_without_probabilities(home, run, tmp_path):
    model = joblib.load(home / "model")
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    train = load_image_files(home / "data/train")
    model = make_pipeline(model[0], LinearSVC()).fit(
        train.data,
        train.target.astype(int),  # other labels than names of folders
    )
    joblib.dump(model, tmp_path / "svm")
    output = run("evaluate", tmp_path / "svm", home / "data/validation")
    validation = load_image_files(home / "data/validation")
    score = model.score(validation.data, validation.target.astype(int))
    assert output.startswith(f"accuracy: {score:.3f}")
    image = validation.data[0]
    label = model.predict([image])[0]
    assert run("predict", tmp_path / "svm", image) == f"{image}\t{label}\t\n"
    run("predict", tmp_path / "svm", image, "--min-proba", 0.5, status=1)
    assert "no probabilities" in run.stderr


def test_check_reports_and_fails_for_serious_problems(home, run, tmp_path):
    data = shutil.copytree(home / "data", tmp_path / "data")
    head = run("check", data).splitlines()[:2]
    assert head == [
        f"X, {data}/train: 40 images in 10 classes",
        f"X_val, {data}/validation: 20 images in 10 classes",
    ]
    copied = shutil.copy(data / "train/3/3_0003.png", data / "validation/3/copy.png")
    assert "duplicate in X_val (2)" in run("check", data, status=1)
    found = rows(run("check", data, "--csv", status=1))
    assert f"X_val: {data}/validation" in run.stderr
    assert copied == Path(
        next(
            r
            for r in found
            if r["problem"] == "duplicate in X_val" and r["part"] == "X_val"
        )["path"]
    )


def test_check_reports_all_problems_of_a_messy_folder(home, run, tmp_path):
    data = shutil.copytree(home / "data/train", tmp_path / "data")
    shutil.copytree(data / "3", data / "3 ")
    (data / "birds").mkdir()
    (data / "7/film.mp4").touch()
    (data / "7/Thumbs.db").touch()
    output = run("check", data, status=1)
    assert output.startswith(f"{data}: 44 images in 11 classes")
    assert "class spelling (2)" in output
    assert "duplicate in other class (8)" in output
    assert f"Classes without images (1): '{data}/birds'" in run.stderr
    assert "extension '.mp4': 1" in run.stderr
    assert "of the system: 'Thumbs.db': 1" in run.stderr
    assert "categories" not in run.stderr


def test_images_are_read_as_the_options_say(home, run, tmp_path):
    options = ["--value-range", "0", "4095", "--resize-mode=pad", "--backbone=VGG16"]
    run("fit", home / "data", "-o", tmp_path / "m", "-q", *options)
    encoder = joblib.load(tmp_path / "m")[0]
    assert (encoder.value_range, encoder.resize_mode) == ([0, 4095], "pad")


ERRORS = {
    "missing folder": ("fit missing -o m", 1, "'missing' is not an existing folder"),
    "nothing to check": ("check missing", 1, "'missing' is not an existing folder"),
    "missing model": (
        "predict missing a.png",
        1,
        "'missing' does not exist. Expected, as MODEL, the file",
    ),
    "no model": (
        "predict data/train/3/3_0003.png a.png",
        1,
        "is not a model that `skvision fit` wrote (a joblib file), or cannot",
    ),
    "exported model": ("predict m.onnx a.png", 1, "which is not accepted here"),
    "not fitted": ("predict unfitted a.png", 1, "in 'unfitted' is not fitted"),
    "other object": ("evaluate list data", 1, "object of type list"),
    "no class folders": (
        "evaluate model data/train/3",
        1,
        "contains no folders of classes. Expected one folder for each class",
    ),
    "class without images": ("fit hollow -o m", 1, "'hollow/cat' contains no images"),
    "unreadable": ("fit bad -o m -q", 1, "`skvision check bad` lists all images"),
    "one class": ("fit one -o m", 1, "contains one class, 3"),
    "unknown class": ("evaluate model other", 1, "has the classes ['cat'], but"),
    "train only": ("evaluate model partial", 1, "no 'validation'"),
    "no images": ("predict model empty", 1, "'empty' contains no images. Expected"),
    "no images for training": ("fit empty -o m", 1, "'empty' contains no images"),
    "no images for calibration": (
        "export model m.tflite --quantize int8 --calibration empty",
        1,
        "'empty' contains no images. Expected files with one of the endings .avif",
    ),
    "missing image": ("predict model a.png", 1, "neither a file nor a folder"),
    "output in missing folder": ("fit data -o a/m", 1, "its folder does not exist"),
    "output is a folder": ("fit data -o data", 1, "it is a folder"),
    "no command": ("", 2, "COMMAND"),
    "no output": ("fit data", 2, "-o/--output"),
    "output of another format": (
        "fit data -o m.onnx",
        2,
        "skvision export pets.joblib",
    ),
    "backbone of another approach": (
        "fit data -o m --approach scratch --backbone VGG16",
        2,
        "--backbone requires",
    ),
    "no probability": ("predict model a.png --min-proba 2", 2, "not between 0 and 1"),
    "nan": ("predict model a.png --min-proba nan", 2, "not between 0 and 1"),
    "format of export": ("export model m.abc", 2, "expected a name that ends with"),
    "size of another format": (
        "export model m.keras --image-size any",
        2,
        "--image-size any is only possible",
    ),
    "int8 of another format": (
        "export model m.onnx --quantize int8 --calibration data",
        2,
        "Use the ending .tflite",
    ),
    "int8 without images": (
        "export model m.tflite --quantize int8",
        2,
        "require each other",
    ),
    "picture of another format": (
        "evaluate model data --worst a.txt",
        2,
        "expected the name of a PNG file",
    ),
}


@pytest.fixture(scope="module")
def broken(home):
    joblib.dump([1, 2], home / "list")
    joblib.dump(small("features", "VGG16", None), home / "unfitted")
    (home / "m.onnx").write_bytes(b"")
    (home / "empty").mkdir()
    (home / "hollow/cat").mkdir(parents=True)
    bad = shutil.copytree(home / "data/train", home / "bad")
    next((bad / "3").iterdir()).write_text("not an image")
    shutil.copytree(home / "data/train/3", home / "one/3")
    shutil.copytree(home / "data/train/3", home / "other/cat")
    shutil.copytree(home / "data/train", home / "partial/train")
    return home


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_line(name, broken, run, monkeypatch):
    monkeypatch.chdir(broken)
    before = sorted(os.listdir(broken))
    command, status, message = ERRORS[name]
    assert run(*command.split(), status=status) == ""
    lines = run.stderr.splitlines()
    assert message in lines[-1]
    assert lines[-1].startswith("skvision")
    assert lines[0].startswith("usage: ") if status == 2 else len(lines) <= 3
    assert "=(" not in lines[-1] and "skvision." not in lines[-1]  # words of Python
    assert sorted(os.listdir(broken)) == before


@pytest.mark.parametrize(
    "error, status, message",
    [
        (KeyboardInterrupt(), 130, "skvision: interrupted\n"),
        (OSError(28, "No space left on device", "a"), 1, "error: No space left on dev"),
        (WeightsNotFoundError("tried:\n  a\n  b"), 1, "error: tried:\n  a\n  b\n"),
        (
            ImportError("requires b:\n  install it"),
            1,
            "error: requires b: install it\n",
        ),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_exit_status_of_errors(error, status, message, home, run, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(fit_command, "load_parts", fail)
    run("fit", home / "data", "-o", home / "new", status=status)
    assert message in run.stderr
    assert bool(run.stderr) == bool(message)


def test_faults_of_the_program_are_not_hidden(home, monkeypatch):
    monkeypatch.setattr(fit_command, "load_parts", lambda folder: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["fit", str(home / "data"), "-o", str(home / "new")])


def test_training_from_scratch(home, run, tmp_path):
    arguments = [home / "data", "-o", tmp_path / "m", "--approach", "scratch"]
    assert run("fit", *arguments).startswith("validation accuracy: 0.")
    model = joblib.load(tmp_path / "m")
    assert isinstance(model, skvision.ScratchCNNClassifier)
    assert model.verbose == 0
    assert "training: 100%" in run.stderr
    image = next((home / "data/validation/7").iterdir())
    found = rows(run("predict", tmp_path / "m", image, "--csv"))[0]
    assert [found["label"]] == list(model.predict([str(image)]))
    assert "predictions" in run.stderr
    run("predict", tmp_path / "m", image, "-q")
    assert run.stderr == ""


def test_training_from_scratch_without_validation_measures_nothing(
    home, run, tmp_path, monkeypatch
):
    monkeypatch.setattr(fit_command, "make_model", lambda *_, **__: DummyClassifier())
    folder = home / "data/train"
    output = run("fit", folder, "-o", tmp_path / "m", "--approach", "scratch")
    assert output == f"model: {tmp_path / 'm'}\n"
    assert "No accuracy was measured" in run.stderr


@pytest.mark.filterwarnings("default:Training was interrupted")  # what is tested
def test_interrupted_training_is_not_saved(home, run, tmp_path, monkeypatch):
    import keras

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(
        *(fit_command, "make_model"),
        lambda *a, **kw: small(*a, **kw).set_params(callbacks=[Interrupt()]),
    )
    arguments = [home / "data", "-o", tmp_path / "m", "--approach", "scratch"]
    run("fit", *arguments, status=130)
    assert run.stderr.endswith("skvision: interrupted\n")
    assert "skvision: warning: Training was interrupted" in run.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_fine_tuning(home, run, tmp_path):
    arguments = [home / "data", "-o", tmp_path / "m", "--approach", "fine-tune", "-q"]
    assert run("fit", *arguments).startswith("validation accuracy: 0.")
    assert isinstance(joblib.load(tmp_path / "m"), skvision.FineTunedVGGClassifier)


@pytest.mark.slow
def test_backbone_is_that_of_the_name(home, run, tmp_path):
    arguments = [home / "data", "-o", tmp_path / "m", "--backbone", "EfficientNetLite0"]
    run("fit", *arguments)
    assert joblib.load(tmp_path / "m")[0].backbone == "EfficientNetLite0"
    run("fit", *arguments[:-1], "EfficientNetLite", status=1)
    assert "Did you mean" in run.stderr


@pytest.mark.slow
def test_export(home, run, tmp_path):
    pytest.importorskip("tf2onnx", reason="needs the extra 'export'")
    int8 = ["--quantize", "int8", "--calibration", home / "data/train"]
    formats = {"model.onnx": ["--image-size", "any"], "model.tflite": int8}
    for name, options in formats.items():
        path = tmp_path / name
        assert run("export", home / "model", path, *options) == f"{path}\n"
        assert path.exists()
    assert "Quantizing" in run.stderr
    assert "of the labels of 40 calibration images are the same" in run.stderr


def test_help_and_version_do_not_load_tensorflow():
    code = (
        "import sys\n"
        "from skvision.__main__ import main\n"
        "for arguments in ['--help'], ['predict', '--help'], ['--version']:\n"
        "    try: main(arguments)\n"
        "    except SystemExit as error: assert error.code == 0\n"
        "assert not {'tensorflow', 'keras', 'sklearn'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.endswith(f"skvision {skvision.__version__}\n")
    for word in ("check", "fit", "evaluate", "predict", "export", "RUNS CODE", "ONNX"):
        assert word in output
