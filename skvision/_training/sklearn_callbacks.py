"""Support for scikit-learn's callbacks (experimental since 1.9), per epoch."""

from skvision._utils.validation import CallbackSupportMixin

_SUPPORTED = hasattr(CallbackSupportMixin, "_init_callback_context")


class NoTasks:
    """Replaces `EpochTasks` in a training that is not reported to callbacks."""

    def begin_epoch(self):
        pass

    def end_epoch(self, state):
        return False


class EpochTasks:
    """The fit as a task of scikit-learn's callbacks, with its epochs as subtasks.

    Parameters
    ----------
    estimator : estimator
        The estimator being fitted.
    n_epochs : int
        Maximum number of epochs.
    fitted_attributes : callable
        Function from a `TrainingState` to the attributes of the fitted estimator.
    **data
        `X`, `y` and `metadata`, passed to the callbacks.
    """

    def __init__(self, estimator, n_epochs, fitted_attributes, **data):
        self.fitted_attributes = fitted_attributes
        self.data = {"estimator": estimator, **data}
        self.fit = self.epoch = None
        if _SUPPORTED:
            self.fit = estimator._init_callback_context(max_subtasks=n_epochs)
            self.fit.call_on_fit_task_begin(**self.data)

    def begin_epoch(self):
        if self.fit is not None:
            self.epoch = self.fit.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(**self.data)

    def end_epoch(self, state):
        """Return whether a callback requests to stop training."""
        return self.epoch is not None and self._end(self.epoch, state)

    def end_fit(self, state):
        if self.fit is not None:
            self._end(self.fit, state)

    def _end(self, task, state):
        return task.call_on_fit_task_end(
            **self.data,
            reconstruction_attributes=lambda: self.fitted_attributes(state),
        )
