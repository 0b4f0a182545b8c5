"""Reading images: all forms of X, unusual files and damaged files."""

import os
import pickle
import re
import stat
import struct
import sys
import threading
import zlib
from collections import UserList, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import joblib
import numpy as np
import PIL
import pytest
from _optional import pd, pl
from PIL import Image, ImageFile, ImageOps, ImageSequence
from scipy import sparse
from sklearn.utils import Bunch

import skvision
from skvision._images import decode, limits, modes
from skvision._images.inputs import check_images
from skvision._images.resize import INTERPOLATIONS, PAD_COLOUR, ImageSettings
from skvision._utils.parallel import map_ahead, n_threads
from skvision.exceptions import ImageReadError, SkvisionWarning

SIZE = (48, 40)
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


# Image files, written by hand or by Pillow


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encode(image, format, **options):
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind, data):
    """Return a chunk of a PNG."""
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png(width, height, depth, colour, rows, *chunks):
    """Write a PNG according to the specification, for variants Pillow cannot write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(values, photometric=1, order="<", sample_format=1, extra=()):
    """Write an uncompressed greyscale TIFF with one row."""
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    short, long = 3, 4
    tags = [
        (256, long, len(values)),
        (257, long, 1),
        (258, short, 8 * values.itemsize),
        (259, short, 1),
        (262, short, photometric),
        (273, long, 8),
        (277, short, 1),
        (278, long, 1),
        (279, long, len(data)),
        *extra,
        (339, short, sample_format),
    ]
    directory = struct.pack(order + "H", len(tags))
    for tag, kind, value in tags:
        field = "HHI" + ("H2x" if kind == short else "I")
        directory += struct.pack(order + field, tag, kind, 1, value)
    start = struct.pack(order + "I", 8 + len(data))
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + start + data + directory + struct.pack(order + "I", 0)


def big_endian(*values):
    return np.array(values, ">u2").tobytes()


def oriented(format, orientation, image):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, format, exif=exif)


def decode_image(data, image_size, interpolation):
    return decode.decode_image(data, ImageSettings(image_size, interpolation))


def pixels(data):
    """Decode at the file's own size."""
    with Image.open(BytesIO(data)) as image:
        image.load()
        width, height = ImageOps.exif_transpose(image).size
    return decode_image(data, (height, width), "nearest")


def put(tmp_path, data, name="picture.jpg"):
    path = tmp_path / name
    path.write_bytes(data)
    return str(path)


def read(path, image_size=SIZE, interpolation="bilinear", index=2):
    images = check_images(["unused"] * index + [path])
    return images.read(index, ImageSettings(image_size, interpolation))


# Bad files


def flip(data, position):
    damaged = bytearray(data)
    damaged[position] ^= 0xFF
    return bytes(damaged)


