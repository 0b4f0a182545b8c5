"""The examples run without arguments, on scikit-learn's digits.

Not here: `quickstart.py`, which the first command of README.md runs, and `plot_*.py`,
which the build of the documentation runs, see test_docs.py.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, folder):
    """Run an example in an empty folder and return its output."""
    environment = os.environ | {
        "MPLBACKEND": "Agg",
        "SKVISION_DATA": str(folder / "data"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, EXAMPLES / name]
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.usefixtures("imagenet")
def test_three_approaches(tmp_path):
    output = run("compare_three_approaches.py", tmp_path)
    table = output[output.index("Chollet (2016)") :].splitlines()
    accuracies = [float(line.split()[-2]) for line in table[1:4]]
    assert min(accuracies) > 0.3  # chance level: 0.1


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.usefixtures("imagenet")
def test_scale_out_resumes(tmp_path):
    pytest.importorskip("distributed", reason="needs dask.distributed")
    output = run("scale_out_dask.py", tmp_path)
    assert "100 images in 3 partitions, 3 of them to do" in output
    assert '512 features (pooling="avg"), float32: 2 GB' in output
    (tmp_path / "features" / "part-00001.npz").unlink()
    output = run("scale_out_dask.py", tmp_path)
    assert "3 partitions, 1 of them to do" in output
    files = sorted((tmp_path / "features").iterdir())
    assert [f.name for f in files] == [f"part-0000{i}.npz" for i in range(3)]
    with np.load(files[1]) as part:
        assert part["features"].shape == (40, 512)
