"""The service in examples/serve, over HTTP and in a browser."""

import asyncio
import importlib.util
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from _fuzz import encode, mutated, originals
from _optional import requests
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvision import VGG16BottleneckTransformer, read_image
from skvision._images.decode import open_image
from skvision.exceptions import ImageReadError
from skvision.export import export_model

FOLDER = Path(__file__).parents[1] / "examples" / "serve"
ACCEPTED = ("JPEG", "MPO", "PNG", "GIF", "WEBP")
SIZE = 32, 36
MAX_BYTES, MAX_SECONDS = 10_000_000, 4
# The start of a form with a file, whose boundary is "x".
PART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
STRETCH = {"resize_mode": "stretch", "interpolation": "bilinear", "value_range": None}


def png(width, height, depth, colour, rows, *chunks):
    """Return a PNG file of any depth, which Pillow does not write."""
    header = np.array([width, height], ">u4").tobytes()
    header += bytes([depth, colour, 0, 0, 0])
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)
        for kind, data in parts
    )


def photo(width, height):
    """Return a picture with structure, as an RGB image."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(width, height, orientation=1, **options):
    exif = Image.Exif()
    exif[274] = orientation
    return encode(photo(width, height), "JPEG", exif=exif, **options)


@cache
def readable():
    """Return sound files by name, of the formats that the service accepts."""
    deep = np.linspace(0, 65535, 20 * 24).astype(np.uint16).reshape(20, 24)
    rows = np.random.default_rng(0).integers(0, 256, (2, 1 + 3 * 6), dtype=np.uint8)
    rows[:, 0] = 0  # no filter
    rows[0, 1:7] = 1, 2, 3, 4, 5, 6
    files = {k: v for k, v in originals().items() if open_image(v).format in ACCEPTED}
    turned = {f"turned {i}": jpeg(301, 203, i) for i in range(2, 10)}
    return (
        files
        | turned
        | {
            "jpeg large, cmyk": encode(photo(1201, 803).convert("CMYK"), "JPEG"),
            "png large, alpha": encode(
                photo(3001, 2801).convert("RGBA"), "PNG", compress_level=1
            ),
            "webp alpha": encode(photo(99, 70).convert("LA"), "WEBP"),
            "png 16 bit, key": encode(
                Image.fromarray(deep), "PNG", transparency=int(deep[9, 9])
            ),
            "png 16 bit, colours, key": png(
                3, 2, 16, 2, rows.tobytes(), (b"tRNS", rows[0, 1:7].tobytes())
            ),
            "png 2 bit, key": png(4, 1, 2, 0, b"\0\x1b", (b"tRNS", b"\0\2")),
            "tiny": encode(photo(1, 1), "PNG"),
            "narrow": encode(photo(3000, 2), "JPEG"),
        }
    )


def load(name):
    """Return a module of the service."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def images(monkeypatch):
    """The module with which the service reads images."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    return load("images")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"interpolation": "nearest"},
        {"resize_mode": "crop", "interpolation": "bicubic"},
        {"resize_mode": "pad"},
        {"value_range": (100.0, 4095.0)},
        {"value_range": (0, 65535)},
    ],
    ids=str,
)
def test_service_reads_the_same_pixels(images, settings):
    settings = STRETCH | settings
    for name, data in readable().items():
        if "large" in name and settings != STRETCH:
            continue  # they take a second
        try:
            expected = read_image(data, image_size=SIZE, **settings)
        except ImageReadError:
            with pytest.raises(images.RefusedImage):
                images.read_image(
                    BytesIO(data), {"network_image_size": SIZE} | settings
                )
            continue
        found, box = images.read_image(
            BytesIO(data), {"network_image_size": SIZE} | settings
        )
        np.testing.assert_array_equal(found, expected, err_msg=name)
        assert len(box) == 4


@pytest.mark.filterwarnings("ignore::UserWarning")  # of damaged EXIF
def test_service_and_skvision_refuse_the_same_files(images):
    files = {k: v for k, v in originals().items() if open_image(v).format in ACCEPTED}
    damaged = [mutated(files, seed) for seed in range(150)]
    damaged.append(("png without its end", files["png"][:-12]))
    for i, (name, data) in enumerate(damaged):
        try:
            expected = read_image(data, image_size=SIZE)
        except ImageReadError:
            expected = None
        try:
            found, _ = images.read_image(
                BytesIO(data), {"network_image_size": SIZE} | STRETCH
            )
        except images.RefusedImage as error:
            found = None
            assert 400 <= error.status < 500
        np.testing.assert_array_equal(found, expected, err_msg=f"{name}, {i}")


def many_scans(data, n):
    """Return a progressive JPEG with n more scans."""
    start = data.rindex(b"\xff\xda")
    return data[:-2] + n * data[start:-2] + data[-2:]


def test_limit_on_the_scans_of_a_jpeg(images):
    data = jpeg(60, 40, progressive=True)
    metadata = {"network_image_size": SIZE} | STRETCH
    # As the film in a "motion photo".
    few = many_scans(data, 80) + bytes(100_000) + 1000 * b"\xff\xda"
    found, _ = images.read_image(BytesIO(few), metadata)
    np.testing.assert_array_equal(found, read_image(few, image_size=SIZE))
    with pytest.raises(images.RefusedImage, match="more than 100 scans") as refused:
        images.read_image(BytesIO(many_scans(data, 100)), metadata)
    assert refused.value.status == 413


def test_limit_on_the_segments_of_an_image(images, monkeypatch):
    data = jpeg(60, 40)
    metadata = {"network_image_size": SIZE} | STRETCH
    few, many = (data[:2] + n * b"\xff\xe5\0\2" + data[2:] for n in (20, 400))
    monkeypatch.setattr(images, "MAX_READS", 900)
    found, _ = images.read_image(BytesIO(few), metadata)
    np.testing.assert_array_equal(found, read_image(data, image_size=SIZE))
    with pytest.raises(images.RefusedImage, match="more than 300 segments") as refused:
        images.read_image(BytesIO(many), metadata)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    "mode, size, settings, needed",
    [
        ("RGB", (900, 900), {}, None),
        ("CMYK", (900, 900), {}, r"900 x 900 pixels \(JPEG, CMYK\).* 7 MB"),
        ("RGB", (900, 900), {"interpolation": "nearest"}, " 10 MB"),
        ("RGB", (20_000, 40), {}, " 10 MB"),  # not decoded at a reduced scale
    ],
    ids=str,
)
def test_limit_on_the_memory_of_a_jpeg(
    images, monkeypatch, mode, size, settings, needed
):
    monkeypatch.setattr(images, "MAX_DECODED_BYTES", 5_000_000)
    file = BytesIO(encode(Image.new(mode, size), "JPEG"))
    metadata = {"network_image_size": SIZE} | STRETCH | settings
    if needed is None:
        images.read_image(file, metadata)
        return
    with pytest.raises(images.RefusedImage, match=needed) as refused:
        images.read_image(file, metadata)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    "error, status, reason",
    [(ValueError(), 422, "not complete: ValueError"), (MemoryError(), 503, "memory")],
    ids=repr,
)
def test_errors_of_decoders(images, monkeypatch, error, status, reason):
    def fail(*arguments, **options):
        raise error

    file, metadata = BytesIO(jpeg(60, 40)), {"network_image_size": SIZE} | STRETCH
    monkeypatch.setattr(Image.Image, "resize", fail)
    with pytest.raises(images.RefusedImage, match=reason) as refused:
        images.read_image(file, metadata)
    assert refused.value.status == status


@pytest.fixture(scope="module")
def model():
    """A fitted pipeline that is exported quickly, and sees which way up a photo is."""
    images = np.random.default_rng(0).integers(0, 256, (24, 36, 32, 3), dtype=np.uint8)
    images[:12, 18:] //= 4
    encoder = VGG16BottleneckTransformer(
        weights=None,
        image_size=SIZE,
        layer="block1_pool",
        pooling=None,
        normalization=None,
    )
    model = make_pipeline(encoder, StandardScaler(), LogisticRegression(C=1e-3))
    return model.fit(images, np.repeat(["cat", "dög"], 12))


@pytest.fixture(scope="module")
def service(model, tmp_path_factory):
    """The service with two workers, on a free port."""
    for library in ("fastapi", "uvicorn", "python_multipart", "onnxruntime"):
        pytest.importorskip(library, reason=f"needs {library}, see {FOLDER}")
    folder = tmp_path_factory.mktemp("serve")
    path = export_model(model, folder / "model.onnx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, FOLDER / "app.py", path, "--port", port, "--workers", 2]
    limits = {"MAX_BYTES": str(MAX_BYTES), "MAX_SECONDS": str(MAX_SECONDS)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=os.environ | limits,
            stdout=log,
            stderr=log,
        )
    service = SimpleNamespace(process=process, port=port, folder=folder)
    service.url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: len(workers(service)) == 2)
        yield service
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        print((folder / "log").read_text()[-3000:])


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.2)


def workers(service):
    """Return the processes of the workers that answer."""
    with suppress(requests.ConnectionError):
        answers = [requests.get(f"{service.url}/healthz").json() for _ in range(20)]
        assert {answer["status"] for answer in answers} == {"ok"}
        return {answer["pid"] for answer in answers}
    return set()


def post(service, data, **query):
    """Upload a file; return the status and the decoded answer."""
    answer = requests.post(
        f"{service.url}/predict", files={"image": ("photo", data)}, params=query
    )
    return answer.status_code, answer.json()


@pytest.mark.slow
def test_predictions_are_those_of_the_model(service, model):
    files = readable()
    probabilities = model.predict_proba(list(files.values()))
    assert np.ptp(probabilities[:, 0]) > 0.2  # the test could fail
    for (name, data), expected in zip(files.items(), probabilities, strict=True):
        status, answer = post(service, data)
        assert status == 200, name
        assert list(answer["probabilities"]) == ["cat", "dög"]
        found = list(answer["probabilities"].values())
        np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=name)
        assert answer["label"] == model.classes_[expected.argmax()]


@pytest.mark.slow
def test_explanation_shows_the_part_that_matters(service):
    pixels = np.full((72, 64, 3), 128, np.uint8)
    pixels[36:] //= 4  # as in the class "cat"
    status, answer = post(service, encode(Image.fromarray(pixels), "PNG"), explain=1)
    assert (status, answer["label"]) == (200, "cat")
    explanation = answer["explanation"]
    map_ = np.array(explanation["map"])
    assert map_.shape == (5, 5)
    assert map_[3:].sum() > 5 * map_[:2].sum()
    before, lowest = explanation["probability"], explanation["lowest_probability"]
    assert 0 <= lowest < before == answer["probabilities"]["cat"]
    assert explanation["box"] == [0, 0, 1, 1]


def bomb(width, height):
    return png(width, height, 8, 2, b"\0" * 1000)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data, status, reason",
    [
        (b"", 415, "The file is empty. Expected an image: JPEG, PNG, GIF, WEBP"),
        (b"%PDF-1.7 and more", 415, "starts with the bytes '%PDF-1.7 and'."),
        (b"\0\0\0\x1cftypheic" + b"\0" * 99, 415, "HEIC photo.*Convert it"),
        (
            encode(photo(9, 9), "TIFF"),
            415,
            "not a complete image in one of the formats",
        ),
        (jpeg(99, 99)[:-200], 422, "damaged or not complete: image file is truncated"),
        (bomb(5000, 5000), 413, "5000 x 5000 pixels .PNG.*At most 16 million"),
        (bomb(50_000, 50_000), 413, "more than 64 million pixels"),
        (many_scans(jpeg(99, 99, progressive=True), 100), 413, "more than 100 scans"),
        (b"\0" * (MAX_BYTES + 1), 413, "at least 10.0 MB. At most 10 MB"),
        (b"\0" * 5 * MAX_BYTES, 413, "at least 50.0 MB. At most 10 MB"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_refused_uploads(service, data, status, reason):
    found, answer = post(service, data)
    assert found == status
    assert re.search(reason, answer["detail"]), answer


@pytest.mark.slow
@pytest.mark.parametrize(
    "request_",
    [
        {"data": "{}", "headers": {"Content-Type": "application/json"}},
        {"data": {"image": "text"}},
        {"files": {"photo": b"another field"}},
        {"data": b"--x\r\nbroken", "headers": {"Content-Type": "multipart/form-data"}},
        {"files": {"image": b"x"}, "params": {"explain": "perhaps"}},
    ],
    ids=str,
)
def test_requests_that_are_not_a_form_with_an_image(service, request_):
    answer = requests.post(f"{service.url}/predict", **request_)
    assert answer.status_code in (400, 422)
    assert isinstance(answer.json()["detail"], str)


def raw_upload(service, headers, chunks):
    """Send an upload in pieces until the service hangs up; return its answer."""
    start = f"POST /predict HTTP/1.1\r\nHost: x\r\n{headers}"
    kind = "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    answer = b""
    with socket.create_connection(("127.0.0.1", service.port), 60) as connection:
        connection.sendall((start + kind).encode())
        with suppress(ConnectionError):
            for chunk in chunks:
                connection.sendall(chunk)
                while select.select([connection], [], [], 0)[0]:
                    data = connection.recv(10_000)
                    answer += data
                    if not data:
                        return answer
            answer += connection.makefile("rb").read()
    return answer


@pytest.mark.slow
def test_body_without_length_is_counted(service):
    size = 1_000_000
    chunk = b"%x\r\n" % size + b"\0" * size + b"\r\n"
    chunks = [b"%x\r\n" % len(PART) + PART + b"\r\n", *[chunk] * 50, b"0\r\n\r\n"]
    answer = raw_upload(service, "Transfer-Encoding: chunked\r\n", chunks)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"At most 10 MB are accepted" in answer


def slowly(start):
    yield start
    for _ in range(100 * MAX_SECONDS):
        time.sleep(0.1)
        yield b"-"


@pytest.mark.slow
@pytest.mark.parametrize("start, status", [(PART, 408), (b"broken", 400)], ids=str)
def test_slow_uploads_end_while_others_are_answered(service, start, status):
    """The second kind is refused at once, and goes on sending."""
    headers = "Content-Length: 100000\r\n"
    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        slow = [
            pool.submit(raw_upload, service, headers, slowly(start)) for _ in range(20)
        ]
        time.sleep(1)
        assert post(service, jpeg(60, 40))[0] == 200
        assert not all(future.done() for future in slow)
        answers = [future.result() for future in slow]
    assert {answer.split()[1] for answer in answers} == {str(status).encode()}
    # Without the limit of time they would go on for ten times as long.
    assert time.monotonic() - began < 8 * MAX_SECONDS


@pytest.mark.slow
def test_service_is_busy_when_there_are_too_many_uploads(service):
    def upload(_):
        return raw_upload(service, "Content-Length: 100000\r\n", slowly(PART))

    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(upload, range(60)))
    assert {answer.split()[1] for answer in answers} == {b"408", b"503"}
    assert post(service, jpeg(60, 40))[0] == 200


def test_refused_uploads_do_not_keep_the_service_busy():
    """They are still being dropped when the accepted ones have ended."""
    pytest.importorskip("starlette", reason=f"needs starlette, see {FOLDER}")
    limits, statuses = load("limits"), []

    async def application(scope, receive, send):
        try:
            await receive()
            status = 200
        except limits.HTTPException as error:
            status = error.status_code
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        if "status" in message:
            statuses.append(message["status"])

    async def run():
        service = limits.UploadLimits(
            application, max_bytes=100, max_seconds=60, max_uploads=1
        )

        def upload(arrives):
            async def receive():
                await arrives.wait()
                return {"type": "http.request", "body": b"", "more_body": False}

            scope = {"headers": [(b"content-length", b"9")]}
            return asyncio.create_task(service(scope, receive, send))

        quick, slow = asyncio.Event(), asyncio.Event()
        accepted, *refused = upload(quick), upload(slow), upload(slow)
        while len(statuses) < 2:
            await asyncio.sleep(0)
        quick.set()
        await accepted
        await upload(quick)
        slow.set()
        await asyncio.gather(*refused)

    asyncio.run(asyncio.wait_for(run(), 30))
    assert statuses == [503, 503, 200, 200]


def broken_uploads(n):
    """Return damaged files that skvision refuses too."""
    files, broken, seed = originals(), [], 0
    while len(broken) < n:
        _, data = mutated(files, seed)
        seed += 1
        try:
            read_image(data, image_size=(32, 32))
        except ImageReadError:
            broken.append(data)
    return broken


def peak_memory(pid):
    """Return the largest memory that a process has had, in MB."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("needs Linux, which says how much memory a process has had")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # of damaged EXIF
