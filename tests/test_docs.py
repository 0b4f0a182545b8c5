"""Docstrings match signatures and attributes; the API page lists all public names."""

import ast
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from _optional import pd
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin

import skvision

docscrape = pytest.importorskip("numpydoc.docscrape", reason="numpydoc reads docs")

DOCS = Path(__file__).parents[1] / "docs"
MODULES = [
    skvision,
    skvision.datasets,
    skvision.estimator_checks,
    skvision.exceptions,
    skvision.export,
    skvision.plot,
]
PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in MODULES
    for name in module.__all__
}
DOCUMENTED = {
    name: value
    for name, value in PUBLIC.items()
    if inspect.isclass(value) or inspect.isfunction(value)
}
ESTIMATORS = {
    name: value
    for name, value in DOCUMENTED.items()
    if inspect.isclass(value) and issubclass(value, BaseEstimator)
}
# Raised by skvision, not by users: they need no example.
EXCEPTIONS = {
    name
    for name, value in DOCUMENTED.items()
    if inspect.isclass(value) and issubclass(value, Exception)
}
METHODS = {
    f"{name}.{key}": method
    for name, value in DOCUMENTED.items()
    if inspect.isclass(value) and name not in EXCEPTIONS
    # Functions, and class methods of the displays.
    for key, method in inspect.getmembers(value, inspect.isroutine)
    if not key.startswith("_") and method.__module__.startswith("skvision.")
}
# Pairs of estimators and their common parameters whose descriptions may differ.
SHARED = {
    ("DenseHeadClassifier", "ScratchCNNClassifier"): {
        "dropout",
        "ema_momentum",
        "random_state",
        "n_features_in_",
        "feature_names_in_",
        "model_",
    },
    ("VGG16BottleneckTransformer", "ScratchCNNClassifier"): {
        "batch_size",
        "flip_average",
        "image_size",
    },
    ("VGG16BottleneckTransformer", "ImageEncoder"): {
        "weights",
        "layer",
        "image_size",
        "interpolation",
    },
    ("ScratchCNNClassifier", "FineTunedVGGClassifier"): {
        "image_size",
        "l1",
        "l2",
        "dropout",
        "augmenter",
        "flip_average",
        "epochs",
        "learning_rate",
        "learning_rate_schedule",
        "model_",
        "history_",
        "loss_curve_",
        "validation_scores_",
        "best_epoch_",
        "n_iter_",
    },
}


def parsed(value):
    """Return the numpydoc sections of a class or function."""
    return docscrape.NumpyDocString(inspect.getdoc(value))


def signature(value):
    """Return {parameter: default} of a call, empty for an inherited constructor."""
    if inspect.isclass(value) and "__init__" not in vars(value):
        return {}
    parameters = inspect.signature(value).parameters.values()
    return {p.name: p.default for p in parameters if p.name != "self"}


