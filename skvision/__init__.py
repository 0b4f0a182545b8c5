"""Image classification from very little data, as scikit-learn estimators.

The estimators accept image paths and predict labels. They work with Pipeline,
GridSearchCV, clone and joblib.

The distribution is named scikit-vision, the import package skvision.
"""

import importlib

from skvision._utils import process as _process  # noqa: F401, notices forks

__version__ = "0.1.0.dev0"

# Public name -> module. Loaded at first use: `import skvision` is light.
_MODULES = {
    "DenseHeadClassifier": "skvision._dense_head",
    "FineTunedVGGClassifier": "skvision._fine_tuned_vgg",
    "ImageAugmenter": "skvision._augmenter",
    "ImageEncoder": "skvision._image_encoder",
    "ScratchCNNClassifier": "skvision._scratch_cnn",
    "VGG16BottleneckTransformer": "skvision._bottleneck",
    "datasets": "skvision.datasets",
    "estimator_checks": "skvision.estimator_checks",
    "exceptions": "skvision.exceptions",
    "export": "skvision.export",
    "list_backbones": "skvision._backbones.catalogue",
    "plot": "skvision.plot",
    "read_image": "skvision._images.reading",
    "show_versions": "skvision._nets.versions",
}

__all__ = [
    "DenseHeadClassifier",
    "FineTunedVGGClassifier",
    "ImageAugmenter",
    "ImageEncoder",
    "ScratchCNNClassifier",
    "VGG16BottleneckTransformer",
    "__version__",
    "datasets",
    "estimator_checks",
    "exceptions",
    "export",
    "list_backbones",
    "plot",
    "read_image",
    "show_versions",
]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'skvision' has no attribute {name!r}")
    module = importlib.import_module(_MODULES[name])
    return module if module.__name__ == f"skvision.{name}" else getattr(module, name)


def __dir__():
    return sorted({*globals(), *_MODULES})
