"""Conversion without the messages of converters."""

import logging
import os
from contextlib import contextmanager

from skvision._utils.process import quiet_tensorflow

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextmanager
def quiet_conversion():
    """Hide harmless messages, and undo what converters change in the process.

    They add handlers of log messages, and importing tf2onnx sets TensorFlow's level.
    """
    handlers, level = logging.root.handlers[:], os.environ.get(_LEVEL)
    try:
        with quiet_tensorflow():
            yield
    finally:
        logging.root.handlers[:] = handlers
        if level is None:
            os.environ.pop(_LEVEL, None)
        else:
            os.environ[_LEVEL] = level
