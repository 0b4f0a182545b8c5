"""What is to be known of a process before TensorFlow is imported.

In a child forked off a process in which it had been started, TensorFlow hangs. This
module is light, and imported with every estimator, so that the fork is noticed whoever
started TensorFlow.
"""

import os
import platform
import sys
from contextlib import contextmanager

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"

forked_after_tensorflow = False


def _note_fork():
    global forked_after_tensorflow
    forked_after_tensorflow |= "tensorflow" in sys.modules


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_note_fork)


@contextmanager
def onednn():
    """Let TensorFlow, if it is imported within, take oneDNN's kernels.

    It does so by itself on the newer processors for x86 only; on the others the
    convolutions are up to four times as fast with them (docs/benchmarks.md). Whoever
    sets the environment variable, or imports TensorFlow before, decides otherwise.
    """
    if platform.machine().lower() not in ("x86_64", "amd64") or ONEDNN in os.environ:
        yield
        return
    os.environ[ONEDNN] = "1"
    try:
        yield
    finally:
        os.environ.pop(ONEDNN, None)
