"""Inventories for intersphinx, written without network.

Intersphinx reads where the pages of another project are from a file of that project.
For those with one page per name, the address follows from the name.
"""

import importlib
import zlib
from pathlib import Path

# Project: (address, address of a page, modules whose `__all__` has a page per name).
PROJECTS = {
    "sklearn": (
        "https://scikit-learn.org/stable/",
        "modules/generated/$.html#$",
        [
            f"sklearn.{name}"
            for name in (
                "base calibration compose datasets decomposition dummy ensemble "
                "feature_selection inspection linear_model metrics model_selection "
                "neighbors pipeline preprocessing svm utils"
            ).split()
        ],
    ),
    "numpy": (
        "https://numpy.org/doc/stable/",
        "reference/generated/$.html#$",
        ["numpy"],
    ),
    "matplotlib": (
        "https://matplotlib.org/stable/",
        "api/_as_gen/$.html#$",
        ["matplotlib.pyplot"],
    ),
}


def write_inventories(folder):
    """Write an inventory per project; return a value for `intersphinx_mapping`."""
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for project, (address, page, modules) in PROJECTS.items():
        path = Path(folder, f"{project}.inv")
        path.write_bytes(_inventory(project, page, modules))
        mapping[project] = address, str(path)
    return mapping


def _inventory(project, page, modules):
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = [
        f"{module}.{name} py:{_role(value)} 1 {page} -\n"
        for module in modules
        for name, value in _public(importlib.import_module(module))
    ]
    return head.encode() + zlib.compress("".join(lines).encode())


def _public(module):
    names = getattr(module, "__all__", None) or dir(module)
    for name in names:
        try:
            value = getattr(module, name)
        except ImportError:  # experimental names of scikit-learn
            continue
        if callable(value) and not name.startswith("_"):
            yield name, value


def _role(value):
    return "class" if isinstance(value, type) else "function"
