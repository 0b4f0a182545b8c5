"""Requests over HTTPS whose time, size and redirects are bounded.

Errors that may vanish raise `TryAgain`, others `DownloadError`. Messages never contain
what was sent in the body of a request.
"""

import contextlib
import datetime
import email.utils
import http.client
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from skvision._utils.progress import Progress
from skvision.exceptions import DownloadError

SCHEMES = ("https",)
_SECONDS_WITHOUT_BYTES = 30
# Of the headers as a whole, and of each stretch of the body with too few bytes.
_STALL_SECONDS = 60
_MIN_BYTES_PER_STALL = 300_000

# Waits between tries: the longest of ours, and the longest that a server may ask for.
_MAX_DELAY = 120
_MAX_RETRY_AFTER = 600

_PART = 2**18  # bytes
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504, 507, 509}

_sleep = time.sleep  # tests do not wait


class TryAgain(Exception):
    """A failure that may vanish.

    Parameters
    ----------
    reason : str
    wait : float, default=0
        The seconds that the server asks to wait.
    status : int, default=None
        The HTTP status, if it is the reason.
    """

    def __init__(self, reason, wait=0.0, status=None):
        super().__init__(reason)
        self.wait, self.status = wait, status
        self.has_progressed = False


def retrying(attempt, what, n_retries, delay):
    """Return ``attempt()``, repeated while it raises `TryAgain`.

    Gives up after `n_retries` repetitions without progress. Waits `delay` seconds
    before the first one, and twice as long before each other.
    """
    failures = 0
    while True:
        try:
            return attempt()
        except TryAgain as error:
            failures = 1 if error.has_progressed else failures + 1
            reason, asked = str(error), error.wait
        if failures > n_retries or asked > _MAX_RETRY_AFTER:
            later = f", and asks to wait {asked:.0f} s" if asked else ""
            tries = f"{failures} time{'s' if failures > 1 else ''}"
            raise DownloadError(
                f"Cannot download {what}: it failed {tries} ({reason}{later}). Check "
                "the connection and call again later: what has arrived is kept where "
                "it can be resumed."
            )
        _sleep(max(min(delay * 2 ** min(failures - 1, 20), _MAX_DELAY), asked))


def read_url(url, *, data=None, max_bytes, label=None, redirects=True):
    """Return the body of a response, in memory; a single attempt.

    Parameters
    ----------
    url : str
    data : dict, default=None
        What to post; None means a GET request.
    max_bytes : int
        The largest body.
    label : str, default=None
        Label of a progress bar; None draws none.
    redirects : bool, default=True
        Whether to follow redirects.
    """
    parts = []
    with opened(url, data=data, redirects=redirects) as response:
        size = content_length(response)
        if size is not None and size > max_bytes:
            raise _too_large(url, max_bytes)
        with Progress(label, size, "B", verbose=int(label is not None)) as progress:
            for part in received(response, url, max_bytes):
                parts.append(part)
                progress.add(len(part))
    return b"".join(parts)


@contextlib.contextmanager
def opened(url, *, headers=None, data=None, redirects=True):
    """Open a URL; yields the response, an :class:`http.client.HTTPResponse`."""
    _check_scheme(url, url)
    body = None if data is None else urllib.parse.urlencode(data).encode()
    headers = {"User-Agent": "skvision", **(headers or {})}
    handler = _Redirects() if redirects else _NoRedirects()
    opener = urllib.request.build_opener(_Http, _Https, handler)
    failure = None
    try:
        request = urllib.request.Request(url, body, headers)
        response = opener.open(request, timeout=_SECONDS_WITHOUT_BYTES)
    except urllib.error.HTTPError as error:
        error.close()
        failure = _status_error(error, url)
    except (OSError, http.client.HTTPException, ValueError) as error:
        failure = _as_failure(error, url)
    if failure is not None:
        raise failure  # here, without a context that has what the server sent
    with response:
        yield response


