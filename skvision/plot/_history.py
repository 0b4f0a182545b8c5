"""Loss and accuracy of a training, epoch by epoch."""

from numbers import Integral

from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skvision.plot._shared import check_axes, check_matplotlib, last_step

# Title of a plot -> keys of the history, labels of their lines.
_PLOTS = {
    "Loss": {"loss": "Training", "val_loss": "Validation"},
    "Accuracy": {"accuracy": "Training", "val_accuracy": "Validation"},
}


class TrainingHistoryDisplay:
    """Loss and accuracy of a training, epoch by epoch.

    It is recommended to use :meth:`from_estimator` or :meth:`from_history` to create
    one. All parameters are stored as attributes.

    Parameters
    ----------
    history : dict of list of float
        "loss" and "accuracy" by epoch; with validation data also "val_loss" and
        "val_accuracy".

    best_epoch : int or None, default=None
        Number of the best epoch, counted from 1; 0 is the state before the first.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        The axes of the loss and that of the accuracy.

    figure_ : matplotlib Figure
        Figure that contains the axes.

    lines_ : dict of str to matplotlib Line2D
        The curves, by their keys in `history`.

    best_epoch_lines_ : list of matplotlib Line2D
        The mark of the best epoch in both axes; empty if there is none.

    Notes
    -----
    The training curves are taken during the epoch, with dropout and augmentation and on
    average over changing weights; those of the validation at its end, without. So the
    validation curve may be the better one.

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
            The axes for the loss and for the accuracy. None makes a new figure.
        line_kw : dict, default=None
            Keywords for `matplotlib.axes.Axes.plot`, for all curves.

        Returns
        -------
        display : TrainingHistoryDisplay
            The display itself.
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
        """Draw the curves of one axes, and the best epoch."""
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
        """Draw the history of a fitted classifier.

        Parameters
        ----------
        estimator : fitted estimator
            Any classifier of skvision, a pipeline that ends with one, or a search over
            one. Its best epoch is marked if it had `early_stopping`, which keeps the
            weights of that epoch.
        phase : {"head", "fine_tuning"}, default="fine_tuning"
            Which training of a `FineTunedVGGClassifier`. Only used with one.
        ax : array-like of 2 matplotlib Axes, default=None
            The axes for the loss and for the accuracy. None makes a new figure.
        line_kw : dict, default=None
            Keywords for `matplotlib.axes.Axes.plot`, for all curves.

        Returns
        -------
        display : TrainingHistoryDisplay
            Display with the history.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is not one that keeps a history.
        ValueError
            If `phase` is not one of the two.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        classifier = last_step(estimator)
        if not hasattr(classifier, "history_"):
            raise TypeError(
                f"{type(classifier).__name__} keeps no 'history_'. Pass a fitted "
                "classifier of skvision, such as ScratchCNNClassifier, a pipeline that "
                "ends with one, or use from_history."
            )
        history = classifier.history_
        # Without early stopping the weights are those of the last epoch.
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
        """Draw a history.

        Parameters
        ----------
        history : dict of list of float
            "loss" and "accuracy" by epoch; with validation data also "val_loss" and
            "val_accuracy". What else is in it, is not drawn.
        best_epoch : int or None, default=None
            Number of the best epoch, counted from 1; 0 is the state before the first.
        ax : array-like of 2 matplotlib Axes, default=None
            The axes for the loss and for the accuracy. None makes a new figure.
        line_kw : dict, default=None
            Keywords for `matplotlib.axes.Axes.plot`, for all curves.

        Returns
        -------
        display : TrainingHistoryDisplay
            Display with the history.

        Raises
        ------
        ValueError
            If the history lacks a curve of the training or has no epochs, or if the
            best epoch is none of them.

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
                "'history' must have the keys 'loss' and 'accuracy', as the attribute "
                f"'history_' has. Got the keys {list(history)}."
            )
        n_epochs = len(history["loss"])
        if n_epochs == 0:
            raise ValueError("'history' must have at least one epoch. It has none.")
        if best_epoch is not None:
            check_scalar(
                best_epoch, "best_epoch", Integral, min_val=0, max_val=n_epochs
            )
        display = cls(history=history, best_epoch=best_epoch)
        return display.plot(ax=ax, line_kw=line_kw)
