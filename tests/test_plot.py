import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from _optional import pd
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

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


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def four(pixels):
    return pixels[:4]


class Fixed(ClassifierMixin, BaseEstimator):
    """A classifier that returns `table` for any input."""

    def __init__(self, method="predict_proba", table=PROBA, classes=CLASSES):
        self.method = method
        self.table = table
        self.classes = classes
        self.classes_ = np.array(classes)

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
        for estimator in (classifier, make_pipeline(classifier)):
            display = AugmentationDisplay.from_estimator(
                estimator, paths[0], n_images=3, random_state=0
            )
            assert_array_equal(display.original, expected)
            transformed = self.augmenter.transform([expected] * 3, random_state=0)
            assert_array_equal(display.images, np.rint(transformed))

    def test_errors(self, paths, pixels, tmp_path):
        with pytest.raises(ValueError, match="ScratchCNNClassifier has no augmenter"):
            AugmentationDisplay.from_estimator(ScratchCNNClassifier(), paths[0])
        with pytest.raises(ValueError, match="LogisticRegression has no augmenter"):
            AugmentationDisplay.from_estimator(LogisticRegression(), paths[0])
        with pytest.raises(ValueError, match=r"'image' must be a path.*float64"):
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

    def test_from_estimator(self, features):
        head = DenseHeadClassifier(
            hidden_units=(4,), epochs=3, early_stopping=True, random_state=0
        )
        pipeline = make_pipeline(StandardScaler(), head)
        search = GridSearchCV(pipeline, {"denseheadclassifier__dropout": [0.1]}, cv=2)
        for estimator in (head, pipeline, search):
            estimator.fit(*features)
            fitted = getattr(estimator, "best_estimator_", estimator)
            fitted = fitted if estimator is head else fitted[-1]
            display = TrainingHistoryDisplay.from_estimator(estimator)
            assert display.history == fitted.history_
            assert display.best_epoch == fitted.best_epoch_
            assert display.best_epoch is not None

    def test_errors(self, features):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            TrainingHistoryDisplay.from_estimator(DenseHeadClassifier())
        logistic = LogisticRegression().fit(*features)
        with pytest.raises(
            TypeError, match="LogisticRegression has no attribute 'history_'"
        ):
            TrainingHistoryDisplay.from_estimator(make_pipeline(logistic))
        with pytest.raises(ValueError, match=r"Got the keys \['loss', 'acc'\]"):
            TrainingHistoryDisplay.from_history({"loss": [1.0], "acc": [1.0]})
        with pytest.raises(ValueError, match="at least one epoch"):
            TrainingHistoryDisplay.from_history({"loss": [], "accuracy": []})
        with pytest.raises(ValueError, match="best_epoch == 4, must be <= 3"):
            TrainingHistoryDisplay.from_history(HISTORY, best_epoch=4)


# ImagePredictionDisplay


