"""Messages, and tables of text."""

import shlex
import sys

from skvision._images.inputs import REMEDY


def say(line):
    """Print a message that is not a result."""
    print(line, file=sys.stderr, flush=True)


def read_error_text(error, folder=None):
    """Return the message of an `ImageReadError`, with advice for the command line."""
    advice = ""
    if folder is not None:
        advice = (
            f"`skvision check {shlex.quote(folder)}` lists all images that cannot be "
            "read: correct or remove them."
        )
    return str(error).replace(REMEDY, advice).strip()


def table(rows):
    """Return rows of str as lines: the first column to the left, others to the right.

    The first row is the heading.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row, widths):
    first, *others = zip(row, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
    return "  ".join(cells).rstrip()
