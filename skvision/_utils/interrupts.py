"""Ctrl-C that is not lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. In a destructor
or the callback of a weak reference, as TensorFlow and `threading` have them, it is
printed and dropped; some C code turns it into a SystemError. So SIGINT is noted, and
raised again at the next check.
"""

import signal
import sys
import threading

_noted = False
_owner = None  # the frame of the outermost block


class Interruptible:
    """A block that Ctrl-C ends with a KeyboardInterrupt, whatever happens to the first.

    It replaces Python's default handler of SIGINT within the block. It does nothing in
    other threads than the main one, and leaves handlers of the user alone.
    """

    def __enter__(self):
        self._is_outermost = False
        if threading.current_thread() is not threading.main_thread():
            return self
        frame, handler = sys._getframe(1), signal.getsignal(signal.SIGINT)
        # The handler is left over if Ctrl-C came at the very end of a block.
        is_left_over = handler is _note and not _is_running(_owner, frame)
        if handler is signal.default_int_handler or is_left_over:
            try:
                self._begin(frame)
            except BaseException:
                self._end()
                raise
        return self

    def _begin(self, frame):
        global _noted, _owner
        self._is_outermost, _noted, _owner = True, False, frame
        signal.signal(signal.SIGINT, _note)

    def _end(self):
        global _owner
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _owner = None

    def __exit__(self, exc_type, exc_value, traceback):
        global _noted
        if self._is_outermost:
            self._end()
        if exc_type is None or issubclass(exc_type, Exception):
            check_interrupt()
        elif issubclass(exc_type, KeyboardInterrupt):
            _noted = False
        return False


def check_interrupt():
    """Raise the KeyboardInterrupt that was lost in an `Interruptible` block, if any."""
    global _noted
    if _noted and threading.current_thread() is threading.main_thread():
        _noted = False
        raise KeyboardInterrupt


def _note(signum, frame):
    global _noted
    _noted = True
    signal.default_int_handler(signum, frame)


def _is_running(owner, frame):
    while frame is not None and frame is not owner:
        frame = frame.f_back
    return frame is not None
