"""Display of the loss and accuracy per epoch."""

from collections.abc import Mapping
from numbers import Integral

from sklearn.utils import check_scalar

from skvision._images.drawing import PLAIN
from skvision.plot._composites import (
    accepts_images,
    check_fitted,
    having,
    names_inside,
    walk,
)
from skvision.plot._shared import check_axes, check_matplotlib

# Title of a plot -> {key in the history: label of its line}.
_PLOTS = {
    "Loss": {"loss": "Training", "val_loss": "Validation"},
    "Accuracy": {"accuracy": "Training", "val_accuracy": "Validation"},
}


class TrainingHistoryDisplay:
    """Visualization of the training and validation loss and accuracy per epoch.

    It is recommended to use :meth:`from_estimator` or :meth:`from_history` to create a
    display. All parameters are stored as attributes.

    Parameters
    ----------
    history : dict of list of float
        "loss" and "accuracy" per epoch; with validation data also "val_loss" and
        "val_accuracy".

    best_epoch : int or None, default=None
        The best epoch, counted from 1; 0 is the state before the first epoch.

    title : str, default=None
        Title of both axes.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        Axes of the loss and of the accuracy.

    figure_ : matplotlib Figure
        Figure containing the axes.

    lines_ : dict of str to matplotlib Line2D
        The curves, by key of `history`.

    best_epoch_lines_ : list of matplotlib Line2D
        Vertical line at the best epoch in each axes; empty if `best_epoch` is None.

    Notes
    -----
    Training metrics are averages over the epoch, while the weights change, and include
    dropout and augmentation. Validation metrics are computed at the end of the epoch,
    without either, so they can be better than the training metrics.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvision import DenseHeadClassifier
    >>> from skvision.plot import TrainingHistoryDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = DenseHeadClassifier(epochs=5, early_stopping=True, random_state=0)
    >>> classifier = classifier.fit(X, y)
    >>> display = TrainingHistoryDisplay.from_estimator(classifier)
    >>> list(display.lines_)
    ['loss', 'val_loss', 'accuracy', 'val_accuracy']
    """

    def __init__(self, *, history, best_epoch=None, title=None):
        self.history = history
        self.best_epoch = best_epoch
        self.title = title

    def plot(self, *, ax=None, line_kw=None):
        """Draw the curves.

        Parameters
        ----------
        ax : array-like of 2 matplotlib Axes, default=None
            Axes for the loss and for the accuracy. If None, a new figure is created.
        line_kw : dict, default=None
            Keyword arguments passed to `matplotlib.axes.Axes.plot` for all curves.

        Returns
        -------
        display : TrainingHistoryDisplay
            This display.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        if ax is None:
            from matplotlib import pyplot as plt

            _, ax = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
        self.axes_ = check_axes(ax, 2)
        self.figure_ = self.axes_[0].figure
        self.lines_, self.best_epoch_lines_ = {}, []
        for ax, (title, labels) in zip(self.axes_, _PLOTS.items(), strict=True):
            self._plot_curves(ax, labels, line_kw)
            ax.set(xlabel="Epoch", ylabel=title)
            if self.title is not None:
                ax.set_title(self.title, fontsize=9, **PLAIN)
            ax.legend()
        return self

    def _plot_curves(self, ax, labels, line_kw):
        """Draw the curves of one axes and mark the best epoch."""
        from matplotlib.ticker import MaxNLocator

        style = {"marker": "."} | (line_kw or {})
        for key, label in labels.items():
            if key in self.history:
                values = self.history[key]
                epochs = range(1, len(values) + 1)
                self.lines_[key] = ax.plot(epochs, values, label=label, **style)[0]
        if self.best_epoch is not None:
            self.best_epoch_lines_.append(
                ax.axvline(
                    self.best_epoch,
                    color="grey",
                    linestyle="--",
                    label=f"Best epoch: {self.best_epoch}",
                )
            )
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))

    @classmethod
    def from_estimator(cls, estimator, *, phase="fine_tuning", ax=None, line_kw=None):
        """Plot the training history of a fitted classifier.

        Parameters
        ----------
        estimator : fitted estimator
            Any classifier of skvision, or any estimator with one inside: a pipeline, a
            search, a calibration, a threshold classifier or a combination of them. The
            best epoch is marked if the classifier was fitted with `early_stopping`,
            which keeps the weights of that epoch. The title gives the phase and the
            number of validation images. If several networks were fitted, as by
            `CalibratedClassifierCV`, the history is that of the first, and the title
            says so.
        phase : {"head", "fine_tuning"}, default="fine_tuning"
            Which training of a `FineTunedVGGClassifier`. Only used with one.
        ax : array-like of 2 matplotlib Axes, default=None
            Axes for the loss and for the accuracy. If None, a new figure is created.
        line_kw : dict, default=None
            Keyword arguments passed to `matplotlib.axes.Axes.plot` for all curves.

        Returns
        -------
        display : TrainingHistoryDisplay
            Display of the history.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the estimator contains no classifier with a history, if `phase` is
            invalid, or if that phase has no completed epoch.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        check_fitted(estimator)
        found = having(estimator, "history_")
        if not found:
            raise ValueError(
                f"There is no training history in {names_inside(estimator)}: none has "
                "the attribute 'history_'. Pass a fitted classifier of skvision "
                "that trains a network, such as DenseHeadClassifier, or a pipeline or "
                "search with one, or use from_history."
            )
        classifier = found[0]
        history, best_epoch, phase = _phase(classifier, phase)
        is_images = any(accepts_images(part) for part in walk(estimator))
        title = _title(classifier, history, phase, "images" if is_images else "samples")
        if len(found) > 1:
            title += f"\n(network 1 of {len(found)})"
        return cls.from_history(
            history, best_epoch, title=title, ax=ax, line_kw=line_kw
        )

    @classmethod
    def from_history(
        cls, history, best_epoch=None, *, title=None, ax=None, line_kw=None
    ):
        """Plot a training history.

        Parameters
        ----------
        history : dict of list of float
            "loss" and "accuracy" per epoch; with validation data also "val_loss" and
            "val_accuracy". Other keys are ignored.
        best_epoch : int or None, default=None
            The best epoch, counted from 1; 0 is the state before the first epoch.
        title : str, default=None
            Title of both axes.
        ax : array-like of 2 matplotlib Axes, default=None
            Axes for the loss and for the accuracy. If None, a new figure is created.
        line_kw : dict, default=None
            Keyword arguments passed to `matplotlib.axes.Axes.plot` for all curves.

        Returns
        -------
        display : TrainingHistoryDisplay
            Display of the history.

        Raises
        ------
        TypeError
            If `history` is not a dict.
        ValueError
            If `history` lacks "loss" or "accuracy" or has no epochs, or if `best_epoch`
            is out of range.

        Examples
        --------
        >>> from skvision.plot import TrainingHistoryDisplay
        >>> history = {"loss": [0.7, 0.5, 0.4], "accuracy": [0.5, 0.7, 0.8]}
        >>> display = TrainingHistoryDisplay.from_history(history)
        >>> display.axes_[1].get_ylabel()
        'Accuracy'
        """
        check_matplotlib(f"{cls.__name__}.from_history")
        _check_history(history)
        n_epochs = len(history["loss"])
        if best_epoch is not None:
            check_scalar(
                best_epoch, "best_epoch", Integral, min_val=0, max_val=n_epochs
            )
        display = cls(history=history, best_epoch=best_epoch, title=title)
        return display.plot(ax=ax, line_kw=line_kw)


