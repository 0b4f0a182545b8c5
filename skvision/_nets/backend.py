"""The only module that imports TensorFlow and Keras.

Other modules import them from here lazily (inside a function, or in a module that is
itself imported lazily), so that ``import skvision`` stays fast. Process-wide settings
are made here once: threads, GPU memory, oneDNN, log level.
"""

import functools
import os

from skvision._utils import process
from skvision._utils.parallel import n_threads, run_to_end


def _load():
    _check_backend(os.environ.get("KERAS_BACKEND") or "tensorflow")
    with process.tensorflow_start():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()
    _check_backend(keras.backend.backend())


def _check_backend(name):
    if name != "tensorflow":
        raise ImportError(
            f"skvision requires Keras with the backend 'tensorflow'. Got {name!r} "
            "instead. Set the environment variable KERAS_BACKEND to 'tensorflow' "
            "before Keras is imported."
        )


# An import that Ctrl-C ends halfway cannot be repeated in the same process.
run_to_end("TensorFlow", _load)

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

try:  # private
    from tensorflow.python.framework.ops import gradient_registry

    _gradients = gradient_registry._registry
except (ImportError, AttributeError):
    _gradients = {}

__all__ = [
    "check_usable_here",
    "compiled",
    "keras",
    "on_cpu",
    "tf",
    "traced",
    "xla_compiles",
]


def _configure():
    """Limit threads to this process's share, and let GPU memory grow as needed."""
    threads = n_threads()
    if threads < (os.cpu_count() or 1):
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:
            pass  # TensorFlow is already running, with the user's settings.
    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except RuntimeError:
            pass


def traced(function):
    """Return `function` as a TensorFlow graph.

    XLA is not used, because it makes convolutions slower on a CPU. The warning about
    frequent retracing is turned off: it would appear for each new architecture of a
    search.
    """
    function = _without_registrations(function)
    function = tf.function(function, jit_compile=False, autograph=False)
    function._omit_frequent_tracing_warning = True  # private attribute
    return function


def _without_registrations(function):
    """Return `function`, whose custom gradients are not registered after its trace.

    TensorFlow registers each under a new name, and keeps it, with the graph and its
    variables, until the process ends. A tape within `function` does not need that.
    """

    @functools.wraps(function)
    def forgetting(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        finally:
            # Other threads may register theirs meanwhile.
            for op in tf.compat.v1.get_default_graph().get_operations():
                if op.type == "IdentityN":
                    name = op.node_def.attr["_gradient_op_type"].s.decode()
                    _gradients.pop(name, None)

    return forgetting


def compiled(function):
    """Return `function`, a part of a traced function, compiled by XLA.

    XLA fuses elementwise operations on large arrays into one loop.
    """
    return tf.function(function, jit_compile=True, autograph=False)


@functools.cache
def xla_compiles():
    """Return whether XLA works; TensorFlow may have been built without it."""
    # TensorFlow 2.19 prints at any log level what XLA logs when it first compiles: not
    # all of it appears without a loop, hence an array.
    with process.quiet_tensorflow():
        try:
            return bool((compiled(tf.exp)(tf.zeros(1000)).numpy() == 1).all())
        except Exception:  # the type of the error depends on the platform
            return False


def on_cpu():
    """Return whether TensorFlow has no GPU, or has been told not to use it."""
    return not tf.config.get_visible_devices("GPU")


def check_usable_here():
    """Raise where TensorFlow would hang, or operations would not be executed."""
    if process.forked_after_tensorflow:
        raise RuntimeError(
            "TensorFlow was loaded before this process was forked, and would hang in a "
            "forked process. Start worker processes with joblib's default backend "
            "'loky', or with multiprocessing's start method 'spawn' (or 'forkserver', "
            "if its server does not import TensorFlow), or use threads."
        )
    if not tf.executing_eagerly() or tf.distribute.has_strategy():
        raise RuntimeError(
            "skvision needs TensorFlow's eager execution. Call it outside of "
            "tf.function, tf.Graph and tf.distribute.Strategy.scope, without "
            "tf.compat.v1.disable_eager_execution or disable_v2_behavior, and in "
            "tf.data.Dataset.map through tf.numpy_function."
        )


_configure()
