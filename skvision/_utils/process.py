"""State of the process that must be known before TensorFlow is imported.

TensorFlow hangs in a child process that was forked after TensorFlow had been started.
This module is light and imported with every estimator, so that the fork is detected no
matter which code started TensorFlow.
"""

import atexit
import os
import platform
import sys
import tempfile
from contextlib import ExitStack, contextmanager, nullcontext, suppress

_INFO_LINES = (b"I0000 ", b"WARNING: All log messages before absl::InitializeLog()")
_NO_GPU = b"failed call to cuInit"  # logged as an error on machines without a GPU

forked_after_tensorflow = False


def _record_fork():
    global forked_after_tensorflow
    forked_after_tensorflow |= "tensorflow" in sys.modules


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_record_fork)


@contextmanager
def tensorflow_start():
    """Enable oneDNN, and drop what TensorFlow logs when it starts, within the block.

    By default TensorFlow uses oneDNN only on newer x86 processors; on the others,
    convolutions are much faster with it. A user who sets the environment variables, or
    imports TensorFlow before, decides otherwise.
    """
    settings = {}
    if platform.machine().lower() in ("x86_64", "amd64"):
        settings["TF_ENABLE_ONEDNN_OPTS"] = "1"
    is_quiet = os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "0"
    settings["TF_CPP_MIN_LOG_LEVEL"] = "1"  # no more lines of level INFO
    settings = {k: v for k, v in settings.items() if k not in os.environ}
    os.environ.update(settings)
    try:
        # Some lines come before TensorFlow reads the level.
        with _without_info_lines() if is_quiet else nullcontext():
            yield
    finally:
        for name in settings:
            os.environ.pop(name, None)


@contextmanager
def _without_info_lines():
    """Hold back what is written to file descriptor 2, and drop lines of level INFO."""
    with ExitStack() as stack:
        stderr = None
        with suppress(OSError):  # no folder to write to, or closed, as in some services
            file = stack.enter_context(tempfile.TemporaryFile())
            stderr = os.dup(2)
        if stderr is None:
            yield
            return
        os.dup2(file.fileno(), 2)
        # Also if the process ends while another thread is in the block: what is held
        # back then is the traceback of Ctrl-C.
        atexit.register(_release, file, stderr)
        try:
            yield
        finally:
            atexit.unregister(_release)
            _release(file, stderr)


def _release(file, stderr):
    os.dup2(stderr, 2)
    os.close(stderr)
    file.seek(0)
    for line in file:
        if not line.startswith(_INFO_LINES) and _NO_GPU not in line:
            os.write(2, line)
