"""Progress of long computations: bars by tqdm, or lines of text.

`verbose` means the same in all estimators. 0: nothing. 1: a bar for each phase; where
none can be drawn, such as in a log file, a line each minute and one at the end. 2: a
line for each epoch, and for each other pass over the images.
"""

import functools
import importlib.util
import multiprocessing
import os
import sys
import threading
from time import perf_counter

# Of a bar, and of lines in a log file.
_SECONDS_BETWEEN_UPDATES = 0.1
_SECONDS_BETWEEN_LINES = 60


class Progress:
    """The progress of a pass over data, within a `with` block.

    Parameters
    ----------
    label : str
        Name of the phase.
    total : int
        Number of units.
    unit : str
        What is counted, in the singular, or "B" for bytes.
    verbose : int
    start : int, default=0
        Number of units completed before.
    """

    _count = "{n_fmt}"

    def __init__(self, label, total, unit, verbose, start=0):
        self.label, self.total, self.unit = label, total, unit
        self.verbose, self.n, self.bar = verbose, start, None

    def __enter__(self):
        self.start = perf_counter()
        if self.verbose == 1 and sys.stderr is not None:
            self.bar = _open_bar(
                desc=self.label,
                total=self.total,
                unit=self.unit,
                unit_scale=self.unit == "B",
                initial=self.n,
                miniters=0,
                bar_format=f"{{l_bar}}{{bar}}| {self._count}/{{total_fmt}} "
                "[{elapsed}<{remaining}, {rate_fmt}{postfix}]",
            )
        return self

    def __exit__(self, error, *_):
        if self.bar is not None:
            if error is None:  # it may have ended early, which is no error
                self.bar.total = self.bar.n
            self.bar.close()
        elif self.verbose > 1 and error is None:
            self._print_summary()

    def add(self, n):
        """Record that `n` more units are complete."""
        self.n += n
        if self.bar is not None:
            self.bar.update(n)

    def _print_summary(self):
        seconds = perf_counter() - self.start
        rate = f"{self.n / max(seconds, 1e-6):.1f} {self.unit}s/s"
        _print_line(f"{self.label}: {self.n} {self.unit}s, {seconds:.1f} s, {rate}")


class EpochProgress(Progress):
    """The progress of a training; a bar also moves within epochs."""

    _count = "{n:g}"

    def __init__(self, label, n_epochs, verbose, start=0):
        super().__init__(label, n_epochs, "epoch", verbose, start)
        self.logs = {}

    def end_batch(self, fraction, logs):
        """Record that a fraction of the epoch is complete."""
        if self.bar is not None:
            self._move_bar(self.n + fraction, logs)

    def end_epoch(self, logs):
        self.n += 1
        if self.bar is not None:
            self._move_bar(self.n, logs)
        elif self.verbose > 1:
            seconds, self.start = perf_counter() - self.start, perf_counter()
            metrics = (f"{name} {value:.4f}" for name, value in logs.items())
            epoch = f"{self.label}: epoch {self.n}/{self.total}, {seconds:.1f} s"
            _print_line(", ".join([epoch, *metrics]))

    def _move_bar(self, n, logs):
        self.logs |= logs  # within an epoch, with the previous validation scores
        n = round(n, 1)
        self.bar.set_postfix(self.logs, refresh=False)
        self.bar.update(n - self.bar.n)
        self.bar.n = n  # without rounding errors

    def _print_summary(self):
        pass


def _open_bar(**settings):
    """Return a bar of tqdm, for a terminal, a notebook or a log file."""
    in_notebook = "ipykernel.zmqshell" in sys.modules
    in_main = multiprocessing.current_process().name == "MainProcess"
    if in_notebook:
        if not _has_widgets():
            settings["file"] = sys.stdout  # not red, as stderr is
    elif not in_main or not sys.stderr.isatty():
        lines = _Lines()
        bar = _bar_class()(
            mininterval=_SECONDS_BETWEEN_LINES, position=0, file=lines, **settings
        )
        lines.stream = sys.stderr
        return bar
    # In containers and CI services the size of a terminal is often given as 0 x 0.
    no_size = {"ncols": 100, "nrows": 24}
    size = no_size if _width() == 0 else {"dynamic_ncols": True}
    return _bar_class()(mininterval=_SECONDS_BETWEEN_UPDATES, **size, **settings)


def _width():
    """Return the number of columns of the terminal, or None if there is none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (AttributeError, OSError, ValueError):
        return None


def _has_widgets():
    return importlib.util.find_spec("ipywidgets") is not None


@functools.cache
def _bar_class():
    if _has_widgets():
        from tqdm.auto import tqdm
    else:  # in a notebook, `tqdm.auto` would warn
        from tqdm.std import tqdm

    class Bar(tqdm):
        monitor_interval = 0  # no thread, which would make forks unsafe

    # Not tqdm's lock between processes, for which Python may start another process.
    Bar.set_lock(threading.RLock())
    return Bar


class _Lines:
    """A file for tqdm that replaces updates in place by lines."""

    stream = None  # set after the line at 0 %

    def write(self, text):
        if self.stream is not None and (text := text.strip()):
            self.stream.write(text + "\n")
            self.stream.flush()

    def flush(self):
        pass


def _print_line(text):
    print(text, flush=True)
