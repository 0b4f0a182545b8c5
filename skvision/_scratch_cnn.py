"""A small convnet trained from scratch, as in Chollet (2016)."""

from skvision._augmenter import ImageAugmenter
from skvision._images.inputs import check_value_range, image_tags, validate_images
from skvision._images.resize import INTERPOLATIONS, RESIZE_MODES, ImageSettings
from skvision._nets.arithmetic import COMPUTE_DTYPES
from skvision._training.base import BaseNetworkClassifier
from skvision._training.image_data import ImageData, predicted_views
from skvision._utils.validation import (
    TRAINING_CONSTRAINTS,
    StrOptions,
    check_image_size,
    check_units,
    positive_integer,
)

__all__ = ["ScratchCNNClassifier"]


class ScratchCNNClassifier(BaseNetworkClassifier):
    """A small convolutional network, trained from scratch on images.

    The first approach of Chollet (2016) [1]_: blocks of a 3 x 3 convolution with ReLU
    and 2 x 2 max pooling, then a dense hidden layer with dropout, and one sigmoid
    output for two classes, or a softmax over more classes. It minimizes the
    cross-entropy. With little data, use an `augmenter` to reduce overfitting.

    Parameters
    ----------
    image_size : tuple of (int, int), default=(150, 150)
        Height and width in pixels to which each image is resized.

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

    filters : sequence of int, default=(32, 32, 64)
        Number of filters in each block.

    dense_units : int, default=64
        Number of units in the hidden layer.

    dropout : float, default=0.5
        Fraction of the hidden layer's outputs that is set to 0 in training.

    l1, l2 : float, default=0.0
        Factors of the penalties on the sums of absolute and of squared weights, in all
        layers; biases are not penalized.

    augmenter : ImageAugmenter or None, default=None
        Transforms each training image at random, differently in each epoch; the
        transformation depends only on the seed, the epoch and the position of the image
        in `X`. Validation data and images to predict are not transformed. Parameters of
        the augmenter can be searched, as in ``{"augmenter__zoom_range": [0.1, 0.2]}``.

    flip_average : bool or "auto", default="auto"
        Whether predictions average the logits of each image and its mirror image, which
        takes twice the time. "auto" does so if the `augmenter` flips horizontally,
        because then the class does not depend on orientation. Not used for validation
        during training.

    optimizer : str or keras.optimizers.Optimizer, default="rmsprop"
        Name or instance of a Keras optimizer. `fit` does not modify an instance: it
        creates a new optimizer from the configuration (`get_config`). So other state,
        such as that of `exclude_from_weight_decay`, is lost, and custom classes must be
        registered with `keras.saving.register_keras_serializable`.

    learning_rate : float or None, default=None
        Learning rate of the optimizer. None uses the optimizer's own: 0.001 for
        "rmsprop".

    learning_rate_schedule : {"constant", "cosine"}, default="constant"
        "cosine" decreases the learning rate from epoch to epoch, along half a cosine
        that reaches 0 after `epochs` epochs.

    ema_momentum : float or None, default=0.99
        Momentum of an exponential moving average of the weights, updated after each
        batch [2]_. Predictions, validation and callbacks at the end of an epoch use the
        average; training itself continues from the latest weights. 0.99 averages over
        about the last hundred steps, or the last tenth of all steps if that is fewer.
        None disables averaging.

    compute_dtype : {"float32", "bfloat16", "auto"}, default="float32"
        Data type of the convolutions. "bfloat16" is several times faster on processors
        with AMX (Intel Xeon since 2023) and faster on recent GPUs, and rounds
        activations by about 1 %. Elsewhere it is several times slower, and a warning
        says so. "auto" uses it only where it is fast. Pooled features, losses and
        trained weights are not rounded.

    epochs : int, default=50
        Number of passes over the training data; with `early_stopping`, the maximum.

    batch_size : int, default=16
        Samples in one step of the optimizer.

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as ``{class: weight}``. "balanced" gives all
        classes the same total weight. None gives each class a weight of 1.

    early_stopping : bool, default=False
        Whether to stop when validation has not improved for `n_iter_no_change` epochs,
        and to keep the weights of the best epoch: the one with the highest accuracy
        and, among equals, the lowest loss. The validation data are `X_val` and `y_val`
        of `fit` or, without them, a stratified split of the training data.

    validation_fraction : float, default=0.1
        Fraction of the training data to hold out. Only used with `early_stopping` and
        without `X_val`.

    n_iter_no_change : int, default=10
        Number of epochs without improvement after which to stop. Only used with
        `early_stopping`.

    warm_start : bool, default=False
        Whether `fit` continues from the weights of the previous fit, for `epochs` more
        epochs. The optimizer and the average of the weights are reset.

    checkpoint_dir : str, path or None, default=None
        Folder in which the state of the training is saved after each epoch, created if
        missing. After a crash or Ctrl-C, a call of `fit` with the same data and
        parameters (`verbose` and `callbacks` may differ) continues from the last saved
        epoch and ends with the same result. Requires a `random_state`. The file is
        removed when the fit is complete. If it cannot be written, for example because
        the disk is full, a warning is issued. The state of `callbacks` is not restored.

    callbacks : list or None, default=None
        Instances of `keras.callbacks.Callback`, or functions or classes that return one
        when called without arguments. Each fit uses a deep copy of an instance, so the
        parameter never changes. A function or class is called once per fit and its
        result is used directly: pass ``[lambda: recorder]`` to read ``recorder`` after
        `fit`. An instance that cannot be copied raises a ValueError. Callbacks may set
        the learning rate (to a number), the weights and ``model.stop_training``. Other
        changes that the traced training step would ignore raise a ValueError: settings
        of the optimizer (momentum, weight decay, clipping), attributes of layers
        (``trainable``, ``activation``), or another optimizer. Outputs of the model that
        callbacks see are logits: to save it, use `checkpoint_dir` or `model_`, not
        `ModelCheckpoint`.

    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of the samples, dropout, the held-out
        split and the augmentation. Pass an int for the same result in each call with
        the same number of threads. With another number, gradients are summed in another
        order, and the rounding makes the result differ as another seed would. None uses
        NumPy's global random state; no other global state is read or changed.

    verbose : int, default=0
        0 is silent, 1 shows a progress bar for each phase, 2 prints a line for each
        epoch and for each other pass over the images.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.

    n_features_in_ : int
        Always 1. Only defined if `X` in `fit` was a column of shape (n_samples, 1).

    feature_names_in_ : ndarray of shape (1,)
        Name of the column. Only defined if `X` in `fit` was a data frame.

    model_ : keras.Model
        The network, from images with values 0 to 255 to probabilities. Rebuilt at each
        access. Does not include `flip_average`.

    history_ : dict of list of float
        "loss" and "accuracy" of each epoch, measured during training, with dropout and,
        in the loss, penalties; with validation data also "val_loss" and "val_accuracy",
        measured at the end of the epoch.

    loss_curve_ : list of float
        ``history_["loss"]``.

    validation_scores_ : list of float or None
        ``history_["val_accuracy"]``; None without validation data.

    best_validation_score_ : float or None
        Validation accuracy of the best epoch; None without validation data.

    best_epoch_ : int or None
        Number of the best epoch, counted from 1; None without validation data.

    n_iter_ : int
        Number of completed epochs, including those of earlier fits with `warm_start`.

    See Also
    --------
    VGG16BottleneckTransformer : Features of a network trained on ImageNet.
    ImageAugmenter : Random transformations of images.

    Notes
    -----
    During `fit`, images are decoded once and kept in memory if they take at most 2 GiB
    (about 31,000 images of 150 x 150 pixels); otherwise they are decoded in each epoch.
    Validation data have a limit of the same size.

    A training step in bfloat16 took 0.6 to 0.7 times the time with AMX.

    Ctrl-C ends the training with a warning. The classifier then has the weights of the
    last complete epoch or, with `early_stopping`, of the best one. In the first epoch,
    KeyboardInterrupt is raised.

    References
    ----------
    .. [1] F. Chollet, "Building powerful image classification models using very little
       data", The Keras Blog, 2016.
       https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html
    .. [2] B. T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by
       averaging", SIAM Journal on Control and Optimization 30 (1992).

    Examples
    --------
    >>> from skvision import ImageAugmenter, ScratchCNNClassifier
    >>> from skvision.datasets import load_digit_images
    >>> digits = load_digit_images("digits", n_per_class=10)
    >>> classifier = ScratchCNNClassifier(
    ...     image_size=(28, 28),
    ...     augmenter=ImageAugmenter(rotation_range=10, zoom_range=0.1),
    ...     epochs=3,
    ...     random_state=0,
    ... )
    >>> classifier.fit(digits.data, digits.target).predict_proba(digits.data).shape
    (100, 10)
    """

    _parameter_constraints = {
        **TRAINING_CONSTRAINTS,
        "image_size": "no_validation",  # by check_image_size
        "resize_mode": [StrOptions(set(RESIZE_MODES))],
        "interpolation": [StrOptions(set(INTERPOLATIONS))],
        "value_range": "no_validation",  # by check_value_range
        "filters": "no_validation",  # by check_units
        "dense_units": [positive_integer],
        "augmenter": [ImageAugmenter, None],
        "flip_average": ["boolean", StrOptions({"auto"})],
        "compute_dtype": [StrOptions(set(COMPUTE_DTYPES))],
    }

    def __init__(
        self,
        *,
        image_size=(150, 150),
        resize_mode="stretch",
        interpolation="bilinear",
        value_range=None,
        filters=(32, 32, 64),
        dense_units=64,
        dropout=0.5,
        l1=0.0,
        l2=0.0,
        augmenter=None,
        flip_average="auto",
        optimizer="rmsprop",
        learning_rate=None,
        learning_rate_schedule="constant",
        ema_momentum=0.99,
        compute_dtype="float32",
        epochs=50,
        batch_size=16,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        warm_start=False,
        checkpoint_dir=None,
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.image_size = image_size
        self.resize_mode = resize_mode
        self.interpolation = interpolation
        self.value_range = value_range
        self.filters = filters
        self.dense_units = dense_units
        self.dropout = dropout
        self.l1 = l1
        self.l2 = l2
        self.augmenter = augmenter
        self.flip_average = flip_average
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.ema_momentum = ema_momentum
        self.compute_dtype = compute_dtype
        self.epochs = epochs
        self.batch_size = batch_size
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _check_data(self, X, *, reset, name="X"):
        settings = self._image_settings()
        images = validate_images(self, X, reset=reset, name=name)
        return ImageData(images, settings, self.augmenter)

    def _image_settings(self):
        return ImageSettings(
            self._image_size(),
            self.interpolation,
            self.resize_mode,
            check_value_range(self.value_range),
        )

    def _describe_network(self, n_outputs):
        filters = check_units("filters", self.filters)
        units = int(self.dense_units)
        return "scratch_cnn", self._image_size(), filters, units, n_outputs

    def _predicted_views(self, data):
        return predicted_views(data, self.flip_average, self.augmenter)

    def _image_size(self):
        smallest = 1
        # Each block halves the size after a 3 x 3 convolution without padding.
        for _ in check_units("filters", self.filters):
            smallest = 2 * smallest + 2
        return check_image_size(self.image_size, smallest)

    def __sklearn_tags__(self):
        return image_tags(super().__sklearn_tags__())