class TestImagePredictionDisplay:
    def from_predictions(self, X, y_true=Y_TRUE, y_pred=PROBA, **kwargs):
        defaults = {"classes": CLASSES}
        return ImagePredictionDisplay.from_predictions(
            X, y_true, y_pred, **defaults | kwargs
        )

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
        display = self.from_predictions(four, y_pred=y_pred, classes=None)
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
        classes = ["$c_^{$", "Staffordshire bullterrier", "a\\b"]
        display = self.from_predictions(four, None, classes=classes)
        display.figure_.canvas.draw()
        assert titles(display)[0] == "$c_^{$ (0.40)"
        display = self.from_predictions(four[:1], None, [[0, 1, 0]], classes=classes)
        assert titles(display) == ["Staffordshire… (1.00)"]

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
        estimator = Fixed("decision_function", (10 * np.array(PROBA) - 5).tolist())
        display = ImagePredictionDisplay.from_estimator(estimator, four, Y_TRUE)
        assert_array_equal(display.indices, [1, 2, 3, 0])
        assert titles(display)[0] == "cow\ntrue: bee"
        estimator = Fixed("decision_function", [-3.0, 0.5, 2.0, -1.0], ["ant", "bee"])
        display = ImagePredictionDisplay.from_estimator(
            estimator, four, ["ant", "ant", "ant", "ant"]
        )
        assert_array_equal(display.indices, [2, 1, 3, 0])

    def test_predict_only(self, four):
        estimator = Fixed("predict", ["ant", "cow", "bee", "ant"])
        display = ImagePredictionDisplay.from_estimator(estimator, four, Y_TRUE)
        assert_array_equal(display.indices, [1, 3, 0, 2])
        display = ImagePredictionDisplay.from_estimator(estimator, four)
        assert titles(display) == ["ant", "cow", "bee", "ant"]

    def test_only_displayed_images_are_read(self, paths, tmp_path):
        X = [*paths[:3], tmp_path / "missing.png"]
        assert len(self.from_predictions(X, n_images=2).axes_) == 2
        with pytest.raises(ImageReadError, match=r"missing\.png. \(X\[3\]\)"):
            self.from_predictions(X, n_images=4)

    def test_errors_of_from_estimator(self, four):
        from_estimator = ImagePredictionDisplay.from_estimator
        with pytest.raises(NotFittedError, match="not fitted yet"):
            from_estimator(ScratchCNNClassifier(), four)
        table = pd.DataFrame({"path": ["a.png"], "size": [1]})
        with pytest.raises(
            ValueError, match="input is not images, use from_predictions"
        ):
            from_estimator(Fixed(), table)
        with pytest.raises(ValueError, match="returns 2 columns for 3 classes"):
            from_estimator(Fixed("decision_function", [[0, 1]] * 4), four)
        with pytest.raises(ValueError, match="unknown labels: 0, 1"):
            from_estimator(Fixed(), four, [0, 1, 1, 0])
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            from_estimator(Fixed(), four, Y_TRUE[:3])

    @pytest.mark.parametrize(
        "kwargs, message",
        [
            ({"order": "best"}, "'order' must be one of .*'wrong', .*'best'"),
            ({"n_images": 0}, "n_images == 0, must be >= 1"),
            ({"classes": ["ant", "bee"]}, "3 columns of .* there are 2 classes"),
            ({"y_true": None, "classes": None}, "there are 0 classes"),
            ({"y_true": Y_TRUE[:3]}, "inconsistent numbers of samples"),
            ({"y_pred": np.array(PROBA) * 2}, "probabilities between 0 and 1"),
            ({"y_pred": np.array(PROBA) * np.nan}, "probabilities between 0 and 1"),
            ({"y_pred": ["eel"] * 4}, "unknown labels: 'eel'"),
            ({"display_labels": ["a", "b"]}, "'display_labels' must have one name"),
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


def make_feature_pipeline(pooling, *steps, normalization=None):
    vgg16 = VGG16BottleneckTransformer(
        weights=None,
        image_size=(32, 32),
        layer="block2_pool",
        pooling=pooling,
        normalization=normalization,
    )
    return make_pipeline(vgg16, *steps)


class TestSaliencyDisplay:
    def test_convnet_saliency_is_on_the_stripe(self, convnet, stripes):
        X, y = stripes
        assert convnet.score(X, y) > 0.9
        display = SaliencyDisplay.from_estimator(convnet, X, n_images=30)
        assert titles(display) == convnet.predict(X[:30]).tolist()
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

    def test_fine_tuned_network(self, pixels):
        classifier = FineTunedVGGClassifier(
            weights=None,
            image_size=(32, 32),
            hidden_units=(4,),
            head_epochs=1,
            epochs=1,
            random_state=0,
        ).fit(pixels, [0, 1] * 12)
        display = SaliencyDisplay.from_estimator(classifier, pixels[:2], target=1)
        assert np.shape(display.saliencies) == (2, 2, 2)  # of block5_conv3
        assert titles(display) == ["1", "1"]

    @pytest.mark.parametrize("pooling", [None, "avg"])
    def test_linear_model_weights_are_contributions_to_the_score(
        self, stripes, pooling
    ):
        X, y = stripes
        model = make_feature_pipeline(pooling, LogisticRegression())
        model.fit(X, y)
        display = SaliencyDisplay.from_estimator(model, X, n_images=3)
        feature_maps = make_feature_pipeline(None)[0].transform(X[:3])
        feature_maps = feature_maps.reshape(3, 8, 8, 128)
        signs = np.where(model.predict(X[:3]) == "right", 1, -1)[:, None, None]
        coefficients = signs * model[-1].coef_.reshape(-1, 128)
        values = feature_maps.reshape(3, 64, 128)
        if pooling == "avg":
            values = values.mean(axis=1, keepdims=True)
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
        assert titles(display) == ["links", "rechts"]

    def test_overlay_covers_the_image(self, convnet, stripes):
        X, _ = stripes
        display = SaliencyDisplay.from_estimator(
            convnet, X[:1], overlay_kw={"alpha": 0.3}
        )
        (image,), (overlay,) = display.images_, display.overlays_
        assert overlay.get_extent() == image.get_extent()
        assert overlay.get_alpha() == pytest.approx(0.3)

    def test_errors(self, convnet, stripes, pixels):
        X, y = stripes
        show = SaliencyDisplay.from_estimator
        with pytest.raises(NotFittedError):
            show(ScratchCNNClassifier(), X)
        with pytest.raises(ValueError, match=r"'target' must be one of the classes"):
            show(convnet, X, target="middle")
        with pytest.raises(ValueError, match=r"Got 1 names for 2 classes"):
            show(convnet, X, display_labels=["one"])
        with pytest.raises(ValueError, match="n_images == 0"):
            show(convnet, X, n_images=0)
        flat = FunctionTransformer(lambda images: images.reshape(len(images), -1))
        other = make_pipeline(flat, LogisticRegression()).fit(X, y)
        with pytest.raises(ValueError, match="must be a ScratchCNNClassifier, a Fine"):
            show(other, X)
