"""State of the process that must be known before TensorFlow is imported.

TensorFlow hangs in a child process that was forked after TensorFlow had been started.
This module is light and imported with every estimator, so that the fork is detected no
matter which code started TensorFlow.
"""

import os
import platform
import sys
from contextlib import contextmanager

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"

forked_after_tensorflow = False


def _record_fork():
    global forked_after_tensorflow
    forked_after_tensorflow |= "tensorflow" in sys.modules


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_record_fork)


@contextmanager
def onednn():
    """Enable oneDNN's kernels if TensorFlow is imported within the block.

    By default, TensorFlow uses them only on newer x86 processors. On the others they
    make convolutions up to four times as fast (docs/benchmarks.md). This has no effect
    if the environment variable is already set, or TensorFlow already imported.
    """
    if platform.machine().lower() not in ("x86_64", "amd64") or ONEDNN in os.environ:
        yield
        return
    os.environ[ONEDNN] = "1"
    try:
        yield
    finally:
        os.environ.pop(ONEDNN, None)
