"""Reading single files and members of zip archives that may be hostile.

What a member unpacks to is counted while it is unpacked, since the sizes in the headers
may be false. Each error names the member and the archive.
"""

import contextlib
import io
import os
import stat
import tempfile
import zipfile

# A photo of 50 MB is large. JPEG files are compressed already, so that a member that
# unpacks to 100 times its size is none.
MAX_FILE_BYTES = 50 * 2**20
_MAX_RATIO = 100
_SMALL = 2**20  # bytes that any member may unpack to, whatever its ratio

# An archive inside the archive is copied to a temporary file; Kaggle's has 0.6 GB.
_MAX_INNER_BYTES = 4 * 2**30
_MAX_INNER_RATIO = 10

# For bz2 and lzma zipfile limits only what goes in: little enough that 100 MB come out.
_STEP = 4096
_BOUNDED_STEP = 2**16  # for methods whose output it limits


@contextlib.contextmanager
def open_archive(path, inner_name):
    """Open a zip file, or the file `inner_name` inside it.

    Yields the :class:`zipfile.ZipFile`.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open_regular(path))
        with _zip_errors(f"{path!r} cannot be read as a zip file"):
            archive = stack.enter_context(zipfile.ZipFile(file))
        inner = [
            i for i in archive.infolist() if i.filename.split("/")[-1] == inner_name
        ]
        if inner:
            # Reading it in place would decompress from the start for each image.
            copy = stack.enter_context(tempfile.TemporaryFile())
            name = f"{inner[0].filename!r} in {path!r}"
            limit = _limit(inner[0], _MAX_INNER_BYTES, _MAX_INNER_RATIO)
            _unpack(archive, inner[0], copy, limit, name)
            with _zip_errors(f"{name} cannot be read as a zip file"):
                archive = stack.enter_context(zipfile.ZipFile(copy))
        yield archive


def read_member(archive, member, path):
    """Return the content of a member, which is at most `MAX_FILE_BYTES` long."""
    stream = io.BytesIO()
    limit = _limit(member, MAX_FILE_BYTES, _MAX_RATIO)
    _unpack(archive, member, stream, limit, f"{member.filename!r} in {path!r}")
    return stream.getvalue()


def check_member(member, path):
    """Raise a ValueError if the header alone shows that a member cannot be read."""
    name = f"{member.filename!r} in {path!r}"
    if member.flag_bits & 1:
        raise _error(f"{name} cannot be unpacked", "it is encrypted")
    limit = _limit(member, MAX_FILE_BYTES, _MAX_RATIO)
    if member.file_size > limit:
        raise _too_large(name, limit)


def read_file(path):
    """Return the content of a regular file of at most `MAX_FILE_BYTES` bytes."""
    with open_regular(path) as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise _too_large(repr(path), MAX_FILE_BYTES)
    return content


def open_regular(path):
    """Open a regular file for reading; a pipe or a device could block forever."""
    try:
        # A pipe put there between two calls must not block either.
        descriptor = os.open(
            path,
            os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0),
        )
    except OSError as error:
        reason = f"Cannot open {path!r} ({error.strerror})"
        raise OSError(error.errno, f"{reason}. Check its permissions") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(
            f"{path!r} is a folder, pipe, socket or device, not a regular file. Save "
            "its content to a file, and pass its path."
        )
    return open(descriptor, "rb")


def _limit(member, largest, ratio):
    """Return how many bytes a member may unpack to."""
    return min(largest, max(_SMALL, ratio * member.compress_size))


def _unpack(archive, member, target, limit, name):
    """Write the content of a member to the file `target`."""
    n_bytes = 0
    is_bounded = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    step = _BOUNDED_STEP if is_bounded else _STEP
    with contextlib.ExitStack() as stack:
        with _zip_errors(f"{name} cannot be unpacked"):
            stream = stack.enter_context(archive.open(member))
        while True:
            with _zip_errors(f"{name} cannot be unpacked"):
                piece = stream.read1(step)
            if not piece:
                break
            n_bytes += len(piece)
            if n_bytes > limit:
                raise _too_large(name, limit)
            target.write(piece)


@contextlib.contextmanager
def _zip_errors(what):
    """Raise any error in the block as a ValueError that starts with `what`.

    Damaged archives make zipfile and its compressors raise almost anything.
    """
    try:
        yield
    except Exception as error:
        raise _error(what, str(error).rstrip(".") or type(error).__name__) from error


def _error(what, reason):
    return ValueError(
        f"{what} ({reason}). Expected Kaggle's train.zip or dogs-vs-cats.zip: download "
        "it again."
    )


def _too_large(name, limit):
    return ValueError(
        f"{name} is larger than {limit} bytes, the most that is accepted for its kind "
        "and compressed size. It may be a zip bomb; no photo of Kaggle's dogs-vs-cats "
        "is so large. Download train.zip again."
    )
