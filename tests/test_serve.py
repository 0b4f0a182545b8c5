"""The service in examples/serve, over HTTP and in a browser."""

import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from _fuzz import encode, mutated, originals
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skvision import VGG16BottleneckTransformer, read_image
from skvision._images.decode import open_image
from skvision.exceptions import ImageReadError
from skvision.export import export_model

FOLDER = Path(__file__).parents[1] / "examples" / "serve"
ACCEPTED = ("JPEG", "MPO", "PNG", "GIF", "WEBP")
SIZE = 32, 36
MAX_BYTES, MAX_SECONDS = 3_000_000, 4
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


@pytest.fixture
def images(monkeypatch):
    """The module with which the service reads images."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    spec = importlib.util.spec_from_file_location("images", FOLDER / "images.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"interpolation": "nearest"},
        {"resize_mode": "crop", "interpolation": "bicubic"},
        {"resize_mode": "pad"},
        {"value_range": (100.0, 4095.0)},
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


def test_service_and_skvision_refuse_the_same_files(images):
    files = {k: v for k, v in originals().items() if open_image(v).format in ACCEPTED}
    for seed in range(150):
        name, data = mutated(files, seed)
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
        np.testing.assert_array_equal(found, expected, err_msg=f"{name}, seed {seed}")
