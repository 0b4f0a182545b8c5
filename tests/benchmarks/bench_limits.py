"""Memory for small files with large images, above that for the other images."""

import os
import subprocess
import sys
import zlib
from struct import pack

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

SIDE = 13_300

SCRIPT = """
import sys
from pathlib import Path
from skvision import VGG16BottleneckTransformer
from skvision.exceptions import ImageReadError

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

paths = sorted(map(str, Path(sys.argv[1]).iterdir()))
transformer = VGG16BottleneckTransformer(weights=None, image_size=(32, 32))
transformer.transform([path for path in paths if "bomb" not in path])
before = peak()
try:
    print(transformer.transform(paths).shape)
except ImageReadError as error:
    print(error)
print(peak() - before)
"""


def bomb():
    """Return a PNG of one bit with palette and transparency, 177 megapixels."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return pack(">I", len(data)) + kind + data + pack(">I", crc)

    header = pack(">IIBBBBB", SIDE, SIDE, 1, 3, 0, 0, 0)
    rows = zlib.compress(bytes((1 + -(-SIDE // 8)) * SIDE), 9)
    parts = [(b"IHDR", header), (b"PLTE", bytes(6)), (b"tRNS", b"\0"), (b"IDAT", rows)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*p) for p in [*parts, (b"IEND", b"")])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(45):
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"{i:02d}.png")
    for i in range(3):
        (path / f"{10 * i:02d}_bomb.png").write_bytes(bomb())
    return path


def transform(folder, **variables):
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    environment = os.environ | variables
    output = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    message, megabytes = output.stdout.strip().rsplit("\n", 1)
    return message, float(megabytes)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_with_bombs(folder):
    message, megabytes = transform(folder)
    print(f"default limit: {megabytes:.0f} MB above the start")
    assert "00_bomb.png" in message
    assert "more than the limit of 280 MB" in message
    assert megabytes < 300
    per_image = SIDE**2 / 2**20  # Pillow decodes a palette with one byte per pixel
    for threads in (1, 2):
        message, megabytes = transform(
            folder,
            SKVISION_MAX_IMAGE_PIXELS=str(SIDE**2 + 10**6),
            OMP_NUM_THREADS=str(threads),
        )
        print(f"{threads} threads, limit raised: {megabytes:.0f} MB above the start")
        assert message == "(48, 512)"
        # One more thread than cores reads images.
        assert megabytes < (threads + 1) * (per_image + 60) + 60
