"""State of the process that must be known before TensorFlow is imported.

TensorFlow hangs in a child process that was forked after TensorFlow had been started.
This module is light and imported with every estimator, so that the fork is detected no
matter which code started TensorFlow.
"""

import atexit
import os
import platform
import re
import sys
import tempfile
import threading
from contextlib import ExitStack, contextmanager, suppress

# How TensorFlow's lines begin, with or without a date, and their severity.
_LOG_LINE = re.compile(
    rb"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: |(?=[IWEF]\d{4} ))([IWEF])"
)
# Lines that have another form, and that nobody needs.
_NOTES = (
    b"WARNING: All log messages before absl::InitializeLog()",
    b"INFO: Created TensorFlow Lite",
    b"To enable the following instructions:",  # the second line of a message
    b"fully_quantize: ",
)
# Logged as errors and warnings, although nothing is wrong: there is no driver (303) or
# no GPU, TensorFlow (2.19) registers the same thing twice, or converts to LiteRT.
_HARMLESS = re.compile(
    rb"failed call to cuInit: .*(?:UNKNOWN ERROR \(303\)|CUDA_ERROR_NO_DEVICE)"
    rb"|Unable to register cu\w+ factory: .* already been registered"
    rb"|computation placer already registered"
    rb"|Skipping runtime version metadata"
    rb"|Ignored (?:output_format|drop_control_dependency)"
)

# Two threads that replace file descriptor 2 at a time could lose it.
_STDERR_LOCK = threading.RLock()

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
    # No lines of level INFO. TensorFlow reads this once, so it holds for the process.
    settings["TF_CPP_MIN_LOG_LEVEL"] = "1"
    settings = {k: v for k, v in settings.items() if k not in os.environ}
    with quiet_tensorflow():
        os.environ.update(settings)
        try:
            yield
        finally:
            for name in settings:
                os.environ.pop(name, None)


@contextmanager
def quiet_tensorflow():
    """Drop lines that TensorFlow logs within the block, although its level is higher.

    Some come before TensorFlow reads TF_CPP_MIN_LOG_LEVEL, others ignore it. Without
    that variable, lines of level INFO are dropped, and those that mean nothing. What is
    written to file descriptor 2 is held back; if the block raises, all of it is shown.
    """
    setting = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "")
    level = int(setting) if setting.isdecimal() else None
    with _STDERR_LOCK, ExitStack() as stack:
        stderr, file = (None, None) if level == 0 else _copy_of_stderr(stack)
        if file is None:
            yield
            return

        def release():
            os.dup2(stderr, 2)
            file.seek(0)
            lines = [line for line in file if _is_shown(line, level)]
            with suppress(OSError):  # nobody reads it
                os.write(2, b"".join(lines))

        # Also if the process ends while another thread is in the block.
        atexit.register(release)
        try:
            os.dup2(file.fileno(), 2)
            yield
        except Exception:
            level = 0
            raise
        finally:
            atexit.unregister(release)
            release()


def _copy_of_stderr(stack):
    """Return a copy of file descriptor 2, and a file to write to instead."""
    # Without a stderr when Python started, the number 2 may belong to any other file.
    if sys.__stderr__ is None:
        return None, None
    try:
        stderr = os.dup(2)
        stack.callback(os.close, stderr)
        return stderr, stack.enter_context(tempfile.TemporaryFile())
    except OSError:  # closed, or no folder to write to, as in some services
        return None, None


def _is_shown(line, level):
    """Return whether to show a line, with TF_CPP_MIN_LOG_LEVEL as set by the user."""
    if level == 0:
        return True
    if line.startswith(_NOTES) or (level is None and _HARMLESS.search(line)):
        return False
    found = _LOG_LINE.match(line)
    return found is None or b"IWEF".index(found[1]) >= (level or 1)
