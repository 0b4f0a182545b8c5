"""The arithmetic of convolutions: its data type, and modes that change results.

TensorFlow is only started where there may be a GPU, so that features can be looked up
in a store without it.
"""

import functools
import os
import platform
import sys
from pathlib import Path

from skvision._utils.warning import warn

COMPUTE_DTYPES = ("float32", "bfloat16", "auto")

# Without one of these files, TensorFlow has no GPU of NVIDIA or AMD.
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def effective_dtype(compute_dtype):
    """Return "float32" or "bfloat16"; "auto" is the latter where hardware has it.

    Warns if "bfloat16" would be slow.
    """
    if compute_dtype == "float32":
        return "float32"
    if _has_bfloat16():
        return "bfloat16"
    if compute_dtype == "bfloat16":
        warn(
            "compute_dtype='bfloat16' is slow here, because neither the processor "
            "(amx_bf16) nor a GPU has instructions for matrix products in bfloat16. "
            "Use 'float32', or 'auto' to use bfloat16 only where it is fast."
        )
        return "bfloat16"
    return "float32"


def describe_arithmetic(dtype):
    """Return `dtype` and all modes that change features by more than rounding."""
    return " ".join([dtype, *_onednn_modes(), *_tensorflow_modes()])


def _has_bfloat16():
    return gpu_has_bfloat16() if _may_have_gpu() and _gpus() else cpu_has_bfloat16()


def cpu_has_bfloat16():
    """Return whether oneDNN, as the user has set it, multiplies matrices with AMX."""
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower() in ("0", "false"):
        return False
    names = "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"
    isa = next((os.environ[name] for name in names if os.environ.get(name)), "default")
    allows_amx = isa.lower() in ("default", "all") or "amx" in isa.lower()
    return allows_amx and "amx_bf16" in processor_features()


def processor_features():
    """Return the instruction sets of the processor, as Linux names them."""
    return frozenset(_cpuinfo().get("flags", "").split())


def processor_name():
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


@functools.cache
def _cpuinfo():
    """Return what Linux reports of the first processor; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    fields = [line.partition(":") for line in reversed(lines)]
    return {name.strip(): value.strip() for name, _, value in fields}


def _may_have_gpu():
    return any(Path(device).exists() for device in _GPU_DEVICES)


def _gpus():
    from skvision._nets.backend import tf

    return tf.config.get_visible_devices("GPU")


def gpu_has_bfloat16():
    """Return whether all GPUs are NVIDIA's Ampere or newer."""
    return all(d.get("compute_capability", (0, 0)) >= (8, 0) for d in _gpu_details())


def gpu_names():
    return [d.get("device_name", "unknown") for d in _gpu_details()]


def _gpu_details():
    from skvision._nets.backend import tf

    return [tf.config.experimental.get_device_details(gpu) for gpu in _gpus()]


def _onednn_modes():
    """Yield the mode that lets oneDNN round float32 to a shorter type, if it is set."""
    names = "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"
    for name in (*names, "TF_SET_ONEDNN_FPMATH_MODE"):
        mode = os.environ.get(name, "").lower()
        if mode not in ("", "strict"):
            yield f"{name.lower()}={mode}"


def _tensorflow_modes():
    """Yield what else lets TensorFlow use a shorter type than float32."""
    if _may_have_gpu() and _gpus() and gpu_has_bfloat16():
        from skvision._nets.backend import tf

        if tf.config.experimental.tensor_float_32_execution_enabled():
            yield "tf32"
        if override := os.environ.get("NVIDIA_TF32_OVERRIDE"):
            yield f"nvidia_tf32_override={override}"
    if "tensorflow" in sys.modules:  # else the user cannot have set any option
        from skvision._nets.backend import tf

        options = tf.config.optimizer.get_experimental_options()
        for name, value in sorted(options.items()):
            if name.startswith("auto_mixed_precision") and value:
                yield name
