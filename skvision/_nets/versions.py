"""What to report with a bug: versions, hardware, settings, sources of weights."""

import importlib.metadata
import os
import platform
import sys

import joblib

from skvision import __version__
from skvision._backbones.imagenet import describe_sources
from skvision._nets import arithmetic
from skvision._utils.parallel import n_threads

PACKAGES = (
    "scikit-learn",
    "numpy",
    "scipy",
    "pillow",
    "joblib",
    "h5py",
    "tensorflow",
    "keras",
    "tqdm",
    "pandas",
    "polars",
    "matplotlib",
    "pillow-heif",
)
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
# Prefixes of environment variables that change results, speed or where things are.
# Not all of "TF_", because TF_VAR_ are secrets of Terraform.
VARIABLES = (
    "CUDA_VISIBLE",
    "DNNL_",
    "KERAS_",
    "NVIDIA_TF32",
    "OMP_",
    "ONEDNN_",
    "TF_CPP_",
    "TF_ENABLE_",
    "TF_FORCE_GPU",
    "TF_NUM_",
    "TF_SET_",
    "TF_USE_",
    "TF_XLA_",
    "XLA_",
)


def show_versions():
    """Print versions, hardware and settings, for a bug report.

    The output has the versions of Python and of all packages that matter, the
    instruction sets of the processor, GPUs, what ``compute_dtype="auto"`` means here,
    environment variables that change results, and the sources of the ImageNet weights.
    Starts TensorFlow.

    Examples
    --------
    >>> import skvision
    >>> skvision.show_versions()  # doctest: +ELLIPSIS
    System
        python: ...
    """
    for title, rows in (
        ("System", _system()),
        ("Packages", _packages()),
        ("Hardware", _hardware()),
        ("Environment variables", _variables()),
        ("ImageNet weights of VGG16, in this order", describe_sources()),
    ):
        print(title)
        for name, value in rows:
            print(f"    {name}: {value}")


def _system():
    yield "python", sys.version.replace("\n", " ")
    yield "executable", sys.executable
    yield "machine", platform.platform()


def _packages():
    yield "skvision", __version__
    for package in PACKAGES:
        try:
            yield package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            yield package, "not installed"


def _hardware():
    found = arithmetic.processor_features()
    sets = [name for name in INSTRUCTION_SETS if name in found]
    yield "processor", arithmetic.processor_name()
    yield "of " + ", ".join(INSTRUCTION_SETS), ", ".join(sets) or "none"
    yield "CPUs", f"{joblib.cpu_count()}, of which skvision uses {n_threads()}"
    try:
        yield "GPUs", ", ".join(arithmetic.gpu_names()) or "none"
        yield 'compute_dtype="auto"', arithmetic.effective_dtype("auto")
        yield "arithmetic of float32", arithmetic.describe_arithmetic("float32")
    except Exception as error:  # what does not work is what the report is about
        yield "TensorFlow", f"{type(error).__name__}: {error}"


def _variables():
    for name, value in sorted(os.environ.items()):
        if name.startswith(VARIABLES):
            yield name, value
