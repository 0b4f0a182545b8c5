"""An HTTP server on 127.0.0.1 that fails in chosen ways."""

import contextlib
import http.server
import socket
import struct
import threading
import time
from urllib.parse import parse_qs


class Server(http.server.ThreadingHTTPServer):
    """Answers requests by the functions in `answers`, and remembers the requests.

    `answers` maps a path to a list of functions of the handler. Each is used once, but
    the last one stays.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.reset()

    def reset(self):
        self.answers, self.requests = {}, []
        self.lock = threading.Lock()

    def answer(self, path):
        with self.lock:
            answers = self.answers.get(path, [status(404)])
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def handle_error(self, request, address):
        pass  # clients that hang up


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.form = {k: v[0] for k, v in parse_qs(body.decode()).items()}
        self.server.requests.append((self.command, self.path, self.headers, self.form))
        self.server.answer(self.path)(self)

    do_POST = do_GET

    def log_message(self, *args):
        pass

    def start(self, code=200, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()


@contextlib.contextmanager
def running(tls=None):
    """Run a server, with TLS if there is a context."""
    with Server() as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            server.url = server.url.replace("http", "https")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def serve(content, kind="application/zip"):
    """The right answer, also for a part of the file."""

    def answer(handler):
        start = handler.headers.get("Range", "bytes=0-")[len("bytes=") : -1]
        start, size = int(start), len(content)
        headers = {"Content_Type": kind, "Content_Length": size - start}
        if "Range" not in handler.headers:
            handler.start(200, **headers)
        elif start >= size:
            return handler.start(416, Content_Length=0)
        else:
            total = f"bytes {start}-{size - 1}/{size}"
            handler.start(206, Content_Range=total, **headers)
        handler.wfile.write(content[start:])

    return answer


def status(code, **headers):
    return lambda handler: handler.start(code, **({"Content_Length": 0} | headers))


def redirect(location, code=302):
    return status(code, Location=location)


def broken(content, n_bytes):
    """Only the first bytes of the right answer."""

    def answer(handler):
        start = handler.headers.get("Range", "bytes=0-")[len("bytes=") : -1]
        start, size = int(start), len(content)
        headers = {"Content_Length": size - start}
        if start:
            total = f"bytes {start}-{size - 1}/{size}"
            handler.start(206, Content_Range=total, **headers)
        else:
            handler.start(200, **headers)
        handler.wfile.write(content[start : start + n_bytes])

    return answer


def body(content, code=200, **headers):
    """Any content with any headers; a length of None announces none."""

    def answer(handler):
        given = {"Content_Length": len(content)} | headers
        given = {k: v for k, v in given.items() if v is not None}
        handler.start(code, **given)
        handler.wfile.write(content)

    return answer


def raw(data):
    """These bytes instead of an answer in HTTP."""
    return lambda handler: handler.wfile.write(data)


def hang_up(handler):
    pass


def reset(handler):
    """Drop the connection with an error."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.start(200, Content_Length=1000)
    handler.connection.close()


def silent(handler):
    """Announce a body, and send nothing for longer than the client waits."""
    handler.start(200, Content_Length=1000)
    time.sleep(1)


def drip(data, start=b""):
    """Send byte by byte after the start: too slow, though never silent."""

    def answer(handler):
        handler.wfile.write(start)
        with contextlib.suppress(OSError):
            for i in range(len(data)):
                handler.wfile.write(data[i : i + 1])
                time.sleep(0.05)

    return answer


def chunked(content, is_complete):
    def answer(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.start(200, Transfer_Encoding="chunked")
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        if is_complete:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    return answer
