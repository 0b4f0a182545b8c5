"""Mapping in threads, in order and with a limited number of pending calls."""

import os
from collections import deque

import joblib


def chunks(items, size):
    """Split the sequence `items` into pieces of `size`; the last may be shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def n_threads():
    """Return the number of decoding threads: CPUs, or OMP_NUM_THREADS if that is less.

    joblib sets that variable in its workers so that they share the CPUs.
    """
    limit = os.environ.get("OMP_NUM_THREADS", "").strip()
    n_cpus = max(1, joblib.cpu_count())
    if limit.isdecimal() and int(limit) > 0:
        return min(n_cpus, int(limit))
    return n_cpus


def map_ahead(executor, function, items, ahead):
    """Yield results in order, like `executor.map`, with at most `ahead` calls pending.

    Pending calls are cancelled when a call raises or the consumer stops.
    """
    pending = deque()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
