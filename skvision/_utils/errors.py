"""Errors that do not bury their message."""

from contextlib import contextmanager

from skvision.exceptions import ImageReadError


@contextmanager
def short_traceback():
    """Leave out the frames between the user's call and an unreadable image."""
    try:
        yield
    except ImageReadError as error:
        raise error.with_traceback(None) from None
