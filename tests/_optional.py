"""Optional modules: using one that is not installed skips the test."""

import importlib

import pytest


class _Missing:
    def __init__(self, name):
        self._name = name

    def __getattr__(self, attribute):
        if attribute.startswith("_"):  # pytest looks these up at collection
            raise AttributeError(attribute)
        pytest.skip(f"needs {self._name}")


def _optional(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return _Missing(name)


cloudpickle = _optional("cloudpickle")
pd = _optional("pandas")
pl = _optional("polars")
requests = _optional("requests")