def _phase(classifier, phase):
    """Return history and best epoch of one phase, and its name if there are phases."""
    history, best_epoch = classifier.history_, None
    # Without early stopping the final weights are those of the last epoch.
    if getattr(classifier, "early_stopping", False):
        best_epoch = getattr(classifier, "best_epoch_", None)
    if "fine_tuning" not in history:
        return history, best_epoch, None
    if phase not in history:
        raise ValueError(
            f"'phase' must be one of {list(history)}. Got {phase!r} instead."
        )
    if not history[phase].get("loss"):
        raise ValueError(
            f"{type(classifier).__name__} has completed no epoch of the phase "
            f"{phase!r}. Pass another 'phase', or fit it again."
        )
    return history[phase], best_epoch if phase == "fine_tuning" else None, phase


def _title(classifier, history, phase, unit):
    """Return the phase and the number of validation images, or other samples."""
    title = {"head": "Head", "fine_tuning": "Fine-tuning"}.get(phase, "Training")
    if "val_loss" not in history:
        return f"{title}, no validation {unit}"
    n_validation = getattr(classifier, "_n_validation", None)
    return (
        title if n_validation is None else f"{title}, {n_validation} validation {unit}"
    )


def _check_history(history):
    """Raise unless `history` has the keys and at least one epoch."""
    if not isinstance(history, Mapping):
        hint = "its attribute 'history'" if hasattr(history, "history") else "a dict"
        raise TypeError(
            "'history' must be a dict of lists, like the fitted attribute 'history_'. "
            f"Got {type(history).__name__}: pass {hint}."
        )
    if not ("loss" in history and "accuracy" in history):
        hint = ", for example history_['fine_tuning']" if "head" in history else ""
        raise ValueError(
            "'history' must have the keys 'loss' and 'accuracy', like the fitted "
            f"attribute 'history_'. Got the keys {list(history)}: pass a dict with "
            f"both{hint}."
        )
    if len(history["loss"]) == 0:
        raise ValueError("'history' must have at least one epoch. Got none.")