PICTURE = noise(*SIZE, 3)
JPEG = encode(PICTURE, "JPEG")
PNG = encode(PICTURE, "PNG")
COMPLETE = {
    "jpeg": JPEG,
    "progressive": encode(PICTURE, "JPEG", progressive=True),
    "png": PNG,
    "gif": encode(PICTURE, "GIF"),
    "webp": encode(PICTURE, "WEBP"),
    "webp-lossless": encode(PICTURE, "WEBP", lossless=True),
    "tiff": encode(PICTURE, "TIFF"),
    "tiff-lzw": encode(PICTURE, "TIFF", compression="tiff_lzw"),
    "bmp": encode(PICTURE, "BMP"),
    "ppm": encode(PICTURE, "PPM"),
    "jpeg2000": encode(PICTURE, "JPEG2000"),
}
TRUNCATED = {
    f"{kind}-cut-at-{percent}%": data[: len(data) * percent // 100]
    for kind, data in COMPLETE.items()
    for percent in (1, 10, 50, 90, 99)
}
OTHER = {
    "empty": b"",
    "one byte": b"\xff",
    "jpeg marker only": b"\xff\xd8\xff",
    "jpeg without its last byte": JPEG[:-1],
    "jpeg without end marker": JPEG[:-2],
    "text": b"this is not an image\n",
    "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "json": b'{"error": "rate limit"}',
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n%%EOF\n",
    "postscript": b"%!PS\nshowpage\n",
    "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n%%EOF\n",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "wmf": struct.pack("<IHhhhhH", 0x9AC6CDD7, 0, 0, 0, 9, 9, 72) + bytes(40),
    "icon": encode(PICTURE, "ICO"),
    "tga": encode(PICTURE, "TGA"),
    "fits": b"SIMPLE  =                    T".ljust(2880),
    "zip": b"PK\x03\x04" + bytes(60),
    "gzip": b"\x1f\x8b\x08" + bytes(60),
    "numpy": b"\x93NUMPY\x01\x00v\x00" + bytes(60),
    "video": b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00" + bytes(60),
    "git-lfs pointer": b"version https://git-lfs.github.com/spec/v1\nsize 9\n",
    "zeros": bytes(4096),
    "random": noise(4096, seed=1).tobytes(),
    "png: signature damaged": flip(PNG, 1),
    "png: header damaged": flip(PNG, 20),
    "png: header checksum damaged": flip(PNG, 30),
    "png: pixels damaged": flip(PNG, len(PNG) // 2),
    "png: checksum of pixels damaged": flip(PNG, len(PNG) - 13),
    "png: no end marker": PNG[:-12],
    "png: no pixels": PNG[:33] + PNG[-12:],
    "png: bomb": png(65500, 65500, 8, 2, bytes(100)),
    "png: zero width": png(0, 4, 8, 2, b""),
    "png: zero height": png(4, 0, 8, 2, b""),
    "bmp: zero size": COMPLETE["bmp"][:18] + bytes(8) + COMPLETE["bmp"][26:],
    "bmp: huge": COMPLETE["bmp"][:18] + b"\xff\xff\xff\x7f" * 2 + bytes(40),
    "ppm: negative size": b"P6\n-4 4\n255\n" + bytes(48),
    "gif: no frame": b"GIF89a\x04\x00\x04\x00\x00\x00\x00;",
    "webp: header only": b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(8),
    "tiff: no directory": b"II*\x00\xff\xff\xff\x7f",
    "tiff: floats with NaN": tiff(np.float32([0, np.nan]), sample_format=3),
    "tiff: floats below 0": tiff(np.float32([-1, 1]), sample_format=3),
    "tiff: floats above 1": tiff(np.float32([0, 1.89]), sample_format=3),
    "tiff: 32 bit": tiff(np.uint32([0, 70000])),
    "tiff: negative": tiff(np.int16([-5, 5]), sample_format=2),
}


BAD = TRUNCATED | OTHER


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_bad_content_names_index_and_path(tmp_path, data):
    path = put(tmp_path, data)
    with pytest.raises(ImageReadError, match=r"picture\.jpg' \(X\[2\]\)") as info:
        read(path)
    assert (info.value.index, info.value.path) == (2, path)
    assert re.search("check_image_files|value_range|SKVISION_MAX", str(info.value))
    assert "BytesIO" not in str(info.value)


def make_missing(path):
    pass


def make_dangling(path):
    path.symlink_to(path.with_name("nowhere"))


def make_loop(path):
    path.symlink_to(path)


def make_linked_folder(path):
    path.symlink_to(path.parent)


def make_socket(path):
    os.mknod(path, stat.S_IFSOCK | 0o600)


def make_link_to_device(path):
    path.symlink_to("/dev/null")


def make_forbidden(path):
    if ROOT:
        pytest.skip("root can read every file")
    path.touch(mode=0)


@pytest.mark.parametrize(
    "make, cause",
    [
        (make_missing, "No such file"),
        (Path.mkdir, "a folder, not a regular file"),
        (make_linked_folder, "a folder, not a regular file"),
        (make_dangling, "No such file"),
        (make_loop, "symbolic links"),
        (make_socket, "a pipe, socket or device"),
        (make_link_to_device, "a pipe, socket or device"),
        (Path.touch, "the file is empty"),
        (make_forbidden, "Permission denied"),
    ],
)
def test_bad_path_names_index_and_path(tmp_path, make, cause):
    path = tmp_path / "picture.jpg"
    make(path)
    with pytest.raises(ImageReadError, match=rf"\(X\[2\]\): .*{cause}") as info:
        read(path)
    assert (info.value.index, info.value.path) == (2, str(path))


def test_named_pipe_does_not_block(tmp_path):
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    errors = []

    def attempt():
        try:
            read(path)
        except ImageReadError as error:
            errors.append(str(error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(timeout=10)
    assert len(errors) == 1
    assert "pipe" in errors[0]


def test_path_that_continues_after_a_file(tmp_path):
    path = put(tmp_path, JPEG) + "/picture.jpg"
    with pytest.raises(ImageReadError, match=r"\(X\[2\]\): .*Not a directory"):
        read(path)


def test_eps_does_not_start_ghostscript(tmp_path, monkeypatch):
    monkeypatch.setattr("subprocess.Popen", lambda *args, **kwargs: pytest.fail("run"))
    with pytest.raises(ImageReadError, match="not a complete image"):
        read(put(tmp_path, OTHER["eps"]))


def test_error_quotes_the_start_of_what_is_no_image():
    with pytest.raises(ImageReadError, match=r"it starts with b'<!DOCTYPE html><'\. "):
        skvision.read_image(OTHER["html"])
    with pytest.raises(ImageReadError, match="JPEG: it is empty"):
        skvision.read_image(b"")


def heic():
    pillow_heif = pytest.importorskip("pillow_heif", reason="reads HEIC")
    buffer = BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), (250, 10, 20))).save(buffer)
    return buffer.getvalue()


def test_heic_is_read_if_pillow_heif_is_installed(tmp_path):
    pixels = read(put(tmp_path, heic()))
    assert np.abs(pixels.astype(int) - (250, 10, 20)).max() <= 6


def test_heic_error_names_the_missing_package(tmp_path, monkeypatch):
    path = put(tmp_path, heic())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    with pytest.raises(ImageReadError, match=r"HEIC image.*scikit-vision\[heif\]"):
        read(path)


def test_pillow_warning_raised_as_error_names_the_file(tmp_path):
    path = put(tmp_path, png(10_000, 10_000, 8, 0, b""))
    with pytest.raises(ImageReadError, match=r"picture\.jpg' \(X\[2\]\)"):
        read(path)


def test_error_reports_unsupported_range_of_grey_values(tmp_path):
    with pytest.raises(ImageReadError, match=r"between -1\.0 and 1\.0, expected 0 to"):
        read(put(tmp_path, OTHER["tiff: floats below 0"]))


def test_error_survives_pickling(tmp_path):
    with pytest.raises(ImageReadError, match="No such file") as info:
        read(str(tmp_path / "a.png"))
    copy = pickle.loads(pickle.dumps(info.value))
    assert (copy.index, copy.path) == (2, str(tmp_path / "a.png"))
    assert str(copy) == str(info.value)


@pytest.mark.parametrize("kind", COMPLETE)
def test_file_truncated_near_its_end_never_gives_a_partial_image(kind):
    """Decoding raises an error or returns exactly the complete image."""
    data = COMPLETE[kind]
    expected = decode_image(data, SIZE, "nearest")
    n_errors = 0
    for cut in range(1, 60):
        try:
            found = decode_image(data[:-cut], SIZE, "nearest")
        except Exception:
            n_errors += 1
        else:
            np.testing.assert_array_equal(found, expected)
    assert n_errors > 30


def test_setting_of_pillow_that_accepts_truncated_images_is_refused(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for X in (JPEG, JPEG[:-200]):
        with pytest.raises(ValueError, match=r"LOAD_TRUNCATED_IMAGES.*it to False"):
            skvision.read_image(X)
    for X in (PICTURE[np.newaxis], [PICTURE, PICTURE]):
        check_images(X)  # nothing to decode


def test_flipped_bits_in_a_png_raise():
    for position in range(8, len(PNG) - 12, 31):
        with pytest.raises((OSError, SyntaxError, ValueError), match=r"."):
            decode_image(flip(PNG, position), SIZE, "nearest")


# Unusual but valid files

GREY16 = np.array([[0, 257, 25700, 65535]], np.uint16)
GREY8 = [0, 1, 100, 255]
KEY = (b"tRNS", b"\0\x05")
WHITE = [255] * 3


def grey(*values):
    return [[value] * 3 for value in values]


def flat(mode, colour):
    return Image.new(mode, (2, 1), colour)


UNUSUAL = {
    "png 1": (encode(flat("1", 1), "PNG"), grey(255, 255)),
    "png L": (encode(flat("L", 9), "PNG"), grey(9, 9)),
    "png 2 bit": (png(4, 1, 2, 0, b"\0\x1b"), grey(0, 85, 170, 255)),
    "png LA": (encode(flat("LA", (0, 51)), "PNG"), grey(204, 204)),
    "png RGBA": (encode(flat("RGBA", (0, 255, 0, 0)), "PNG"), [WHITE] * 2),
    "png RGBA half": (
        encode(flat("RGBA", (255, 0, 0, 51)), "PNG"),
        [[255, 204, 204]] * 2,
    ),
    "png P": (encode(flat("RGB", (9, 8, 7)).quantize(2), "PNG"), [[9, 8, 7]] * 2),
    "png P, one index transparent": (
        png(2, 1, 8, 3, b"\0\0\1", (b"PLTE", bytes(range(6))), (b"tRNS", b"\0")),
        [WHITE, [3, 4, 5]],
    ),
    "png P, half transparent": (
        png(2, 1, 8, 3, b"\0\0\1", (b"PLTE", bytes(6)), (b"tRNS", b"\xff\x33")),
        grey(0, 204),
    ),
    "png 1 tRNS": (png(2, 1, 1, 0, b"\0\x40", (b"tRNS", b"\0\0")), grey(255, 255)),
    "png 2 bit tRNS": (
        png(4, 1, 2, 0, b"\0\x1b", (b"tRNS", b"\0\1")),
        grey(0, 255, 170, 255),
    ),
    "png 4 bit tRNS": (png(2, 1, 4, 0, b"\0\x5a", KEY), grey(255, 170)),
    "png 8 bit tRNS": (png(2, 1, 8, 0, b"\0\x05\x55", KEY), grey(255, 85)),
    "png 16 bit tRNS": (
        png(2, 1, 16, 0, b"\0" + big_endian(5, 25700), KEY),
        grey(255, 100),
    ),
    "png RGB tRNS": (
        png(2, 1, 8, 2, b"\0\1\2\3\4\5\6", (b"tRNS", big_endian(1, 2, 3))),
        [WHITE, [4, 5, 6]],
    ),
    "png RGB 16 bit tRNS": (
        png(
            *(2, 1, 16, 2, b"\0" + big_endian(257, 514, 771, 1028, 1285, 1542)),
            (b"tRNS", big_endian(257, 514, 771)),
        ),
        [WHITE, [4, 5, 6]],
    ),
    "png 16 bit": (encode(GREY16, "PNG"), grey(*GREY8)),
    "png LA 16 bit": (png(1, 1, 16, 4, b"\0" + big_endian(0, 13107)), grey(204)),
    "png RGB 16 bit": (
        png(1, 1, 16, 2, b"\0" + big_endian(257, 25700, 65535)),
        [[1, 100, 255]],
    ),
    "png 16 bit rounds": (
        encode(np.array([[128, 129, 385, 386]], np.uint16), "PNG"),
        grey(0, 1, 1, 2),
    ),
    "tiff 16 bit": (tiff(GREY16[0]), grey(*GREY8)),
    "tiff 16 bit, big endian": (tiff(GREY16[0], order=">"), grey(*GREY8)),
    "tiff 16 bit, white is zero": (tiff(GREY16[0], 0), grey(255, 254, 155, 0)),
    "tiff 8 bit, white is zero": (tiff(np.uint8(GREY8), 0), grey(255, 254, 155, 0)),
    "tiff 32 bit": (tiff(np.int32(GREY16[0]), sample_format=2), grey(*GREY8)),
    "tiff float 0..1": (
        tiff(np.float32([0, 0.2, 1]), sample_format=3),
        grey(0, 51, 255),
    ),
    "tiff float 0..1, big endian": (
        tiff(np.float32([0, 0.2, 1]), order=">", sample_format=3),
        grey(0, 51, 255),
    ),
    "tiff CMYK": (encode(flat("CMYK", (255, 0, 0, 0)), "TIFF"), [[0, 255, 255]] * 2),
    "tiff YCbCr": (encode(flat("YCbCr", (90, 128, 128)), "TIFF"), grey(90, 90)),
    "tiff PA": (encode(flat("PA", (0, 0)), "TIFF"), [WHITE] * 2),
    "tiff LA": (encode(flat("LA", (0, 51)), "TIFF"), grey(204, 204)),
    "tiff fax": (encode(flat("1", 1), "TIFF", compression="group4"), grey(255, 255)),
    "pgm 16 bit": (b"P5\n4 1\n65535\n" + big_endian(*GREY16[0]), grey(*GREY8)),
    "pgm 10 bit": (b"P5\n2 1\n1023\n" + big_endian(0, 1023), grey(0, 255)),
    "pgm plain": (b"P2\n# by hand\n2 1\n255\n7 9\n", grey(7, 9)),
    "pfm": (encode(np.float32([[0, 0.2, 1]]), "PPM"), grey(0, 51, 255)),
    "bmp 1": (encode(flat("1", 1), "BMP"), grey(255, 255)),
    "gif transparent": (
        encode(flat("P", 0), "GIF", transparency=0),
        [WHITE] * 2,
    ),
    "webp RGBA": (
        encode(flat("RGBA", (0, 0, 0, 0)), "WEBP", lossless=True),
        [WHITE] * 2,
    ),
    "jpeg2000 16 bit": (
        encode(GREY16.repeat(4, 0), "JPEG2000"),
        [[[v] * 3 for v in GREY8]] * 4,
    ),
    "jpeg2000 RGBA": (
        encode(flat("RGBA", (0, 0, 0, 51)), "JPEG2000"),
        grey(204, 204),
    ),
    "jpeg with trailing text": (
        encode(flat("L", 90), "JPEG") + b"more",
        grey(90, 90),
    ),
}
if int(PIL.__version__.split(".")[0]) < 13:
    del UNUSUAL["tiff YCbCr"]  # Pillow 11 and 12 cannot read the file they write


@pytest.mark.parametrize("data, expected", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_unusual_file(data, expected):
    found = pixels(data)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.reshape(expected, found.shape))


@pytest.mark.parametrize("mode", ["CMYK", "L", "RGB"])
def test_jpeg_modes(mode):
    data = encode(Image.new("RGB", (16, 16), (90, 90, 90)).convert(mode), "JPEG")
    np.testing.assert_allclose(pixels(data), 90, atol=2)


def test_lab_tiff():
    data = encode(flat("LAB", (255, 128, 128)), "TIFF")
    np.testing.assert_allclose(pixels(data), 255, atol=1)


@pytest.mark.parametrize("mode", ["La", "RGBa", "RGBX", "HSV", "I;16B", "I;16L"])
def test_modes_returned_only_by_plugins(mode, monkeypatch):
    """A plugin may return an image of any mode."""

    class Plugin(type(Image.open(BytesIO(PNG)))):
        def load(self):
            self.info.pop("transparency", None)
            replaced = Image.new(mode, self.size)
            self.im, self._mode, self.tile = replaced.im, mode, []
            return super().load()

    monkeypatch.setitem(Image.OPEN, "PNG", (Plugin, Image.OPEN["PNG"][1]))
    transparent = mode in ("La", "RGBa")
    found = decode_image(PNG, SIZE, "nearest")
    np.testing.assert_array_equal(found, 255 if transparent else 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(format, orientation):
    corners = np.kron(np.array([[40, 80, 120], [160, 200, 240]]), np.ones((16, 16)))
    data = oriented(format, orientation, np.uint8(corners))
    upright = {
        1: corners,
        2: corners[:, ::-1],
        3: corners[::-1, ::-1],
        4: corners[::-1],
        5: corners.T,
        6: np.rot90(corners, -1),
        7: corners[::-1, ::-1].T,
        8: np.rot90(corners),
    }[orientation]
    found = decode_image(data, upright.shape, "bilinear")
    np.testing.assert_allclose(found, upright[..., None].repeat(3, 2), atol=3)


def test_exif_orientation_of_16_bit_tiff():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(GREY16, "TIFF", tiffinfo=exif)
    found = decode_image(data, (4, 1), "nearest")
    np.testing.assert_array_equal(found[:, 0, 0], GREY8)


@pytest.mark.parametrize("metadata", [b"Exif\0\0", b"garbage", b"Exif\0\0II*\0\xff"])
@pytest.mark.filterwarnings("ignore:.*EXIF data:UserWarning")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_damaged_metadata_are_ignored(format, metadata):
    data = encode(flat("L", 90).resize((8, 8)), format, exif=metadata)
    np.testing.assert_allclose(decode_image(data, (8, 8), "nearest"), 90, atol=2)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_several(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert Image.open(BytesIO(data)).n_frames == 3
    np.testing.assert_array_equal(pixels(data), np.full((8, 8, 3), (255, 0, 0)))


def test_mpo_is_read_as_its_first_image():
    data = encode(
        Image.new("RGB", (64, 64), "red"),
        "MPO",
        save_all=True,
        append_images=[Image.new("RGB", (64, 64), "blue")],
    )
    np.testing.assert_allclose(pixels(data)[0, 0], (255, 0, 0), atol=3)


def test_frames_of_a_pillow_image_must_be_copies():
    stack = [Image.new("L", (8, 8), 60 * i) for i in range(3)]
    data = encode(stack[0], "TIFF", save_all=True, append_images=stack[1:])
    frames = [*ImageSequence.Iterator(Image.open(BytesIO(data)))]
    with pytest.raises(ValueError, match=r"X\[0\] and X\[1\] are the same.*copies"):
        check_images(frames)
    images = check_images(
        [frame.copy() for frame in ImageSequence.Iterator(Image.open(BytesIO(data)))]
    )
    found = [images.read(i, ImageSettings(None))[0, 0, 0] for i in range(3)]
    assert found == [0, 60, 120]


@pytest.mark.parametrize("format", ["AVIF"])
def test_formats_of_newer_pillow(format):
    if format not in Image.SAVE:
        pytest.skip(f"this Pillow does not write {format}")
    data = encode(Image.new("RGB", (64, 64), (90, 90, 90)), format)
    np.testing.assert_allclose(pixels(data), 90, atol=2)


# Size


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("image_size", [(7, 31), (96, 80), SIZE])
def test_resize_equals_pillow_for_files_and_arrays(tmp_path, interpolation, image_size):
    method = Image.Resampling[interpolation.upper()]
    expected = Image.fromarray(PICTURE).resize(image_size[::-1], method)
    found = read(put(tmp_path, PNG), image_size, interpolation)
    np.testing.assert_array_equal(found, np.asarray(expected))
    images = check_images(PICTURE[None])
    found = images.read(0, ImageSettings(image_size, interpolation))
    np.testing.assert_array_equal(found, np.asarray(expected))


def test_grey_array_equals_grey_file(tmp_path):
    picture = noise(20, 30)
    images = check_images(picture[None])
    found = images.read(0, ImageSettings((9, 8), "bicubic"))
    expected = read(put(tmp_path, encode(picture, "PNG")), (9, 8), "bicubic")
    np.testing.assert_array_equal(found, expected)


def photo(height, width):
    """Return a smooth random image with a little noise."""
    field = Image.fromarray(noise(9, 12, 3)).resize((width, height), 3)
    grain = np.random.default_rng(1).integers(-8, 9, (height, width, 1), np.int16)
    return np.clip(np.asarray(field) + grain, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def large_jpeg():
    return encode(photo(3001, 4001), "JPEG", quality=90)


def test_large_jpeg_is_decoded_at_a_reduced_scale(large_jpeg, monkeypatch):
    sizes = []
    resize = Image.Image.resize

    def spy(self, *args, **kwargs):
        sizes.append(self.size)
        return resize(self, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "resize", spy)
    decode_image(large_jpeg, (150, 100), "bilinear")
    decode_image(large_jpeg, (250, 100), "bilinear")
    decode_image(large_jpeg, (100, 250), "bilinear")
    decode_image(large_jpeg, (150, 100), "nearest")
    assert sizes == [(501, 376), (1001, 751), (1001, 751), (4001, 3001)]


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_reduced_scale_is_close_to_the_full_decode(large_jpeg, interpolation):
    full = Image.open(BytesIO(large_jpeg))
    full = full.resize((150, 120), Image.Resampling[interpolation.upper()])
    found = decode_image(large_jpeg, (120, 150), interpolation)
    difference = np.abs(found.astype(int) - np.asarray(full))
    assert difference.mean() < 1
    assert difference.max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_scale_keeps_edges_in_place_for_all_orientations(orientation):
    """At scale 1/8, 329 pixels end within the 42nd; the rest of it is padding."""
    ramp = np.linspace(0, 255, 329 * 3)[:, None] + np.linspace(0, -30, 329)
    data = oriented("JPEG", orientation, np.uint8(np.clip(ramp, 0, 255)))
    with Image.open(BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    expected = upright.resize((20, 20), Image.Resampling.BOX)
    found = decode_image(data, (20, 20), "box")
    difference = found.astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 2


# Resize modes


def rows_of(settings, data):
    return decode.decode_image(data, settings)[:, 0, 0].tolist()


TALL = np.repeat(np.arange(0, 240, 20, np.uint8), 4).reshape(12, 4)  # 12 x 4 pixels


@pytest.mark.parametrize(
    "size, mode, expected",
    [
        ((4, 4), "crop", [80, 100, 120, 140]),
        ((2, 4), "crop", [100, 120]),
        ((12, 2), "crop", list(range(0, 240, 20))),
        ((12, 12), "stretch", list(range(0, 240, 20))),
        ((14, 4), "pad", [124, *range(0, 240, 20), 124]),
    ],
)
def test_resize_modes(size, mode, expected):
    data = encode(TALL, "PNG")
    for X in (data, TALL, Image.fromarray(TALL)):
        settings = ImageSettings(size, "nearest", mode)
        found = check_images([X]).read(0, settings)[:, size[1] // 2, 0]
        assert found.tolist() == expected


def test_padding_keeps_the_aspect_ratio_of_a_turned_image():
    data = oriented("JPEG", 6, np.full((80, 160), 255, np.uint8))
    found = skvision.read_image(data, image_size=(40, 60), resize_mode="pad")
    is_image = (found == 255).all(axis=2)
    assert is_image.sum() == 40 * 20
    assert is_image[:, 20:40].all()
    assert (found[0, 0] == PAD_COLOUR).all()


# Depth: one scale for all images


@pytest.mark.parametrize(
    "values, value_range, expected",
    [
        (np.uint16([0, 4095, 65535]), (0, 4095), [0, 255, 255]),
        (np.uint16([100, 150, 300]), (100, 200), [0, 128, 255]),
        (np.float32([-1, 0, 1]), (-1, 1), [0, 128, 255]),
        (np.float32([0, 2410, 4820]), (0, 4820), [0, 128, 255]),
        (np.int16([-5, 0, 5]), (-5, 5), [0, 128, 255]),
    ],
)
def test_value_range(values, value_range, expected):
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    data = tiff(values, sample_format=kind)
    for X in (data, Image.open(BytesIO(data))):
        found = skvision.read_image(X, value_range=value_range)
        assert found[0, :, 0].tolist() == expected


def bmp_of_16_bits_per_pixel():
    """Return a BMP with one pixel, in which three colours share 16 bits."""
    header = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 16, 3, 4, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    start = 14 + len(header) + len(masks)
    data = header + masks + struct.pack("<HH", 0x07E0, 0)  # green
    return b"BM" + struct.pack("<IHHI", 14 + len(data), 0, 0, start) + data


def test_value_range_ignores_16_bits_for_all_colours():
    data = bmp_of_16_bits_per_pixel()
    assert skvision.read_image(data, value_range=(0, 9)).tolist() == [[[0, 255, 0]]]


def test_value_range_ignores_8_bits_and_refuses_deep_colours():
    assert (skvision.read_image(PNG, value_range=(0, 9)) == PICTURE).all()
    deep = UNUSUAL["png RGB 16 bit"][0]
    with pytest.raises(ImageReadError, match="upper 8, so that value_range cannot"):
        skvision.read_image(deep, value_range=(0, 4095))
    skvision.read_image(deep, value_range=(0, 65535))


@pytest.mark.parametrize(
    "value_range", [(1, 0), (0, 0), 5, "ab", (0, np.nan), (0, 1, 2)]
)
def test_bad_value_range(value_range):
    with pytest.raises(ValueError, match=r"'value_range' parameter.*\(black, white\)"):
        skvision.read_image(PNG, value_range=value_range)


@pytest.mark.parametrize(
    "white, value, suggested",
    [(65535, 4095, r"\(0, 4095\)"), (65535, 200, r"\(0, 255\)"), (1, 0.05, r"\(0, 0")],
)
def test_warning_names_the_first_dark_image(tmp_path, white, value, suggested):
    dark, full = ([0, largest] for largest in (value, white))
    dtype = np.float32 if white == 1 else np.uint16
    data = [tiff(dtype(v), sample_format=3 if white == 1 else 1) for v in (dark, full)]
    paths = [put(tmp_path, data[i], f"{n}.tif") for n, i in enumerate([1, 0, 1, 0, 0])]
    images = check_images(paths)
    for i in reversed(range(5)):
        images.read(i, ImageSettings((2, 2)))
    with pytest.warns(SkvisionWarning, match=rf"1\.tif.* and 2 other .*{suggested}"):
        images.warn_if_narrow()
    images.read(1, ImageSettings((2, 2)))
    images.warn_if_narrow()  # only once
    with pytest.warns(SkvisionWarning, match="^image, .* bytes has more"):
        skvision.read_image(data[0])
    skvision.read_image(data[0], value_range=(0, 1))


@pytest.mark.parametrize(
    "values, is_narrow",
    [([51241, 52181], True), ([61000, 61000], False), ([20000, 25000], False)],
    ids=["thermal", "blank page", "enough"],
)
def test_warning_of_values_far_from_black(values, is_narrow):
    for order in "<>":
        images = check_images([tiff(np.uint16(values), order=order)])
        images.read(0, ImageSettings((2, 2)))
        assert bool(images.narrow) == is_narrow
    if is_narrow:
        with pytest.warns(SkvisionWarning, match=r"perhaps \(51241, 52181\), the same"):
            images.warn_if_narrow()


def test_warning_of_black_values_does_not_suggest_an_empty_range():
    black = encode(Image.new("F", (2, 2)), "TIFF")
    with pytest.warns(SkvisionWarning, match=r"\(black, white\), the same for all"):
        skvision.read_image(black)


def test_warning_of_deep_colours_does_not_suggest_a_range():
    dark = png(1, 1, 16, 2, b"\0" + big_endian(1000, 2000, 3000))
    with pytest.warns(SkvisionWarning, match="convert the images to 8 bits with"):
        skvision.read_image(dark)


# Images in memory are read as files are


@pytest.mark.filterwarnings("ignore:.*contrast:skvision.exceptions.SkvisionWarning")
def test_files_bytes_and_pillow_images_give_the_same_pixels(tmp_path):
    files = {
        **{f"exif {n}": oriented("JPEG", n, PICTURE) for n in range(1, 9)},
        **{name: data for name, (data, _) in UNUSUAL.items() if "tRNS" not in name},
    }
    for name, data in files.items():
        path = put(tmp_path, data, "x")
        with Image.open(path) as opened, Image.open(path) as loaded:
            loaded.load()
            found = [skvision.read_image(X) for X in (path, data, opened, loaded)]
        for other in [*found[1:], skvision.read_image(found[0])]:
            np.testing.assert_array_equal(other, found[0], err_msg=name)


def test_digests_of_pillow_images_differ_by_what_they_show():
    image = Image.fromarray(PICTURE)
    turned = image.copy()
    turned.getexif()[0x0112] = 6
    palettes = [image.quantize(8), image.quantize(8)]
    palettes[1].putpalette(bytes(24))
    X = [image, turned, image.convert("L"), image.resize((9, 7)), *palettes]
    images = check_images(X)
    assert len({images.digest(i) for i in range(len(X))}) == len(X)
    assert check_images([image.copy()]).digest(0) == images.digest(0)


def test_pillow_image_of_a_format_that_is_not_read_from_files():
    opened = Image.open(BytesIO(encode(PICTURE, "TGA")))
    np.testing.assert_array_equal(skvision.read_image(opened), PICTURE)


def test_pillow_images_are_not_changed(tmp_path):
    path = put(tmp_path, UNUSUAL["png 4 bit tRNS"][0])
    with Image.open(path) as image:
        before = dict(image.info)
        skvision.read_image(image)
        assert (image.info, image.mode) == (before, "L")


def test_pillow_image_that_is_not_decoded_is_read_as_its_file(large_jpeg):
    opened = Image.open(BytesIO(large_jpeg))
    images = check_images([large_jpeg, opened, opened])
    assert images.digest(1) == images.digest(0)
    found = [images.read(i, ImageSettings((50, 60))) for i in range(3)]
    assert (found[1] == found[0]).all() and (found[2] == found[0]).all()
    assert opened.tile  # still not decoded
    opened.load()
    assert images.digest(1) != images.digest(0)


def test_loaded_pillow_images_are_told_apart_by_all_that_matters():
    inverted = Image.open(BytesIO(tiff(GREY16[0], 0)))
    inverted.load()
    same_values = Image.fromarray(np.array(inverted))
    images = check_images([inverted, same_values])
    assert images.digest(0) != images.digest(1)
    deep = Image.open(BytesIO(UNUSUAL["png RGB 16 bit tRNS"][0]))
    deep.load()
    assert skvision.read_image(deep)[0, :, 0].tolist() == [255, 4]


def test_closed_pillow_image_is_an_image_read_error(tmp_path):
    image = Image.open(put(tmp_path, PNG))
    image.close()
    with pytest.raises(ImageReadError, match=r"a Pillow image of mode RGB.*closed bef"):
        check_images([image]).read(0, ImageSettings((4, 4)))


# Limits


def test_limit_on_bytes_is_checked_before_reading(tmp_path, monkeypatch):
    path = put(tmp_path, b"\xff\xd8\xff")
    os.truncate(path, 3 * 10**9)  # sparse
    with pytest.raises(ImageReadError, match="3,000 MB, more than the limit of 100 MB"):
        read(path)
    monkeypatch.setenv("SKVISION_MAX_IMAGE_BYTES", "10")
    with pytest.raises(ImageReadError, match="SKVISION_MAX_IMAGE_BYTES to at least"):
        read(put(tmp_path, PNG))


def bombs():
    """Return small files with large images."""
    size, rows = 13_300, b""
    palette = (b"PLTE", bytes(6)), (b"tRNS", b"\0")
    yield "png", png(size, size, 1, 3, rows, *palette)
    yield "png too large for Pillow", png(65_500, 65_500, 8, 2, rows)
    yield "webp", encode(Image.new("RGB", (5000, 5000)), "WEBP")
    yield "tiff tile", tiff(GREY16[0], extra=[(322, 4, 60_000), (323, 4, 60_000)])


@pytest.mark.parametrize("data", [pytest.param(d, id=name) for name, d in bombs()])
def test_limit_on_pixels_is_checked_before_decoding(data):
    with pytest.raises(ImageReadError, match="more than the limit of 280 MB"):
        skvision.read_image(data, image_size=(32, 32))


def test_limit_on_pixels_can_be_raised_beyond_that_of_pillow(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert skvision.read_image(PNG).shape == PICTURE.shape
    monkeypatch.setenv("SKVISION_MAX_IMAGE_PIXELS", "1_000")
    with pytest.raises(ImageReadError, match=r"48 pixels as PNG .* to at least \d+,"):
        skvision.read_image(PNG)
    monkeypatch.setenv("SKVISION_MAX_IMAGE_PIXELS", "many")
    with pytest.raises(ValueError, match="_MAX_IMAGE_PIXELS must be a whole"):
        skvision.read_image(PNG)


def test_limit_counts_what_several_scans_of_a_jpeg_need(monkeypatch):
    image = Image.fromarray(photo(800, 800))
    baseline, progressive = (
        encode(image, "JPEG", progressive=p, subsampling=0) for p in (False, True)
    )
    monkeypatch.setenv("SKVISION_MAX_IMAGE_PIXELS", "400_000")
    skvision.read_image(baseline, image_size=(40, 40))
    with pytest.raises(ImageReadError, match="800 x 800 pixels as JPEG"):
        skvision.read_image(progressive, image_size=(40, 40))


def test_limit_counts_what_the_tiles_of_a_jpeg_2000_need():
    image = Image.new("L", (600, 600))
    few, many = (encode(image, "JPEG2000", tile_size=(n, n)) for n in (200, 4))
    assert skvision.read_image(few, image_size=(9, 9)).shape == (9, 9, 3)
    with pytest.raises(ImageReadError, match=r"600 pixels as JPEG2000 .* \d{3} MB"):
        skvision.read_image(many, image_size=(9, 9))


@pytest.mark.parametrize("format", ["JPEG", "MPO"])
def test_limit_on_the_scans_of_a_jpeg(format):
    image = Image.fromarray(photo(40, 30))
    data = encode(image, format, progressive=True)
    end = data.index(b"\xff\xd9", data.rindex(b"\xff\xda"))
    scan = data[data.rindex(b"\xff\xda") : end]
    expected = skvision.read_image(data)
    few, many = (data[:end] + n * scan + data[end:] for n in (80, 100))
    # As the film in a "motion photo", or the other images of an MPO.
    found = skvision.read_image(few + bytes(100_000) + 1000 * b"\xff\xda")
    assert found.shape == expected.shape
    with pytest.raises(ImageReadError, match=r"more than 100 scans.*save it again"):
        skvision.read_image(many)


def many_pieces(n):
    """Return files whose metadata consist of `n` pieces, by format."""
    gif, palette = COMPLETE["gif"], 3 * 256
    yield "jpeg", JPEG[:2] + n * b"\xff\xe5\0\2" + JPEG[2:]
    yield "jpeg padding", JPEG[:2] + n * b"\xff" + JPEG[2:]
    yield "png", PNG[:33] + n * chunk(b"teXt", b"") + PNG[33:]
    yield "png data", PNG[:33] + n * chunk(b"IDAT", b"") + PNG[33:]
    start = 13 + palette
    yield "gif", gif[:start] + b"!\xfe" + n * b"\1a" + b"\0" + gif[start:]
    yield "gif blocks", gif[:start] + n * b"!\xfe\1a\0" + gif[start:]
    yield "ppm", COMPLETE["ppm"][:3] + b"#" + n * b" " + b"\n" + COMPLETE["ppm"][3:]


@pytest.mark.parametrize("kind", [name for name, _ in many_pieces(1)])
def test_limit_on_the_pieces_of_a_file(kind, monkeypatch):
    few, many = (dict(many_pieces(n))[kind] for n in (20, 1000))
    expected = skvision.read_image(few)
    assert expected.shape == PICTURE.shape
    np.testing.assert_array_equal(skvision.read_image(many), expected)
    monkeypatch.setattr(limits, "_MAX_READS", 900)
    np.testing.assert_array_equal(skvision.read_image(few), expected)
    with pytest.raises(ImageReadError, match=r"more than 300 segments.*save it again"):
        skvision.read_image(many)


def test_limit_on_pieces_counts_runs_of_a_bmp_less(monkeypatch):
    """Pillow reads them byte by byte."""
    runs = b"\1\0\1\1" * 400 + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, 800, 1, 1, 8, 1, len(runs), 0, 0, 2, 0)
    start = 14 + len(header) + 8
    data = b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + header
    data += b"\0\0\0\0\xff\xff\xff\0" + runs
    monkeypatch.setattr(limits, "_MAX_READS", 900)
    found = skvision.read_image(data)
    np.testing.assert_array_equal(found[0, :, 0], [0, 255] * 400)
    monkeypatch.setattr(limits, "_MAX_READS", 150)
    with pytest.raises(ImageReadError, match="more than 50 segments"):
        skvision.read_image(data)


def test_limit_on_the_exif_segments_of_a_jpeg():
    """Pillow joins them, in a time that grows with the square of their number."""
    few, many = (
        JPEG[:2] + n * b"\xff\xe1\0\x09Exif\0\0\0" + JPEG[2:] for n in (9, 100)
    )
    assert skvision.read_image(few).shape == PICTURE.shape
    with pytest.raises(ImageReadError, match="segments"):
        skvision.read_image(many)


def test_raw_file_of_a_camera_is_not_read_as_its_thumbnail():
    """DNG and NEF are TIFFs, in whose subdirectories is the photo."""
    sub_directories = [(330, 4, 8)]
    for extra in ([(254, 4, 1)], [(254, 4, 0), *sub_directories]):
        skvision.read_image(tiff(np.zeros(64, np.uint8), extra=extra))
    data = tiff(np.zeros(64, np.uint8), extra=[(254, 4, 1), *sub_directories])
    for X in (data, Image.open(BytesIO(data))):
        with pytest.raises(ImageReadError, match="raw file of a camera"):
            skvision.read_image(X)


@pytest.mark.parametrize("tag", [273, 324])
def test_limit_on_the_strips_of_a_tiff(tag, monkeypatch):
    values = np.zeros(64, np.uint8)
    data = tiff(values, extra=[(tag, 4, 8)] if tag == 324 else ())
    skvision.read_image(data)
    monkeypatch.setattr(limits, "_MAX_STRIPS", 0)
    with pytest.raises(ImageReadError, match=r"more than 0 strips.*save it again"):
        skvision.read_image(data)


@pytest.mark.parametrize("mode", ["P", "RGBA", "L"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_bands_of_a_large_image_are_close_to_the_whole(mode, orientation, monkeypatch):
    data = oriented("PNG", orientation, Image.fromarray(photo(301, 403)).convert(mode))
    expected = decode_image(data, (30, 50), "box")
    sampled = decode_image(data, (30, 50), "nearest")
    monkeypatch.setattr(decode, "MAX_PIXELS_AT_ONCE", 0)
    assert (decode_image(data, (30, 50), "nearest") == sampled).mean() > 0.9
    monkeypatch.setattr(modes, "MAX_PIXELS_AT_ONCE", 0)
    monkeypatch.setattr(modes, "_BAND", 5_000)
    found = decode_image(data, (30, 50), "box")
    difference = np.abs(found.astype(int) - expected)
    assert difference.mean() < 2.5
    assert difference.max() < 20


# Names

NAMES = {
    "space": "a b.jpg",
    "umlaut": "Straße.jpg",
    "combining": "e\u0301.jpg",
    "chinese": "猫.jpg",
    "emoji": "🐈.jpg",
    "right to left": "\u202e\u05d7\u05ea.jpg",
    "not utf-8": os.fsdecode(b"\xff\xfe.jpg"),
    "newline": "a\nb.jpg",
    "tab": "a\tb.jpg",
    "dash": "-rf.jpg",
    "dot": ".hidden",
    "percent": "100%s.jpg",
    "braces": "{x}.jpg",
    "quotes": "'\".jpg",
    "backslash": "a\\b.jpg",
    "star": "*.jpg",
    "brackets": "[a].jpg",
    "dollar": "$HOME.jpg",
    "semicolon": "a;b&c|d.jpg",
    "tilde": "~",
    "url": "http:--x.jpg?y=1#z",
    "no suffix": "picture",
    "wrong suffix": "picture.txt",
    "eps suffix": "picture.eps",
    "255 bytes": "x" * 251 + ".jpg",
    "trailing space": "a.jpg ",
    "control": "a\x01\x1b[31m.jpg",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_unusual_file_name(tmp_path, monkeypatch, name, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageReadError, match="No such file") as info:
        read(name)
    assert info.value.path == name
    assert repr(name) in str(info.value)
    str(info.value).encode()  # the message must be printable
    put(tmp_path, PNG, name)
    for path in (name, Path(name), str(tmp_path / name), os.path.join(".", name)):
        np.testing.assert_array_equal(read(path), PICTURE)


@pytest.mark.parametrize("name", ["a\0b.jpg", "\ud800.jpg", "x" * 300, "x/" * 3000])
def test_invalid_file_name(name):
    with pytest.raises(ImageReadError, match=r"\(X\[2\]\): ") as info:
        read(name)
    assert info.value.path == name
    str(info.value).encode()


@pytest.mark.parametrize(
    "path, hint",
    [
        ("https://example.org/a.jpg", "it is a URL: download the file"),
        ("s3://bucket/a.jpg", "it is a URL"),
        ("~/a.jpg", "'~' is not expanded here"),
        ("data:image/png;base64,iVBO", "pass bytes: base64.b64decode"),
        ("iVBO" * 10_000, "pass bytes: base64.b64decode"),
    ],
)
def test_hint_for_what_is_no_path(path, hint):
    with pytest.raises(ImageReadError, match=re.escape(hint)) as info:
        read(path)
    assert info.value.path == path
    assert len(str(info.value)) < 500


@pytest.mark.parametrize(
    "name, given",
    [
        ("a.jpg", "a.jpg\n"),
        ("a.JPG", "a.jpg"),
        ("a.jpg", "a.JPG"),
        ("cats/a.jpg", "cats\\a.jpg"),
        ("e\u0301.jpg", "\xe9.jpg"),
        ("\xe9.jpg", "e\u0301.jpg"),
    ],
)
def test_hint_at_a_similar_path(tmp_path, monkeypatch, name, given):
    monkeypatch.chdir(tmp_path)
    Path("cats").mkdir()
    Path(name).touch()
    if os.path.exists(given):
        pytest.skip("this file system ignores the difference")
    match = re.escape(f"No such file or directory (but {name!a} exists)")
    with pytest.raises(ImageReadError, match=match):
        read(given)
    report = skvision.datasets.check_image_files([given])
    assert report.findings[0].detail.endswith(f"(but {name!a} exists)")


def test_symbolic_link_to_a_file(tmp_path):
    (tmp_path / "link").symlink_to(put(tmp_path, PNG))
    np.testing.assert_array_equal(read(tmp_path / "link"), PICTURE)


# Forms of X


class Name(os.PathLike):
    def __fspath__(self):
        return "a"


PATHS = {
    "list": ["a", "b"],
    "tuple": ("a", "b"),
    "Path": [Path("a"), "b"],
    "PathLike": [Name(), Path("b")],
    "numpy str": [np.str_("a"), np.str_("b")],
    "str array": np.array(["a", "b"]),
    "object array": np.array(["a", Path("b")], dtype=object),
    "series": lambda: pd.Series(["a", "b"], index=[7, 7]),
    "categorical": lambda: pd.Series(["a", "b"], dtype="category"),
    "index": lambda: pd.Index(["a", "b"]),
    "polars series": lambda: pl.Series(["a", "b"]),
    "column": np.array([["a"], ["b"]]),
    "nested list": [["a"], ["b"]],
    "frame": lambda: pd.DataFrame({"path": ["a", "b"]}),
    "polars frame": lambda: pl.DataFrame({"path": ["a", "b"]}),
}


@pytest.mark.parametrize("X", PATHS.values(), ids=PATHS.keys())
def test_forms_of_paths(X):
    images = check_images(X() if callable(X) else X)
    assert images.items == ["a", "b"]
    assert {type(path) for path in images.items} == {str}
    assert len(images) == 2


@pytest.mark.parametrize("shape", [(5, 4, 6, 3), (5, 4, 6), (5, 4, 1), (1, 1, 1, 3)])
def test_forms_of_arrays(shape):
    X = noise(*shape)
    X.flags.writeable = False
    images = check_images(X)
    assert images.items is X
    assert len(images) == shape[0]
    for i in range(len(X)):
        expected = X[i] if X.ndim == 4 else X[i][..., None].repeat(3, axis=2)
        found = images.read(i, ImageSettings(X.shape[1:3]))
        np.testing.assert_array_equal(found, expected)
        found[:] = 0  # the result is a writable copy


def test_array_in_any_memory_order():
    X = noise(4, 6, 3, 5).transpose(3, 0, 1, 2)[::-1, ::2]
    images = check_images(X)
    found = images.read(1, ImageSettings(X.shape[1:3], "nearest"))
    np.testing.assert_array_equal(found, X[1])


def test_images_of_several_kinds_and_sizes_in_a_list(tmp_path):
    path = put(tmp_path, PNG)
    opened = Image.open(path)
    column = np.empty(6, dtype=object)
    column[:] = [path, Path(path), PNG, bytearray(PNG), opened, PICTURE]
    for X in (list(column), column, column[:, None], pd.DataFrame({"image": column})):
        images = check_images(X)
        for i in range(6):
            found = images.read(i, ImageSettings((20, 30)))
            np.testing.assert_array_equal(found, read(path, (20, 30)))
    small = check_images([PICTURE, PICTURE[:9, :7, 0]]).read(1, ImageSettings(None))
    np.testing.assert_array_equal(small, PICTURE[:9, :7, :1].repeat(3, axis=2))


class Column(Sequence):
    """A sequence that is no list, as the columns of datasets in other libraries."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


@pytest.mark.parametrize("kind", [Column, deque, UserList, tuple])
def test_sequence_of_images_is_read_as_a_list(tmp_path, kind):
    """numpy would make an array of the pixels, which are not upright."""
    turned = oriented("JPEG", 6, PICTURE)
    path = put(tmp_path, turned)
    expected = skvision.read_image(path)
    for items in ([Image.open(BytesIO(turned))] * 2, [turned] * 2, [path] * 2):
        images = check_images(kind(items))
        assert len(images) == 2
        np.testing.assert_array_equal(images.read(1, ImageSettings(None)), expected)
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        check_images(kind([]))


def test_list_of_arrays_is_not_copied():
    X = [noise(60, 80, 3) for _ in range(40)]
    assert all(a is b for a, b in zip(check_images(X).items, X, strict=True))


@pytest.mark.parametrize("n_channels", [3, 4])
def test_single_image_is_refused(n_channels):
    with pytest.raises(ValueError, match=r"a single image: pass X\[np\.newaxis\]"):
        check_images(noise(40, 36, n_channels))


def test_bytes_differ_for_different_shapes():
    pixels = noise(1, 6, 5)
    shapes = [(1, 6, 5), (1, 5, 6), (1, 2, 5, 3), (1, 5, 2, 3)]
    assert len({check_images(pixels.reshape(s)).read_bytes(0) for s in shapes}) == 4


def test_bytes_of_a_file_are_its_content(tmp_path):
    path = put(tmp_path, PNG)
    images = check_images([path])
    data = images.read_bytes(0)
    assert data == PNG
    os.remove(path)
    np.testing.assert_array_equal(
        images.decode(0, data, ImageSettings(SIZE, "box")), PICTURE
    )


@pytest.mark.parametrize(
    "X, message",
    [
        ("a.jpg", r"type str, a single path: wrap it in a list, \['a.jpg'\]"),
        (Path("a.jpg"), "a single path: wrap it in a list"),
        ("iVBO" * 999, r"list, \['(iVBO)+iVB\.\.\..{20}\]\. X must be"),
        (b"a.jpg", r"a single image: wrap it in a list, \[X\]"),
        (Image.new("P", (4, 4)), r"a single image: wrap it in a list, \[X\]"),
        (None, "X is of type NoneType"),
        (3, "X is of type int"),
        ({"a": 1}, "X is of type dict"),
        ((name for name in "ab"), "X is of type generator.*object: collect the images"),
        ({"a": 1}.values(), "X is of type dict_values.*object: collect the images"),
        (os.curdir, r"a folder: pass skvision.datasets.list_images\('\.'\)"),
        (sparse.csr_matrix(np.eye(3)), "csr_matrix, which is sparse"),
        (sparse.coo_array(np.eye(3)), "coo_array, which is sparse"),
        ([], r"0 sample\(s\) \(shape=\(0,\)\) while a minimum of 1 is required\."),
        (np.empty((0, 4, 4, 3), np.uint8), r"0 sample\(s\) \(shape=\(0, 4, 4, 3\)\)"),
        (
            np.empty((12, 0)),
            r"0 feature\(s\) \(shape=\(12, 0\)\) while a minimum of 1 is required\.",
        ),
        (
            ["a", None],
            r"X\[1\] is of type NoneType, not an image .it is a missing value",
        ),
        (["a", 1.5], r"X\[1\] is of type float, not an image"),
        ([1, "a"], r"X\[0\] is of type int, not an image"),
        ([{"bytes": PNG, "path": None}], "of type dict.*values, 'bytes', 'path'"),
        (
            [BytesIO()],
            r"X\[0\] is of type BytesIO.*pass what its method read\(\) returns",
        ),
        (
            lambda: pd.DataFrame({"a": ["b"]}).groupby("a"),
            "GroupBy, whose elements are not numbered from 0: pass a list",
        ),
        (np.array([b"a"]), "cuts zeros off the end of bytes, so pass a list of bytes"),
        ([["a"], ["b", "c"]], r"X\[1\] is of type list, not an image"),
        ([("a", 0)], "X.0. is of type tuple.*only the image, and labels as a second"),
        ((np.array(["a"], object), ["x"]), "pass data and target as two arguments"),
        (Bunch(data=["a"], target=[0]), r"load_image_files: pass X\.data"),
        (np.array([PICTURE], object), "dtype object: numpy has split the images into"),
        (np.zeros((9, 64)), "reshape it to .*single grey image, pass X.np.newaxis"),
        ([PICTURE[np.newaxis]], r"uint8: pass X\[0\]\[0\]"),
        (["a", ""], r"X\[1\] is an empty string"),
        (
            lambda: pd.Series(["a", None]),
            r"X\[1\] is of type float, not an image .it is a missing",
        ),
        (lambda: pd.Series(["a", pd.NA], dtype=object), r"X\[1\] is of type NAType"),
        (lambda: pl.Series(["a", None]), r"X\[1\] is of type NoneType"),
        (lambda: pd.Series([1.0]), r"type Series, shape \(1,\) and dtype float64"),
        (lambda: pd.DataFrame({"a": ["x"], "b": ["y"]}), "select the one column"),
        (np.eye(3), r"X is of type ndarray, shape \(3, 3\) and dtype float64"),
        (
            np.full((2, 4, 4, 3), 200.0),
            r"float64: convert with X\.round\(\)\.astype\(.uint8.\)",
        ),
        (np.ones((2, 4, 4)), r"convert with \(255 \* X\)\.round"),
        (np.full((2, 4, 4), -1), r"dtype int64, with values from -1 to -1"),
        (np.full((2, 4, 4), np.nan), "values that are not finite"),
        (np.zeros((2, 4, 4, 1), np.uint8), r"pass X\[\.\.\., 0\]"),
        (np.zeros((2, 4, 4, 4), np.uint8), r"\[PIL\.Image\.fromarray\(x\)"),
        (np.zeros((2, 4, 0), np.uint8), r"shape \(2, 4, 0\) and dtype uint8"),
        (np.zeros((2, 2, 2, 2, 3), np.uint8), r"shape \(2, 2, 2, 2, 3\)"),
        (np.zeros((2, 3, 4, 4), np.uint8), r"pass X\.transpose\(0, 2, 3, 1\)"),
        (np.zeros((2, 4, 4), bool), r"convert with 255 \* X\.astype\(.uint8.\)"),
        (np.full((2, 4, 4), 4095, np.uint16), r"values from 4095 to 4095: scale all"),
        ([PICTURE, np.ones((4, 5, 3))], r"X\[1\] is an array.*\(255 \* X\[1\]\)"),
        ([PICTURE, PICTURE.transpose(2, 0, 1)], r"X\[1\]\.transpose\(1, 2, 0\)"),
        ([[[[1, 2, 3]]]], r"X\[0\] is of type list, not an image"),
    ],
)
def test_invalid_X(X, message):
    X = X() if callable(X) else X
    with pytest.raises(ValueError, match=message) as info:
        check_images(X)
    assert not isinstance(info.value, ImageReadError)


def test_error_lists_the_accepted_forms():
    with pytest.raises(
        ValueError, match=r"\(n_samples,\).*\(n_samples, 1\).*uint8.*Pillow images"
    ):
        check_images(np.eye(3))


# Threads


def test_same_results_from_several_threads(tmp_path):
    files = [put(tmp_path, data, f"{kind}.x") for kind, data in COMPLETE.items()]
    images = check_images(files * 4)

    def load(i):
        return images.read(i, ImageSettings((20, 30)))

    expected = [load(i) for i in range(len(images))]
    with ThreadPoolExecutor(4) as executor:
        found = list(map_ahead(executor, load, range(len(images)), 8))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "value, expected",
    [(None, 6), ("", 6), ("2", 2), ("64", 6), ("0", 6), ("-1", 6), ("2,1", 6)],
)
def test_n_threads(monkeypatch, value, expected):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if value is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert n_threads() == expected


def counted(items, drawn):
    for item in items:
        drawn.append(item)
        yield item


@pytest.mark.parametrize("ahead", [1, 3, 50])
def test_map_ahead_keeps_order_and_bound(ahead):
    drawn = []
    with ThreadPoolExecutor(2) as executor:
        results = map_ahead(executor, abs, counted(range(-20, 0), drawn), ahead)
        for n_received, result in enumerate(results, start=1):
            assert result == 21 - n_received
            assert len(drawn) - n_received < ahead
    assert len(drawn) == 20


class Future:
    """A pending call that runs when its result is requested."""

    def __init__(self, function, item):
        self.call, self.cancelled = lambda: function(item), False

    def result(self):
        return self.call()

    def cancel(self):
        self.cancelled = True


class Executor:
    def __init__(self):
        self.futures = []

    def submit(self, function, item):
        self.futures.append(Future(function, item))
        return self.futures[-1]


def test_map_ahead_cancels_when_the_consumer_stops():
    executor = Executor()
    results = map_ahead(executor, abs, range(10), 4)
    assert next(results) == 0
    results.close()
    assert [f.cancelled for f in executor.futures] == [False, True, True, True]


def test_map_ahead_cancels_when_a_call_raises():
    executor = Executor()
    with pytest.raises(ZeroDivisionError, match="division"):
        list(map_ahead(executor, lambda x: 1 / x, range(10), 4))
    assert [f.cancelled for f in executor.futures] == [False, True, True, True]


# Last, because it imports Keras


@pytest.mark.parametrize("kind", ["jpeg", "progressive", "png", "webp", "bmp", "large"])
def test_nearest_equals_keras(tmp_path, kind, large_jpeg):
    keras = pytest.importorskip("keras")
    path = put(tmp_path, large_jpeg if kind == "large" else COMPLETE[kind])
    expected = keras.utils.load_img(path, target_size=(31, 57), interpolation="nearest")
    found = read(path, (31, 57), "nearest")
    np.testing.assert_array_equal(found, np.asarray(expected))
