"""Docstrings match signatures and attributes; the API page lists all public names."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the documentation without warnings, which runs the examples."""
    for name in ("sphinx_gallery", "sphinx_design", "sphinx_copybutton", "myst_parser"):
        pytest.importorskip(name, reason="the extra 'docs' is not installed")
    # Build a copy: Sphinx writes generated pages next to the sources.
    folder = tmp_path_factory.mktemp("docs")
    written = shutil.ignore_patterns("_build", "generated", "auto_examples")
    for name in ("docs", "examples"):
        shutil.copytree(DOCS.parent / name, folder / name, ignore=written)
    shutil.copy(DOCS.parent / "CHANGES.md", folder)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-b", "html"]
    command += [folder / "docs", folder / "html"]
    environment = os.environ | {"SKVISION_DATA": str(folder / "data")}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return folder / "html"


class Page(HTMLParser):
    """The identifiers and the links of a page."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        self.links += [attrs[key] for key in ("href", "src") if attrs.get(key)]


def broken_links(site):
    """Yield (page, link) for links to missing files or identifiers of the site."""
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    pages = {path: Page(path) for path in paths}
    for path, page in pages.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = path
            if url.path:
                target = Path(os.path.normpath(path.parent / unquote(url.path)))
            known = target in pages and bool(url.fragment)
            if not target.exists() or (known and url.fragment not in pages[target].ids):
                yield path.relative_to(site).as_posix(), link


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.usefixtures("imagenet")
class TestSite:
    def test_gallery(self, site):
        examples = {path.stem for path in DOCS.parent.glob("examples/plot_*.py")}
        assert len(examples) >= 8
        pictures = {path.name for path in site.glob("_images/*.png")}
        for name in examples:
            assert (site / "auto_examples" / f"{name}.html").is_file()
            assert f"sphx_glr_{name}_001.png" in pictures
        of_examples = [name for name in pictures if re.search(r"_\d{3}\.png$", name)]
        assert len(of_examples) >= 30

    def test_links(self, site):
        assert list(broken_links(site)) == []

    def test_api_pages_link_to_examples_sources_and_other_projects(self, site):
        folder = site / "generated"
        text = (folder / "skvision.ImageEncoder.html").read_text(encoding="utf-8")
        assert "auto_examples/plot_five_lines.html" in text
        assert "_modules/skvision/_image_encoder.html" in text
        text = (site / "auto_examples" / "plot_five_lines.html").read_text("utf-8")
        assert "https://scikit-learn.org/stable/modules/generated/" in text

    def test_descriptions_are_not_numbered_lists(self, site):
        """A description that starts with "1. " would become one."""
        for path in site.glob("generated/*.html"):
            assert "<ol" not in path.read_text(encoding="utf-8"), path.name
