"""Display of the loss and accuracy per epoch."""

from numbers import Integral

from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skvision.plot._shared import check_axes, check_matplotlib, final_estimator

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

    def __init__(self, *, history, best_epoch=None):
        self.history = history
        self.best_epoch = best_epoch

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
            Any classifier of skvision, a pipeline that ends with one, or a search over
            one. The best epoch is marked if the classifier was fitted with
            `early_stopping`, which keeps the weights of that epoch.
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
        TypeError
            If the estimator has no `history_` attribute.
        ValueError
            If `phase` is invalid.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        classifier = final_estimator(estimator)
        if not hasattr(classifier, "history_"):
            raise TypeError(
                f"{type(classifier).__name__} has no attribute 'history_'. Pass a "
                "fitted classifier of skvision, such as ScratchCNNClassifier, or a "
                "pipeline that ends with one, or use from_history."
            )
        history = classifier.history_
        # Without early stopping the final weights are those of the last epoch.
        best_epoch = classifier.best_epoch_ if classifier.early_stopping else None
        if "fine_tuning" in history:
            if phase not in history:
                raise ValueError(
                    f"'phase' must be one of {list(history)}. Got {phase!r} instead."
                )
            history = history[phase]
            best_epoch = best_epoch if phase == "fine_tuning" else None
        return cls.from_history(history, best_epoch, ax=ax, line_kw=line_kw)

    @classmethod
    def from_history(cls, history, best_epoch=None, *, ax=None, line_kw=None):
        """Plot a training history.

        Parameters
        ----------
        history : dict of list of float
            "loss" and "accuracy" per epoch; with validation data also "val_loss" and
            "val_accuracy". Other keys are ignored.
        best_epoch : int or None, default=None
            The best epoch, counted from 1; 0 is the state before the first epoch.
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
        if not ("loss" in history and "accuracy" in history):
            raise ValueError(
                "'history' must have the keys 'loss' and 'accuracy', like the fitted "
                f"attribute 'history_'. Got the keys {list(history)}."
            )
        n_epochs = len(history["loss"])
        if n_epochs == 0:
            raise ValueError("'history' must have at least one epoch. Got none.")
        if best_epoch is not None:
            check_scalar(
                best_epoch, "best_epoch", Integral, min_val=0, max_val=n_epochs
            )
        display = cls(history=history, best_epoch=best_epoch)
        return display.plot(ax=ax, line_kw=line_kw)
