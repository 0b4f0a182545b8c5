"""The one door to TensorFlow and Keras.

Whoever needs them imports them from here, late (inside a function or from a module
that is itself imported late), so that ``import skvision`` stays light. What has to be
said once per process is said here: threads, GPU memory, oneDNN, and that TensorFlow
does not survive a ``fork``.
"""

import os

from skvision._utils import process
from skvision._utils.parallel import n_threads

with process.onednn():
    import keras
    import tensorflow as tf

__all__ = ["check_usable_here", "compiled", "keras", "on_cpu", "tf", "traced"]


def _configure():
    """Take this process's share of the threads, and of a GPU only what is needed."""
    threads = n_threads()
    if threads < (os.cpu_count() or 1):
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:
            pass  # TensorFlow is running already: its user has chosen.
    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except RuntimeError:
            pass


def traced(function):
    """Let TensorFlow trace `function`.

    XLA slows convolutions down on a CPU, hence no jit_compile. The warning of
    frequent tracing would come for every new architecture of a search.
    """
    function = tf.function(function, jit_compile=False, autograph=False)
    function._omit_frequent_tracing_warning = True  # private; without it only noise
    return function


def compiled(function):
    """Let XLA compile `function`, a part of a traced one, for a CPU.

    It makes one loop of many operations on large arrays. A GPU has better kernels for
    the few that we compile.
    """
    return tf.function(function, jit_compile=on_cpu(), autograph=False)


def on_cpu():
    """Whether TensorFlow computes without a GPU here."""
    return not tf.config.list_physical_devices("GPU")


def check_usable_here():
    """Raise where TensorFlow would hang: in a child forked after it was loaded."""
    if process.forked_after_tensorflow:
        raise RuntimeError(
            "TensorFlow was started before this process was forked, and does not work "
            "in a forked child (it would hang). Start worker processes with joblib's "
            "default backend 'loky', or with multiprocessing's start method 'spawn' "
            "(or 'forkserver', if its server does not import TensorFlow), or use "
            "threads."
        )


if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"skvision needs Keras on TensorFlow, and Keras was set up with the backend "
        f"{keras.backend.backend()!r}. Set the environment variable KERAS_BACKEND to "
        "'tensorflow' before Keras is imported."
    )
_configure()
