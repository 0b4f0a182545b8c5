"""Errors that do not bury their message."""

from skvision.exceptions import ImageReadError


class short_traceback:
    """Leave out the frames between the user's call and an unreadable image."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, frames):
        if isinstance(error, ImageReadError):
            raise error.with_traceback(None) from None
