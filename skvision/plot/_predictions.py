"""Display of images and their predicted classes."""

from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skvision._images.inputs import check_images
from skvision.plot._ranking import (
    Ranking,
    check_options,
    predict_scores,
    scores_from_predictions,
)
from skvision.plot._shared import (
    check_matplotlib,
    draw_image,
    grid_axes,
    read_for_display,
)

# Width of an image in inches, and the longest label that does not overlap the title of
# the next image.
_WIDTH, _MAX_LABEL = 2.0, 14


class ImagePredictionDisplay:
    """Visualization of images with their predicted and true classes.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to
    create a display. All parameters are stored as attributes.

    Parameters
    ----------
    images : sequence of ndarray of shape (height, width, 3), dtype uint8
        The images, which may differ in size.

    y_pred : array-like of shape (n_images,)
        Predicted class of each image, as displayed.

    y_true : array-like of shape (n_images,), default=None
        True class of each image, as displayed.

    proba_pred : array-like of shape (n_images,), default=None
        Probability of the predicted class of each image.

    proba_true : array-like of shape (n_images,), default=None
        Probability of the true class of each image.

    indices : array-like of int of shape (n_images,), default=None
        Index of each image in the original `X`. For reference only, not drawn.

    Attributes
    ----------
    axes_ : ndarray of shape (n_images,) of matplotlib Axes
        Axes of the images. The title shows the predicted class and its probability,
        followed by "correct" or, in red, by "true:" and the true class and its
        probability.

    figure_ : matplotlib Figure
        Figure containing the axes.

    images_ : list of matplotlib AxesImage
        The images.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : Counts of predicted against true classes.

    Notes
    -----
    Images are displayed upright and with their original aspect ratio, which may differ
    from what the classifier saw. Large images are downscaled.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skvision import VGG16BottleneckTransformer
    >>> from skvision.datasets import load_digit_images
    >>> from skvision.plot import ImagePredictionDisplay
    >>> digits = load_digit_images("digits", n_per_class=4)
    >>> model = make_pipeline(
    ...     VGG16BottleneckTransformer(weights=None, image_size=(32, 32)),
    ...     LogisticRegression(max_iter=1000),
    ... )
    >>> model = model.fit(digits.data, digits.target)
    >>> display = ImagePredictionDisplay.from_estimator(
    ...     model, digits.data, digits.target, n_images=10
    ... )
    >>> len(display.axes_)
    10
    """

    def __init__(
        self,
        *,
        images,
        y_pred,
        y_true=None,
        proba_pred=None,
        proba_true=None,
        indices=None,
    ):
        self.images = images
        self.y_pred = y_pred
        self.y_true = y_true
        self.proba_pred = proba_pred
        self.proba_true = proba_true
        self.indices = indices

    def plot(self, *, ax=None, n_cols=5, im_kw=None):
        """Draw the images in a grid.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to replace with a grid of axes, or one axes per image. If None, a new
            figure is created.
        n_cols : int, default=5
            Number of columns in the grid. Ignored if `ax` has one axes per image.
        im_kw : dict, default=None
            Keyword arguments passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : ImagePredictionDisplay
            This display.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        n_title_lines = 1 if self.y_true is None else 2
        self.axes_ = grid_axes(
            ax, self.images, n_cols, width=_WIDTH, n_title_lines=n_title_lines
        )
        self.images_ = []
        for i, (ax, image) in enumerate(zip(self.axes_, self.images, strict=True)):
            self.images_.append(draw_image(ax, image, im_kw))
            is_wrong = self.y_true is not None and self.y_true[i] != self.y_pred[i]
            style = {"color": "firebrick"} if is_wrong else {}
            # A dollar sign in a class name does not start a formula.
            ax.set_title(self._title(i), fontsize=9, parse_math=False, **style)
        self.figure_ = self.axes_[0].figure
        return self

    def _title(self, i):
        title = _label(self.y_pred, self.proba_pred, i)
        if self.y_true is None:
            return title
        if self.y_true[i] == self.y_pred[i]:
            return f"{title}\ncorrect"
        return f"{title}\ntrue: {_label(self.y_true, self.proba_true, i)}"

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        n_images=20,
        order="wrong",
        display_labels=None,
        ax=None,
        n_cols=5,
        im_kw=None,
    ):
        """Classify images and plot those with the worst predictions.

        Parameters
        ----------
        estimator : fitted classifier or pipeline
            An estimator whose input is images. Uses `predict_proba` and `classes_`; the
            predicted class is the most probable one. Without `predict_proba`, images
            are ranked by `decision_function`; without either, `predict` is used and
            wrong predictions come first. Probabilities are not shown in these cases.
        X : array-like
            Paths (str or os.PathLike) of shape (n_samples,) or (n_samples, 1), or uint8
            images of shape (n_samples, height, width, 3) or (n_samples, height, width).
        y : array-like of shape (n_samples,), default=None
            The true classes.
        n_images : int, default=20
            Maximum number of images to draw.
        order : {"wrong", "uncertain", "given"}, default="wrong"
            Order of the images. "wrong": wrong predictions first, then correct ones,
            each sorted by increasing probability of the true class; without `y` it is
            the same as "uncertain". "uncertain": sorted by increasing probability of
            the predicted class. "given": the order of `X`.
        display_labels : array-like of shape (n_classes,), default=None
            Display names of the classes, in the order of `classes_`, for example the
            `target_names` of a dataset. If None, the classes themselves are shown.
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to replace with a grid of axes, or one axes per image. If None, a new
            figure is created.
        n_cols : int, default=5
            Number of columns in the grid. Ignored if `ax` has one axes per image.
        im_kw : dict, default=None
            Keyword arguments passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : ImagePredictionDisplay
            Display of the selected images.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` does not contain images or `y` has classes unknown to the estimator.
            For an estimator whose input is not images, such as features or a data frame
            with a column of paths, use :meth:`from_predictions`.
        ImageReadError
            If a selected file cannot be read.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        check_options(n_images, order)
        try:
            images = check_images(X)
        except ValueError as error:
            raise ValueError(
                f"{error} For an estimator whose input is not images, use "
                "from_predictions(images, y, estimator.predict_proba(X), "
                "classes=estimator.classes_)."
            ) from error
        ranking = Ranking(*predict_scores(estimator, X, y), y, display_labels)
        display = _display(cls, images, ranking, ranking.order(order)[:n_images])
        return display.plot(ax=ax, n_cols=n_cols, im_kw=im_kw)

    @classmethod
    def from_predictions(
        cls,
        X,
        y_true,
        y_pred,
        *,
        classes=None,
        n_images=20,
        order="wrong",
        display_labels=None,
        ax=None,
        n_cols=5,
        im_kw=None,
    ):
        """Plot the images with the worst predictions.

        Parameters
        ----------
        X : array-like
            Paths (str or os.PathLike) of shape (n_samples,) or (n_samples, 1), or uint8
            images of shape (n_samples, height, width, 3) or (n_samples, height, width).
        y_true : array-like of shape (n_samples,) or None
            The true classes, or None if they are unknown.
        y_pred : array-like of shape (n_samples,) or (n_samples, n_classes)
            The predicted classes, or the probabilities of all classes.
        classes : array-like of shape (n_classes,), default=None
            The classes, in the order of the columns of `y_pred`. If None, the sorted
            classes in `y_true`, and in `y_pred` if it contains classes.
        n_images : int, default=20
            Maximum number of images to draw.
        order : {"wrong", "uncertain", "given"}, default="wrong"
            Order of the images. "wrong": wrong predictions first, then correct ones,
            each sorted by increasing probability of the true class; without `y_true` it
            is the same as "uncertain". "uncertain": sorted by increasing probability of
            the predicted class. "given": the order of `X`.
        display_labels : array-like of shape (n_classes,), default=None
            Display names of the classes, in the order of `classes`. If None, the
            classes themselves are shown.
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to replace with a grid of axes, or one axes per image. If None, a new
            figure is created.
        n_cols : int, default=5
            Number of columns in the grid. Ignored if `ax` has one axes per image.
        im_kw : dict, default=None
            Keyword arguments passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : ImagePredictionDisplay
            Display of the selected images.

        Raises
        ------
        ValueError
            If the parameters are inconsistent.
        ImageReadError
            If a selected file cannot be read.

        Examples
        --------
        >>> import numpy as np
        >>> from skvision.plot import ImagePredictionDisplay
        >>> X = np.zeros((3, 8, 8), dtype="uint8")
        >>> proba = [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]
        >>> display = ImagePredictionDisplay.from_predictions(
        ...     X, ["cat", "cat", "cat"], proba, classes=["cat", "dog"]
        ... )
        >>> print(display.axes_[0].get_title())
        dog (0.80)
        true: cat (0.20)
        >>> display.indices
        array([2, 1, 0])
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        check_options(n_images, order)
        check_consistent_length(X, y_true, y_pred)
        images = check_images(X)
        scores = scores_from_predictions(y_true, y_pred, classes)
        ranking = Ranking(*scores, y_true, display_labels)
        display = _display(cls, images, ranking, ranking.order(order)[:n_images])
        return display.plot(ax=ax, n_cols=n_cols, im_kw=im_kw)


def _display(cls, images, ranking, selected):
    """Return a display of the selected images, without drawing it."""
    shown = [read_for_display(images, i) for i in selected]
    return cls(images=shown, indices=selected, **ranking.take(selected))


def _label(labels, proba, i):
    """Return the name of a class, truncated to fit, and its probability."""
    label = str(labels[i])
    if len(label) > _MAX_LABEL:
        label = label[: _MAX_LABEL - 1] + "…"
    return label if proba is None else f"{label} ({proba[i]:.2f})"
