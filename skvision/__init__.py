"""Image classification from very little data, as scikit-learn estimators."""

from skvision._version import __version__

__all__ = ["__version__"]
