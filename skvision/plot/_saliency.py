"""Display of the image regions that support a predicted class."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar

from skvision._images.drawing import class_line, draw_image, image_names
from skvision._images.forms import is_sequence
from skvision._images.inputs import check_images
from skvision.plot._composites import (
    check_predicts_classes,
    known_classes,
    names_inside,
)
from skvision.plot._ranking import class_names
from skvision.plot._shared import (
    check_matplotlib,
    grid_axes,
    read_as_seen,
)


class SaliencyDisplay:
    """Visualization of the image regions that support a class (class activation maps).

    It is recommended to use :meth:`from_estimator` to create a display. All parameters
    are stored as attributes.

    Parameters
    ----------
    images : sequence of ndarray of shape (height, width, 3), dtype uint8
        The images, which may differ in size.

    saliencies : array-like of shape (n_images, n_rows, n_columns)
        How strongly each region of an image supports the class, from 0 to 1. Saliency
        maps are resized to the size of their images.

    labels : array-like of shape (n_images,)
        The class that is explained for each image, in its title.

    proba : array-like of shape (n_images,), default=None
        Probability of that class.

    names : array-like of str of shape (n_images,), default=None
        File name or other name of each image, drawn below it.

    Attributes
    ----------
    axes_ : ndarray of shape (n_images,) of matplotlib Axes
        Axes of the images.

    figure_ : matplotlib Figure
        Figure containing the axes.

    images_ : list of matplotlib AxesImage
        The images.

    overlays_ : list of matplotlib AxesImage
        The saliency maps.

    See Also
    --------
    ImagePredictionDisplay : Images with their predicted and true classes.

    Notes
    -----
    For `ScratchCNNClassifier` and `FineTunedVGGClassifier`, the saliency map is
    Grad-CAM [1]_: the sum of the feature maps of the last convolution, each weighted by
    the mean gradient of the class logit. If `CalibratedClassifierCV` has fitted several
    networks, it is the mean of theirs.

    With an `ImageEncoder` or `VGG16BottleneckTransformer` and any classifier,
    differentiable or not, it is Ablation-CAM [2]_: the sum of the feature maps of the
    transformer's layer, each weighted by the drop in the class score when that feature
    map is set to 0. The features may pass through further steps on the way, such as
    `StandardScaler` or `PCA`, and the transformer may be inside nested pipelines, a
    `ColumnTransformer` or a `FeatureUnion`: other columns keep their values.
    Classifiers whose scores change in steps, such as random forests and nearest
    neighbors, often give a map of 0, which the title of the image says.

    Only positive values are shown, and each saliency map is scaled to a maximum of 1,
    so values cannot be compared between images.

    In binary classification, evidence for one class is evidence against the other.

    References
    ----------
    .. [1] R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
       Gradient-based Localization", ICCV 2017. https://arxiv.org/abs/1610.02391
    .. [2] S. Desai and H. G. Ramaswamy, "Ablation-CAM: Visual Explanations for Deep
       Convolutional Network via Gradient-free Localization", WACV 2020.

    Examples
    --------
    >>> from skvision import ScratchCNNClassifier
    >>> from skvision.datasets import load_digit_images
    >>> from skvision.plot import SaliencyDisplay
    >>> digits = load_digit_images("digits", n_per_class=4)
    >>> classifier = ScratchCNNClassifier(image_size=(28, 28), epochs=3, random_state=0)
    >>> classifier = classifier.fit(digits.data, digits.target)
    >>> display = SaliencyDisplay.from_estimator(classifier, digits.data[:5])
    >>> len(display.axes_)
    5
    """

    def __init__(self, *, images, saliencies, labels, proba=None, names=None):
        self.images = images
        self.saliencies = saliencies
        self.labels = labels
        self.proba = proba
        self.names = names

    def plot(self, *, ax=None, n_cols=5, im_kw=None, overlay_kw=None):
        """Draw the images in a grid.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to replace with a grid of axes, or one axes per image. If None, a new
            figure is created.
        n_cols : int, default=5
            Number of columns in the grid. Ignored if `ax` has one axes per image.
        im_kw : dict, default=None
            Keyword arguments passed to `matplotlib.axes.Axes.imshow` for the images.
        overlay_kw : dict, default=None
            The same for the saliency maps. They update the defaults
            ``dict(cmap="inferno", alpha=0.5, interpolation="bilinear")``.

        Returns
        -------
        display : SaliencyDisplay
            This display.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        style = {"cmap": "inferno", "alpha": 0.5, "interpolation": "bilinear"}
        style |= overlay_kw or {}
        has_empty = any(np.max(saliency) == 0 for saliency in self.saliencies)
        n_lines = 1 + (self.names is not None) + has_empty
        self.axes_ = grid_axes(ax, self.images, n_cols, n_lines=n_lines)
        self.images_, self.overlays_ = [], []
        items = zip(self.axes_, self.images, self.saliencies, strict=True)
        for i, (ax, image, saliency) in enumerate(items):
            proba = None if self.proba is None else self.proba[i]
            name = None if self.names is None else self.names[i]
            lines = [class_line(self.labels[i], proba)]
            if np.max(saliency) == 0:
                lines.append(("no region supports it", "", ""))
            drawn = draw_image(ax, image, im_kw, lines=lines, name=name)
            self.images_.append(drawn)
            place = {"extent": drawn.get_extent(), "origin": drawn.origin}
            place |= {"aspect": ax.get_aspect()}
            overlay = ax.imshow(saliency, **{"vmin": 0, "vmax": 1} | place | style)
            self.overlays_.append(overlay)
        self.figure_ = self.axes_[0].figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        target=None,
        n_images=20,
        display_labels=None,
        ax=None,
        n_cols=5,
        im_kw=None,
        overlay_kw=None,
    ):
        """Compute saliency maps and plot them over the images.

        Parameters
        ----------
        estimator : fitted classifier, pipeline or search
            A `ScratchCNNClassifier`, a `FineTunedVGGClassifier`, or a classifier with
            an `ImageEncoder` or `VGG16BottleneckTransformer` inside, for example in a
            pipeline. Searches, `CalibratedClassifierCV` and threshold classifiers over
            them, and pipelines that contain them, are supported, too.
        X : array-like
            Input of the estimator: images, or a data frame with a column of paths.
        target : object, default=None
            The class to explain, one of `classes_`. If None, the class of each image
            that `predict` returns.
        n_images : int, default=20
            Maximum number of images to draw, taken from the start of `X`.
        display_labels : array-like of shape (n_classes,), default=None
            Display names of the classes, in the order of `classes_`. If None, the
            classes themselves are shown.
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to replace with a grid of axes, or one axes per image. If None, a new
            figure is created.
        n_cols : int, default=5
            Number of columns in the grid. Ignored if `ax` has one axes per image.
        im_kw, overlay_kw : dict, default=None
            Passed to :meth:`plot`.

        Returns
        -------
        display : SaliencyDisplay
            Display of the images.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` does not contain images, `target` is not in `classes_`, or the
            estimator is not supported, as a regressor, or a classifier with neither
            `decision_function` nor `predict_proba`.
        ImageReadError
            If a file cannot be read.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        check_predicts_classes(estimator, cls.__name__)
        check_scalar(n_images, "n_images", Integral, min_val=1)
        classes = known_classes(estimator)
        if classes is None:
            raise ValueError(
                "Saliency maps explain a class, and there is no array 'classes_' in "
                f"{names_inside(estimator)}. Pass a classifier with a single output."
            )
        names = class_names(classes, display_labels)
        is_class = np.ndim(target) == 0 and target in classes.tolist()
        if target is not None and not is_class:
            raise ValueError(
                f"'target' must be one of the classes, {classes.tolist()}. Got "
                f"{target!r} instead."
            )
        from skvision.plot._saliency_maps import Explainer

        explainer = Explainer(estimator, _first(X, n_images))
        codes = explainer.codes(target)
        images, settings = check_images(explainer.images), explainer.image_settings
        display = cls(
            images=[read_as_seen(images, i, settings) for i in range(len(images))],
            saliencies=explainer.saliencies(codes),
            labels=[names[code] for code in codes],
            proba=explainer.probabilities(codes),
            names=image_names(images),
        )
        return display.plot(ax=ax, n_cols=n_cols, im_kw=im_kw, overlay_kw=overlay_kw)


def _first(X, n):
    """Return the first `n` samples of X, in any form of it."""
    if hasattr(X, "iloc"):
        return X.iloc[:n]
    if is_sequence(X):
        return [X[i] for i in range(min(n, len(X)))]
    is_one_path = isinstance(X, str) or not hasattr(X, "__getitem__")
    return X if is_one_path else X[:n]  # a single path raises an error later
