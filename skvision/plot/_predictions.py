"""Display of images and their predicted classes."""

from skvision._images.drawing import class_line, draw_image, image_names
from skvision._images.inputs import check_images
from skvision.plot._composites import (
    Tap,
    check_predicts_classes,
    class_scores,
    known_classes,
)
from skvision.plot._ranking import (
    Ranking,
    check_classes,
    check_labels,
    check_options,
    check_proba,
    found_classes,
)
from skvision.plot._shared import (
    check_matplotlib,
    grid_axes,
    read_for_display,
)


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

    names : array-like of str of shape (n_images,), default=None
        File name or other name of each image, drawn below it.

    indices : array-like of int of shape (n_images,), default=None
        Index of each image in the original `X`. For reference only, not drawn.

    Attributes
    ----------
    axes_ : ndarray of shape (n_images,) of matplotlib Axes
        Axes of the images. The title shows the predicted class and its probability,
        followed by "correct" or, in red, by "true:" and the true class and its
        probability. Below the image is its file name, or its index in an array. Names
        that are too long are shortened in the middle.

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
        names=None,
        indices=None,
    ):
        self.images = images
        self.y_pred = y_pred
        self.y_true = y_true
        self.proba_pred = proba_pred
        self.proba_true = proba_true
        self.names = names
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
        n_lines = (1 if self.y_true is None else 2) + (self.names is not None)
        self.axes_ = grid_axes(ax, self.images, n_cols, n_lines=n_lines)
        self.images_ = []
        for i, (ax, image) in enumerate(zip(self.axes_, self.images, strict=True)):
            is_wrong = self.y_true is not None and self.y_true[i] != self.y_pred[i]
            texts = {"color": "firebrick"} if is_wrong else {}
            texts |= {"lines": self._title(i)}
            texts |= {"name": None if self.names is None else self.names[i]}
            self.images_.append(draw_image(ax, image, im_kw, **texts))
        self.figure_ = self.axes_[0].figure
        return self

    def _title(self, i):
        title = [class_line(self.y_pred[i], _at(self.proba_pred, i))]
        if self.y_true is None:
            return title
        if self.y_true[i] == self.y_pred[i]:
            return [*title, ("correct", "", "")]
        return [*title, class_line(self.y_true[i], _at(self.proba_true, i), "true: ")]

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
        estimator : fitted classifier, pipeline or search
            Any estimator whose `predict` returns classes of images. The displayed class
            is always the one that `predict` returns. Its probability, from
            `predict_proba`, can therefore be less than that of another class, for
            example with `FixedThresholdClassifier`. Without `predict_proba`, images are
            ranked by `decision_function` and no probability is shown; without either,
            wrong predictions come first, in the order of `X`.
        X : array-like
            Input of the estimator: images, or a data frame with a column of paths that
            a transformer of images in the estimator gets, as in a `ColumnTransformer`.
        y : array-like of shape (n_samples,) or (n_samples, 1), default=None
            The true classes. A class that the estimator does not know is displayed as a
            wrong prediction; if it knows none of them, an error is raised.
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
            If the estimator does not predict classes, no images are found in `X`, or
            none of the classes in `y` is known to the estimator. For an estimator whose
            input is not images, such as features, use :meth:`from_predictions`.
        ImageReadError
            If a file cannot be read.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        check_predicts_classes(estimator, cls.__name__)
        check_options(n_images, order)
        tap = Tap(estimator)
        pred = tap.call("predict", X)
        images = _images(X, tap)
        y_pred = check_labels(pred, "predict(X)", len(images))
        y_true = None if y is None else check_labels(y, "y", len(images))
        scores, method = class_scores(tap, X, "predict_proba", "decision_function")
        ranking = Ranking(
            y_pred,
            y_true,
            known_classes(estimator),
            scores,
            method == "predict_proba",
            display_labels,
        )
        selected = ranking.order(order)[:n_images]
        value_range = tap.parts[0].value_range if tap.parts else None
        display = _display(cls, images, ranking, selected, value_range)
        return display.plot(ax=ax, n_cols=n_cols, im_kw=im_kw)

    @classmethod
    def from_predictions(
        cls,
        X,
        y_true,
        y_pred,
        *,
        y_proba=None,
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
            Images in any form that the estimators accept: paths, uint8 arrays, bytes or
            Pillow images.
        y_true : array-like of shape (n_samples,) or (n_samples, 1), or None
            The true classes, or None if they are unknown.
        y_pred : array-like of shape (n_samples,) or (n_samples, 1)
            The predicted classes, as returned by `predict`.
        y_proba : array-like of shape (n_samples, n_classes), default=None
            Probabilities of all classes, as returned by `predict_proba`. They determine
            the order, and are displayed.
        classes : array-like of shape (n_classes,), default=None
            The classes, in the order of the columns of `y_proba`. If None, the sorted
            classes in `y_true` and `y_pred`.
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
        >>> display = ImagePredictionDisplay.from_predictions(
        ...     X,
        ...     ["cat", "cat", "cat"],
        ...     ["cat", "dog", "dog"],
        ...     y_proba=[[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]],
        ... )
        >>> print(display.axes_[0].get_title())
        dog (0.80)
        true: cat (0.20)
        >>> display.indices
        array([2, 1, 0])
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        check_options(n_images, order)
        images = check_images(X)
        y_pred = check_labels(y_pred, "y_pred", len(images))
        y_true = None if y_true is None else check_labels(y_true, "y_true", len(images))
        if classes is None:
            classes = found_classes(y_pred + (y_true or []))
        classes, proba = check_classes(classes), None
        if y_proba is not None:
            proba = check_proba(y_proba, classes, len(images))
        ranking = Ranking(y_pred, y_true, classes, proba, True, display_labels)
        display = _display(cls, images, ranking, ranking.order(order)[:n_images])
        return display.plot(ax=ax, n_cols=n_cols, im_kw=im_kw)


def _images(X, tap):
    """Return the images in the input of an estimator that has made predictions."""
    try:
        return check_images(X)
    except ValueError as error:
        if tap.inputs:
            return check_images(tap.inputs[0])
        raise ValueError(
            f"{error} For an estimator whose input is not images, use "
            "from_predictions(images, y, estimator.predict(X), "
            "y_proba=estimator.predict_proba(X), classes=estimator.classes_)."
        ) from error


def _display(cls, images, ranking, selected, value_range=None):
    """Return a display of the selected images, without drawing it."""
    shown = [read_for_display(images, i, value_range) for i in selected]
    names = image_names(images)
    names = [names[i] for i in selected]
    return cls(images=shown, names=names, indices=selected, **ranking.take(selected))


def _at(values, i):
    return None if values is None else values[i]
