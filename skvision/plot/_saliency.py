"""Where in an image a classifier sees a class."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skvision._images.inputs import check_images
from skvision.plot._ranking import class_names
from skvision.plot._shared import (
    check_matplotlib,
    draw_image,
    grid_axes,
    read_for_display,
)

_WIDTH = 2.0  # of an image, in inches


class SaliencyDisplay:
    """Images, and over them where a classifier sees a class.

    It is recommended to use :meth:`from_estimator` to create one. All parameters are
    stored as attributes.

    Parameters
    ----------
    images : sequence of ndarray of shape (height, width, 3), dtype uint8
        The images, each in its own size.

    saliencies : array-like of shape (n_images, n_rows, n_columns)
        How much each part of an image speaks for the class, from 0 to 1. They are
        stretched over the image.

    labels : array-like of shape (n_images,)
        What stands above each image.

    Attributes
    ----------
    axes_ : ndarray of shape (n_images,) of matplotlib Axes
        The axes of the images.

    figure_ : matplotlib Figure
        Figure that contains the axes.

    images_ : list of matplotlib AxesImage
        The images.

    overlays_ : list of matplotlib AxesImage
        What lies over them.

    See Also
    --------
    ImagePredictionDisplay : Images beside what a classifier says of them.

    Notes
    -----
    For `ScratchCNNClassifier` and `FineTunedVGGClassifier` it is Grad-CAM [1]_: the
    maps of the last convolution, each weighted by the mean gradient of the class's
    logit. For a pipeline from `VGG16BottleneckTransformer` to any classifier, which
    need not have a gradient, it is Ablation-CAM [2]_: the maps of the transformer's
    layer, each weighted by how far the score of the class falls when the map is set to
    0. Only what speaks for the class is shown, and the largest value of each image is
    scaled to 1, so two images cannot be compared.

    With two classes, what speaks for one is what speaks against the other.

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

    def __init__(self, *, images, saliencies, labels):
        self.images = images
        self.saliencies = saliencies
        self.labels = labels

    def plot(self, *, ax=None, n_cols=5, im_kw=None, overlay_kw=None):
        """Draw the images in a grid.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            An axes in whose place the grid is drawn, or one for each image. None makes
            a new figure.
        n_cols : int, default=5
            Number of columns of the grid. Not used if `ax` holds one for each image.
        im_kw : dict, default=None
            Keywords for `matplotlib.axes.Axes.imshow` of the images.
        overlay_kw : dict, default=None
            The same of the saliencies. Their default is
            ``dict(cmap="inferno", alpha=0.5, interpolation="bilinear")``.

        Returns
        -------
        display : SaliencyDisplay
            The display itself.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        style = {"cmap": "inferno", "alpha": 0.5, "interpolation": "bilinear"}
        style |= overlay_kw or {}
        self.axes_ = grid_axes(ax, self.images, n_cols, width=_WIDTH, n_lines=1)
        self.images_, self.overlays_ = [], []
        parts = zip(self.axes_, self.images, self.saliencies, self.labels, strict=True)
        for ax, image, saliency, label in parts:
            self.images_.append(draw_image(ax, image, im_kw))
            extent = self.images_[-1].get_extent()
            overlay = ax.imshow(saliency, extent=extent, vmin=0, vmax=1, **style)
            self.overlays_.append(overlay)
            ax.set_title(str(label), fontsize=9, parse_math=False)
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
        """Compute where a classifier sees a class, and draw it over the images.

        Parameters
        ----------
        estimator : fitted classifier, pipeline or search
            A `ScratchCNNClassifier`, a `FineTunedVGGClassifier`, or a pipeline of a
            `VGG16BottleneckTransformer` and any steps that classify its features; also
            a search over one of them.
        X : array-like
            Paths (str or os.PathLike) of shape (n_samples,) or (n_samples, 1), or uint8
            images of shape (n_samples, height, width, 3) or (n_samples, height, width).
        target : object, default=None
            The class that is looked for, one of `classes_`. None takes for each image
            the one that is predicted.
        n_images : int, default=20
            How many images are drawn, the first ones of `X`.
        display_labels : array-like of shape (n_classes,), default=None
            What the classes shall be called, in the order of `classes_`. None takes the
            classes themselves.
        ax : matplotlib Axes or array-like of Axes, default=None
            An axes in whose place the grid is drawn, or one for each image. None makes
            a new figure.
        n_cols : int, default=5
            Number of columns of the grid. Not used if `ax` holds one for each image.
        im_kw, overlay_kw : dict, default=None
            As for :meth:`plot`.

        Returns
        -------
        display : SaliencyDisplay
            Display of the images.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` are no images, `target` is none of the classes, or the estimator is
            none of those above.
        ImageReadError
            If a file cannot be read.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        check_scalar(n_images, "n_images", Integral, min_val=1)
        from skvision.plot._saliency_maps import class_scores, saliency_of

        estimator = getattr(estimator, "best_estimator_", estimator)
        X = X.iloc[:n_images] if hasattr(X, "iloc") else X[:n_images]
        images, classes = check_images(X), np.asarray(estimator.classes_)
        names = class_names(classes, display_labels)
        if target is None:
            codes = class_scores(estimator, X).argmax(axis=1)
        elif target in classes.tolist():
            codes = np.full(len(images), classes.tolist().index(target))
        else:
            raise ValueError(
                f"'target' must be one of the classes, {classes.tolist()}. Got "
                f"{target!r} instead."
            )
        display = cls(
            images=[read_for_display(images, i) for i in range(len(images))],
            saliencies=saliency_of(estimator, images, X, codes),
            labels=names[codes],
        )
        return display.plot(ax=ax, n_cols=n_cols, im_kw=im_kw, overlay_kw=overlay_kw)
