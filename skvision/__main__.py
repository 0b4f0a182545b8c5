"""The command line: ``python -m skvision``, or the script ``skvision``."""

import contextlib
import importlib
import os
import sys
import warnings

from skvision._cli.parser import UsageError, build_parser
from skvision.exceptions import ImageReadError, SkvisionError, WeightsNotFoundError

_ERROR = 1
_INTERRUPTED = 130  # as shells report a process that Ctrl-C ended


def main(argv=None):
    """Run the command in `argv`, by default that of the process; return exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    _print_any_name()
    try:
        with _short_warnings():
            # Only now, so that help and usage errors are fast.
            command = importlib.import_module(f"skvision._cli.{args.command}")
            status = command.run(args)
        sys.stdout.flush()
        return status or 0
    except UsageError as error:
        args.parser.error(str(error))
    except BrokenPipeError:  # such as `| head`
        # Python flushes it again at exit.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _ERROR
    except KeyboardInterrupt:
        _report("interrupted")
        return _INTERRUPTED
    except ImageReadError as error:
        from skvision._cli.texts import read_error_text

        folder = getattr(args, "folder", None)
        _report(f"error: {_one_line(read_error_text(error, folder))}")
        return _ERROR
    except WeightsNotFoundError as error:  # a list of what was tried
        _report(f"error: {error}")
        return _ERROR
    except (SkvisionError, ValueError, OSError, ImportError) as error:
        _report(f"error: {_describe(error)}")
        return _ERROR


def _print_any_name():
    """Let names of files be printed that are not valid text."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    errors = "surrogateescape" if encoding == "utf8" else "backslashreplace"
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors=errors)


@contextlib.contextmanager
def _short_warnings():
    """Print each warning as one line, without the place in the code."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _report(
            f"warning: {_one_line(message)}"
        )
        yield


def _describe(error):
    if isinstance(error, OSError) and error.strerror:
        file = f": {error.filename!r}" if error.filename is not None else ""
        return _one_line(f"{error.strerror}{file}")
    return _one_line(error) or type(error).__name__


def _one_line(text):
    return " ".join(line.strip() for line in str(text).splitlines())


def _report(line):
    print(f"skvision: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
