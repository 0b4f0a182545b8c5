"""Warnings that point to the user's code."""

import sys
import warnings

from skvision.exceptions import SkvisionWarning

_INTERNAL = ("skvision", "sklearn", "joblib", "contextlib", "concurrent", "threading")


def warn(message):
    """Issue a SkvisionWarning for the first caller outside the libraries.

    How many frames lie between depends on scikit-learn, whose wrappers call `fit`.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None:
        if frame.f_globals.get("__name__", "").split(".")[0] not in _INTERNAL:
            break
        level, frame = level + 1, frame.f_back
    warnings.warn(message, SkvisionWarning, stacklevel=level)
