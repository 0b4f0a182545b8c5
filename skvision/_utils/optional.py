"""Importing optional libraries, with an error that tells how to install them."""

import importlib


def import_optional(name, *, caller, requirement):
    """Return the module `name`, or raise an ImportError that says what to install."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{caller} requires {name.partition('.')[0]}, which cannot be imported "
            f'({error}). Install it with: pip install "{requirement}"'
        ) from error
