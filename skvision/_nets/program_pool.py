"""A pool of programs, so that fits of one architecture share its traced graphs.

The key holds everything that a program is built from, and only programs that equal a
new one are released back into the pool: no fit can change the result of another.
"""

import threading
from collections import OrderedDict
from contextlib import contextmanager

from skvision._nets.backend import check_usable_here
from skvision._nets.optimizers import optimizer_key
from skvision._nets.programs import Program

MAX_IDLE_KEYS = 8

_idle = OrderedDict()
_lock = threading.Lock()


@contextmanager
def acquire(network, optimizer=None):
    """Return a program of this architecture that nobody else uses in the block.

    Parameters
    ----------
    network : tuple
        Builder and arguments, plain values.
    optimizer : dict or None, default=None
        Configuration of the optimizer; None for a program that only predicts.
    """
    check_usable_here()
    key = network, optimizer_key(optimizer)
    with _lock:
        waiting = _idle.get(key, [])
        program = waiting.pop() if waiting else None
    if program is None:
        program = Program(network, optimizer)
    try:
        yield program
    finally:
        if program.is_as_built():
            _release(key, program)


def predict_logits(network, weights, data):
    """Return the logits, of shape (n, n_outputs), of a network with `weights`."""
    with acquire(network) as program:
        program.set_weights(weights)
        return program.logits(data)


def _release(key, program):
    with _lock:
        _idle.setdefault(key, []).append(program)
        _idle.move_to_end(key)
        while len(_idle) > MAX_IDLE_KEYS:
            _idle.popitem(last=False)
