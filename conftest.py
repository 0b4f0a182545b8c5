"""For the doctests: each runs in an empty folder, and may write there."""

import os
import re

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
# Before SciPy is imported: else one of scikit-learn's checks is skipped.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# As `backend` has it: some tests import Keras before, and compare with processes that
# do not.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


# What examples import, and the optional library behind it.
NEEDS = {"pandas": "pandas", "skops": "skops", "skvision.plot": "matplotlib"}


@pytest.fixture(autouse=True)
def _doctests_in_an_empty_folder(request, tmp_path, monkeypatch):
    if isinstance(request.node, pytest.DoctestItem):
        source = "".join(example.source for example in request.node.dtest.examples)
        for name, library in NEEDS.items():
            if re.search(rf"(import|from) {name}\b", source):
                pytest.importorskip(library, reason=f"needs {library}")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SKVISION_DATA", str(tmp_path))
