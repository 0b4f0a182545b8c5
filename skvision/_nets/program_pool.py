"""A pool of programs, so that fits of the same architecture share traced graphs.

The key contains everything that a program is built from, and a program only returns to
the pool if its attributes are unchanged. So no fit can change the result of another.
"""

import gc
import threading
from collections import OrderedDict
from contextlib import contextmanager

from skvision._nets.backend import check_usable_here
from skvision._nets.optimizers import optimizer_key
from skvision._nets.programs import Program
from skvision._utils.interrupts import check_interrupt
from skvision._utils.progress import Progress

MAX_IDLE_KEYS = 8
MAX_DROPPED_BYTES = 50_000_000

_idle = OrderedDict()
_lock = threading.Lock()
_dropped_bytes = 0  # of programs, since the last garbage collection


@contextmanager
def acquire(network, optimizer=None, dtype="float32", *, is_reusable=True):
    """Provide a program for exclusive use within the block.

    Parameters
    ----------
    network : tuple
        Builder and arguments, as plain values.
    optimizer : dict or None, default=None
        Configuration of the optimizer; None for a program that only predicts.
    dtype : {"float32", "bfloat16"}, default="float32"
        Of the convolutions.
    is_reusable : bool, default=True
        False if somebody may keep the model: later fits must not change its weights.
    """
    check_usable_here()
    key = _key(network, optimizer, dtype)
    program = key and _pop_unmodified(key)
    program = program or _new_program(network, optimizer, dtype)
    try:
        yield program
    except KeyboardInterrupt:
        is_reusable = False  # a graph may be half traced
        raise
    finally:
        if is_reusable and key and program.is_unmodified():
            _release(key, program)
        else:
            _note_dropped([program])


def _new_program(network, optimizer, dtype):
    """Build a program, and free the memory of those that were dropped before.

    Models are in reference cycles, which Python collects after many new objects only,
    however large their arrays are. It takes as long as to trace a small network.
    """
    global _dropped_bytes
    if _dropped_bytes > MAX_DROPPED_BYTES:
        _dropped_bytes = 0
        gc.collect()
    program = Program(network, optimizer, dtype)
    check_interrupt()  # a Ctrl-C in a destructor is lost, and tracing takes seconds
    return program


def _key(network, optimizer, dtype):
    """Return the key of a program, or None if no key can tell what it computes."""
    if optimizer is None:
        return network, None, dtype
    key = optimizer_key(optimizer)
    return key and (network, key, dtype)


def predict_logits(network, weights, views, dtype, label, verbose):
    """Return the outputs of a network with `weights`, for each of several views."""
    unit = "image" if len(views) == 1 else "view"
    with (
        acquire(network, dtype=dtype) as program,
        Progress(label, sum(map(len, views)), unit, verbose) as progress,
    ):
        program.set_weights(weights)
        return [program.logits(view, progress) for view in views]


def _pop_unmodified(key):
    """Return an idle program, or None; drop those that were modified while idle."""
    while True:
        with _lock:
            programs = _idle.get(key)
            if not programs:
                return None
            program = programs.pop()
        if program.is_unmodified():  # a callback may have kept the model
            return program


def _release(key, program):
    with _lock:
        _idle.setdefault(key, []).append(program)
        _idle.move_to_end(key)
        while len(_idle) > MAX_IDLE_KEYS:
            _, programs = _idle.popitem(last=False)
            _note_dropped(programs)


def _note_dropped(programs):
    global _dropped_bytes
    _dropped_bytes += sum(program.n_bytes() for program in programs)
