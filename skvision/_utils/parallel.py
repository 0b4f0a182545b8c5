"""Mapping in threads, in order and with a limited number of pending calls."""

import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

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


class Threads(ThreadPoolExecutor):
    """A pool of threads that does not keep Ctrl-C waiting.

    At the end of its block, calls that have not begun are cancelled. It waits for those
    that are running, but not after Ctrl-C, or in a generator that is closed: their
    results are dropped, and the threads end with them.
    """

    def __exit__(self, exc_type, exc_value, traceback):
        is_left_early = exc_type is not None and not issubclass(exc_type, Exception)
        self.shutdown(wait=not is_left_early, cancel_futures=True)
        return False


def map_ahead(executor, function, items, ahead):
    """Yield results in order, like `executor.map`, with at most `ahead` calls pending.

    Pending calls are cancelled when a call raises or the consumer stops. Use it in
    `contextlib.closing`: if the garbage collector closed it, an exception raised in it,
    such as the KeyboardInterrupt of Ctrl-C, would be lost.
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


_calls = {}  # name -> Future of a call that has not returned


def run_to_end(name, function):
    """Call `function` in a thread, where Ctrl-C cannot end it halfway.

    After Ctrl-C the caller gets a KeyboardInterrupt, and the call goes on; the next
    caller with that `name` waits for it. At its exit, the process does not wait.
    """
    if (future := _calls.get(name)) is None:
        future = _calls[name] = Future()
        arguments = name, function, future
        threading.Thread(target=_run, args=arguments, daemon=True).start()
    future.result()


def _run(name, function, future):
    try:
        function()
    except BaseException as error:
        del _calls[name]
        future.set_exception(error)
    else:
        del _calls[name]
        future.set_result(None)
