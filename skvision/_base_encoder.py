"""What `ImageEncoder` and `VGG16BottleneckTransformer` have in common."""

from contextlib import closing, nullcontext

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)

from skvision._backbones.vgg16 import LAYERS
from skvision._backbones.weights import digest_as_fitted, weights_digest
from skvision._features.extraction import FLIPS, Extraction
from skvision._features.normalization import NORMALIZATIONS, normalized
from skvision._features.store import FeatureStore
from skvision._images.inputs import check_value_range, image_tags, validate_images
from skvision._images.resize import RESIZE_MODES, ImageSettings
from skvision._nets.arithmetic import (
    COMPUTE_DTYPES,
    describe_arithmetic,
    effective_dtype,
)
from skvision._utils.errors import short_traceback
from skvision._utils.interrupts import Interruptible
from skvision._utils.persistence import SavedWithVersions
from skvision._utils.validation import (
    HasMethods,
    StrOptions,
    check_image_size,
    fit_context,
    positive_integer,
)

# Part of every key: to be incremented when a change of this package changes features.
FEATURES_VERSION = 3


class BaseImageEncoder(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, SavedWithVersions, BaseEstimator
):
    """A transformer from images to features of a backbone.

    Subclasses have the parameters, and define `_network`.
    """

    _parameter_constraints = {
        "weights": [str, HasMethods("__fspath__"), None],
        "pooling": [StrOptions({"avg", "max"}), None],
        "normalization": [StrOptions(set(NORMALIZATIONS)), None],
        "image_size": "no_validation",  # by check_image_size
        "resize_mode": [StrOptions(set(RESIZE_MODES))],
        "value_range": "no_validation",  # by check_value_range
        "flip_average": ["boolean"],
        "compute_dtype": [StrOptions(set(COMPUTE_DTYPES))],
        "batch_size": [positive_integer],
        "cache_dir": [str, HasMethods("__fspath__"), None],
        "max_cache_bytes": [positive_integer, None],
        "dtype": [StrOptions({"float32", "float16"})],
        "verbose": ["verbose"],
    }

    def _network(self):
        """Return (backbone, layer, image size, interpolation, preprocessing).

        The parameters, with what None means.
        """
        raise NotImplementedError

    def _map_shape(self):
        """Return (height, width, channels) of the output of the layer."""
        backbone, layer, *_ = self._network()
        image_size = self._check_image_size()
        if backbone.kind == "vgg16":  # known without TensorFlow
            n_halvings, n_channels = LAYERS[layer]
            return *(side >> n_halvings for side in image_size), n_channels
        from skvision._nets.backbones import map_shape

        return map_shape(backbone, layer, image_size)

    def _check_image_size(self):
        backbone, layer, image_size, *_ = self._network()
        smallest = backbone.smallest
        if backbone.kind == "vgg16":
            smallest = 2 ** LAYERS[layer][0]
        return check_image_size(image_size, smallest=smallest)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters and `X`, without computing features.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, 1), or ndarray of shape \
                (n_samples, height, width, 3) or (n_samples, height, width)
            Paths of the images, or the images themselves: a uint8 array, or a list of
            `bytes` of encoded files, Pillow images or uint8 arrays of any size.
        y : None
            Ignored, present for API consistency.

        Returns
        -------
        self : estimator
            The transformer.
        """
        self._check_images(X, reset=True)
        self.weights_digest_ = weights_digest(self.weights, self._network()[0])
        self._n_features_out = self._n_features()  # for get_feature_names_out
        return self

    def transform(self, X):
        """Compute the features of the images, or read them from the store.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, 1), or ndarray of shape \
                (n_samples, height, width, 3) or (n_samples, height, width)
            Paths of the images, or the images themselves: a uint8 array, or a list of
            `bytes` of encoded files, Pillow images or uint8 arrays of any size.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features)
            Row i belongs to image i. `n_features` is the number of channels of the
            layer, and with ``pooling=None`` height x width x channels.

        Raises
        ------
        ImageReadError
            If a file cannot be read. Features already computed are in the store.
        WeightsNotFoundError
            If the ImageNet weights are not found in any source.
        FeatureStoreError
            If the file in `cache_dir` is damaged or not a feature store.
        """
        self._validate_params()
        images = self._check_images(X, reset=False)
        with short_traceback():
            return normalized(self._features(images), self.normalization)

    def _features(self, images):
        features = np.zeros((len(images), self._n_features()), dtype=self.dtype)
        with self._open_store() if self.cache_dir is not None else nullcontext() as s:
            extraction = self._extraction(images, s)
            n_views = len(extraction.views)
            with Interruptible(), closing(extraction.stream()) as stream:
                for indices, view_features in stream:
                    features[indices] += view_features / n_views
        return features

    def cache_info(self):
        """Return the size of the store in `cache_dir`, which transformers may share.

        Returns
        -------
        info : CacheInfo
            Named tuple of `path`, `n_entries` and `n_bytes` (size on disk).

        Raises
        ------
        ValueError
            If `cache_dir` is None.
        """
        with self._open_store() as store:
            return store.info()

    def clear_cache(self, max_bytes=0):
        """Remove the oldest features from the store, down to a given size.

        Parameters
        ----------
        max_bytes : int, default=0
            Size of the features to keep. 0 removes all of them, also those of other
            transformers that share `cache_dir`.

        Returns
        -------
        n_removed : int
            Number of removed entries.

        Raises
        ------
        ValueError
            If `cache_dir` is None.
        """
        with self._open_store() as store:
            return store.clear(max_bytes)

    def _n_features(self):
        backbone, layer, *_ = self._network()
        if self.pooling is None:
            return int(np.prod(self._map_shape()))
        # The table knows the default layer, without starting TensorFlow.
        if layer == backbone.layer:
            return backbone.n_features
        return self._map_shape()[-1]

    def _check_images(self, X, *, reset):
        self._image_settings()
        return validate_images(self, X, reset=reset)

    def _image_settings(self):
        return ImageSettings(
            self._check_image_size(),
            self._network()[3],
            self.resize_mode,
            check_value_range(self.value_range),
        )

    def _open_store(self):
        if self.cache_dir is None:
            raise ValueError(
                "There is no store, because the 'cache_dir' parameter is None. Set it "
                "to a folder in which to store features."
            )
        return FeatureStore(self.cache_dir, self.max_cache_bytes)

    def _extraction(self, images, store):
        backbone, layer, _, _, preprocessing = self._network()
        fitted = getattr(self, "weights_digest_", None)
        digest = digest_as_fitted(self.weights, fitted, backbone)
        compute_dtype = effective_dtype(self.compute_dtype)
        image_settings = self._image_settings()

        def load_network():
            from skvision._nets import backbones, builders

            extractor = backbones.image_extractor(
                *(backbone, self.weights, digest, layer, self.pooling, preprocessing),
                *(image_settings.image_size, compute_dtype),
            )
            max_rows = builders.max_rows_per_pass(
                int(self.batch_size),
                image_settings.image_size,
                compute_dtype,
                backbone.relative_cost,
            )
            return extractor, max_rows

        settings = (
            f"{backbone.name.lower()} v{FEATURES_VERSION} weights={digest} "
            f"layer={layer} pooling={self.pooling} preprocessing={preprocessing} "
            f"{image_settings} dtype={self.dtype} "
            f"compute={describe_arithmetic(compute_dtype)}"
        )
        view_names = ("plain", "mirrored") if self.flip_average else ("plain",)
        return Extraction(
            images=images,
            image_settings=image_settings,
            views={name: FLIPS[name] for name in view_names},
            load_network=load_network,
            settings=settings,
            n_features=self._n_features(),
            dtype=np.dtype(self.dtype),
            batch_size=int(self.batch_size),
            store=store,
            label="features",
            verbose=self.verbose,
        )

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = image_tags(super().__sklearn_tags__())
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags
