"""Messages, and tables of text."""

import sys


def say(line):
    """Print a message that is not a result."""
    print(line, file=sys.stderr, flush=True)


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