def documented_defaults(value):
    """Yield (name, default as text or None), in the order of the docstring."""
    for names, type_, _ in parsed(value)["Parameters"]:
        names = names.split(", ")
        found = re.search(r"\bdefault=(.+)$", type_)
        defaults = found[1].split(" and ") if found else [None]
        yield from zip(names, defaults * (len(names) // len(defaults)), strict=True)


def evaluated(text, value):
    """Evaluate a default from the docstring of `value`."""
    try:
        return ast.literal_eval(text)
    except ValueError:
        return getattr(sys.modules[value.__module__], text)


def test_names_are_collected():
    assert {"skvision.VGG16BottleneckTransformer", "skvision.DenseHeadClassifier"} <= (
        ESTIMATORS.keys()
    )
    assert "skvision.datasets.load_image_files" in DOCUMENTED
    assert "skvision.exceptions.ImageReadError" in DOCUMENTED
    assert "skvision.DenseHeadClassifier.fit" in METHODS
    assert "skvision.ImageAugmenter.preview" in METHODS
    assert "skvision.plot.TrainingHistoryDisplay.plot" in METHODS
    assert "skvision.plot.TrainingHistoryDisplay.from_history" in METHODS


@pytest.mark.parametrize("name", [*DOCUMENTED, *METHODS])
def test_summary_is_one_sentence(name):
    summary = " ".join(parsed((DOCUMENTED | METHODS)[name])["Summary"])
    assert re.fullmatch(r"[A-Z].{10,120}\.", summary), summary


@pytest.mark.parametrize("name", sorted(DOCUMENTED.keys() - EXCEPTIONS))
def test_docstring_has_an_example(name):
    assert any(">>> " in line for line in parsed(DOCUMENTED[name])["Examples"])


@pytest.mark.parametrize("name", [*DOCUMENTED, *METHODS])
def test_parameters_are_those_of_the_signature(name):
    value = (DOCUMENTED | METHODS)[name]
    assert [key for key, _ in documented_defaults(value)] == list(signature(value))


@pytest.mark.parametrize("name", [*DOCUMENTED, *METHODS])
def test_defaults_are_those_of_the_signature(name):
    value = (DOCUMENTED | METHODS)[name]
    expected = signature(value)
    for key, text in documented_defaults(value):
        if text is None:
            # The default of an ignored `y=None` may be omitted.
            assert expected[key] is inspect.Parameter.empty or key == "y", key
        else:
            default = evaluated(text, value)
            assert default == expected[key], key
            assert type(default) is type(expected[key]), key


def fit(estimator, folder):
    """Fit on a data frame with validation data, which sets all fitted attributes."""
    if not hasattr(estimator, "fit"):
        return estimator
    if isinstance(estimator, TransformerMixin):
        estimator.set_params(weights=None)
        return estimator.fit(pd.DataFrame({"path": ["a.png", "b.png"]}))
    y = np.arange(8) % 2
    if hasattr(estimator, "augmenter"):
        estimator.set_params(image_size=(32, 32))
        if hasattr(estimator, "weights"):
            estimator.set_params(weights=None)
        path = folder / "image.png"
        Image.new("L", (28, 28)).save(path)
        frame = pd.DataFrame({"path": [str(path)] * len(y)})
    else:
        frame = pd.DataFrame(np.eye(8, 3), columns=["a", "b", "c"])
    return estimator.set_params(epochs=1).fit(frame, y, X_val=frame, y_val=y)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_attributes_are_those_of_a_fitted_estimator(name, tmp_path):
    estimator = fit(ESTIMATORS[name](), tmp_path)
    properties = [
        key
        for key, value in inspect.getmembers(type(estimator))
        if isinstance(value, property)
    ]
    public = {
        key
        for key in [*vars(estimator), *properties]
        if key.endswith("_") and not key.startswith("_")
    }
    documented = [
        key for keys, _, _ in parsed(estimator)["Attributes"] for key in keys.split(",")
    ]
    assert sorted(documented) == sorted(public)


def paragraphs(name):
    """Return {parameter or attribute: (type, words of its description)}."""
    sections = parsed(getattr(skvision, name))
    return {
        key: (type_, " ".join(lines).split())
        for section in ("Parameters", "Attributes")
        for keys, type_, lines in sections[section]
        for key in keys.split(", ")
    }


@pytest.mark.parametrize("pair", SHARED, ids=" and ".join)
def test_shared_paragraphs_are_equal_word_by_word(pair):
    one, other = (paragraphs(name) for name in pair)
    shared = one.keys() & other.keys()
    assert len(shared) >= 4
    assert {key for key in shared if one[key] != other[key]} == SHARED[pair]


def test_classifiers_share_training_parameters():
    one, other = (paragraphs(name) for name in next(iter(SHARED)))
    training = set(inspect.signature(skvision.DenseHeadClassifier).parameters)
    assert training - {"hidden_units"} <= one.keys() & other.keys()


@pytest.mark.parametrize("name", PUBLIC)
def test_name_is_on_the_api_page(name):
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    assert re.search(rf"(?<![\w.]){re.escape(name)}\b", page)


def test_api_page_lists_only_public_names():
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^   (skvision[\w.]+)$", page, flags=re.MULTILINE)
    assert len(listed) >= len(DOCUMENTED)
    assert set(listed) == set(DOCUMENTED)


@pytest.mark.slow
def test_docs_build_without_warnings(tmp_path):
    pytest.importorskip("sphinx", reason="the extra 'docs' is not installed")
    pytest.importorskip("myst_parser", reason="the extra 'docs' is not installed")
    pytest.importorskip("pydata_sphinx_theme", reason="needs the extra 'docs'")
    # Build a copy: Sphinx writes generated pages next to the sources.
    source, html = tmp_path / "docs", tmp_path / "html"
    written = shutil.ignore_patterns("_build", "generated")
    shutil.copytree(DOCS, source, ignore=written)
    shutil.copy(DOCS.parent / "CHANGES.md", tmp_path)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-b", "html"]
    command += [source, html]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (html / "guide" / "index.html").is_file()
