"""Adapt image estimators to numeric rows, for scikit-learn's own checks."""

import functools
import hashlib
import tempfile
import types
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.base import clone
from sklearn.utils import InputTags
from sklearn.utils.validation import validate_data

# Values of any magnitude are visible in at least one of the three channels.
_SCALES = np.array([1.0, 10.0, 100.0])
_ROW_ATTRIBUTES = "n_features_in_", "feature_names_in_"
_METHODS = (
    *("fit", "fit_transform", "fit_predict", "transform", "score"),
    *("predict", "predict_proba", "predict_log_proba", "decision_function"),
)


def rows_as_images(estimator):
    """Adapt an image estimator to numeric rows, by writing each row as an image file.

    `sklearn.utils.estimator_checks.check_estimator` passes numeric arrays to an
    estimator. If the tags of the estimator declare another input, it only runs a single
    check. On the adapted estimator all checks run.

    The adapted estimator is an instance of a subclass with the same name, parameters
    and methods. Each row is written to a file as an image with one pixel per value, and
    the methods of the original class receive the paths of these files; `y` and weights
    are passed unchanged.

    Parameters
    ----------
    estimator : estimator object
        Estimator that accepts image paths. It is not modified.

    Returns
    -------
    adapted : estimator object
        Clone that accepts arrays of shape (n_samples, n_features).

    Notes
    -----
    Checks of the format of `X` (NaN, sparse matrices, number and names of features)
    only test the adapter; use :func:`check_image_estimator` to check how the estimator
    handles its input. The estimator should resize images, as they have one pixel per
    feature, from 1 to about 50.

    The files are in a temporary folder that is removed when the process ends.

    Examples
    --------
    >>> import numpy as np
    >>> from skvision import VGG16BottleneckTransformer
    >>> from skvision.estimator_checks import rows_as_images
    >>> transformer = VGG16BottleneckTransformer(
    ...     weights=None, layer="block1_pool", pooling="avg", image_size=(32, 32)
    ... )
    >>> rows_as_images(transformer).fit_transform(np.eye(3)).shape
    (3, 64)
    """
    adapted_class = _adapted_class(type(estimator))
    params = estimator.get_params(deep=False)
    return clone(adapted_class(**params))


class _RowsMixin:
    """Mixin of all adapted classes."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = InputTags()
        return tags

    def __reduce__(self):
        # pickle cannot find the class by name.
        return _rebuild, (self._image_class,), self.__getstate__()


def _rebuild(image_class):
    return object.__new__(_adapted_class(image_class))


@functools.cache
def _adapted_class(image_class):
    """Return the subclass of an image estimator that accepts rows."""
    body = {
        name: _accept_rows(getattr(image_class, name))
        for name in _METHODS
        if hasattr(image_class, name)
    }
    body |= {"_image_class": image_class, "__module__": image_class.__module__}
    return types.new_class(
        image_class.__name__,
        (_RowsMixin, image_class),
        exec_body=lambda namespace: namespace.update(body),
    )


def _accept_rows(method):
    """Return a method that writes rows as images and passes their paths to `method`."""

    @functools.wraps(method)
    def accept_rows(self, X, *args, **kwargs):
        rows = validate_data(self, X, reset=method.__name__.startswith("fit"))
        paths = _write_images(np.asarray(rows, dtype=float))
        if hasattr(X, "iloc"):  # keep the index
            paths = type(X)({"path": paths}, index=X.index)
        # An instance of the original class, without the metadata of rows.
        inner = object.__new__(self._image_class)
        inner.__dict__.update(_image_attributes(self))
        result = getattr(inner, method.__name__)(paths, *args, **kwargs)
        row_attributes = {k: vars(self)[k] for k in _ROW_ATTRIBUTES if k in vars(self)}
        vars(self).clear()
        vars(self).update(_image_attributes(inner) | row_attributes)
        return self if result is inner else result

    return accept_rows


def _image_attributes(estimator):
    return {k: v for k, v in vars(estimator).items() if k not in _ROW_ATTRIBUTES}


@functools.cache
def _folder():
    return tempfile.TemporaryDirectory(prefix="skvision-rows-")


def _write_images(rows):
    """Write each row as an image, unless the file exists, and return the paths."""
    side = int(np.ceil(np.sqrt(rows.shape[1])))
    values = np.zeros((len(rows), side * side, 3))
    values[:, : rows.shape[1]] = np.tanh(rows[:, :, np.newaxis] / _SCALES)
    pixels = np.round(127.5 * (values + 1)).astype(np.uint8)
    paths = []
    for image in pixels.reshape(-1, side, side, 3):
        name = hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()
        path = Path(_folder().name, f"{name}.bmp")
        if not path.exists():
            Image.fromarray(image).save(path)
        paths.append(str(path))
    return paths