def received(response, url, max_bytes):
    """Yield the body in parts, which ends as the headers say, and not too slowly."""
    size, n_bytes = content_length(response), 0
    start, n_at_start = time.monotonic(), 0
    while size is None or n_bytes < size:
        try:
            part = response.read1(_PART)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _as_failure(error, url) from None
        if not part:
            break
        n_bytes += len(part)
        if n_bytes > max_bytes:
            raise _too_large(url, max_bytes)
        yield part
        now = time.monotonic()
        if now - start > _STALL_SECONDS:
            if n_bytes - n_at_start < _MIN_BYTES_PER_STALL:
                raise TryAgain("the server sends too slowly")
            start, n_at_start = now, n_bytes
    if size is not None and n_bytes != size:
        raise TryAgain(f"{n_bytes} bytes came where {size} were announced")


def content_length(response):
    """Return the announced length of the body, or None."""
    text = response.headers.get("Content-Length", "").strip()
    is_length = text.isascii() and text.isdigit() and len(text) < 16
    return int(text) if is_length and not response.chunked else None


class _HeaderDeadline:
    """A connection whose headers must arrive in time, however slowly they drip."""

    def getresponse(self):
        timer = threading.Timer(_STALL_SECONDS, _shut_down, (self.sock,))
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        finally:
            timer.cancel()


def _shut_down(connection):
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Bounded:
    def do_open(self, http_class, request, **settings):
        bases = (_HeaderDeadline, http_class)
        return super().do_open(type("Connection", bases, {}), request, **settings)


class _Http(_Bounded, urllib.request.HTTPHandler):
    pass


class _Https(_Bounded, urllib.request.HTTPSHandler):
    pass


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to accepted schemes."""

    def http_error_302(self, request, response, *arguments):
        response.close()  # or urllib would read its body, of any size
        return super().http_error_302(request, response, *arguments)

    http_error_301 = http_error_303 = http_error_302
    http_error_307 = http_error_308 = http_error_302

    def redirect_request(self, request, response, code, message, headers, url):
        _check_scheme(url, request.full_url)
        return super().redirect_request(request, response, code, message, headers, url)


class _NoRedirects(_Redirects):
    """Makes redirects errors."""

    def redirect_request(self, *arguments):
        return None


def _check_scheme(url, origin):
    scheme = urllib.parse.urlsplit(url).scheme.lower()
    if scheme not in SCHEMES:
        redirected = "" if url == origin else f" is redirected to {scheme!r}, and"
        raise DownloadError(
            f"{origin}{redirected} cannot be downloaded safely. Only "
            f"{' and '.join(SCHEMES)} is accepted: the network may change answers."
        )


def _status_error(error, url):
    """Return the exception for an answer that is not a success."""
    reason = f"HTTP status {error.code}"
    if error.code in _TRANSIENT or error.code == 416:
        return TryAgain(reason, _retry_after(error.headers), error.code)
    if error.code in range(300, 400):
        reason += ", a redirect that is not followed"
    return DownloadError(
        f"Cannot download {url} ({reason}). Repeating it would not help: the address "
        "may have moved, or access may be denied."
    )


def _retry_after(headers):
    """Return the seconds that the header Retry-After asks for, as number or date."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        date = email.utils.parsedate_to_datetime(text)
        now = datetime.datetime.now(date.tzinfo)
        return max(0.0, (date - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _as_failure(error, url):
    """Return the exception for an error of the connection."""
    if isinstance(error, DownloadError):
        return error
    cause = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return DownloadError(
            f"Cannot download {url}: the certificate of the server is not valid "
            f"({cause.verify_message}). A proxy may be changing the connection."
        )
    if isinstance(error, ValueError | http.client.InvalidURL):
        return DownloadError(f"Cannot download {url}: the address is not valid.")
    # Not the text of other errors, in which servers may repeat what was sent to them.
    text = f": {cause.strerror or cause}" if isinstance(cause, OSError) else ""
    return TryAgain(f"{type(cause).__name__}{text}")


def _too_large(url, max_bytes):
    return DownloadError(
        f"{url} has more than {max_bytes} bytes, the most that is accepted here. The "
        "server may have sent something else."
    )
