"""Models: how they are made, saved, loaded and applied."""

import os
from pickle import UnpicklingError

import joblib
import numpy as np
from sklearn.base import is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

import skvision
from skvision._images.inputs import check_images
from skvision._utils.files import expand_path, replacing
from skvision.datasets import get_data_home
from skvision.plot._composites import walk

# Endings of the files of `skvision export`.
EXPORTED = (".onnx", ".tflite", ".keras")

_SEED = 0
# What joblib raises for a file that is not its own, or damaged.
_NOT_JOBLIB = (KeyError, IndexError, EOFError, UnpicklingError)


def make_model(approach, backbone, class_weight, **settings):
    """Return an unfitted classifier, with settings of how images are read."""
    if approach == "scratch":
        # As in Chollet (2016), but without mirroring: that would confuse letters.
        augmenter = skvision.ImageAugmenter(shear_range=11.5, zoom_range=0.2)
        return skvision.ScratchCNNClassifier(
            augmenter=augmenter,
            class_weight=class_weight,
            random_state=_SEED,
            **settings,
        )
    if approach == "fine-tune":
        return skvision.FineTunedVGGClassifier(
            class_weight=class_weight, random_state=_SEED, **settings
        )
    head = LogisticRegression(class_weight=class_weight, max_iter=1000)
    return make_pipeline(_make_encoder(backbone, settings), head)


def _make_encoder(backbone, settings):
    if backbone is None:
        backbone = _default_backbone()
    cache_dir = _features_folder()
    if backbone == "VGG16":
        return skvision.VGG16BottleneckTransformer(cache_dir=cache_dir, **settings)
    from skvision import ImageEncoder

    return ImageEncoder(backbone, cache_dir=cache_dir, **settings)


def _default_backbone():
    """Return the default of ImageEncoder if its weights are here, otherwise VGG16."""
    from skvision import ImageEncoder, list_backbones

    name = ImageEncoder().backbone
    available = {row.name for row in list_backbones() if row.available}
    return name if name in available else "VGG16"


def _features_folder():
    return os.path.join(os.path.abspath(get_data_home()), "features")


def describe(model):
    """Return a short description of a model that `make_model` made."""
    if not isinstance(model, Pipeline):
        return type(model).__name__
    backbone = getattr(model[0], "backbone", "VGG16")
    return f"logistic regression on features of {backbone}"


def check_output(path):
    """Return the path of a file to be written, or raise an error at once."""
    path = os.path.abspath(expand_path(path, "the output"))
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"Cannot write {path!r}: it is a folder.")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"Cannot write {path!r}: its folder does not exist.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"Cannot write {path!r}: its folder is read-only.")
    return path


def save_model(model, X, path):
    """Write a fitted model, with the digests of its training images, to a file."""
    # Pickles of all estimators contain their attributes, `clone` leaves them out.
    model.training_image_digests_ = sorted(set(_digests(X)))
    set_verbose(model, 0)
    with replacing(path) as file:
        joblib.dump(model, file)


def load_model(path, *, quiet=True):
    """Return the model in a joblib file. Its code is run."""
    path = expand_path(path, "MODEL")
    if not os.path.isfile(path):
        what = "is a folder" if os.path.isdir(path) else "does not exist"
        raise ValueError(
            f"{path!r} {what}. Expected, as MODEL, the file that `skvision fit` wrote."
        )
    with open(path, "rb") as file:
        if path.lower().endswith(EXPORTED):
            raise ValueError(
                f"{path!r} is an exported model, which is not accepted here. Expected "
                "the joblib file that `skvision fit` wrote."
            )
        try:
            model = joblib.load(file)
        except Exception as error:  # other files raise almost anything
            reason = f" ({type(error).__name__}: {error})"
            raise ValueError(
                f"{path!r} is not a model that `skvision fit` wrote (a joblib file), "
                f"or cannot be loaded{'' if isinstance(error, _NOT_JOBLIB) else reason}"
                "."
            ) from error
    _check_model(model, path)
    _use_folder_of_this_machine(model)
    set_verbose(model, 0 if quiet else 1)
    return model


def _check_model(model, path):
    """Raise unless it is a fitted classifier."""
    if all(hasattr(model, name) for name in ("get_params", "predict", "classes_")):
        return
    if hasattr(model, "get_params") and is_classifier(model):
        raise ValueError(
            f"The {type(model).__name__} in {path!r} is not fitted. Call its method "
            "fit before joblib.dump, or use `skvision fit`."
        )
    raise ValueError(
        f"{path!r} contains an object of type {type(model).__name__}, and not a "
        "fitted classifier of images. Expected a file of `skvision fit`."
    )


def _use_folder_of_this_machine(model):
    """Replace the feature store of another machine, whose folder is not here."""
    for part in _parts(model):
        folder = getattr(part, "cache_dir", None)
        if folder is not None and not os.path.isdir(folder):
            part.set_params(cache_dir=_features_folder())


def set_verbose(model, verbose):
    """Show the progress of this package's estimators, or not."""
    for part in _parts(model):
        if hasattr(part, "verbose"):
            part.set_params(verbose=verbose)


def _parts(model):
    """Return this package's estimators in a model, fitted if it is."""
    return [part for part in walk(model) if _is_ours(part)]


def print_if_trained_on(model, X):
    """Print how many images have the content of images that `model` was fitted to."""
    known = set(getattr(model, "training_image_digests_", []))
    n_known = sum(digest in known for digest in _digests(X)) if known else 0
    if n_known:
        print(
            f"The model was trained on {n_known} of these {len(X)} images (same "
            "content), so this accuracy is too high:"
        )


def print_if_copies(model, X):
    """Print how many training images have the content of another one."""
    n_copies = len(X) - len(model.training_image_digests_)
    if n_copies:
        print(
            f"{n_copies} of these {len(X)} images are copies of others, so this "
            "accuracy is too high (`skvision check` lists them):"
        )


def _digests(X):
    images = check_images(X)
    return [images.digest(i) for i in range(len(images))]


def classify(model, X):
    """Return labels as str, and probabilities or None, in one pass over the images."""
    model = getattr(model, "best_estimator_", model)
    if isinstance(model, Pipeline) and len(model) > 1:
        X, model = model[:-1].transform(X), model[-1]
    proba = model.predict_proba(X) if hasattr(model, "predict_proba") else None
    if _is_ours(model):  # a second call would run the network again
        labels = model.classes_[proba.argmax(axis=1)]
    else:  # it may have another threshold than 0.5
        labels = model.predict(X)
    return _as_text(labels), proba


def class_names(model):
    """Return the classes as an array of str, as the names of folders are."""
    return _as_text(model.classes_)


def _as_text(labels):
    return np.array([str(label) for label in labels], dtype=object)


def _is_ours(estimator):
    return type(estimator).__module__.startswith("skvision.")
