"""Whether a model and its optimizer are still what they were when they were built.

A traced graph holds Python values as constants: an optimizer's momentum, whether a
layer is trainable, its activation. A callback that changes one of them after tracing
has no effect on this training, but would on the next one that is traced.
"""

# Written by Keras in any training.
_TRANSIENT = {"_called", "history", "stop_training"}
_PLAIN = (bool, int, float, complex, str, bytes, type(None))


class Snapshot:
    """The attributes of a model, its layers and its optimizer at one moment.

    Values of variables are not part of it: they are set anew in each fit.
    """

    def __init__(self, model, optimizer=None):
        self._objects = [model, *model.layers]
        self._n_layers = len(self._objects)
        if optimizer is not None:
            self._objects.append(optimizer)
        self._attributes = self._current()

    def is_unchanged(self):
        """Return whether no attribute was changed, added or removed."""
        found = self._current()
        return found.keys() == self._attributes.keys() and not self._differing(found)

    def changes(self):
        """Return the changed attributes, as in "'momentum' of SGD"."""
        return [
            f"{name.lstrip('_')!r} of {self._label(i)}"
            for i, name in self._differing(self._current())
            if not name.startswith("_self_")  # TensorFlow's list of the others
        ]

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
            if key not in found or not _same(found[key], value)
        ]

    def _label(self, i):
        item = self._objects[i]
        kind = type(item).__name__
        # Names of optimizers are numbered in each process.
        return f"the layer {item.name!r} ({kind})" if 0 < i < self._n_layers else kind


def _comparable(value):
    """Return a list or dict as a tuple of its items, which cannot be modified."""
    if isinstance(value, dict):
        value = list(value.items())
    if isinstance(value, (list, tuple)):
        return tuple(_comparable(item) for item in value)
    return value


def _same(a, b):
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return a is b or (type(a) is type(b) and isinstance(a, _PLAIN) and a == b)
