"""Errors and warnings defined by skvision."""

__all__ = [
    "DownloadError",
    "FeatureStoreError",
    "ImageReadError",
    "SkvisionError",
    "SkvisionWarning",
    "TrainingDivergedError",
    "WeightsNotFoundError",
]


class SkvisionError(Exception):
    """Base class of all errors defined by skvision."""


class ImageReadError(SkvisionError, ValueError):
    """An image could not be read.

    The message names the path of the image, the argument, its index and the cause.

    Parameters
    ----------
    message : str
        What went wrong, and how to fix it.
    index : int or None, default=None
        Position of the image in the argument. In a cross-validation this is a part of
        the images only: use `path` to find the image.
    path : str or None, default=None
        Path of the file, or None for an image that is not in a file.
    argument : str, default="X"
        Name of the argument with the image, such as "X" or "X_val".

    Examples
    --------
    >>> from skvision.exceptions import ImageReadError
    >>> error = ImageReadError("cannot read 'a.jpg'", index=3, path="a.jpg")
    >>> error.index, error.path, error.argument
    (3, 'a.jpg', 'X')
    """

    def __init__(self, message, index=None, path=None, argument="X"):
        super().__init__(message)
        self.index = index
        self.path = path
        self.argument = argument

    def __reduce__(self):
        # joblib pickles the exceptions of its workers.
        return type(self), (self.args[0], self.index, self.path, self.argument)


class WeightsNotFoundError(SkvisionError, OSError):
    """The pretrained weights were not found; the message lists what was tried."""


class DownloadError(SkvisionError, OSError):
    """A file could not be downloaded, or is not what was expected."""


class FeatureStoreError(SkvisionError, OSError):
    """A feature store is damaged, has another version, or is not skvision's."""


class TrainingDivergedError(SkvisionError, ValueError):
    """The loss of a network became NaN or infinite during training."""


class SkvisionWarning(UserWarning):
    """Something did not go as requested, but the result is still valid."""
