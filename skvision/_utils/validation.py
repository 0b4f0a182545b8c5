"""Parameter checks, and the only imports of scikit-learn's private names.

Private and experimental names of scikit-learn are imported here and nowhere else, so
that a new scikit-learn release can affect only this module.
"""

import functools
from numbers import Integral, Real

import numpy as np
from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils._param_validation import Interval as _Interval
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    # Experimental since scikit-learn 1.9. Without it, estimators lack `set_callbacks`.
    # Remove the fallback when 1.9 is the oldest supported release.
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Fallback for scikit-learn's mixin in versions that do not have it."""

    def with_callbacks(method):
        """Return `method` unchanged: there are no callbacks to manage."""
        return method


__all__ = [
    "TRAINING_CONSTRAINTS",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_callbacks",
    "check_image_size",
    "check_option",
    "check_sample_weight",
    "check_units",
    "explain_unknown_arguments",
    "fit_context",
    "fraction",
    "non_negative",
    "positive",
    "positive_integer",
    "with_callbacks",
]


class Interval(_Interval):
    """scikit-learn's constraint, without bools and fractions.

    True would silently mean 1 (`np.bool_` is refused anyway), and scikit-learn's raises
    a TypeError for a `Fraction`.
    """

    def is_satisfied_by(self, val):
        is_number = isinstance(val, int | float | np.number)
        is_number = is_number and not isinstance(val, bool)
        return is_number and super().is_satisfied_by(val)


positive_integer = Interval(Integral, 1, None, closed="left")
non_negative = Interval(Real, 0, None, closed="left")
positive = Interval(Real, 0, None, closed="neither")
fraction = Interval(Real, 0, 1, closed="left")

# Constraints on the parameters shared by all classifiers that train a network.
TRAINING_CONSTRAINTS = {
    "dropout": [fraction],
    "l1": [non_negative],
    "l2": [non_negative],
    "optimizer": [str, HasMethods("apply")],
    "learning_rate": [positive, None],
    "learning_rate_schedule": [StrOptions({"constant", "cosine"})],
    "ema_momentum": [Interval(Real, 0, 1, closed="left"), None],
    "epochs": [positive_integer],
    "batch_size": [positive_integer],
    "class_weight": [StrOptions({"balanced"}), dict, None],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [positive_integer],
    "warm_start": ["boolean"],
    "checkpoint_dir": [str, HasMethods("__fspath__"), None],
    "callbacks": [list, tuple, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def check_image_size(image_size, smallest=1):
    """Return `image_size` as a pair of ints (height, width), both >= `smallest`."""
    try:
        height, width = image_size
        valid = all(_is_int(side) and side >= smallest for side in (height, width))
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            "The 'image_size' parameter must be a pair of ints (height, width), both "
            f"at least {smallest} here. Got {image_size!r} instead."
        )
    return int(height), int(width)


def check_option(name, value, options):
    """Return the parameter `name`, which must be one of the strings `options`."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(
            f"The {name!r} parameter must be one of {', '.join(map(repr, options))}. "
            f"Got {value!r} instead."
        )
    return value


def check_units(name, units):
    """Return the parameter `name` as a tuple of positive ints, one per layer."""
    if not isinstance(units, tuple | list) or not all(
        _is_int(n) and n > 0 for n in units
    ):
        raise ValueError(
            f"The {name!r} parameter must be a tuple or list of positive ints, one per "
            f"layer, such as (64,). Got {units!r} instead."
        )
    return tuple(int(n) for n in units)


def _is_int(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_callbacks(callbacks):
    """Raise unless all `callbacks` may be Keras callbacks, or can be called."""
    for i, callback in enumerate(callbacks or ()):
        if callable(callback) or _is_keras_callback(callback):
            continue
        hint = ""
        if hasattr(callback, "set_model"):
            hint = " Derive its class from keras.callbacks.Callback."
        elif hasattr(callback, "on_fit_task_end"):
            hint = " Pass callbacks of scikit-learn to the method 'set_callbacks'."
        raise ValueError(
            f"callbacks[{i}] must be an instance of keras.callbacks.Callback, or a "
            f"function or class that returns one. Got {callback!r} of type "
            f"{type(callback).__name__} instead.{hint}"
        )


def _is_keras_callback(value):
    """Return whether `value` is a callback of Keras, without importing Keras."""
    return any(
        kind.__name__ == "Callback" and kind.__module__.split(".")[0] == "keras"
        for kind in type(value).__mro__
    )


def explain_unknown_arguments(explanations):
    """Decorate a constructor so that errors explain some arguments that it lacks.

    Parameters
    ----------
    explanations : dict of str to str
        Name of the argument -> predicate of a sentence about it.
    """

    def decorate(init):
        @functools.wraps(init)  # scikit-learn reads the signature of `__init__`
        def checked_init(self, *args, **kwargs):
            unknown = [name for name in explanations if name in kwargs]
            if unknown:
                reasons = "; ".join(f"{n!r} {explanations[n]}" for n in unknown)
                raise TypeError(f"{type(self).__name__}: {reasons}. Leave it out.")
            init(self, *args, **kwargs)

        return checked_init

    return decorate
