"""Download of a large file whose size and digest are known, resumed after breaks."""

import contextlib
import hashlib
import os
import re

from skvision._utils.files import make_folder
from skvision._utils.http import (
    TryAgain,
    content_length,
    opened,
    received,
    retrying,
)
from skvision._utils.locks import locked
from skvision._utils.progress import Progress
from skvision._utils.warning import warn
from skvision.exceptions import DownloadError

# A try that brings as many bytes as this is no failure, however it ends.
_PROGRESS = 2**20


def download(url, path, *, size, sha256, n_retries, delay, label):
    """Download a file, unless it is there, and check its digest before it has its name.

    What has arrived is kept in a hidden file beside it, from which the next call goes
    on. Other processes that want the same file wait for this one.

    Parameters
    ----------
    url, path : str
    size : int
        The size of the file in bytes.
    sha256 : str
        Its SHA-256 digest, in hexadecimal.
    n_retries : int
        How often a try that brings nothing is repeated.
    delay : float
        The seconds before the first of them.
    label : str
        Label of the progress bar.
    """
    folder, name = os.path.split(os.path.abspath(path))
    make_folder(folder)
    part = os.path.join(folder, f".{name}.part")
    with locked(os.path.join(folder, f".{name}.lock")):
        if os.path.lexists(path):
            if is_file(path, size, sha256):
                return
            warn(f"{path!r} is damaged and is downloaded again.")
        _Download(url, part, size, sha256, label).run(n_retries, delay)
        os.replace(part, path)


def is_file(path, size, sha256):
    """Return whether a file has this size and digest."""
    return _size(path) == size and _digest(path) == sha256


class _Download:
    """A download to the file `part`."""

    def __init__(self, url, part, size, sha256, label):
        self.url, self.part, self.size, self.sha256 = url, part, size, sha256
        self.label = label

    def run(self, n_retries, delay):
        self.most = _size(self.part)  # bytes that an earlier try has reached
        with Progress(self.label, self.size, "B", 1, min(self.most, self.size)) as bar:
            self.progress = bar
            retrying(self._attempt, self.url, n_retries, delay)

    def _attempt(self):
        start = _size(self.part)
        try:
            if start < self.size:
                self._fetch(start)
            self._check(is_resumed=start > 0)
        except TryAgain as error:
            n_bytes = _size(self.part)
            error.has_progressed = n_bytes >= self.most + _PROGRESS
            self.most = max(n_bytes, self.most)
            raise

    def _fetch(self, start):
        """Fetch the bytes from `start` on."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            with opened(self.url, headers=headers) as response:
                start = self._start_of(response, start)
                with self._writing(start) as write:
                    for part in received(response, self.url, self.size - start):
                        write(part)
        except TryAgain as error:
            if error.status == 416:  # what is there is not from this file
                self._discard()
            raise

    def _start_of(self, response, start):
        """Return where the body of the response starts in the file."""
        if response.status == 206:
            found = response.headers.get("Content-Range", "")
            expected = rf"bytes {start}-{self.size - 1}/({self.size}|\*)"
            if not start or not re.fullmatch(expected, found.strip()):
                self._discard()
                raise TryAgain("the server sends another part than was asked for")
            return start
        length = content_length(response)
        if response.status != 200 or (length is not None and length != self.size):
            raise TryAgain(
                f"the server offers {length} bytes where {self.size} are expected, "
                f"with HTTP status {response.status}"
            )
        return 0

    @contextlib.contextmanager
    def _writing(self, start):
        """Yield a function that writes to the file, from its end on, or from 0."""
        with self._disk_errors():
            file = open(self.part, "ab" if start else "wb")
        try:
            self.progress.add(start - self.progress.n)

            def write(data):
                with self._disk_errors():
                    file.write(data)
                self.progress.add(len(data))

            yield write
            with self._disk_errors():
                file.flush()
                os.fsync(file.fileno())
        finally:
            with self._disk_errors():
                file.close()

    def _check(self, is_resumed):
        """Raise unless the file is complete; discard it if it is another one."""
        n_bytes = _size(self.part)
        if n_bytes < self.size:
            raise TryAgain(f"{n_bytes} of {self.size} bytes have arrived")
        if is_file(self.part, self.size, self.sha256):
            return
        self._discard()
        reason = f"the SHA-256 digest is not {self.sha256}"
        if is_resumed:  # perhaps the parts come from two versions of the file
            raise TryAgain(reason)
        raise DownloadError(
            f"Cannot use {self.url}: {reason}. The server has another file than "
            "expected, or a proxy changes it. Nothing was kept; call again later, or "
            "update skvision."
        )

    def _discard(self):
        with self._disk_errors(), contextlib.suppress(FileNotFoundError):
            os.unlink(self.part)

    @contextlib.contextmanager
    def _disk_errors(self):
        try:
            yield
        except OSError as error:
            raise OSError(
                error.errno,
                f"Cannot write {self.part!r} ({error.strerror}). {self.size / 1e6:,.0f}"
                " MB are needed there; what has arrived is kept, and the next call "
                "goes on from there",
            ) from error


def _size(path):
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
