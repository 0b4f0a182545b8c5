"""Whether this process was forked off one in which TensorFlow had been started.

TensorFlow hangs there. Light, and imported with every estimator, so that the fork is
noticed whoever started TensorFlow.
"""

import os
import sys

forked_after_tensorflow = False


def _note_fork():
    global forked_after_tensorflow
    forked_after_tensorflow |= "tensorflow" in sys.modules


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_note_fork)
