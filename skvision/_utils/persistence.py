"""Format and library versions stored in saved estimators."""

import functools
import inspect
import warnings
from importlib.metadata import version

from sklearn.exceptions import InconsistentVersionWarning

from skvision import __version__
from skvision.exceptions import SkvisionWarning

# To be increased when fitted attributes change so that old files would be misread.
FORMAT = 2
_WRITTEN_BY = "_written_by"


@functools.cache
def versions():
    """Return the library versions on which saved estimators may depend."""
    return {
        "skvision": __version__,
        "scikit-learn": version("scikit-learn"),
        "keras": version("keras"),
    }


class SavedWithVersions:
    """Mixin before `BaseEstimator` that stores the format and versions in pickles."""

    def __getstate__(self):
        state = super().__getstate__()
        return {**state, _WRITTEN_BY: {"format": FORMAT, **versions()}}

    def __setstate__(self, state):
        state = dict(state)
        written_by = dict(state.pop(_WRITTEN_BY, {"format": None}))
        file_format = written_by.pop("format")
        _check(type(self).__name__, file_format, written_by)
        if file_format == 1:
            state = self._from_format_1(state)
        # Parameters that did not exist yet when the estimator was saved.
        super().__setstate__({**_defaults(type(self)), **state})

    @staticmethod
    def _from_format_1(state):
        """Return the state of an estimator that was saved in format 1."""
        return state


def _defaults(estimator_class):
    parameters = inspect.signature(estimator_class).parameters.items()
    return {name: parameter.default for name, parameter in parameters}


def _check(name, file_format, written_by):
    """Raise an error for an unknown format, and warn about other versions."""
    if file_format not in (1, FORMAT):
        raise ValueError(
            f"This {name} was saved in a format that skvision {__version__} cannot "
            f"read (by skvision {written_by.get('skvision', 'of unknown version')}). "
            "Load it with the version that saved it, or fit it again."
        )
    for package, current in versions().items():
        original = written_by[package]
        if original == current:
            continue
        if package == "scikit-learn":
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=name,
                    current_sklearn_version=current,
                    original_sklearn_version=original,
                ),
                stacklevel=3,
            )
        else:
            warnings.warn(
                f"{name} was saved with {package} {original} and is loaded with "
                f"{current}: predictions may differ, or fail. Fit it again to be safe.",
                SkvisionWarning,
                stacklevel=3,
            )
