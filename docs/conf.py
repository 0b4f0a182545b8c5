"""Settings of Sphinx. Build with ``sphinx-build -W -b html docs docs/_build/html``."""

from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)

from skvision import __version__

project = "scikit-vision"
author = "the scikit-vision developers"
project_copyright = author
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "notes"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = f"scikit-vision {release}"
html_theme_options = {"show_toc_level": 2, "show_prev_next": False}
html_show_sourcelink = False

# The template of a class lists its methods itself, those of scikit-learn by name only.
numpydoc_show_class_members = False
autosummary_context = {
    "sklearn_methods": {
        name
        for base in (
            BaseEstimator,
            ClassifierMixin,
            ClassNamePrefixFeaturesOutMixin,
            TransformerMixin,
        )
        for name in dir(base)
        if not name.startswith("_")
    }
    | {"set_callbacks"}
}
