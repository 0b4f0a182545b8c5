"""Images beside what a classifier says of them."""

from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skvision._images.inputs import check_images
from skvision.plot._ranking import Ranking, check_options, label_scores, response
from skvision.plot._shared import (
    check_matplotlib,
    draw_image,
    grid_axes,
    read_for_display,
)

# Width of an image, in inches. A label of more characters than this would reach into
# the title of the next image.
_WIDTH, _MAX_LABEL = 2.0, 14


class ImagePredictionDisplay:
    """Images beside what a classifier says of them.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to
    create one. All parameters are stored as attributes.

    Parameters
    ----------
    images : sequence of ndarray of shape (height, width, 3), dtype uint8
        The images, each in its own size.

    y_pred : array-like of shape (n_images,)
        Their predicted classes, as they shall be called.

    y_true : array-like of shape (n_images,), default=None
        Their true classes.

    proba_pred : array-like of shape (n_images,), default=None
        Probability of the predicted class of each.

    proba_true : array-like of shape (n_images,), default=None
        Probability of the true class of each.

    indices : array-like of int of shape (n_images,), default=None
        Where they stand in the `X` that they come from. For reference, not drawn.

    Attributes
    ----------
    axes_ : ndarray of shape (n_images,) of matplotlib Axes
        The axes of the images. The title is the predicted class and its probability;
        then "correct" or, all in red, "true:", the true class and its probability.

    figure_ : matplotlib Figure
        Figure that contains the axes.

    images_ : list of matplotlib AxesImage
        The images.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : How often which class is taken for which.

    Notes
    -----
    Images are shown as they are in the file, upright and in their own proportions,
    which need not be what the classifier saw; large ones are reduced.

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
            An axes in whose place the grid is drawn, or one for each image. None makes
            a new figure.
        n_cols : int, default=5
            Number of columns of the grid. Not used if `ax` holds one for each image.
        im_kw : dict, default=None
            Keywords for `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : ImagePredictionDisplay
            The display itself.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        n_lines = 1 if self.y_true is None else 2
        self.axes_ = grid_axes(ax, self.images, n_cols, width=_WIDTH, n_lines=n_lines)
        self.images_ = []
        for i, (ax, image) in enumerate(zip(self.axes_, self.images, strict=True)):
            self.images_.append(draw_image(ax, image, im_kw))
            is_wrong = self.y_true is not None and self.y_true[i] != self.y_pred[i]
            style = {"color": "firebrick"} if is_wrong else {}
            # A dollar sign in the name of a class is no formula.
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
        """Classify images, and draw those that the classifier is most wrong about.

        Parameters
        ----------
        estimator : fitted classifier or pipeline
            Any that takes images. `predict_proba` and `classes_` are used, and the
            predicted class is the most probable. Without `predict_proba` the order is
            that of `decision_function`; without both, `predict` is used and wrong ones
            come first. Probabilities are not shown then.
        X : array-like
            Paths (str or os.PathLike) of shape (n_samples,) or (n_samples, 1), or uint8
            images of shape (n_samples, height, width, 3) or (n_samples, height, width).
        y : array-like of shape (n_samples,), default=None
            The true classes.
        n_images : int, default=20
            Number of images to draw; all if there are fewer.
        order : {"wrong", "uncertain", "given"}, default="wrong"
            Which images come first: "wrong" those that are wrong, and among them those
            with the lowest probability of the true class, then the right ones in the
            same way; "uncertain" those with the lowest probability of the predicted
            class, which is what "wrong" does without `y`; "given" the first of `X`.
        display_labels : array-like of shape (n_classes,), default=None
            What the classes shall be called, in the order of `classes_`, such as
            `target_names` of a data set. None takes the classes themselves.
        ax : matplotlib Axes or array-like of Axes, default=None
            An axes in whose place the grid is drawn, or one for each image. None makes
            a new figure.
        n_cols : int, default=5
            Number of columns of the grid. Not used if `ax` holds one for each image.
        im_kw : dict, default=None
            Keywords for `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : ImagePredictionDisplay
            Display with the chosen images.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` are no images or `y` has classes that the estimator does not know.
            For a model whose `X` is something else, such as a table with a column of
            paths or features, use :meth:`from_predictions`.
        ImageReadError
            If a chosen file cannot be read.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        check_options(n_images, order)
        try:
            images = check_images(X)
        except ValueError as error:
            raise ValueError(
                f"{error} For an estimator whose X is something else, use from_"
                "predictions(images, y, estimator.predict_proba(X), "
                "classes=estimator.classes_)."
            ) from error
        ranking = Ranking(*response(estimator, X, y), y, display_labels)
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
        """Draw the images that a prediction is most wrong about.

        Parameters
        ----------
        X : array-like
            Paths (str or os.PathLike) of shape (n_samples,) or (n_samples, 1), or uint8
            images of shape (n_samples, height, width, 3) or (n_samples, height, width).
        y_true : array-like of shape (n_samples,) or None
            The true classes, if they are known.
        y_pred : array-like of shape (n_samples,) or (n_samples, n_classes)
            The predicted classes, or the probability of each class.
        classes : array-like of shape (n_classes,), default=None
            The classes, in the order of the columns of `y_pred`. None takes those that
            occur in `y_true` (and in `y_pred`, if that holds classes), sorted.
        n_images : int, default=20
            Number of images to draw; all if there are fewer.
        order : {"wrong", "uncertain", "given"}, default="wrong"
            Which images come first: "wrong" those that are wrong, and among them those
            with the lowest probability of the true class, then the right ones in the
            same way; "uncertain" those with the lowest probability of the predicted
            class, which is what "wrong" does without `y_true`; "given" the first of
            `X`.
        display_labels : array-like of shape (n_classes,), default=None
            What the classes shall be called, in the order of `classes`. None takes the
            classes themselves.
        ax : matplotlib Axes or array-like of Axes, default=None
            An axes in whose place the grid is drawn, or one for each image. None makes
            a new figure.
        n_cols : int, default=5
            Number of columns of the grid. Not used if `ax` holds one for each image.
        im_kw : dict, default=None
            Keywords for `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : ImagePredictionDisplay
            Display with the chosen images.

        Raises
        ------
        ValueError
            If the parameters do not fit together.
        ImageReadError
            If a chosen file cannot be read.

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
        scores = label_scores(y_true, y_pred, classes)
        ranking = Ranking(*scores, y_true, display_labels)
        display = _display(cls, images, ranking, ranking.order(order)[:n_images])
        return display.plot(ax=ax, n_cols=n_cols, im_kw=im_kw)


def _display(cls, images, ranking, chosen):
    """Return the display of the chosen images, not drawn yet."""
    shown = [read_for_display(images, i) for i in chosen]
    return cls(images=shown, indices=chosen, **ranking.take(chosen))


def _label(labels, proba, i):
    """Return the name of a class, cut to a title's width, and its probability."""
    label = str(labels[i])
    if len(label) > _MAX_LABEL:
        label = label[: _MAX_LABEL - 1] + "…"
    return label if proba is None else f"{label} ({proba[i]:.2f})"
