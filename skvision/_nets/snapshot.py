"""Detection of changes in a model and its optimizer since they were built.

In a traced graph, Python values are constants: an optimizer's momentum, whether a layer
is trainable, its activation. If a callback changes one of them after tracing, that has
no effect on this training, but would affect the next trace.
"""

from skvision._nets.backend import keras

# Set by Keras during training.
_TRANSIENT = {
    "_called",
    "_exclude_from_weight_decay_cache",
    "history",
    "stop_training",
}
# Changed by using the model in a callback, for a prediction or in another model. The
# traced step does not depend on them, but a new program would not have them.
_HARMLESS = {
    "_inbound_nodes",
    "_outbound_nodes",
    "predict_function",
    "test_function",
    "train_function",
}
_PLAIN = (bool, int, float, complex, str, bytes, type(None))


class Snapshot:
    """The attributes of a model, its layers, optimizer and variables at one moment.

    Values of variables are not included, because each fit sets them.
    """

    def __init__(self, model, optimizer=None):
        self._objects = [model, *model.layers]
        self._n_layers = len(self._objects)
        self._objects += model.variables
        if optimizer is not None:
            self._objects += [optimizer, *optimizer.variables]
        self._attributes = self._current()

    def is_unchanged(self):
        """Return whether no attribute was changed, added or removed."""
        found = self._current()
        return found.keys() == self._attributes.keys() and not self._differing(found)

    def changes(self):
        """Return the changed attributes, as in "'momentum' of SGD"."""
        found = self._current()
        added = found.keys() - self._attributes.keys()
        return [
            f"{name.lstrip('_')!r} of {self._label(i)}"
            for i, name in [*self._differing(found), *filter(self._has_effect, added)]
            if name not in _HARMLESS
            and not name.startswith("_self_")  # TensorFlow's bookkeeping of the others
        ]

    def _has_effect(self, key):
        """Return whether an added attribute is one that Keras may use."""
        i, name = key
        is_private = i > 0 and name.startswith("_")
        return is_private or hasattr(type(self._objects[i]), name)

    def _current(self):
        return {
            (i, name): _comparable(value)
            for i, item in enumerate(self._objects)
            for name, value in vars(item).items()
            if name not in _TRANSIENT
        }

    def _differing(self, found):
        return [
            key
            for key, value in self._attributes.items()
            if key not in found or not _equal(found[key], value)
        ]

    def _label(self, i):
        item = self._objects[i]
        kind = type(item).__name__
        if 0 < i < self._n_layers:
            return f"the layer {item.name!r} ({kind})"
        is_variable = isinstance(item, keras.Variable)
        # Names of optimizers contain a number that is not meaningful to users.
        return f"the variable {item.path!r}" if is_variable else kind


def _comparable(value):
    """Return a list or dict as a tuple of its items, which is immutable.

    The parts of Keras that can be modified in place are followed by their settings.
    """
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return value, _comparable(value.get_config())
    if isinstance(value, keras.dtype_policies.DTypePolicy):
        return value, _comparable(vars(value))
    if isinstance(value, dict):
        value = list(value.items())
    if isinstance(value, (list, tuple)):
        return tuple(_comparable(item) for item in value)
    return value


def _equal(a, b):
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return a is b or (type(a) is type(b) and isinstance(a, _PLAIN) and a == b)
