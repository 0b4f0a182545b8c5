"""Limits of what a worker receives: bytes, seconds, and uploads at the same time."""

import asyncio
import contextlib

from starlette.exceptions import HTTPException


class UploadLimits:
    """ASGI middleware that ends uploads which are too large or too slow.

    Nothing is stored: it counts while the application reads.

    Parameters
    ----------
    app : ASGI application
    max_bytes : int
        Bytes of a request's body.
    max_seconds : float
        Time in which a body must have arrived.
    max_uploads : int
        Requests with a body that are worked on at the same time; others are told to try
        again, and do not count while the rest of their body is dropped.
    """

    def __init__(self, app, *, max_bytes, max_seconds, max_uploads):
        self.app = app
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds
        self.max_uploads = max_uploads
        self.n_uploads = 0

    async def __call__(self, scope, receive, send):
        headers = dict(scope.get("headers", ()))
        if not headers.keys() & {b"content-length", b"transfer-encoding"}:
            return await self.app(scope, receive, send)
        upload = _Upload(self, headers, receive, send)
        self.n_uploads += not upload.is_busy
        try:
            await self.app(scope, upload.receive, upload.send)
        finally:
            self.n_uploads -= not upload.is_busy


class _Upload:
    """One request: `receive` raises the errors that the application answers with."""

    def __init__(self, limits, headers, receive, send):
        self._limits, self._receive, self._send = limits, receive, send
        self._deadline = asyncio.get_running_loop().time() + limits.max_seconds
        self.is_busy = limits.n_uploads >= limits.max_uploads
        self._n_bytes, self._is_complete = 0, False
        length = headers.get(b"content-length", b"0")
        self._announced = int(length) if length.isdigit() else 0

    async def receive(self):
        if self._is_complete:  # the next message is that the client has gone
            return await self._receive()
        if self.is_busy:
            self._refuse(503, "The service is busy. Try again in a minute.")
        self._check(self._announced)
        message = await self._next()
        self._n_bytes += len(message.get("body", b""))
        self._check(self._n_bytes)
        return message

    async def send(self, message):
        """Send the answer; if it comes before the end of the upload, drop the rest.

        If the connection was closed while the client sends, many clients would not see
        the answer; if it stayed open, they could send for ever.
        """
        if self._is_complete:
            return await self._send(message)
        if message["type"] == "http.response.start":
            headers = [*message["headers"], (b"connection", b"close")]
            return await self._send(message | {"headers": headers})
        await self._send(message | {"more_body": True})
        if message.get("more_body"):
            return
        with contextlib.suppress(HTTPException):
            while not self._is_complete:
                await self._next()
        await self._send({"type": "http.response.body", "body": b""})

    async def _next(self):
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self._refuse(
                408,
                f"The image had not arrived after {self._limits.max_seconds:g} s. Send "
                "a smaller one.",
            )
        self._is_complete = not message.get("more_body", False)
        return message

    def _check(self, n_bytes):
        if n_bytes > self._limits.max_bytes:
            self._refuse(
                413,
                f"The upload has at least {n_bytes / 1e6:.1f} MB. At most "
                f"{self._limits.max_bytes / 1e6:g} MB are accepted.",
            )

    def _refuse(self, status, reason):
        raise HTTPException(
            status, reason, {"Retry-After": "60"} if status == 503 else {}
        )
