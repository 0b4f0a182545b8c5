import re
import subprocess
import sys
from collections import deque
from copy import copy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from _optional import pd
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from skvision import (
    DenseHeadClassifier,
    FineTunedVGGClassifier,
    ImageAugmenter,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)
from skvision.exceptions import ImageReadError
from skvision.plot import (
    AugmentationDisplay,
    ImagePredictionDisplay,
    SaliencyDisplay,
    TrainingHistoryDisplay,
)

matplotlib = pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

HISTORY = {
    "loss": [0.9, 0.6, 0.5],
    "accuracy": [0.5, 0.7, 0.8],
    "val_loss": [0.8, 0.6, 0.7],
    "val_accuracy": [0.6, 0.7, 0.65],
}
CLASSES = ["ant", "bee", "cow"]
# Correct and confident, wrong and confident, wrong and uncertain, correct and
# uncertain.
PROBA = [[0.9, 0.1, 0.0], [0.2, 0.0, 0.8], [0.4, 0.3, 0.3], [0.25, 0.35, 0.4]]
Y_TRUE = ["ant", "bee", "bee", "cow"]
Y_PRED = ["ant", "cow", "ant", "cow"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def four(pixels):
    return pixels[:4]


class Fixed(ClassifierMixin, BaseEstimator):
    """A classifier that returns `table` and `pred` for any input."""

    def __init__(
        self, method="predict_proba", table=PROBA, pred=Y_PRED, classes=CLASSES
    ):
        self.method = method
        self.table = table
        self.pred = pred
        self.classes = classes
        self.classes_ = np.array(classes)

    def predict(self, X):
        return np.array(self.pred)

    def __getattr__(self, name):
        if name == vars(self).get("method"):
            return lambda X: np.array(self.table)
        raise AttributeError(name)

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True


def titles(display):
    return [ax.get_title() for ax in display.axes_]


def names(display):
    return [ax.get_xlabel() for ax in display.axes_]


def colors(display):
    return [ax.title.get_color() for ax in display.axes_]


# All displays


def make_augmentation(pixels, **kwargs):
    return AugmentationDisplay.from_augmenter(
        ImageAugmenter(), pixels[0], n_images=2, **kwargs
    )


def make_history(pixels, **kwargs):
    return TrainingHistoryDisplay.from_history(HISTORY, **kwargs)


def make_predictions(pixels, **kwargs):
    return ImagePredictionDisplay.from_predictions(
        pixels[:3], CLASSES, CLASSES, **kwargs
    )


def make_saliency(pixels, **kwargs):
    display = SaliencyDisplay(
        images=pixels[:3], saliencies=np.eye(3) * np.ones((3, 1, 1)), labels=CLASSES
    )
    return display.plot(**kwargs)


MAKERS = [make_augmentation, make_history, make_predictions, make_saliency]


@pytest.fixture(params=MAKERS)
def make(request, pixels):
    """A function that creates a display and passes keyword arguments to `plot`."""
    return lambda **kwargs: request.param(pixels, **kwargs)


def test_import_starts_neither_matplotlib_nor_tensorflow():
    code = (
        "import sys, skvision.plot; "
        "print(sorted({'matplotlib', 'tensorflow', 'keras'} & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_without_matplotlib_the_error_names_the_extra(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'install "scikit-vision\[plot\]"'):
        make()


def test_does_not_call_show(make, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("show was called"))
    make()


def test_plot_returns_the_display_and_draws_again(make):
    display = make()
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first
    assert all(ax.figure is display.figure_ for ax in display.axes_)


def test_axes_passed_by_the_user(make):
    n = len(make().axes_)
    figure, axes = plt.subplots(1, n)
    display = make(ax=axes)
    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure
    _, axes = plt.subplots(1, n + 1)
    with pytest.raises(
        ValueError, match=f"axes per plot, {n} in total. Got {n + 1} axes"
    ):
        make(ax=axes)


@pytest.mark.parametrize("make", [make_augmentation, make_predictions, make_saliency])
def test_grid_replaces_a_single_axes(make, pixels):
    figure, (left, right) = plt.subplots(1, 2)
    display = make(pixels, ax=right, n_cols=2)
    assert display.figure_ is figure
    figure.canvas.draw()
    middle = left.get_position().x1
    assert all(ax.get_position().x0 > middle for ax in display.axes_)
    with pytest.raises(ValueError, match="'ax' must be created by subplots"):
        make(pixels, ax=plt.figure().add_axes((0, 0, 1, 1)))


@pytest.mark.parametrize("make", [make_augmentation, make_predictions, make_saliency])
def test_n_cols_and_im_kw(make, pixels):
    display = make(pixels, n_cols=2, im_kw={"alpha": 0.5})
    specs = [ax.get_subplotspec() for ax in display.axes_]
    rows_and_columns = [(s.rowspan.start, s.colspan.start) for s in specs]
    assert rows_and_columns == [(0, 0), (0, 1), (1, 0)]
    assert [artist.get_alpha() for artist in display.images_] == [0.5] * 3
    with pytest.raises(ValueError, match="n_cols == 0, must be >= 1"):
        make(pixels, n_cols=0)


# AugmentationDisplay


class TestAugmentationDisplay:
    augmenter = ImageAugmenter(rotation_range=40, zoom_range=0.2)

    def display(self, image, **kwargs):
        defaults = {"n_images": 5, "random_state": 0}
        return AugmentationDisplay.from_augmenter(
            self.augmenter, image, **defaults | kwargs
        )

    def test_original_comes_first_and_is_marked(self, paths, pixels):
        display = self.display(paths[0])
        assert titles(display) == ["original"] + [""] * 5
        frames = [ax.spines["left"].get_visible() for ax in display.axes_]
        assert frames == [True] + [False] * 5
        assert_array_equal(display.images_[0].get_array(), pixels[0])
        assert names(display) == ["00.png"] + [""] * 5

    def test_same_images_as_preview(self, paths):
        expected = self.augmenter.preview(paths[0], n_images=5, random_state=0)
        display = self.display(paths[0])
        assert_array_equal(display.images, expected)
        for artist, image in zip(display.images_[1:], expected, strict=True):
            assert_array_equal(artist.get_array(), image)

    def test_path_and_array_are_equivalent(self, paths, pixels):
        expected = self.display(paths[0]).images
        assert_array_equal(self.display(pixels[0]).images, expected)

    def test_grey_array(self, pixels):
        assert self.display(pixels[0, ..., 0]).original.shape == (40, 36, 3)

    def test_image_size(self, paths, tmp_path):
        path = tmp_path / "large.jpg"
        Image.new("RGB", (2000, 500)).save(path)
        assert self.display(path).original.shape == (80, 320, 3)
        display = self.display(path, image_size=(30, 20))
        assert display.images.shape == (5, 30, 20, 3)
        with pytest.raises(ValueError, match="'image_size' parameter must be a pair"):
            self.display(path, image_size=30)

    def test_from_estimator_matches_the_input_of_the_network(self, paths):
        classifier = ScratchCNNClassifier(
            image_size=(24, 30), interpolation="nearest", augmenter=self.augmenter
        )
        expected = np.asarray(
            Image.open(paths[0]).resize((30, 24), Image.Resampling.NEAREST)
        )
        nested = make_pipeline(make_pipeline(classifier))
        vote = VotingClassifier([("a", nested)])
        for estimator in (classifier, nested, GridSearchCV(nested, {}), vote):
            display = AugmentationDisplay.from_estimator(
                estimator, paths[0], n_images=3, random_state=0
            )
            assert_array_equal(display.original, expected)
            transformed = self.augmenter.transform([expected] * 3, random_state=0)
            assert_array_equal(display.images, np.rint(transformed))

    def test_errors(self, paths, pixels, tmp_path):
        with pytest.raises(ValueError, match="no augmenter in ScratchCNNClassifier"):
            AugmentationDisplay.from_estimator(ScratchCNNClassifier(), paths[0])
        with pytest.raises(TypeError, match="must be an instance of an estimator"):
            AugmentationDisplay.from_estimator(ScratchCNNClassifier, paths[0])
        other = Fixed()
        other.augmenter = self.augmenter
        with pytest.raises(ValueError, match="no augmenter in Fixed"):
            AugmentationDisplay.from_estimator(other, paths[0])
        with pytest.raises(ValueError, match="image is of type list"):
            self.display([[1], [2, 3]])
        with pytest.raises(TypeError, match=r"Got ScratchCNN.*use from_estimator"):
            AugmentationDisplay.from_augmenter(ScratchCNNClassifier(), paths[0])
        classifier = ScratchCNNClassifier(augmenter=ImageAugmenter)
        with pytest.raises(TypeError, match="must be an ImageAugmenter, such as"):
            AugmentationDisplay.from_estimator(classifier, paths[0])
        with pytest.raises(ValueError, match=r"image is an array .*float64"):
            self.display(pixels[0] / 255)
        with pytest.raises(ImageReadError, match=r"missing\.png"):
            self.display(tmp_path / "missing.png")
        with pytest.raises(ValueError, match="n_images must be a positive int"):
            self.display(paths[0], n_images=0)


# TrainingHistoryDisplay


@pytest.fixture(scope="module")
def features():
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    return X, (X[:, 0] > 0).astype(int)


@pytest.fixture(scope="module")
def fitted_heads(features):
    """Two fitted networks."""
    head = DenseHeadClassifier(
        hidden_units=(4,), epochs=3, early_stopping=True, random_state=0
    )
    other = DenseHeadClassifier(hidden_units=(), epochs=1, random_state=0)
    return head.fit(*features), other.fit(*features)


@pytest.fixture(scope="module")
def fine_tuned(pixels):
    return FineTunedVGGClassifier(
        weights=None,
        image_size=(32, 32),
        hidden_units=(4,),
        head_epochs=1,
        epochs=1,
        early_stopping=True,
        validation_fraction=0.25,
        random_state=0,
    ).fit(pixels, [0, 1] * 12)


class Compose:
    """A function from a classifier to a composite estimator around it, as it is."""

    def __init__(self, id, function):
        self.id, self.function = id, function

    def __call__(self, classifier):
        return self.function(FrozenEstimator(classifier))


def fixed_threshold(classifier):
    return FixedThresholdClassifier(
        classifier, threshold=0.2, response_method="predict_proba"
    )


def search_with_generator(classifier):
    splits = (split for split in [(np.arange(10), np.arange(10))])
    return GridSearchCV(make_pipeline(classifier), {}, cv=splits)


COMPOSITES = [
    Compose("pipeline", lambda c: make_pipeline("passthrough", c)),
    Compose("nested pipelines", lambda c: make_pipeline(make_pipeline(c))),
    Compose("search", lambda c: GridSearchCV(make_pipeline(c), {}, cv=2)),
    Compose("search with a generator of splits", search_with_generator),
    Compose(
        "search in a pipeline",
        lambda c: make_pipeline(GridSearchCV(make_pipeline(c), {}, cv=2)),
    ),
    Compose("calibration", lambda c: CalibratedClassifierCV(c, ensemble=False)),
    Compose("threshold", fixed_threshold),
    Compose("search of a threshold", lambda c: GridSearchCV(fixed_threshold(c), {})),
    Compose("threshold of a pipeline", lambda c: fixed_threshold(make_pipeline(c))),
    Compose("tuned threshold", lambda c: TunedThresholdClassifierCV(c, cv=2)),
]


class TestTrainingHistoryDisplay:
    def test_curves(self):
        display = TrainingHistoryDisplay.from_history(HISTORY)
        loss, accuracy = display.axes_
        assert (loss.get_xlabel(), loss.get_ylabel()) == ("Epoch", "Loss")
        assert (accuracy.get_xlabel(), accuracy.get_ylabel()) == ("Epoch", "Accuracy")
        assert display.lines_.keys() == HISTORY.keys()
        for key, line in display.lines_.items():
            assert_array_equal(line.get_xdata(), [1, 2, 3])
            assert_array_equal(line.get_ydata(), HISTORY[key])
            assert line.axes is (loss if "loss" in key else accuracy)

    def test_legend_and_best_epoch(self):
        display = TrainingHistoryDisplay.from_history(HISTORY, best_epoch=2)
        assert [line.get_xdata()[0] for line in display.best_epoch_lines_] == [2, 2]
        for ax in display.axes_:
            legend = [text.get_text() for text in ax.get_legend().get_texts()]
            assert legend == ["Training", "Validation", "Best epoch: 2"]

    def test_without_validation(self):
        history = {key: HISTORY[key] for key in ("loss", "accuracy")}
        display = TrainingHistoryDisplay.from_history(history)
        assert display.best_epoch_lines_ == []
        for ax in display.axes_:
            legend = [text.get_text() for text in ax.get_legend().get_texts()]
            assert legend == ["Training"]

    @pytest.mark.parametrize("n_epochs", [1, 2, 3, 50])
    def test_ticks_are_whole_epochs(self, n_epochs):
        history = {key: np.linspace(0, 1, n_epochs) for key in HISTORY}
        display = TrainingHistoryDisplay.from_history(history)
        ticks = display.axes_[0].get_xticks()
        assert_array_equal(ticks, np.rint(ticks))

    def test_keywords(self):
        display = TrainingHistoryDisplay.from_history(HISTORY, line_kw={"marker": "x"})
        assert {line.get_marker() for line in display.lines_.values()} == {"x"}

    @pytest.mark.parametrize("compose", COMPOSITES, ids=lambda compose: compose.id)
    def test_finds_the_network_in(self, compose, fitted_heads, features):
        head, _ = fitted_heads
        estimator = compose(head).fit(*features)
        display = TrainingHistoryDisplay.from_estimator(estimator)
        assert display.history == head.history_
        assert display.best_epoch == head.best_epoch_ is not None
        assert titles(display) == ["Training, 4 validation samples"] * 2

    def test_finds_the_best_estimator_of_a_search(self, features):
        search = GridSearchCV(
            DenseHeadClassifier(hidden_units=(), random_state=0), {"epochs": [2]}, cv=2
        )
        pipeline = make_pipeline(StandardScaler(), search).fit(*features)
        display = TrainingHistoryDisplay.from_estimator(pipeline)
        assert len(display.history["loss"]) == 2
        assert titles(display)[0] == "Training, no validation samples"

    def test_title_tells_that_there_are_several_networks(self, fitted_heads, features):
        vote = VotingClassifier([("a", fitted_heads[0]), ("b", fitted_heads[1])])
        vote.estimators_ = list(fitted_heads)
        display = TrainingHistoryDisplay.from_estimator(vote)
        assert titles(display)[0].endswith("(network 1 of 2)")

    @pytest.mark.parametrize(
        ("phase", "title"),
        [
            ("head", "Head, 6 validation images"),
            ("fine_tuning", "Fine-tuning, 6 validation images"),
        ],
    )
    def test_title_gives_the_phase(self, fine_tuned, phase, title):
        display = TrainingHistoryDisplay.from_estimator(fine_tuned, phase=phase)
        assert titles(display) == [title] * 2

    def test_errors(self, features, fine_tuned):
        show = TrainingHistoryDisplay
        with pytest.raises(NotFittedError, match="not fitted yet"):
            show.from_estimator(DenseHeadClassifier())
        logistic = make_pipeline(LogisticRegression()).fit(*features)
        with pytest.raises(
            ValueError, match="no training history in Pipeline, LogisticRegression"
        ):
            show.from_estimator(logistic)
        search = GridSearchCV(LogisticRegression(), {}, refit=False).fit(*features)
        with pytest.raises(ValueError, match="GridSearchCV has refit=False"):
            show.from_estimator(search)
        with pytest.raises(ValueError, match=r"Got the keys \['loss', 'acc'\]"):
            show.from_history({"loss": [1.0], "acc": [1.0]})
        with pytest.raises(ValueError, match=r"for example history_\['fine_tuning'\]"):
            show.from_history(fine_tuned.history_)
        with pytest.raises(TypeError, match="must be a dict of lists"):
            show.from_history([1.0])
        with pytest.raises(ValueError, match="at least one epoch"):
            show.from_history({"loss": [], "accuracy": []})
        with pytest.raises(ValueError, match="best_epoch == 4, must be <= 3"):
            show.from_history(HISTORY, best_epoch=4)


# ImagePredictionDisplay


class TestImagePredictionDisplay:
    def from_predictions(self, X, y_true=Y_TRUE, proba=PROBA, **kwargs):
        defaults = {"classes": CLASSES, "y_proba": proba}
        if "y_pred" not in kwargs:
            classes = np.array(kwargs.get("classes") or CLASSES)
            kwargs["y_pred"] = classes[np.argmax(proba, axis=1)]
        return ImagePredictionDisplay.from_predictions(X, y_true, **defaults | kwargs)

    def test_most_wrong_first(self, four):
        display = self.from_predictions(four)
        assert titles(display) == [
            "cow (0.80)\ntrue: bee (0.00)",
            "ant (0.40)\ntrue: bee (0.30)",
            "cow (0.40)\ncorrect",
            "ant (0.90)\ncorrect",
        ]
        assert_array_equal(display.indices, [1, 2, 3, 0])
        for artist, i in zip(display.images_, display.indices, strict=True):
            assert_array_equal(artist.get_array(), four[i])

    def test_wrong_before_correct_and_less_confident(self, pixels):
        proba = [[0.34, 0.33, 0.33], [0.55, 0.45, 0.0]]
        display = self.from_predictions(pixels[:2], ["ant", "bee"], proba)
        assert_array_equal(display.indices, [1, 0])

    def test_wrong_predictions_are_coloured(self, four):
        wrong, also_wrong, correct, also_correct = colors(self.from_predictions(four))
        assert wrong == also_wrong != correct == also_correct

    @pytest.mark.parametrize(
        "order, expected", [("uncertain", [2, 3, 1, 0]), ("given", [0, 1, 2, 3])]
    )
    def test_other_orders(self, four, order, expected):
        assert_array_equal(self.from_predictions(four, order=order).indices, expected)

    def test_n_images(self, four):
        assert_array_equal(self.from_predictions(four, n_images=2).indices, [1, 2])
        assert len(self.from_predictions(four, n_images=9).axes_) == 4

    def test_least_certain_first_without_true_classes(self, four):
        display = self.from_predictions(four, None)
        assert titles(display) == [
            "ant (0.40)",
            "cow (0.40)",
            "cow (0.80)",
            "ant (0.90)",
        ]
        assert len(set(colors(display))) == 1

    def test_predicted_classes_instead_of_probabilities(self, four):
        y_pred = ["ant", "cow", "bee", "ant"]
        display = self.from_predictions(four, y_pred=y_pred, proba=None, classes=None)
        assert titles(display) == [
            "cow\ntrue: bee",
            "ant\ntrue: cow",
            "ant\ncorrect",
            "bee\ncorrect",
        ]

    def test_default_classes_are_those_in_y_true(self, four):
        assert titles(self.from_predictions(four, classes=None)) == titles(
            self.from_predictions(four)
        )

    def test_display_labels(self, four):
        y_true = [CLASSES.index(label) for label in Y_TRUE]
        display = self.from_predictions(
            four, y_true, classes=[0, 1, 2], display_labels=CLASSES
        )
        assert titles(display) == titles(self.from_predictions(four))

    def test_unusual_class_names(self, four):
        classes = ["$c_^{$", "Staffordshire bullterrier, Mmmmmm", "a\\b\n\udcff"]
        with plt.rc_context({"text.usetex": True}):
            display = self.from_predictions(four, None, classes=classes)
            display.figure_.canvas.draw()
        assert titles(display)[0] == "$c_^{$ (0.40)"
        assert "a\\b\\n\\udcff (0.80)" in titles(display)
        display = self.from_predictions(four[:1], None, [[0, 1, 0]], classes=classes)
        assert re.match(r"Staffo.*….*mmm \(1\.00\)", titles(display)[0])

    def test_label_differs_from_the_most_probable_class(self, four):
        display = self.from_predictions(four, y_pred=["bee"] * 4, order="given")
        assert titles(display)[0] == "bee (0.10)\ntrue: ant (0.90)"
        assert titles(display)[2] == "bee (0.30)\ncorrect"

    @pytest.mark.parametrize("compose", COMPOSITES, ids=lambda compose: compose.id)
    def test_labels_are_those_of_predict(self, compose, pixels):
        flatten = FunctionTransformer(lambda X: X.reshape(len(X), -1) / 255)
        X, y = pixels[:12], np.array([False, True] * 6)
        model = make_pipeline(flatten, LogisticRegression(C=1e-5)).fit(X, y)
        estimator = compose(model).fit(X, y)
        expected = estimator.predict(X).tolist()
        display = ImagePredictionDisplay.from_estimator(estimator, X, y, order="given")
        assert display.y_pred.tolist() == [str(label) for label in expected]
        assert display.y_true.tolist() == [str(label) for label in y]
        is_wrong = [color == "firebrick" for color in colors(display)]
        assert_array_equal(is_wrong, expected != y)
        if "threshold" in compose.id and "tuned" not in compose.id:
            assert any(display.proba_pred < 0.5)  # the other class is more probable

    def test_file_names(self, paths, pixels):
        show = ImagePredictionDisplay.from_predictions
        assert names(show(paths[:2], None, [0, 1])) == ["00.png", "01.png"]
        assert names(show(pixels[:2], None, [0, 1])) == ["image 0", "image 1"]
        display = show(paths[:2], [1, 1], [1, 0], n_images=1)
        assert names(display) == ["01.png"]  # the wrong one

    def test_unusual_file_names(self, pixels, tmp_path):
        for i, folder in enumerate("ab"):
            (tmp_path / folder).mkdir()
            Image.fromarray(pixels[i]).save(tmp_path / folder / "1.png")
        show = ImagePredictionDisplay.from_predictions
        X = [tmp_path / "a" / "1.png", tmp_path / "b" / "1.png"]
        assert names(show(X, None, [0, 1])) == ["a/1.png", "b/1.png"]
        X = [tmp_path / f"IMG_{'0' * 200}_Zoe\u0308.png", tmp_path / "$x\ny.png"]
        for path in X:
            Image.fromarray(pixels[0]).save(path)
        display = show(X, None, [0, 1])
        display.figure_.canvas.draw()
        assert re.fullmatch(r"IMG_0+…0+_Zoë\.png", names(display)[0])
        assert names(display)[1] == "$x\\ny.png"

    def test_texts_fit_into_narrow_axes(self, four):
        classes = ["Staffordshire bullterrier", "Wirehaired pointer", "Mmmmmm mmmmmm"]
        _, (_, ax) = plt.subplots(1, 2)
        display = self.from_predictions(
            four, np.repeat(classes[1], 4), classes=classes, ax=ax, n_cols=2
        )
        display.figure_.canvas.draw()
        boxes = [ax.title.get_window_extent() for ax in display.axes_]
        for left, right in [boxes[:2], boxes[2:]]:
            assert left.x1 < right.x0

    @pytest.mark.parametrize(
        "convert",
        [
            list,
            np.array,
            lambda y: np.array(y, dtype=object)[:, np.newaxis],
            lambda y: [[label] for label in y],
            lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
            lambda y: pd.Series(y, dtype="category"),
            lambda y: pd.DataFrame({"label": y}),
        ],
    )
    def test_forms_of_y(self, four, convert):
        y = convert(Y_TRUE)
        display = self.from_predictions(
            four, y, y_pred=convert(Y_PRED), classes=convert(CLASSES)
        )
        assert titles(display)[0] == "cow (0.80)\ntrue: bee (0.00)"
        display = ImagePredictionDisplay.from_estimator(Fixed(), four, y, n_images=1)
        assert titles(display)[0] == "cow (0.80)\ntrue: bee (0.00)"

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (
                np.eye(4),
                r"'y' must have one label .* shape \(4,\) or \(4, 1\).*\(4, 4\)",
            ),
            (["ant", "bee"], r"each of the 4 images.* Got list of shape \(2,\)"),
            ("ant", r"Got str of shape \(\)"),
            ([["ant"], ["bee", "cow"], [], []], "rows of different lengths"),
            (["ant", "bee", None, "cow"], r"y\[2\] is None, a missing value"),
            ([0.0, 1.0, np.nan, 1.0], r"y\[2\] is nan, a missing value"),
            ([0.25, 1.0, 0.0, 1.0], r"y\[0\] is 0.25, not a class"),
            ([0, 1, 1, 0], r"None of the true classes is .* Got 0, 1\."),
        ],
    )
    def test_refused_forms_of_y(self, four, y, message):
        with pytest.raises(ValueError, match=message):
            ImagePredictionDisplay.from_estimator(Fixed(), four, y)

    def test_several_labels_per_image_are_refused(self, four):
        y = pd.Series([["ant"], ["bee"], ["ant", "cow"], []])
        with pytest.raises(ValueError, match="of type list: several labels"):
            ImagePredictionDisplay.from_estimator(Fixed(), four, y)

    def test_class_that_is_unknown_to_the_estimator(self, four):
        y = ["ant", "eel", "bee", "cow"]
        display = ImagePredictionDisplay.from_estimator(Fixed(), four, y)
        assert titles(display)[0] == "cow (0.80)\ntrue: eel"
        assert display.indices[0] == 1

    def test_class_that_is_never_predicted(self, four):
        display = ImagePredictionDisplay.from_estimator(
            Fixed(), four, ["bee"] * 4, display_labels=["Ameise", "Biene", "Kuh"]
        )
        assert set(display.y_true) == {"Biene"}
        assert set(display.y_pred) == {"Ameise", "Kuh"}

    def test_columns_of_a_data_frame(self, table, stripes):
        X, y = table
        model = make_table_pipeline().fit(X, y)
        display = ImagePredictionDisplay.from_estimator(
            model, X, y, order="given", n_images=2
        )
        assert names(display) == ["0.png", "1.png"]
        assert_array_equal(display.images_[1].get_array(), stripes[0][1])
        assert display.y_pred.tolist() == model.predict(X[:2]).tolist()

    def test_images_pass_through_the_network_once(self, stripes, monkeypatch):
        X, y = stripes[0][:6], stripes[1][:6]
        model = make_feature_pipeline("avg", LogisticRegression()).fit(X, y)
        transform, numbers = VGG16BottleneckTransformer.transform, []

        def counting(self, X):
            numbers.append(len(X))
            return transform(self, X)

        monkeypatch.setattr(VGG16BottleneckTransformer, "transform", counting)
        ImagePredictionDisplay.from_estimator(model, X, y)
        assert numbers == [6]
        assert model.predict(X[:2]).shape == (2,)  # the estimator itself is unchanged
        assert numbers == [6, 2]

    def test_titles_do_not_overlap(self, four):
        classes = ["Staffordshire bullterrier", "Wirehaired pointer", "Mmmmmm mmmmmm"]
        y_true = np.repeat(classes[1], 4)
        display = self.from_predictions(four, y_true, classes=classes, n_cols=4)
        display.figure_.canvas.draw()
        boxes = [ax.title.get_window_extent() for ax in display.axes_]
        for left, right in pairwise(boxes):
            assert left.x1 < right.x0

    def test_image_is_upright_and_downscaled(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        image = Image.new("RGB", (1200, 900), "black")
        image.paste(
            "white", (0, 0, 600, 900)
        )  # left half, which EXIF rotates to the top
        image.save(tmp_path / "turned.jpg", exif=exif)
        display = self.from_predictions([tmp_path / "turned.jpg"], None, PROBA[:1])
        shown = display.images_[0].get_array()
        assert shown.shape == (320, 240, 3)
        assert shown[:150].min() > 250 and shown[170:].max() < 5

    def test_titles_are_aligned_for_images_of_any_shape(self, tmp_path):
        sizes = [(60, 20), (20, 60), (40, 40)]
        for i, size in enumerate(sizes):
            Image.new("RGB", size).save(tmp_path / f"{i}.png")
        X = sorted(tmp_path.iterdir())
        display = self.from_predictions(X, Y_TRUE[:3], PROBA[:3], order="given")
        display.figure_.canvas.draw()
        tops = [ax.get_position().y1 for ax in display.axes_]
        assert tops == pytest.approx([tops[0]] * 3)

    def test_from_estimator_on_paths_arrays_and_frames(self, paths, pixels):
        expected = titles(self.from_predictions(pixels[:4]))
        for X in (paths[:4], pixels[:4], pd.DataFrame({"path": paths[:4]})):
            display = ImagePredictionDisplay.from_estimator(Fixed(), X, Y_TRUE)
            assert titles(display) == expected

    def test_from_pipeline(self, pixels):
        y = np.repeat(["dark", "light"], 12)
        X = pixels.copy()
        X[12:] |= 128
        flatten = FunctionTransformer(lambda X: X.reshape(len(X), -1) / 255)
        model = make_pipeline(flatten, LogisticRegression()).fit(X, y)
        y[3] = "light"
        display = ImagePredictionDisplay.from_estimator(model, X, y, n_images=2)
        assert display.indices[0] == 3
        first, second = titles(display)
        assert first.startswith("dark (") and "\ntrue: light (" in first
        assert second.endswith("correct")

    def test_decision_function(self, four):
        scores = (10 * np.array(PROBA) - 5).tolist()
        estimator = Fixed("decision_function", scores)
        display = ImagePredictionDisplay.from_estimator(estimator, four, Y_TRUE)
        assert_array_equal(display.indices, [1, 2, 3, 0])
        assert titles(display)[0] == "cow\ntrue: bee"
        estimator = Fixed(
            "decision_function",
            [-3.0, 0.5, 2.0, -1.0],
            ["ant", "bee", "bee", "ant"],
            ["ant", "bee"],
        )
        display = ImagePredictionDisplay.from_estimator(
            estimator, four, ["ant", "ant", "ant", "ant"]
        )
        assert_array_equal(display.indices, [2, 1, 3, 0])
        # Columns of pairs of classes, or of an unexpected number, are not used.
        for model in (
            SVC(decision_function_shape="ovo"),
            Fixed("decision_function", [[0, 1]] * 4),
        ):
            flatten = FunctionTransformer(lambda X: X.reshape(len(X), -1))
            model = make_pipeline(flatten, model).fit(four, Y_TRUE)
            display = ImagePredictionDisplay.from_estimator(model, four)
            assert_array_equal(display.indices, range(4))
            assert titles(display) == model.predict(four).tolist()

    def test_predict_only(self, four):
        estimator = Fixed("none", pred=["ant", "cow", "bee", "ant"])
        display = ImagePredictionDisplay.from_estimator(estimator, four, Y_TRUE)
        assert_array_equal(display.indices, [1, 3, 0, 2])
        display = ImagePredictionDisplay.from_estimator(estimator, four)
        assert titles(display) == ["ant", "cow", "bee", "ant"]

    def test_only_displayed_images_are_read(self, paths, tmp_path):
        (tmp_path / "text.png").write_text("not an image")
        X = [*paths[:3], tmp_path / "text.png"]
        assert len(self.from_predictions(X, n_images=2).axes_) == 2
        with pytest.raises(ImageReadError, match=r"text\.png. \(X\[3\]\)") as error:
            self.from_predictions(X, n_images=4)
        assert error.value.index == 3

    def test_errors_of_from_estimator(self, four):
        from_estimator = ImagePredictionDisplay.from_estimator
        with pytest.raises(NotFittedError, match="not fitted yet"):
            from_estimator(ScratchCNNClassifier(), four)
        table = pd.DataFrame({"path": ["a.png"], "size": [1]})
        with pytest.raises(
            ValueError, match="input is not images, use from_predictions"
        ):
            from_estimator(Fixed(), table)
        flatten = FunctionTransformer(lambda X: X.reshape(len(X), -1))
        ridge = make_pipeline(flatten, Ridge()).fit(four, [0, 1, 1, 0])
        with pytest.raises(ValueError, match="classes, and Ridge is a regressor"):
            from_estimator(ridge, four)
        with pytest.raises(ValueError, match="StandardScaler has no method 'predict'"):
            from_estimator(StandardScaler().fit([[1]]), four)

    @pytest.mark.parametrize(
        "kwargs, message",
        [
            ({"order": "best"}, "'order' must be one of .*'wrong', .*'best'"),
            ({"n_images": 0}, "n_images == 0, must be >= 1"),
            ({"y_true": None, "classes": None}, "3 columns, but there are 2 classes"),
            ({"y_true": Y_TRUE[:3]}, "'y_true' must have one label for each of the 4"),
            ({"proba": np.array(PROBA) * 2}, "probabilities between 0 and 1"),
            ({"proba": np.array(PROBA) * np.nan}, "probabilities between 0 and 1"),
            ({"y_proba": [0.1] * 4}, r"one column per class.* Got shape \(4,\)"),
            ({"y_pred": PROBA}, r"'y_pred' must have one label .*Got list .*\(4, 3\)"),
            ({"y_pred": [0.1] * 4}, "pass probabilities as 'y_proba'"),
            ({"y_pred": ["eel"] * 4}, "predicted classes is one .*'cow'.*Got 'eel'"),
            ({"y_pred": [0] * 4, "classes": None}, "partly strings, partly numbers"),
            ({"display_labels": ["a", "b"]}, "must be a list of one name per class"),
            ({"display_labels": ["a", "a", "b"]}, "all must differ"),
            ({"display_labels": {"a", "b", "c"}}, "must be a list .* Got 1 names"),
            ({"classes": ["ant", "bee", "bee", "cow"]}, "All 'classes' must differ"),
            ({"y_proba": [["high"] * 3] * 4}, "'y_proba' must contain numbers"),
        ],
    )
    def test_errors_of_from_predictions(self, four, kwargs, message):
        with pytest.raises(ValueError, match=message):
            self.from_predictions(four, **kwargs)


# SaliencyDisplay


@pytest.fixture(scope="module")
def stripes():
    """60 dark images with a bright stripe, labelled by its side: left or right."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 60, (60, 32, 32, 3), dtype=np.uint8)
    y = np.array(["left", "right"])[np.arange(60) % 2]
    for image, side in zip(X, y, strict=True):
        at = rng.integers(0, 8) + (0 if side == "left" else 16)
        image[:, at : at + 8, 0 if side == "left" else 2] += 180
    return X, y


@pytest.fixture(scope="module")
def convnet(stripes):
    classifier = ScratchCNNClassifier(
        image_size=(32, 32), filters=(8, 8), dense_units=16, epochs=20, random_state=0
    )
    return classifier.fit(*stripes)


def make_feature_pipeline(pooling, *steps, normalization=None, flip_average=False):
    vgg16 = VGG16BottleneckTransformer(
        weights=None,
        image_size=(32, 32),
        layer="block2_pool",
        pooling=pooling,
        normalization=normalization,
        flip_average=flip_average,
    )
    return make_pipeline(vgg16, *steps)


@pytest.fixture(scope="module")
def table(stripes, tmp_path_factory):
    """A data frame with a column of paths and one of numbers, and labels."""
    folder = tmp_path_factory.mktemp("table")
    paths = [str(folder / f"{i}.png") for i in range(20)]
    for path, image in zip(paths, stripes[0], strict=False):
        Image.fromarray(image).save(path)
    return pd.DataFrame({"path": paths, "number": np.arange(20.0)}), stripes[1][:20]


@pytest.fixture(scope="module")
def linear(stripes):
    """A linear model on features of VGG16, and its saliency map of one image."""
    X, y = stripes[0][:10], stripes[1][:10] == "right"
    model = make_feature_pipeline("avg", LogisticRegression()).fit(X, y)
    return model, SaliencyDisplay.from_estimator(model, X[:1], target=True)


def make_table_pipeline():
    vgg16 = make_feature_pipeline("avg")[0]
    columns = make_column_transformer((vgg16, ["path"]), (StandardScaler(), ["number"]))
    return make_pipeline(columns, LogisticRegression())


class TestSaliencyDisplay:
    def test_convnet_saliency_is_on_the_stripe(self, convnet, stripes):
        X, y = stripes
        assert convnet.score(X, y) > 0.9
        display = SaliencyDisplay.from_estimator(convnet, X, n_images=30)
        assert display.labels == convnet.predict(X[:30]).tolist()
        assert_allclose(display.proba, convnet.predict_proba(X[:30]).max(axis=1))
        assert titles(display)[0] == f"{display.labels[0]} ({display.proba[0]:.2f})"
        assert names(display)[:2] == ["image 0", "image 1"]
        columns = np.array(display.saliencies).mean(axis=1)
        half = columns.shape[1] // 2
        is_right = columns[:, half:].sum(axis=1) > columns[:, :half].sum(axis=1)
        assert (is_right == (y[:30] == "right")).mean() > 0.9
        assert_array_equal(np.max(display.saliencies, axis=(1, 2)), 1)

    def test_gradient_of_the_logit(self, convnet, stripes):
        """Compare the mean gradient with finite differences of the feature maps."""
        X = stripes[0][:1]
        display = SaliencyDisplay.from_estimator(convnet, X, target="left")
        model = convnet.model_
        names = [layer.name for layer in model.layers]
        after_conv = names.index("conv_2") + 1
        activations = X.astype("float32")
        for layer in model.layers[1:after_conv]:
            activations = layer(activations)
        activations, weights = np.array(activations), []

        def left_logit(activations):
            for layer in model.layers[after_conv:-1]:
                activations = layer(activations)
            return -float(activations[0, 0])

        for k in range(activations.shape[-1]):
            shifted = activations.copy()
            shifted[..., k] += 1e-2
            weights.append(left_logit(shifted) - left_logit(activations))
        expected = np.maximum((activations[0] * weights).sum(axis=-1), 0)
        assert_allclose(display.saliencies[0], expected / expected.max(), atol=0.02)

    def test_fine_tuned_network(self, fine_tuned, pixels):
        display = SaliencyDisplay.from_estimator(fine_tuned, pixels[:2], target=1)
        assert np.shape(display.saliencies) == (2, 2, 2)  # of block5_conv3
        assert display.labels == ["1", "1"]

    @pytest.mark.parametrize(
        ("pooling", "flip_average"), [(None, False), ("avg", False), ("avg", True)]
    )
    def test_linear_model_weights_are_contributions_to_the_score(
        self, stripes, pooling, flip_average
    ):
        X, y = stripes[0][:20], stripes[1][:20]
        model = make_feature_pipeline(
            pooling, LogisticRegression(), flip_average=flip_average
        )
        model.fit(X, y)
        display = SaliencyDisplay.from_estimator(model, X, n_images=3)
        feature_maps = make_feature_pipeline(None)[0].transform(X[:3])
        feature_maps = feature_maps.reshape(3, 8, 8, 128)
        signs = np.where(model.predict(X[:3]) == "right", 1, -1)[:, None, None]
        coefficients = signs * model[-1].coef_.reshape(-1, 128)
        values = model[0].transform(X[:3]).reshape(3, -1, 128)
        weights = (values * coefficients).sum(axis=1)
        expected = np.maximum(np.einsum("nhwk,nk->nhw", feature_maps, weights), 0)
        expected /= expected.max(axis=(1, 2), keepdims=True)
        assert_allclose(display.saliencies, expected, atol=1e-3)

    @pytest.mark.parametrize("normalization", ["power", "l2"])
    def test_channels_are_ablated_before_normalization(self, stripes, normalization):
        X, y = stripes
        model = make_feature_pipeline(
            "avg", LogisticRegression(), normalization=normalization
        ).fit(X, y)
        feature_maps = make_feature_pipeline(None)[0].transform(X[:1])
        feature_maps = feature_maps.reshape(8, 8, 128).astype(float)
        means = feature_maps.mean(axis=(0, 1))
        rows = np.vstack([means, means * (1 - np.eye(128))])
        if normalization == "power":
            rows = np.sqrt(rows)
        rows *= 5 / np.linalg.norm(rows, axis=1, keepdims=True)
        scores = model[-1].decision_function(rows)
        expected = feature_maps @ (scores[0] - scores[1:])
        for target, sign in (("left", -1), ("right", 1)):
            display = SaliencyDisplay.from_estimator(model, X[:1], target=target)
            saliency = np.maximum(sign * expected, 0)
            saliency /= max(saliency.max(), 1e-9)  # 0 if nothing supports the class
            assert_allclose(display.saliencies[0], saliency, atol=1e-3)

    def test_any_classifier_on_features(self, stripes):
        X, y = stripes
        forest = RandomForestClassifier(n_estimators=10, random_state=0)
        model = make_feature_pipeline(
            "avg", StandardScaler(), forest, normalization="power"
        )
        search = GridSearchCV(model, {"randomforestclassifier__max_depth": [2]}, cv=2)
        display = SaliencyDisplay.from_estimator(
            search.fit(X, y), X, n_images=2, display_labels=["links", "rechts"]
        )
        assert display.labels == ["links", "rechts"]

    @pytest.mark.parametrize("compose", COMPOSITES, ids=lambda compose: compose.id)
    def test_finds_the_transformer_in(self, compose, linear, stripes):
        X, y = stripes[0][:10], stripes[1][:10] == "right"
        model, expected = linear
        display = SaliencyDisplay.from_estimator(
            compose(model).fit(X, y), X[:1], target=True
        )
        # A calibrated score is another function of the same score.
        atol = 0.2 if compose.id == "calibration" else 1e-4
        assert_allclose(display.saliencies, expected.saliencies, atol=atol)

    @pytest.mark.parametrize("compose", COMPOSITES[3:7], ids=lambda compose: compose.id)
    def test_finds_the_network_in(self, compose, convnet, stripes):
        X, y = stripes[0][:10], stripes[1][:10]
        estimator = compose(convnet).fit(X, y)
        display = SaliencyDisplay.from_estimator(estimator, X[:1], target="left")
        expected = SaliencyDisplay.from_estimator(convnet, X[:1], target="left")
        assert_allclose(display.saliencies, expected.saliencies, atol=1e-6)

    def test_labels_are_those_of_predict(self, linear, stripes):
        X, y = stripes[0][:10], stripes[1][:10] == "right"
        estimator = FixedThresholdClassifier(FrozenEstimator(linear[0]), threshold=-1e9)
        estimator.set_params(response_method="decision_function").fit(X, y)
        display = SaliencyDisplay.from_estimator(estimator, X[:2])
        assert display.labels == ["True", "True"]  # also of the image of False
        assert_allclose(display.proba, linear[0].predict_proba(X[:2])[:, 1])

    def test_columns_of_a_data_frame(self, table, stripes):
        X, y = table
        model = make_table_pipeline().fit(X, y)
        display = SaliencyDisplay.from_estimator(model, X, n_images=2)
        assert names(display) == ["0.png", "1.png"]
        # The other column does not change with the image.
        weights = model[-1].coef_[:, :-1]
        feature_maps = make_feature_pipeline(None)[0].transform(X["path"][:2])
        maps = feature_maps.reshape(2, 8, 8, 128).astype(float)
        scores = np.einsum("nhwk,nk->nhw", maps, maps.mean(axis=(1, 2)) * weights)
        signs = np.where(model.predict(X[:2]) == "right", 1, -1)[:, None, None]
        expected = np.maximum(signs * scores, 0)
        expected /= expected.max(axis=(1, 2), keepdims=True)
        assert_allclose(display.saliencies, expected, atol=1e-3)

    @pytest.mark.parametrize(
        ("resize_mode", "shape"), [("stretch", (32, 64)), ("crop", (320, 320))]
    )
    def test_shows_the_part_that_the_network_gets(self, resize_mode, shape, stripes):
        X = np.zeros((10, 32, 64, 3), np.uint8)
        X[:, :, 16:48] = stripes[0][:10]
        model = make_feature_pipeline("avg", LogisticRegression())
        model[0].set_params(resize_mode=resize_mode)
        display = SaliencyDisplay.from_estimator(model.fit(X, stripes[1][:10]), X[:1])
        assert display.images[0].shape == (*shape, 3)
        expected = X[0] if resize_mode == "stretch" else X[0, :, 16:48]
        expected = Image.fromarray(expected).resize(
            shape[::-1], Image.Resampling.BILINEAR
        )
        # At the edge, pixels outside the part are averaged in.
        inside = slice(None), slice(20, -20)
        shown = display.images[0].astype(int)
        assert_allclose(shown[inside], np.asarray(expected)[inside], atol=2)

    def test_value_range(self, tmp_path):
        """Images of 12 bits in 16 are displayed as the network gets them."""
        paths = [tmp_path / f"{i}.png" for i in range(4)]
        for i, path in enumerate(paths):
            Image.fromarray(np.full((32, 32), 1000 * i + 1, np.uint16)).save(path)
        model = make_feature_pipeline("avg", LogisticRegression())
        model[0].set_params(value_range=(0, 4095))
        model.fit(paths, [0, 0, 1, 1])
        saliency = SaliencyDisplay.from_estimator(model, paths)
        predictions = ImagePredictionDisplay.from_estimator(model, paths, order="given")
        for images in (saliency.images, predictions.images):
            assert [image[0, 0, 0] for image in images] == [0, 62, 125, 187]

    def test_bytes_and_pillow_images(self, stripes, table):
        paths = table[0]["path"].tolist()[:10]
        model = make_feature_pipeline("avg", LogisticRegression())
        model.fit(paths, stripes[1][:10])
        expected = SaliencyDisplay.from_estimator(model, paths[:2])
        pillow = [Image.fromarray(image) for image in stripes[0][:2]]
        encoded = [Path(path).read_bytes() for path in paths[:2]]
        array = np.empty(2, dtype=object)
        array[:] = pillow
        arrays = np.empty(2, dtype=object)
        arrays[0], arrays[1] = stripes[0][:2]
        model = make_pipeline(FunctionTransformer(copy), model)
        for X in (pillow, encoded, array, arrays, deque(pillow)):
            display = SaliencyDisplay.from_estimator(model, X)
            assert_allclose(display.saliencies, expected.saliencies, atol=1e-5)
            assert names(display) == ["image 0", "image 1"]
            display = ImagePredictionDisplay.from_estimator(model, X, order="given")
            assert display.y_pred.tolist() == expected.labels

    def test_steps_in_between(self, stripes):
        X, y = stripes
        steps = PCA(5), make_pipeline(StandardScaler(), LogisticRegression())
        nested = make_pipeline(make_feature_pipeline("avg", *steps[:1]), steps[1])
        display = SaliencyDisplay.from_estimator(nested.fit(X, y), X, n_images=2)
        flat = make_feature_pipeline("avg", steps[0], *steps[1])
        expected = SaliencyDisplay.from_estimator(flat.fit(X, y), X, n_images=2)
        assert_allclose(display.saliencies, expected.saliencies, atol=1e-4)
        assert np.max(display.saliencies) == 1

    def test_several_calibrated_networks(self, convnet, stripes):
        X, y = stripes
        calibrated = CalibratedClassifierCV(FrozenEstimator(convnet), cv=2).fit(X, y)
        calibrated.calibrated_classifiers_ *= 2
        display = SaliencyDisplay.from_estimator(calibrated, X[:2], target="left")
        expected = SaliencyDisplay.from_estimator(convnet, X[:2], target="left")
        assert_allclose(display.saliencies, expected.saliencies, atol=1e-6)

    def test_calibrated_network_that_lacks_a_class(self, convnet, stripes):
        X, y = stripes[0], stripes[1].copy()
        y[::10] = "above"  # its index in `classes_` is that of "left" in the network
        calibrated = CalibratedClassifierCV(
            FrozenEstimator(convnet), cv=2, ensemble=True
        ).fit(X, y)
        display = SaliencyDisplay.from_estimator(calibrated, X[:2], target="left")
        expected = SaliencyDisplay.from_estimator(convnet, X[:2], target="left")
        assert_allclose(display.saliencies, expected.saliencies, atol=1e-6)
        display = SaliencyDisplay.from_estimator(calibrated, X[:2], target="above")
        assert_array_equal(display.saliencies, 0)

    def test_overlay_turns_with_the_image(self, pixels):
        images, maps = pixels[:1], [np.eye(2)]
        display = SaliencyDisplay(images=images, saliencies=maps, labels=["ant"])
        display.plot(im_kw={"origin": "lower"})
        assert display.overlays_[0].origin == "lower"
        with plt.rc_context({"image.origin": "lower", "image.aspect": "auto"}):
            display.plot()
        (image,), (overlay,) = display.images_, display.overlays_
        assert image.origin == overlay.origin == "upper"
        assert image.axes.get_aspect() == 1

    def test_overlay_covers_the_image(self, convnet, stripes):
        X, _ = stripes
        display = SaliencyDisplay.from_estimator(
            convnet, X[:1], overlay_kw={"alpha": 0.3}
        )
        (image,), (overlay,) = display.images_, display.overlays_
        assert overlay.get_extent() == image.get_extent()
        assert overlay.get_alpha() == pytest.approx(0.3)

    def test_map_of_zero(self, pixels):
        saliencies = [np.zeros((2, 2)), np.eye(2)]
        display = SaliencyDisplay(
            images=pixels[:2], saliencies=saliencies, labels=["ant", "bee"]
        ).plot()
        assert titles(display) == ["ant\nno region supports it", "bee"]

    def test_errors(self, convnet, stripes, pixels):
        X, y = stripes
        show = SaliencyDisplay.from_estimator
        with pytest.raises(NotFittedError):
            show(ScratchCNNClassifier(), X)
        for target in ("middle", ["left"], np.array(["left", "right"])):
            with pytest.raises(ValueError, match="'target' must be one of the classes"):
                show(convnet, X, target=target)
        with pytest.raises(ValueError, match=r"Got 1 names for 2 classes"):
            show(convnet, X, display_labels=["one"])
        with pytest.raises(ValueError, match="n_images == 0"):
            show(convnet, X, n_images=0)
        flat = FunctionTransformer(lambda images: images.reshape(len(images), -1))
        other = make_pipeline(flat, LogisticRegression()).fit(X, y)
        with pytest.raises(
            ValueError, match=r"no network of skvision in Pipeline, Funct.*Pass one"
        ):
            show(other, X)
        wrapper = Fixed(pred=["ant"])
        wrapper.estimator = make_feature_pipeline("avg", LogisticRegression())
        with pytest.raises(ValueError, match=r"runs none of those in Fixed, Pipeline"):
            show(wrapper, X)
        with pytest.raises(TypeError, match="must be an instance of an estimator"):
            show(convnet.model_, X)
        with pytest.raises(ValueError, match="Pipeline has no method 'predict'"):
            show(make_pipeline("passthrough"), X)

    @pytest.mark.parametrize(
        ("make_estimator", "message"),
        [
            (lambda t, c: make_pipeline(t, Ridge()), "Ridge is a regressor"),
            (
                lambda t, c: make_pipeline(t, KMeans(2)),
                "no array 'classes_' in .*KMeans",
            ),
            (
                lambda t, c: VotingClassifier([("a", make_pipeline(t, c))]),
                "VotingClassifier has neither 'predict_proba' nor .* Use a classifier",
            ),
            (
                lambda t, c: make_pipeline(
                    make_union(t, clone(t).set_params(pooling="max")), c
                ),
                "transformers inside have different parameters",
            ),
            (
                lambda t, c: make_pipeline(
                    make_union(t, make_pipeline(FunctionTransformer(np.flip), t)), c
                ),
                "transformers that get the same images.* get different ones",
            ),
            (
                lambda t, c: VotingClassifier([("a", ScratchCNNClassifier())]),
                "VotingClassifier combines ScratchCNNClassifier with others",
            ),
        ],
    )
    def test_unsupported_estimators(self, make_estimator, message, convnet, stripes):
        X, y = stripes[0][:8], stripes[1][:8] == "left"
        transformer = make_feature_pipeline("avg")[0]
        estimator = make_estimator(transformer, LogisticRegression())
        if "combines" in message:
            estimator.estimators_ = [convnet]
            estimator.classes_ = convnet.classes_
        else:
            estimator.fit(X, y)
        with pytest.raises(ValueError, match=message):
            SaliencyDisplay.from_estimator(estimator, X)
