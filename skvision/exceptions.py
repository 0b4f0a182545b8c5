"""Errors and warnings that are skvision's own."""

__all__ = [
    "FeatureStoreError",
    "ImageReadError",
    "SkvisionError",
    "SkvisionWarning",
    "TrainingDivergedError",
    "WeightsNotFoundError",
]


class SkvisionError(Exception):
    """Base class of all errors that skvision defines."""


class ImageReadError(SkvisionError, ValueError):
    """An image could not be read.

    The message names the image's index in `X`, its path and the cause.

    Parameters
    ----------
    message : str
        What happened, and how to go on.
    index : int or None, default=None
        Position of the image in `X`.
    path : str or None, default=None
        The file, or None for an image that was given as an array.

    Examples
    --------
    >>> from skvision.exceptions import ImageReadError
    >>> error = ImageReadError("cannot read 'a.jpg'", index=3, path="a.jpg")
    >>> error.index, error.path
    (3, 'a.jpg')
    """

    def __init__(self, message, index=None, path=None):
        super().__init__(message)
        self.index = index
        self.path = path

    def __reduce__(self):
        # Exceptions travel from joblib's workers: keep index and path on the way.
        return type(self), (self.args[0], self.index, self.path)


class WeightsNotFoundError(SkvisionError, OSError):
    """No source gave the pretrained weights; the message lists what was tried."""


class FeatureStoreError(SkvisionError, OSError):
    """A feature store cannot be used: damaged, foreign, or of another version."""


class TrainingDivergedError(SkvisionError, ValueError):
    """The loss of a network became NaN or infinite during training."""


class SkvisionWarning(UserWarning):
    """Something went otherwise than asked, and the result is valid all the same."""
