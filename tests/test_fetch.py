"""Downloads from a server on 127.0.0.1 that fails in every way we could think of."""

import csv
import email.utils
import errno
import functools
import hashlib
import io
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from _server import (
    body,
    broken,
    chunked,
    drip,
    hang_up,
    raw,
    redirect,
    reset,
    running,
    serve,
    silent,
    status,
)
from PIL import Image

import skvision
from skvision._utils import download, http
from skvision._utils.locks import locked
from skvision.datasets import (
    _cats_vs_dogs,
    _flickr_api,
    _flickr_collector,
    fetch_cats_vs_dogs,
    fetch_flickr_images,
    load_image_files,
)
from skvision.exceptions import DownloadError, SkvisionWarning


@functools.cache
def jpeg(seed):
    rng = np.random.default_rng(seed)
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(
        stream, "JPEG", quality=50
    )
    return stream.getvalue()


def make_archive():
    """5 + 2 photos of each class, of which Cat/2 is empty and Dog/1 truncated."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("PetImages/", "")
        for k, kind in enumerate(("Cat", "Dog")):
            for i in (10, 0, 1, 2, 3, 4, 5):
                content = jpeg(100 * k + i)
                if (kind, i) == ("Cat", 2):
                    content = b""
                if (kind, i) == ("Dog", 1):
                    content = content[:200]
                archive.writestr(f"PetImages/{kind}/{i}.jpg", content)
            archive.writestr(f"PetImages/{kind}/Thumbs.db", "system")
        archive.writestr("readme[1].txt", "text")
    return stream.getvalue()


ARCHIVE = make_archive()
SIZE = len(ARCHIVE)
OTHER = bytes(byte ^ 1 for byte in ARCHIVE)  # of the same length
NAME = "kagglecatsanddogs_5340.zip"
NUMBERS = {
    "train/cats": [0, 1, 3],
    "train/dogs": [0, 2, 3],
    "validation/cats": [4, 5],
    "validation/dogs": [4, 5],
}


@pytest.fixture(scope="module")
def shared_server():
    with running() as server:
        yield server


@pytest.fixture
def waits():
    return []


@pytest.fixture
def server(shared_server, monkeypatch, waits):
    """The server, to which all downloads are directed, and short time limits."""
    shared_server.reset()
    url = shared_server.url
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("FLICKR_API_KEY", raising=False)
    monkeypatch.setattr(http, "SCHEMES", ("http",))
    monkeypatch.setattr(http, "_sleep", waits.append)
    monkeypatch.setattr(http, "_SECONDS_WITHOUT_BYTES", 0.3)
    monkeypatch.setattr(http, "_STALL_SECONDS", 0.3)
    monkeypatch.setattr(_cats_vs_dogs, "URL", f"{url}/{NAME}")
    monkeypatch.setattr(_cats_vs_dogs, "SIZE", SIZE)
    digest = hashlib.sha256(ARCHIVE).hexdigest()
    monkeypatch.setattr(_cats_vs_dogs, "SHA256", digest)
    monkeypatch.setattr(_flickr_api, "API_URL", f"{url}/rest/")
    monkeypatch.setattr(_flickr_api, "PHOTO_HOSTS", (".127.0.0.1",))
    return shared_server


def fetch_cats(home, **settings):
    return fetch_cats_vs_dogs(
        data_home=home, n_train=3, n_validation=2, delay=1, **settings
    )


def visible(folder):
    """Return all files that are not hidden."""
    files = (path.relative_to(folder) for path in Path(folder).rglob("*"))
    return sorted(
        str(path)
        for path in files
        if (Path(folder) / path).is_file()
        and not any(part.startswith(".") for part in path.parts)
    )


def check_cats(data, home):
    """Check every byte of the result."""
    folder = home / "cats_vs_dogs"
    assert (folder / NAME).read_bytes() == ARCHIVE
    photos = {}
    with zipfile.ZipFile(io.BytesIO(ARCHIVE)) as archive:
        for place, numbers in NUMBERS.items():
            kind = place.split("/")[1][:-1]
            for i in numbers:
                content = archive.read(f"PetImages/{kind.capitalize()}/{i}.jpg")
                photos[f"3_2/{place}/{kind}.{i}.jpg"] = content
    assert visible(folder) == sorted([*photos, "3_2/left_out.txt", NAME])
    assert all((folder / name).read_bytes() == photos[name] for name in photos)
    assert sorted(data.train.target) == ["cats"] * 3 + ["dogs"] * 3
    assert sorted(data.validation.target) == ["cats"] * 2 + ["dogs"] * 2
    assert "left out: 2\n- PetImages/Cat/2.jpg\n- PetImages/Dog/1.jpg" in data.DESCR
    hidden = {p.name for p in folder.iterdir() if p.name.startswith(".")}
    assert not hidden


# Faults after which the same call goes on: one or more answers before the right one.
HALF = SIZE // 2
BREAK = broken(ARCHIVE, HALF)


def no_ranges(handler):
    if "Range" in handler.headers:
        return status(416)(handler)
    serve(ARCHIVE)(handler)


RANGE = f"bytes {HALF}-{SIZE - 1}/{SIZE}"
PASSING = {
    "broken off": [BREAK],
    "broken off twice": [BREAK, broken(ARCHIVE, 100)],
    "broken off at the first byte": [broken(ARCHIVE, 0)],
    "broken off at the last byte": [broken(ARCHIVE, SIZE - 1)],
    "no answer": [hang_up],
    "reset": [reset],
    "no answer when resumed": [BREAK, hang_up],
    "silent": [silent],
    "dripping body": [drip(ARCHIVE[:400], b"HTTP/1.0 200 OK\r\n\r\n")],
    "dripping headers": [drip(b"HTTP/1.0 200 OK\r\nA: " + b"b" * 400)],
    "no HTTP": [raw(b"SSH-2.0-OpenSSH_9.2\r\n")],
    "endless headers": [raw(b"HTTP/1.0 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n")],
    "endless header": [raw(b"HTTP/1.0 200 OK\r\nA: " + b"b" * 70000 + b"\r\n\r\n")],
    "408": [status(408)],
    "429": [status(429, Retry_After=7)],
    "500": [status(500)],
    "502": [status(502)],
    "503": [status(503, Retry_After="soon")],
    "504 twice": [status(504), status(504)],
    "500 when resumed": [BREAK, status(500)],
    "length too small": [body(ARCHIVE, Content_Length=HALF)],
    "length too large": [body(ARCHIVE, Content_Length=SIZE + 9)],
    "length not a number": [body(ARCHIVE[:HALF], Content_Length="many")],
    "length negative": [body(ARCHIVE[:HALF], Content_Length=-5)],
    "no length, broken off": [body(ARCHIVE[:HALF], Content_Length=None)],
    "chunked, broken off": [chunked(ARCHIVE[:HALF], is_complete=False)],
    "chunked, too short": [chunked(ARCHIVE[:HALF], is_complete=True)],
    "chunked": [chunked(ARCHIVE, is_complete=True)],
    "login page": [body(b"<html>Log in</html>", Content_Type="text/html")],
    "empty": [body(b"")],
    "compressed": [body(ARCHIVE, Content_Encoding="gzip")],
    "range ignored": [BREAK, body(ARCHIVE)],
    "range ignored, broken off": [
        BREAK,
        body(ARCHIVE[:9], Content_Length=SIZE),
        BREAK,
    ],
    "range unasked": [body(ARCHIVE[HALF:], 206, Content_Range=RANGE)],
    "range from elsewhere": [
        BREAK,
        body(ARCHIVE[9:], 206, Content_Range=f"bytes 9-{SIZE - 1}/{SIZE}"),
    ],
    "range of another file": [
        BREAK,
        body(ARCHIVE[HALF:], 206, Content_Range=f"bytes {HALF}-{SIZE - 1}/{SIZE + 5}"),
    ],
    "range without header": [BREAK, body(ARCHIVE[HALF:], 206)],
    "range not satisfiable": [BREAK, no_ranges],
    "first half of another file": [broken(OTHER, HALF)],
    "second half of another file": [BREAK, serve(OTHER)],
    "204": [status(204)],
    "redirect": [redirect(f"/{NAME}")],
    "permanent redirect": [redirect(f"/{NAME}", 308)],
}


@pytest.mark.parametrize("answers", PASSING.values(), ids=PASSING)
def test_archive_survives(answers, server, tmp_path):
    last = [] if no_ranges in answers else [serve(ARCHIVE)]
    server.answers[f"/{NAME}"] = [*answers, *last]
    start = time.monotonic()
    check_cats(fetch_cats(tmp_path), tmp_path)
    assert time.monotonic() - start < 10


# Faults that last: the error, and the server works when the call is repeated.
LASTING = {
    "404": (status(404), "HTTP status 404"),
    "403": (status(403), "HTTP status 403"),
    "416": (status(416), "failed 4 times"),
    "500": (status(500), "failed 4 times"),
    "broken off": (broken(ARCHIVE, 0), "failed 4 times"),
    "asks to wait": (status(503, Retry_After=86400), "asks to wait 86400 s"),
    "asks to wait for ever": (status(429, Retry_After="9" * 400), "asks to wait"),
    "redirect to a file": (redirect("file:///etc/passwd"), "Cannot download|safely"),
    "redirect to FTP": (redirect("ftp://127.0.0.1/a"), "redirected to 'ftp'"),
    "redirect to data": (redirect("data:,a"), "HTTP status 302"),
    "redirect to a scheme less safe": (redirect("https://127.0.0.1/"), "'https', and"),
    "redirect to itself": (redirect(f"/{NAME}"), "redirect that is not followed"),
    "redirect to nowhere": (status(302), "HTTP status 302"),
    "redirect to nonsense": (redirect("http://[::1"), "address is not valid"),
    "another file": (serve(OTHER), "SHA-256 digest is not"),
    "longer file": (body(ARCHIVE * 2, Content_Length=None), f"more than {SIZE} bytes"),
    "another size": (serve(ARCHIVE * 2), f"bytes where {SIZE} are expected"),
}


@pytest.mark.parametrize(("answer", "match"), LASTING.values(), ids=LASTING)
def test_archive_that_cannot_be_downloaded(answer, match, server, tmp_path):
    server.answers[f"/{NAME}"] = [answer]
    with pytest.raises(DownloadError, match=match):
        fetch_cats(tmp_path)
    assert visible(tmp_path) == []
    if "asks" in match:
        assert len(server.requests) == 1
    server.answers[f"/{NAME}"] = [serve(ARCHIVE)]
    check_cats(fetch_cats(tmp_path), tmp_path)


def ranges(server):
    return [headers.get("Range") for _, _, headers, _ in server.requests]


def test_archive_is_resumed_and_kept(server, tmp_path):
    server.answers[f"/{NAME}"] = [BREAK, hang_up]
    with pytest.raises(DownloadError, match="failed 3 times"):
        fetch_cats(tmp_path, n_retries=2)
    assert ranges(server) == [None] + [f"bytes={HALF}-"] * 2
    server.answers[f"/{NAME}"] = [serve(ARCHIVE)]
    fetch_cats(tmp_path)
    assert ranges(server)[3:] == [f"bytes={HALF}-"]
    # Neither the same photos nor others need another download.
    check_cats(fetch_cats(tmp_path), tmp_path)
    fetch_cats_vs_dogs(data_home=tmp_path, n_train=1, n_validation=1)
    assert len(server.requests) == 4


def test_attempts_with_progress_are_no_failures(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_PROGRESS", 100)
    server.answers[f"/{NAME}"] = [broken(ARCHIVE, SIZE // 10)]
    check_cats(fetch_cats(tmp_path, n_retries=1), tmp_path)
    assert len(server.requests) == 11


def test_waits_grow_and_follow_the_server(server, tmp_path, waits):
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    server.answers[f"/{NAME}"] = [
        status(500),
        status(500),
        status(429, Retry_After=30),
        status(503, Retry_After=date),
        status(503, Retry_After=0),
        serve(ARCHIVE),
    ]
    fetch_cats(tmp_path, n_retries=9)
    assert waits[:3] == [1, 2, 30]
    assert waits[3] == pytest.approx(100, abs=3)
    assert waits[4:] == [16]


def test_body_of_a_redirect_is_not_read(server, tmp_path, waits):
    def answer(handler):
        handler.start(302, Location=f"{server.url}/b", Content_Length=10**12)
        time.sleep(1)

    server.answers |= {f"/{NAME}": [answer], "/b": [serve(ARCHIVE)]}
    fetch_cats(tmp_path)
    assert not waits


def interrupt_after(n, monkeypatch):
    """Raise KeyboardInterrupt, as Ctrl-C does, when progress is reported."""
    calls = []

    def add(self, count, original=http.Progress.add):
        calls.append(count)
        if len(calls) == n:
            raise KeyboardInterrupt
        original(self, count)

    monkeypatch.setattr(http.Progress, "add", add)


@pytest.mark.parametrize("n", range(1, 13))
def test_archive_after_ctrl_c(n, server, tmp_path, monkeypatch):
    server.answers[f"/{NAME}"] = [serve(ARCHIVE)]
    with monkeypatch.context() as context:
        interrupt_after(n, context)
        with pytest.raises(KeyboardInterrupt):
            fetch_cats(tmp_path)
    assert set(visible(tmp_path)) <= {f"cats_vs_dogs/{NAME}"}
    check_cats(fetch_cats(tmp_path), tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_archive_on_a_full_disk(server, tmp_path):
    folder = tmp_path / "cats_vs_dogs"
    folder.mkdir()
    (folder / f".{NAME}.part").symlink_to("/dev/full")
    server.answers[f"/{NAME}"] = [serve(ARCHIVE)]
    with pytest.raises(OSError, match=r"Cannot write.*No space left.*goes on") as info:
        fetch_cats(tmp_path)
    assert info.value.errno == errno.ENOSPC and len(server.requests) == 1
    (folder / f".{NAME}.part").unlink()
    check_cats(fetch_cats(tmp_path), tmp_path)


def test_photos_on_a_full_disk(server, tmp_path, monkeypatch):
    server.answers[f"/{NAME}"] = [serve(ARCHIVE)]
    with monkeypatch.context() as context:
        context.setattr(_cats_vs_dogs, "open", full_disk_after(4), raising=False)
        with pytest.raises(OSError, match=r"Cannot unpack.*No space left"):
            fetch_cats(tmp_path)
    assert visible(tmp_path) == [f"cats_vs_dogs/{NAME}"]
    check_cats(fetch_cats(tmp_path), tmp_path)


def full_disk_after(n):
    """Return a replacement of `open` that fails from the n-th file on."""
    names = []

    def replacement(path, mode="r", **settings):
        names.append(path)
        if "w" in mode and len(names) >= n:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return open(path, mode, **settings)

    return replacement


def test_hidden_folders_of_a_killed_process_are_removed(server, tmp_path):
    (tmp_path / "cats_vs_dogs" / ".3_2.abc.tmp" / "3_2").mkdir(parents=True)
    server.answers[f"/{NAME}"] = [serve(ARCHIVE)]
    check_cats(fetch_cats(tmp_path), tmp_path)


def test_archive_saved_by_hand(server, tmp_path):
    with pytest.raises(OSError, match=f"`download_if_missing` is False.*{NAME}"):
        fetch_cats(tmp_path, download_if_missing=False)
    (tmp_path / "cats_vs_dogs").mkdir()
    (tmp_path / "cats_vs_dogs" / NAME).write_bytes(OTHER)
    with pytest.raises(OSError, match="`download_if_missing` is False"):
        fetch_cats(tmp_path, download_if_missing=False)
    (tmp_path / "cats_vs_dogs" / NAME).write_bytes(ARCHIVE)
    check_cats(fetch_cats(tmp_path, download_if_missing=False), tmp_path)
    assert not server.requests


def test_damaged_archive_is_downloaded_again(server, tmp_path):
    (tmp_path / "cats_vs_dogs").mkdir()
    (tmp_path / "cats_vs_dogs" / NAME).write_bytes(ARCHIVE[:-1])
    server.answers[f"/{NAME}"] = [serve(ARCHIVE)]
    with pytest.warns(SkvisionWarning, match="is damaged and is downloaded again"):
        data = fetch_cats(tmp_path)
    check_cats(data, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "train/cats/cat.0.jpg").unlink(),
        lambda folder: (folder / "train/cats/mine.jpg").touch(),
        lambda folder: (folder / "left_out.txt").unlink(),
        lambda folder: [path.unlink() for path in folder.glob("validation/dogs/*")],
    ],
)
def test_changed_photos_are_noticed(change, server, tmp_path):
    server.answers[f"/{NAME}"] = [serve(ARCHIVE)]
    fetch_cats(tmp_path)
    change(tmp_path / "cats_vs_dogs" / "3_2")
    with pytest.raises(OSError, match=r"added to or removed from.*Delete that folder"):
        fetch_cats(tmp_path)


def test_too_few_photos(server, tmp_path):
    server.answers[f"/{NAME}"] = [serve(ARCHIVE)]
    with pytest.raises(ValueError, match=r"'Cat' for n_train=6 .*n_validation=1"):
        fetch_cats_vs_dogs(data_home=tmp_path, n_train=6, n_validation=1)
    assert visible(tmp_path) == [f"cats_vs_dogs/{NAME}"]


@pytest.mark.parametrize("name", ["n_train", "n_validation", "n_retries", "delay"])
def test_numbers_of_cats_are_checked(name, tmp_path):
    with pytest.raises(ValueError, match=name):
        fetch_cats_vs_dogs(data_home=tmp_path, **{name: -1})


def test_only_https_outside_of_tests(server, tmp_path, monkeypatch):
    assert _cats_vs_dogs.SIZE == SIZE
    monkeypatch.setattr(http, "SCHEMES", ("https",))
    with pytest.raises(DownloadError, match="cannot be downloaded safely"):
        fetch_cats(tmp_path)
    assert not server.requests


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_certificate_is_checked(server, tmp_path, monkeypatch):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-out", certificate, "-keyout", key]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setattr(http, "SCHEMES", ("https",))
    with running(context) as tls_server:
        monkeypatch.setattr(_cats_vs_dogs, "URL", f"{tls_server.url}/{NAME}")
        tls_server.answers[f"/{NAME}"] = [BREAK, serve(ARCHIVE)]
        with pytest.raises(DownloadError, match="certificate of the server is not val"):
            fetch_cats(tmp_path)
        assert not tls_server.requests
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        check_cats(fetch_cats(tmp_path), tmp_path)


def test_unreachable_server(server, tmp_path, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/{NAME}"
    monkeypatch.setattr(_cats_vs_dogs, "URL", url)
    with pytest.raises(DownloadError, match=r"failed 1 time .*refused"):
        fetch_cats(tmp_path, n_retries=0)


# Flickr

KEY = "0123456789abcdef0123456789abcdef"
LICENSES = [
    (0, "All Rights Reserved", ""),
    (4, "Attribution License", "https://creativecommons.org/licenses/by/2.0/"),
    (6, "Attribution-NoDerivs", "https://creativecommons.org/licenses/by-nd/2.0/"),
    (7, "No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    (9, "CC0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    (11, "CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"),
]


class Flickr:
    """A small Flickr: searches of one tag each, in pages of two photos."""

    def __init__(self, server):
        self.server, self.tags, self.photos = server, {}, {}
        self.failures = []  # answers of the API before the right ones
        server.answers["/rest/"] = [self.call]
        for i in range(6):
            self.add("cat", f"1{i}", jpeg(i))
            self.add("dog", f"2{i}", jpeg(10 + i))

    def add(self, tag, number, content, **fields):
        path = f"/photos/{number}.jpg"
        self.server.answers[path] = [serve(content, "image/jpeg")]
        self.photos[number] = {
            "id": number,
            "owner": "12@N01",
            "ownername": f"Owner {number}",
            "title": f"Title {number}",
            "license": "4",
            "url_m": self.server.url + path,
        } | fields
        self.tags.setdefault(tag, []).append(number)

    def call(self, handler):
        if self.failures:
            return self.failures.pop(0)(handler)
        form = handler.form
        if form.get("api_key") != KEY or form.get("nojsoncallback") != "1":
            answer = {"stat": "fail", "code": 100, "message": "Invalid API Key"}
        elif form["method"] == "flickr.photos.search":
            answer = self.search(form)
        else:
            names = ("id", "name", "url")
            found = [dict(zip(names, license, strict=True)) for license in LICENSES]
            answer = {"licenses": {"license": found}, "stat": "ok"}
        body(json.dumps(answer).encode(), Content_Type="application/json")(handler)

    def search(self, form):
        numbers = [n for tag in form["tags"].split(",") for n in self.tags.get(tag, ())]
        page = min(int(form["page"]), max(1, -(-len(numbers) // 2)))  # the last again
        found = [self.photos[n] for n in numbers[2 * page - 2 : 2 * page]]
        return {"photos": {"page": page, "pages": 99, "photo": found}, "stat": "ok"}

    def downloads(self):
        return [path for _, path, _, _ in self.server.requests if "/photos/" in path]


@pytest.fixture
def flickr(server):
    return Flickr(server)


TAGS = {"cats": "cat", "dogs": ["dog"]}


def fetch(folder, n_images=3, tags=TAGS, api_key=KEY, **settings):
    return fetch_flickr_images(
        tags, folder, n_images=n_images, api_key=api_key, **settings
    )


def attribution(folder):
    with open(folder / "attribution.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check_photos(data, folder, flickr, expected):
    """Check every byte; `expected` are the ids of the photos of each class."""
    files = [f"{name}/{i}.jpg" for name in expected for i in expected[name]]
    assert visible(folder) == sorted([*files, "attribution.csv"])
    assert not list(folder.rglob(".*"))
    assert sorted(map(str, data.data)) == sorted(str(folder / file) for file in files)
    for row in attribution(folder):
        path = folder / row["class_name"] / row["file"]
        entry = flickr.photos[row["photo_id"]]
        if path.exists():
            content = path.read_bytes()
            assert content == contents_of(flickr, row["photo_id"])
            assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert row["owner"] == entry["ownername"] and row["title"] == entry["title"]
        assert row["page_url"].endswith(f"/photos/12@N01/{row['photo_id']}/")
        assert row["license"], row["license_url"]
    assert all(data.target[i] in str(data.data[i]) for i in range(len(data.data)))


def contents_of(flickr, number):
    """The right content of a photo, as the server sends it last."""
    sent = []
    handler = SimpleNamespace(
        headers={},
        start=lambda *args, **kwargs: None,
        wfile=SimpleNamespace(write=sent.append),
    )
    flickr.server.answers[f"/photos/{number}.jpg"][-1](handler)
    return b"".join(sent)


FIRST = {"cats": ["10", "11", "12"], "dogs": ["20", "21", "22"]}


def fail(code, message="Sorry"):
    answer = {"stat": "fail", "code": code, "message": message}
    return body(json.dumps(answer).encode())


GOOD = json.dumps({"photos": {"photo": []}, "licenses": {"license": []}, "stat": "ok"})
PHOTO = jpeg(0)
PASSING_API = {
    "error 105": [fail(105)],
    "error 201": [fail(201)],
    "error as text": [fail("105")],
    "not available": [fail(0, "The Flickr API service is not currently available")],
    "429": [status(429, Retry_After=20)],
    "500": [status(500)],
    "502 twice": [status(502), status(502)],
    "truncated JSON": [body(GOOD[:30].encode())],
    "nested JSON": [body(b"[" * 100_000)],
    "JSON with a huge number": [body(b'{"stat": ' + b"9" * 10_000 + b"}")],
    "JSON list": [body(b"[]")],
    "JSON without content": [body(b'{"stat": "ok"}')],
    "JSON with null": [body(b'{"stat": "ok", "photos": null, "licenses": 3}')],
    "not UTF-8": [body(b'{"stat": "\xff"}')],
    "HTML": [body(b"<html>Be right back</html>")],
    "empty": [body(b"")],
    "broken off": [body(GOOD.encode(), Content_Length=len(GOOD) + 9)],
    "no answer": [hang_up],
    "reset": [reset],
    "silent": [silent],
    "dripping": [drip(b" " * 400, b"HTTP/1.0 200 OK\r\n\r\n")],
    "chunked, broken off": [chunked(GOOD.encode(), is_complete=False)],
}


@pytest.mark.parametrize("answers", PASSING_API.values(), ids=PASSING_API)
def test_flickr_survives(answers, flickr, tmp_path):
    # For the first request, which asks for the licences, and for a search.
    right = [flickr.call] * 2
    flickr.server.answers["/rest/"] = [*answers, *right, *answers, flickr.call]
    check_photos(fetch(tmp_path), tmp_path, flickr, FIRST)


PASSING_PHOTO = {
    "broken off": broken(PHOTO, 100),
    "500": status(500),
    "429": status(429, Retry_After=5),
    "reset": reset,
    "silent": silent,
    "no HTTP": raw(b"nonsense\r\n"),
    "compressed": body(PHOTO, Content_Encoding="br"),
}


@pytest.mark.parametrize("answer", PASSING_PHOTO.values(), ids=PASSING_PHOTO)
def test_photo_survives(answer, flickr, tmp_path):
    flickr.server.answers["/photos/10.jpg"].insert(0, answer)
    check_photos(fetch(tmp_path), tmp_path, flickr, FIRST)


# What is left out, and the reason in DESCR; the next photo takes its place.
def png_bomb():
    stream = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(stream, "PNG")
    return stream.getvalue()


LEFT_OUT = {
    "404": (status(404), "not available"),
    "410": (status(410), "not available"),
    "always 500": (status(500), "not available"),
    "redirect to 'unavailable'": (redirect("/photos/11.jpg"), "not available"),
    "redirect to a file": (redirect("file:///etc/passwd"), "not available"),
    "redirect loop": (redirect("/photos/10.jpg"), "not available"),
    "huge": (body(b"", Content_Length=10**12), "not available"),
    "HTML": (body(b"<html>", Content_Type="image/jpeg"), "not a readable image"),
    "empty": (body(b""), "not a readable image"),
    "truncated": (body(PHOTO[:-100]), "not a readable image"),
    "truncated, no length": (
        body(PHOTO[:300], Content_Length=None),
        "not a readable image",
    ),
    "bomb": (body(png_bomb()), "not a readable image"),
    "SVG": (body(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "not a readable"),
    "content of another photo": (serve(jpeg(1)), None),
}


@pytest.mark.parametrize(("answer", "reason"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_photo_is_left_out(answer, reason, flickr, tmp_path):
    flickr.server.answers["/photos/10.jpg"] = [answer]
    data = fetch(tmp_path)
    if reason is None:  # then the other one is a duplicate
        expected = FIRST | {"cats": ["10", "12", "13"]}
        reason = "same content as another photo"
    else:
        expected = FIRST | {"cats": ["11", "12", "13"]}
    check_photos(data, tmp_path, flickr, expected)
    assert f"Left out:\n\n- {reason}" in data.DESCR and ": 1" in data.DESCR


ENTRIES = {
    "id that leads elsewhere": {"id": "../../evil"},
    "id as a list": {"id": ["10"]},
    "no id": {"id": None},
    "owner that leads elsewhere": {"owner": "../evil"},
    "licence not asked for": {"license": "0"},
    "licence without derivatives": {"license": 6},
    "unknown licence": {"license": "99"},
    "licence as text": {"license": "CC BY"},
    "no URL": {"url_m": None},
    "URL of another host": {"url_m": "http://127.0.0.1.example.com/photos/10.jpg"},
    "URL of a file": {"url_m": "file:///etc/passwd"},
    "URL as a number": {"url_m": 3},
    "URL with a line break": {"url_m": "http://127.0.0.1/\r\nX: y"},
    "URL with a user": {"url_m": "http://127.0.0.1@example.com/10.jpg"},
    "URL in brackets": {"url_m": "http://[/10.jpg"},
}


@pytest.mark.parametrize("fields", ENTRIES.values(), ids=ENTRIES)
def test_entry_is_left_out(fields, flickr, tmp_path):
    flickr.photos["10"] |= fields
    data = fetch(tmp_path)
    check_photos(data, tmp_path, flickr, FIRST | {"cats": ["11", "12", "13"]})
    assert "/photos/10.jpg" not in flickr.downloads()
    assert "not available:" not in data.DESCR  # it was not tried
    assert not any(tmp_path.parent.glob("evil*"))


@pytest.mark.parametrize("entry", [None, 3, "text", [], {}])
def test_entries_that_are_no_photos(entry, flickr, tmp_path):
    flickr.photos["10"] = entry
    check_photos(
        fetch(tmp_path), tmp_path, flickr, FIRST | {"cats": ["11", "12", "13"]}
    )


def test_photos_of_several_classes_are_in_none(flickr, tmp_path):
    flickr.tags["dog"].insert(4, "11")
    data = fetch(tmp_path)
    check_photos(data, tmp_path, flickr, FIRST | {"cats": ["10", "12", "13"]})
    assert "- found for several classes: 1" in data.DESCR
    # Also if the other class comes in a later call.
    flickr.tags["eel"] = ["20", "30", "31"]
    for number in ("30", "31"):
        flickr.add("none", number, jpeg(int(number)))
    data = fetch(tmp_path, n_images=2, tags={"eels": "eel"})
    assert [Path(path).name for path in sorted(data.data)] == ["30.jpg", "31.jpg"]
    # Equal content in another class, under another id.
    flickr.add("fox", "40", jpeg(30))
    flickr.add("fox", "41", jpeg(41))
    data = fetch(tmp_path, n_images=1, tags={"foxes": "fox"})
    assert [Path(path).name for path in data.data] == ["41.jpg"]


def test_deleted_photos_are_replaced_by_others(flickr, tmp_path):
    fetch(tmp_path)
    (tmp_path / "cats" / "11.jpg").unlink()
    data = fetch(tmp_path)
    check_photos(data, tmp_path, flickr, FIRST | {"cats": ["10", "12", "13"]})
    n_requests = len(flickr.server.requests)
    again = fetch(tmp_path, api_key=None)
    assert len(flickr.server.requests) == n_requests
    bunch = load_image_files(tmp_path)
    assert list(bunch.data) == list(again.data)
    assert list(bunch.target) == list(again.target)
    assert again.attribution == str(tmp_path / "attribution.csv")


def test_too_few_photos_of_flickr(flickr, tmp_path):
    with pytest.warns(SkvisionWarning, match=r"6 suitable photos for the class 'cats'"):
        data = fetch(tmp_path, n_images=7, tags={"cats": "cat"})
    check_photos(data, tmp_path, flickr, {"cats": [f"1{i}" for i in range(6)]})
    with pytest.raises(ValueError, match=r"0 suitable photos for the class 'ants'"):
        fetch(tmp_path, tags={"ants": "ant"})
    assert len(flickr.server.requests) < 20


LASTING_API = {
    "invalid key": (fail(100, "Invalid API Key"), ValueError, "api_key is not accept"),
    "other error": (fail(3, "Parameterless searches"), DownloadError, "error 3: Param"),
    "always 500": (status(500), DownloadError, r"failed 4 times \(HTTP status 500"),
    "always unavailable": (fail(105), DownloadError, "failed 4 times .*error 105"),
    "always truncated": (body(b"{"), DownloadError, "failed 4 times .*not valid JSON"),
    "no error code": (body(b"{}"), DownloadError, "error None"),
    "asks to wait": (status(429, Retry_After=3600), DownloadError, "wait 3600 s"),
    "huge": (body(b" " * 10, Content_Length=10**9), DownloadError, "10000000 bytes"),
    "endless": (
        body(b" " * (10**7 + 1), Content_Length=None),
        DownloadError,
        "10000000 bytes",
    ),
    "redirect": (redirect("/other", 302), DownloadError, "redirect that is not fol"),
    "redirect that posts": (redirect("/other", 307), DownloadError, "not followed"),
    "401": (status(401), DownloadError, "HTTP status 401"),
}


@pytest.mark.parametrize(
    ("answer", "error", "match"), LASTING_API.values(), ids=LASTING_API
)
def test_flickr_that_fails(answer, error, match, flickr, tmp_path):
    flickr.server.answers["/rest/"] = [flickr.call, flickr.call, answer]
    with pytest.raises(error, match=match):
        fetch(tmp_path)
    assert not any("/other" in path for _, path, _, _ in flickr.server.requests)
    assert visible(tmp_path) == []
    flickr.server.answers["/rest/"] = [flickr.call]
    check_photos(fetch(tmp_path), tmp_path, flickr, FIRST)


def test_photo_server_that_is_down(flickr, tmp_path):
    for number in list(flickr.photos)[3:]:
        flickr.server.answers[f"/photos/{number}.jpg"].insert(0, status(403))
    for number in ("12", "13", "14", "15", "20"):
        answers = flickr.server.answers[f"/photos/{number}.jpg"]
        answers[:0] = [status(404)]
    flickr.add("cat", "16", jpeg(16))
    flickr.server.answers["/photos/16.jpg"].insert(0, status(404))
    with pytest.raises(DownloadError, match="HTTP status 40"):
        fetch(tmp_path)
    kept = visible(tmp_path)
    assert "attribution.csv" in kept and 1 < len(kept) < 5
    for answers in flickr.server.answers.values():
        del answers[:-1]
    n_downloads = len(flickr.downloads())
    fetch(tmp_path)
    assert len(flickr.downloads()) - n_downloads == 6 - (len(kept) - 1)


@pytest.mark.parametrize("n", range(1, 7))
def test_flickr_after_ctrl_c(n, flickr, tmp_path, monkeypatch):
    monkeypatch.setattr(_flickr_collector, "_BATCH", 2)
    with monkeypatch.context() as context:
        interrupt_on_photo(n, context)
        with pytest.raises(KeyboardInterrupt):
            fetch(tmp_path)
    kept = [name for name in visible(tmp_path) if name.endswith(".jpg")]
    assert len(kept) == n - 1  # all that had arrived
    if kept:
        assert {f"{r['class_name']}/{r['file']}" for r in attribution(tmp_path)} == {
            *kept
        }
    n_downloads = len(flickr.downloads())
    check_photos(fetch(tmp_path), tmp_path, flickr, FIRST)
    assert len(flickr.downloads()) - n_downloads == 6 - len(kept)


def interrupt_on_photo(n, monkeypatch):
    images = []

    def decode(*args, original=_flickr_collector.decode_image):
        images.append(args)
        if len(images) == n:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(_flickr_collector, "decode_image", decode)


@pytest.mark.parametrize("n", range(1, 7))
def test_flickr_on_a_full_disk(n, flickr, tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr(_flickr_collector, "open", full_disk_after(n), raising=False)
        with pytest.raises(OSError, match=r"Cannot write.*No space left.*goes on"):
            fetch(tmp_path)
    assert len([n for n in visible(tmp_path) if n.endswith(".jpg")]) == n - 1
    check_photos(fetch(tmp_path), tmp_path, flickr, FIRST)


def test_attribution_on_a_full_disk(flickr, tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            fetch(tmp_path)
    assert visible(tmp_path) == []
    check_photos(fetch(tmp_path), tmp_path, flickr, FIRST)


def test_hidden_files_of_a_killed_process_are_removed(flickr, tmp_path):
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / ".99.jpg.part").touch()
    check_photos(fetch(tmp_path), tmp_path, flickr, FIRST)


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"\xff\xfe", b"x" * 200_000])
def test_attribution_that_is_not_ours(content, flickr, tmp_path):
    (tmp_path / "attribution.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"attribution\.csv' is not a list of photos"):
        fetch(tmp_path)
    assert visible(tmp_path) == ["attribution.csv"]


def test_titles_are_on_one_line_and_no_formulas(flickr, tmp_path):
    title = '=HYPERLINK("http://evil")\r\n,"\ud800\x00\u202e'
    flickr.photos["10"] |= {"title": title, "ownername": {"_content": "Ann, \u00e9"}}
    fetch(tmp_path, n_images=1, tags={"cats": "cat"})
    (row,) = attribution(tmp_path)
    assert row["title"] == '\'=HYPERLINK("http://evil") ,"?'
    assert row["owner"] == "Ann, \u00e9"
    assert row["license"] == "CC BY 2.0"
    assert row["license_url"] == "https://creativecommons.org/licenses/by/2.0/"


@pytest.mark.parametrize(
    ("licenses", "ids"),
    [
        (None, "4,9,11"),
        ([0], "0"),
        (["cc by"], "4,11"),
        (["CC BY 4.0", 9], "9,11"),
        (["No known copyright restrictions"], "7"),
    ],
)
def test_licences_of_the_search(licenses, ids, flickr, tmp_path):
    for photo in flickr.photos.values():
        photo["license"] = ids.split(",")[0]
    fetch(tmp_path, n_images=1, tags={"cats": "cat"}, licenses=licenses)
    assert flickr.server.requests[1][3]["license"] == ids
    # Photos under other licences, from an earlier call, are noticed.
    with pytest.raises(ValueError, match="from an earlier call, which licenses does"):
        fetch(tmp_path, n_images=1, tags={"cats": "cat"}, licenses=[6])


@pytest.mark.parametrize("item", [99, "CC BY 7.0", ""])
def test_licences_that_do_not_exist(item, flickr, tmp_path):
    with pytest.raises(ValueError, match=rf"contains {item!r}.* 4 \(CC BY 2.0\)"):
        fetch(tmp_path, licenses=[4, item])


def test_requests_keep_within_the_rate_limit(flickr, tmp_path, waits):
    fetch(tmp_path)
    n_requests = sum(path == "/rest/" for _, path, _, _ in flickr.server.requests)
    assert n_requests >= 5
    assert sum(waits) == pytest.approx((n_requests - 1) * n_requests / 2, abs=4)


def messages(error):
    """Everything that a traceback, and those of its causes, may show."""
    while error is not None:
        yield "".join(traceback.format_exception(error, chain=False))
        yield repr(error) + str(vars(error))
        error = error.__cause__ or error.__context__


ECHOES = {
    "error": fail(100, f"Invalid key {KEY}"),
    "other error": fail(3, KEY),
    "not JSON": body(f"<html>{KEY}".encode()),
    "status": raw(f"HTTP/1.0 400 {KEY}\r\n\r\n".encode()),
    "no HTTP": raw(f"{KEY}\r\n".encode()),
    "redirect": redirect(f"https://evil/?api_key={KEY}"),
    "header": status(500, Retry_After=KEY),
}


@pytest.mark.parametrize("answer", ECHOES.values(), ids=ECHOES)
def test_key_is_in_no_message(answer, flickr, tmp_path, capfd, caplog, monkeypatch):
    monkeypatch.setenv("FLICKR_API_KEY", KEY)
    flickr.server.answers["/rest/"] = [answer]
    with caplog.at_level(0), pytest.raises((DownloadError, ValueError)) as info:
        fetch(tmp_path, api_key=None)
    assert KEY not in "".join(messages(info.value))
    assert KEY not in caplog.text + "".join(capfd.readouterr())


def test_key_is_in_no_url_and_no_file(flickr, tmp_path):
    flickr.photos["10"]["title"] = f"Key {KEY}"
    flickr.photos["10"]["ownername"] = KEY
    fetch(tmp_path)
    for method, path, headers, form in flickr.server.requests:
        assert KEY not in path + str(headers)
        assert (form.get("api_key") == KEY) == (method == "POST")
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()
    assert attribution(tmp_path)[0]["title"] == "Key (api_key)"


@pytest.mark.parametrize("key", [None, "", "secret", f"{KEY}&", f"{KEY}\n", 3, [KEY]])
def test_bad_key_is_not_shown(key, flickr, tmp_path):
    with pytest.raises(ValueError, match="api_key must be") as info:
        fetch(tmp_path, api_key=key)
    text = "".join(traceback.format_exception(info.value))
    assert key is None or not str(key) or f"got {key}" not in text
    assert "secret" not in text.replace("test_", "") and not flickr.server.requests


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"tags": {}}, "tags must be a dict"),
        ({"tags": "cat"}, "tags must be a dict"),
        ({"tags": {"cats": []}}, r"tags\['cats'\] must be a tag"),
        ({"tags": {"cats": [3]}}, r"tags\['cats'\] must be a tag"),
        ({"tags": {"cats": " "}}, r"tags\['cats'\] must be a tag"),
        ({"tags": {"cats": "a,b"}}, "contains a comma"),
        *(
            ({"tags": {name: "cat"}}, "cannot be the name of a folder")
            for name in ("../up", "a/b", "a\\b", ".hidden", "", " a", "a.", "@eaDir", 3)
        ),
        ({"tags": {"Cat": "a", "cat": "b"}}, "differ in spelling only"),
        ({"size": 333}, r"size must be one of \[320"),
        ({"licenses": "CC0"}, "licenses must be None or a non-empty list"),
        ({"licenses": []}, "licenses must be None or a non-empty list"),
        ({"n_images": 0}, "n_images"),
        ({"n_images": 4001}, "n_images"),
        ({"n_retries": -1}, "n_retries"),
        ({"delay": -1}, "delay"),
    ],
)
def test_parameters_of_flickr(changes, match, flickr, tmp_path):
    with pytest.raises(ValueError, match=match):
        fetch(tmp_path / "new", **changes)
    assert not flickr.server.requests and not (tmp_path / "new").exists()


def test_flickr_without_downloads(flickr, tmp_path, monkeypatch):
    monkeypatch.setenv("SKVISION_DATA", str(tmp_path))
    with pytest.raises(OSError, match="`download_if_missing` is False"):
        fetch_flickr_images(TAGS, download_if_missing=False)
    assert not flickr.server.requests
    data = fetch(None)
    check_photos(data, tmp_path / "flickr", flickr, FIRST)


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    path = str(tmp_path / "lock")

    def work(entered, leave):
        with locked(path):
            entered.set()
            leave.wait(10)

    def start():
        events = threading.Event(), threading.Event()
        thread = threading.Thread(target=work, args=events)
        thread.start()
        return thread, *events

    with locked(path):
        first = start()
        assert not first[1].wait(0.1)  # it waits for the file that is removed now
    assert first[1].wait(10)
    second = start()
    assert not second[1].wait(0.1)
    first[2].set()
    assert second[1].wait(10)
    second[2].set()
    first[0].join()
    second[0].join()
    assert not list(tmp_path.iterdir())


PROCESS = """
import hashlib, json, sys
from skvision._utils import http
from skvision.datasets import _cats_vs_dogs, _flickr_api
from skvision.datasets import fetch_cats_vs_dogs, fetch_flickr_images

