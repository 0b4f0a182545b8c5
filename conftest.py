"""For the doctests: each runs in an empty folder, and may write there."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

os.environ.setdefault("MPLBACKEND", "Agg")
# Before SciPy is imported: else one of scikit-learn's checks is skipped.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# As `backend` has it: some tests import Keras before, and compare with processes that
# do not.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


# What examples import, and the optional library behind it.
NEEDS = {"pandas": "pandas", "skops": "skops", "skvision.plot": "matplotlib"}

# Pages whose examples find images in "photos" and run with random weights.
ROOT = Path(__file__).parent
PAGES = {("README.md",), ("docs", "guide"), ("docs", "zh")}


@pytest.fixture(autouse=True)
def _doctests_in_an_empty_folder(request, tmp_path, monkeypatch):
    if isinstance(request.node, pytest.DoctestItem):
        source = "".join(example.source for example in request.node.dtest.examples)
        for name, library in NEEDS.items():
            if re.search(rf"(import|from) {name}\b", source):
                pytest.importorskip(library, reason=f"needs {library}")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SKVISION_DATA", str(tmp_path))
        if request.node.path.relative_to(ROOT).parts[:2] in PAGES:
            _write_photos()
            _use_random_weights(monkeypatch)


def _write_photos():
    """Write 16 small images, those of cats reddish and those of dogs bluish."""
    rng = np.random.default_rng(0)
    for i in range(16):
        name, tint = [("cats", (80, 20, 0)), ("dogs", (0, 20, 80))][i % 2]
        pixels = (rng.integers(0, 170, (40, 48, 3)) + tint).astype("uint8")
        Path("photos", name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(Path("photos", name, f"{i // 2 + 1:02}.jpg"))
    Image.fromarray(pixels).save("new.jpg")


def _use_random_weights(monkeypatch):
    """Replace defaults that take minutes, so that pages can show what users write."""
    import skvision

    tiny = {"weights": None, "image_size": (32, 32)}
    for name, replaced in {
        "VGG16BottleneckTransformer": tiny,
        "ImageEncoder": tiny,
        "FineTunedVGGClassifier": tiny,
        "ScratchCNNClassifier": {"image_size": (28, 28), "filters": (8,), "epochs": 2},
    }.items():
        defaults = getattr(skvision, name).__init__.__kwdefaults__
        for key in replaced:
            monkeypatch.setitem(defaults, key, replaced[key])
