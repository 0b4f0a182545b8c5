"""Damaged image files through the reader, each in a child process with limits.

Run as a script for a long run; failures are written to a folder, for `tests/corpus`:

    python tests/_fuzz.py N_FILES [FIRST_SEED] [FOLDER]
"""

import json
import os
import signal
import sys
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

import skvision
from skvision.datasets import check_image_files
from skvision.exceptions import ImageReadError

MAX_MEMORY = 600 * 2**20  # bytes, in addition to what the parent has
MAX_SECONDS = 5
_EXTREMES = b"\0\xff\x7f\x80\x01"


def encode(image, format, **options):
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def originals():
    """Return sound files of about twenty formats, by name."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    rgb = small.resize((64, 48), Image.Resampling.BICUBIC)
    deep = Image.fromarray(np.asarray(rgb)[:, :, 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "jpeg": encode(rgb, "JPEG", exif=exif),
        "jpeg progressive": encode(rgb, "JPEG", progressive=True),
        "jpeg cmyk": encode(rgb.convert("CMYK"), "JPEG"),
        "jpeg grey": encode(rgb.convert("L"), "JPEG"),
        "mpo": encode(rgb, "MPO", save_all=True, append_images=[rgb]),
        "png": encode(rgb, "PNG", exif=exif),
        "png palette": encode(rgb.quantize(9), "PNG", transparency=1),
        "png alpha": encode(rgb.convert("RGBA"), "PNG"),
        "png 16 bit": encode(deep, "PNG"),
        "png 1 bit": encode(rgb.convert("1"), "PNG"),
        "gif": encode(rgb, "GIF", save_all=True, append_images=[rgb.rotate(90)]),
        "webp": encode(rgb, "WEBP"),
        "webp lossless": encode(rgb.convert("RGBA"), "WEBP", lossless=True),
        "webp animated": encode(rgb, "WEBP", save_all=True, append_images=[rgb]),
        "tiff": encode(rgb, "TIFF"),
        "tiff lzw": encode(rgb, "TIFF", compression="tiff_lzw"),
        "tiff jpeg": encode(rgb, "TIFF", compression="jpeg"),
        "tiff 16 bit": encode(deep, "TIFF"),
        "tiff fax": encode(rgb.convert("1"), "TIFF", compression="group4"),
        "bmp": encode(rgb, "BMP"),
        "ppm": encode(rgb, "PPM"),
        "jpeg 2000": encode(rgb, "JPEG2000"),
    }
    if "AVIF" in Image.SAVE:
        files["avif"] = encode(rgb, "AVIF", speed=10)
    return files


def mutated(files, seed):
    """Return the name and the content of a damaged file; the seed decides all."""
    rng = np.random.default_rng(seed)
    names = list(files)
    name = names[rng.integers(len(names))]
    data = bytearray(files[name])
    for _ in range(rng.integers(1, 6)):
        # Half of the damage is in the headers at the start.
        n = len(data) if rng.random() < 0.5 else min(len(data), 100)
        start = int(rng.integers(n))
        length = int(rng.integers(1, 9))
        kind = rng.integers(7)
        if kind == 0:
            data[start] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[start] = int(rng.integers(256))
        elif kind == 2:
            extreme = _EXTREMES[int(rng.integers(len(_EXTREMES)))]
            data[start : start + length] = bytes([extreme]) * length
        elif kind == 3:
            del data[start : start + length]
        elif kind == 4:
            data[start:start] = rng.bytes(length)
        elif kind == 5:
            data[start:start] = data[start : start + 16 * length]
        else:
            other = files[names[rng.integers(len(names))]]
            data[start : start + 8 * length] = other[start : start + 8 * length]
        if rng.random() < 0.1:
            del data[int(rng.integers(len(data) + 1)) :]
        if not data:
            break
    return name, bytes(data)


def outcome(data):
    """Return "pixels" or "error", or what went wrong, for the content of a file."""
    try:
        pixels = skvision.read_image(data, image_size=(32, 32))
    except ImageReadError as error:
        str(error).encode()
        return "over memory" if "MemoryError" in str(error) else "error"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    if pixels.shape != (32, 32, 3) or pixels.dtype != np.uint8:
        return f"{pixels.shape} {pixels.dtype}"
    return "pixels"


def checked(data):
    """Return what `check_image_files` says: "pixels" or "error", or what went wrong."""
    try:
        report = check_image_files([data])
    except BaseException as error:
        return f"check_image_files: {type(error).__name__}: {error}"
    str(report).encode()
    return "pixels" if report.readable[0] else "error"


def outcome_in_child(data):
    """As `outcome`, in a child process with limits on memory and time."""
    end, start = os.pipe()
    child = os.fork()
    if child == 0:
        _limit()
        found, report = outcome(data), checked(data)
        if found in ("pixels", "error") and report != found:
            found = f"{found}, but in check_image_files {report}"
        os.write(start, found.encode("utf-8", "replace")[:500])
        os._exit(0)
    os.close(start)
    with os.fdopen(end, "rb") as pipe:
        text = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGALRM:
        return f"more than {MAX_SECONDS} s"
    return f"exit status {status}" if status else text


def _limit():
    import resource  # not on Windows

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    largest = pages * resource.getpagesize() + MAX_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (largest, largest))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(MAX_SECONDS)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # libraries write warnings of their own


def run(seeds, folder=None):
    """Return how often each outcome occurred, and the seeds of the failures."""
    files, counts, failures = originals(), Counter(), []
    for data in files.values():  # imports all
        assert outcome(data) == checked(data) == "pixels"
    for seed in seeds:
        name, data = mutated(files, seed)
        result = outcome_in_child(data)
        counts[result if result in ("pixels", "error") else "failure"] += 1
        if result not in ("pixels", "error"):
            failures.append(f"seed {seed}, {name}: {result}")
            if folder is not None:
                Path(folder).mkdir(parents=True, exist_ok=True)
                Path(folder, f"{name.replace(' ', '_')}_{seed}").write_bytes(data)
    return counts, failures


def main(n, first=0, folder=None):
    counts, failures = run(range(int(first), int(first) + int(n)), folder)
    print(json.dumps({**counts, "failures": failures}, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
