"""What the benchmarks that race with Keras share.

Keras is imported late: each side is to load TensorFlow as its user would.
"""

import ast
import inspect
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

# The post's augmentation: 0.2 radians when it was written.
POST = {
    "shear_range": float(np.rad2deg(0.2)),
    "zoom_range": 0.2,
    "horizontal_flip": True,
}


def batches_of_keras(folder):
    """Return the post's endless augmented batches of the images in a folder."""
    import tensorflow as tf

    generator = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255, **POST)
    return generator.flow_from_directory(
        folder, target_size=(150, 150), batch_size=16, class_mode="binary"
    )


def epoch_times(seconds):
    """Return a callback that appends the seconds of each epoch to a list."""
    import keras

    class EpochTimes(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            seconds.append(time.perf_counter() - self.start)

    return EpochTimes()


def in_a_new_process(function, *args):
    """Call a function of a test module as a script would, with the memory to itself.

    In one process, what Keras' loop leaves of the memory halves the speed of ours.
    """
    module = Path(inspect.getsourcefile(function))
    folders = [str(module.parent), str(Path(__file__).parent)]
    code = (
        f"import sys; sys.path[:0] = {folders!r}\n"
        f"import {module.stem} as bench\n"
        f"print(bench.{function.__name__}(*{args!r}))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    # As a user has it, and not as conftest.py sets it.
    kept = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    result = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=kept
    )
    return ast.literal_eval(result.stdout.splitlines()[-1])
