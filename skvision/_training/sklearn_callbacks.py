"""Tell scikit-learn's callbacks (experimental since 1.9) of every epoch."""

from skvision._utils.validation import CallbackSupportMixin

_SUPPORTED = hasattr(CallbackSupportMixin, "_init_callback_context")


class NoTasks:
    """Stands in for `EpochTasks` in a training that is not to be reported."""

    def begin_epoch(self):
        pass

    def end_epoch(self, state):
        return False


class EpochTasks:
    """The fit as a task of scikit-learn's callbacks, with its epochs as subtasks.

    Parameters
    ----------
    estimator : estimator
        The one being fitted.
    n_epochs : int
        At most so many subtasks follow.
    fitted_attributes : callable
        From a `TrainingState` to the attributes of an estimator fitted so far.
    **data
        `X`, `y` and `metadata` for the callbacks.
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
        """Return whether a callback wants the training to stop."""
        return self.epoch is not None and self._end(self.epoch, state)

    def end_fit(self, state):
        if self.fit is not None:
            self._end(self.fit, state)

    def _end(self, task, state):
        return task.call_on_fit_task_end(
            **self.data,
            reconstruction_attributes=lambda: self.fitted_attributes(state),
        )
