"""Helpers for benchmarks that compare skvision with plain Keras.

Keras is imported inside the functions, so that each side loads TensorFlow the way its
users do.
"""

import ast
import inspect
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

# Augmentation of Chollet (2016), when `shear_range` was in radians.
CHOLLET = {
    "shear_range": float(np.rad2deg(0.2)),
    "zoom_range": 0.2,
    "horizontal_flip": True,
}


def keras_batches(folder, image_size=(150, 150)):
    """Return endless augmented batches of a folder, as in Chollet (2016)."""
    import tensorflow as tf

    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rescale=1 / 255, **CHOLLET
    )
    return generator.flow_from_directory(
        folder, target_size=image_size, batch_size=16, class_mode="binary"
    )


def epoch_times(seconds):
    """Return a callback that appends the duration of each epoch to a list."""
    import keras

    class EpochTimes(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            seconds.append(time.perf_counter() - self.start)

    return EpochTimes()


def run_in_new_process(function, *args):
    """Call a function of a test module in a new process and return its result.

    In the same process, skvision would run at half the speed, because of the memory
    that Keras' loop leaves behind.
    """
    module = Path(inspect.getsourcefile(function))
    folders = [str(module.parent), str(Path(__file__).parent)]
    code = (
        f"import sys; sys.path[:0] = {folders!r}\n"
        f"import {module.stem} as bench\n"
        f"print(bench.{function.__name__}(*{args!r}))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    # Without this setting of conftest.py, which users do not have.
    kept = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    result = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=kept
    )
    return ast.literal_eval(result.stdout.splitlines()[-1])
