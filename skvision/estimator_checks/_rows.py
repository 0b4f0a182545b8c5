"""An estimator of images that takes rows of numbers, for scikit-learn's checks."""

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

# Numbers of any size leave a trace in one of the three channels.
_SCALES = np.array([1.0, 10.0, 100.0])
_OF_ROWS = "n_features_in_", "feature_names_in_"
_METHODS = (
    *("fit", "fit_transform", "fit_predict", "transform", "score"),
    *("predict", "predict_proba", "predict_log_proba", "decision_function"),
)


def rows_as_images(estimator):
    """Give an estimator of image paths rows of numbers instead, as small image files.

    `sklearn.utils.estimator_checks.check_estimator` works with rows of numbers. Of an
    estimator whose tags say that it takes something else it runs a single check, so
    that its success says nothing. With this around the estimator, all checks run.

    The result is an instance of a subclass, with the same name, parameters and
    methods. Each row becomes an image with a pixel for each number, which is written to
    a file; the methods of the estimator are called with nothing but the paths of these
    files, and `y` and weights as they are.

    Parameters
    ----------
    estimator : estimator object
        Takes paths of images. It is not changed.

    Returns
    -------
    adapted : estimator object
        A clone that takes arrays of shape (n_samples, n_features).

    Notes
    -----
    Checks about the form of `X` itself (NaN, sparse matrices, the number and names of
    features) meet the adapter, which passes them: what the estimator does with forms of
    paths is for :func:`check_image_estimator` to see. The estimator should resize
    images: they have as many pixels as rows have numbers, 1 to some 50.

    The files lie in a temporary folder and are removed when the process ends.

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
    """What all adapted classes share."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = InputTags()
        return tags

    def __reduce__(self):
        # The class has no name by which pickle could find it.
        return _rebuild, (self._image_class,), self.__getstate__()


def _rebuild(image_class):
    return object.__new__(_adapted_class(image_class))


@functools.cache
def _adapted_class(image_class):
    """Return the subclass of a class that takes rows."""
    body = {
        name: _on_rows(getattr(image_class, name))
        for name in _METHODS
        if hasattr(image_class, name)
    }
    body |= {"_image_class": image_class, "__module__": image_class.__module__}
    return types.new_class(
        image_class.__name__,
        (_RowsMixin, image_class),
        exec_body=lambda namespace: namespace.update(body),
    )


def _on_rows(method):
    """Return a method that gives the paths of images to `method`."""

    @functools.wraps(method)
    def on_rows(self, X, *args, **kwargs):
        rows = validate_data(self, X, reset=method.__name__.startswith("fit"))
        paths = _write(np.asarray(rows, dtype=float))
        if hasattr(X, "iloc"):  # keep the index
            paths = type(X)({"path": paths}, index=X.index)
        # An estimator of the class itself, which knows nothing of rows.
        inner = object.__new__(self._image_class)
        inner.__dict__.update(_without_rows(self))
        result = getattr(inner, method.__name__)(paths, *args, **kwargs)
        of_rows = {key: vars(self)[key] for key in _OF_ROWS if key in vars(self)}
        vars(self).clear()
        vars(self).update(_without_rows(inner) | of_rows)
        return self if result is inner else result

    return on_rows


def _without_rows(estimator):
    return {key: value for key, value in vars(estimator).items() if key not in _OF_ROWS}


@functools.cache
def _folder():
    return tempfile.TemporaryDirectory(prefix="skvision-rows-")


def _write(rows):
    """Write each row as an image, unless it is there, and return the paths."""
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