url, home, size, digest, key = sys.argv[1:]
http.SCHEMES = ("http",)
_cats_vs_dogs.URL = f"{url}/kagglecatsanddogs_5340.zip"
_cats_vs_dogs.SIZE, _cats_vs_dogs.SHA256 = int(size), digest
_flickr_api.API_URL, _flickr_api.PHOTO_HOSTS = f"{url}/rest/", (".127.0.0.1",)
_flickr_api.SECONDS_PER_REQUEST = 0
print("ready", flush=True)
input()
data = fetch_cats_vs_dogs(data_home=home, n_train=3, n_validation=2)
assert len(data.train.data) == 6
photos = fetch_flickr_images(
    {"cats": "cat", "dogs": "dog"}, home + "/photos", n_images=3, api_key=key
)
assert len(photos.data) == 6
"""


def slow(answer):
    def slowly(handler):
        time.sleep(0.3)
        answer(handler)

    return slowly


@pytest.mark.slow
def test_two_processes_at_once(flickr, server, tmp_path):
    server.answers[f"/{NAME}"] = [slow(serve(ARCHIVE))]
    root = Path(skvision.__file__).parents[1]
    digest = hashlib.sha256(ARCHIVE).hexdigest()
    arguments = [server.url, str(tmp_path), str(SIZE), digest, KEY]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, *arguments], cwd=root, **pipes)
        for _ in range(2)
    ]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=60)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert [path for _, path, _, _ in server.requests].count(f"/{NAME}") == 1
    assert len(flickr.downloads()) == 6
    check_photos(
        fetch(tmp_path / "photos", api_key=None), tmp_path / "photos", flickr, FIRST
    )
    check_cats(fetch_cats(tmp_path), tmp_path)