def test_broken_uploads_of_many_clients(service):
    before = {pid: peak_memory(pid) for pid in workers(service)}
    with ThreadPoolExecutor(20) as clients:
        answers = list(
            clients.map(lambda data: post(service, data), broken_uploads(1000))
        )
    assert len(answers) == 1000
    assert {status // 100 for status, _ in answers} == {4}
    assert all(isinstance(answer["detail"], str) for _, answer in answers)
    # Not replaced, which also reading their memory shows.
    assert workers(service) <= set(before)
    for pid, memory in before.items():
        assert peak_memory(pid) < memory + 200


@pytest.mark.slow
def test_images_are_not_written_to_files(service):
    if not hasattr(resource := pytest.importorskip("resource"), "prlimit"):
        pytest.skip("needs Linux, which limits the files of another process")
    limits = {
        pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in workers(service)
    }
    data = jpeg(60, 40) + bytes(5_000_000)
    try:
        for pid, (_, largest) in limits.items():
            # More than the log has, in which each request is a line.
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (1_000_000, largest))
        assert {post(service, data)[0] for _ in range(4)} == {200}
    finally:
        for pid, limit in limits.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, message",
    [
        (["{png}", "--workers", "2"], r"not an ONNX model of skvision \(.*Write one"),
        (["missing.onnx"], "'missing.onnx' is not a file"),
        (["{model}", "--port", "{port}"], r"port \d+ of .* in use.*--port"),
        (["{model}", "--port", "99999"], "--port: 99999 is not between"),
        (["{model}", "--workers", "0"], "--workers: 0 is less than 1"),
    ],
)
def test_errors_before_the_start_are_one_line(service, tmp_path, arguments, message):
    (tmp_path / "a.png").write_bytes(jpeg(9, 9))
    values = {"png": tmp_path / "a.png", "model": service.folder / "model.onnx"}
    arguments = [text.format(port=service.port, **values) for text in arguments]
    command = [sys.executable, FOLDER / "app.py", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.returncode != 0
    lines = [line for line in found.stderr.splitlines() if "usage:" not in line]
    assert len(lines) == 1
    assert re.search(f"^app.py: error: .*{message}", lines[0])


def test_explanation_agrees_with_the_lowest_probability(images, monkeypatch):
    """The effects of parts that overlap do not cancel each other out."""
    pytest.importorskip("fastapi", reason=f"needs FastAPI, see {FOLDER}")
    monkeypatch.syspath_prepend(FOLDER)
    app = load("app")
    for name in ("images", "limits", "model"):
        monkeypatch.delitem(sys.modules, name)

    async def connected():
        return False

    # Of the photo as it is, with one part covered, and with each other part covered.
    answers = [np.array([p, 1 - p]) for p in (0.5, 0.4, *[0.9] * 35)]
    app.app.state.model = SimpleNamespace(probabilities=lambda _: answers.pop(0))
    app.app.state.n_explained = 0
    request = SimpleNamespace(app=app.app, is_disconnected=connected)
    pixels = np.zeros((30, 30, 3), np.uint8)
    found = asyncio.run(app.where_it_looked(request, pixels, 0))
    assert (found["probability"], found["lowest_probability"]) == (0.5, 0.4)
    expected = np.zeros((5, 5))
    expected[0, 0] = np.log(0.6 / 0.4) / 4
    np.testing.assert_allclose(found["map"], expected, atol=1e-4)


@pytest.mark.slow
def test_killed_worker_is_replaced(service):
    before = workers(service)
    lost = min(before)
    os.kill(lost, signal.SIGKILL)
    wait_for(lambda: len(now := workers(service)) == 2 and lost not in now)
    assert post(service, jpeg(60, 40))[0] == 200


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window."""
    selenium = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("needs Chromium and chromedriver: apt-get install chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with selenium.Chrome(options, selenium.ChromeService(driver)) as browser:
        browser.implicitly_wait(20)
        yield browser


@pytest.mark.slow
def test_page_has_a_policy(service):
    answer = requests.get(service.url, headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (
        200,
        "nosniff",
    )
    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy


def resize(browser, width, height, mobile):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": mobile})


@pytest.mark.slow
@pytest.mark.parametrize("width, mobile", [(1280, False), (360, True)])
def test_page(service, browser, tmp_path, width, mobile):
    resize(browser, width, 740, mobile)
    browser.get_log("browser")  # drops what is in it
    browser.get(service.url)
    script = browser.execute_script
    find = partial(browser.find_element, "css selector")
    wait_for(lambda: "cat, dög" in find("#classes").text)
    assert find(".camera").is_displayed() == mobile
    # The keyboard reaches the first button.
    find("body").send_keys("\t")
    assert script("return document.activeElement.id") == "choose"
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(600, 400, orientation=6))
    _, expected = post(service, path.read_bytes())
    find("#choose").send_keys(str(path))
    wait_for(lambda: find("#status").text == expected["label"])
    assert script("return document.querySelector('img').naturalHeight") == 600
    first = max(expected["probabilities"].values())
    assert find("li .row").text.split()[1] == f"{100 * first:.1f}"
    bar, track = find("li .bar").rect["width"], find("li .track").rect["width"]
    assert bar / track == pytest.approx(first, abs=0.01)
    find("#explain").send_keys("\n")
    wait_for(lambda: find("canvas").is_displayed())
    shown = "document.querySelector('canvas').getContext('2d')"
    n_shades = f"new Set({shown}.getImageData(0, 0, 99, 99).data).size"
    assert script(f"return {n_shades}") > 5
    assert script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []  # no errors, and nothing that CSP forbids

    path.write_text("no photo")
    find("#choose").send_keys(str(path))
    wait_for(lambda: "starts with the bytes 'no photo'." in find("#error").text)
    assert not find("main").is_displayed()


@pytest.mark.slow
def test_page_takes_dropped_photos(service, browser):
    browser.get(service.url)
    browser.execute_script(
        "const transfer = new DataTransfer();"
        "transfer.items.add(new File([new Uint8Array(arguments[0])], 'photo.jpg'));"
        "const event = new DragEvent('drop', {dataTransfer: transfer, bubbles: true});"
        "document.querySelector('#drop').dispatchEvent(event);",
        list(jpeg(60, 40)),
    )
    find = partial(browser.find_element, "css selector")
    wait_for(lambda: find("#status").text in ("cat", "dög"))
