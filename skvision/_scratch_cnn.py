"""The post's small convnet, trained from scratch."""

from skvision._augmenter import ImageAugmenter
from skvision._images.decode import INTERPOLATIONS
from skvision._images.inputs import image_tags, validate_images
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

    It is the first road of [1]_: blocks of a convolution with 3 x 3 filters and
    rectified linear units and a maximum over 2 x 2 pixels; then a hidden layer with
    dropout, and one output for two classes (sigmoid) or one for each of more classes
    (softmax). It minimizes the cross-entropy. With little data, an `augmenter` is what
    keeps it from learning the images by heart.

    Parameters
    ----------
    image_size : tuple of (int, int), default=(150, 150)
        Height and width in pixels to which every image is resized. The aspect ratio is
        not kept.

    interpolation : {"nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"}, \
            default="bilinear"
        Filter of the resizing. All but "nearest" are antialiased.

    filters : sequence of int, default=(32, 32, 64)
        Number of filters of each block.

    dense_units : int, default=64
        Units of the hidden layer.

    dropout : float, default=0.5
        Fraction of the hidden layer's outputs that is set to 0 in training.

    l1, l2 : float, default=0.0
        Penalty on the sum of the absolute or squared values of all weights, without
        the biases.

    augmenter : ImageAugmenter or None, default=None
        Transforms each training image at random, anew in each epoch; validation data
        and images to predict never. Its parameters can be searched, as in
        ``{"augmenter__zoom_range": [0.1, 0.2]}``.

    flip_average : bool or "auto", default="auto"
        Whether a prediction is the mean, as logits, over the image and its mirror
        image, which takes twice the time. "auto" does so if the `augmenter` flips
        horizontally, for then both mean the same. Validation during the training does
        without.

    optimizer : str or keras.optimizers.Optimizer, default="rmsprop"
        Name of a Keras optimizer, or one with its settings. Not changed by `fit`, which
        builds it again from its configuration (`get_config`): other state, such as
        that of `exclude_from_weight_decay`, is not taken over, and classes of your own
        must be registered with `keras.saving.register_keras_serializable`.

    learning_rate : float or None, default=None
        None takes the optimizer's own: 0.001 for "rmsprop".

    learning_rate_schedule : {"constant", "cosine"}, default="constant"
        "cosine" lets the learning rate fall from epoch to epoch, along half a cosine
        to 0 at the end of all `epochs`: give it as many as are to be done.

    ema_momentum : float or None, default=0.99
        Momentum of the exponential moving average of the weights, one step for each
        batch [2]_. Predictions, validation and callbacks at the end of an epoch take
        the average; the training goes on from the latest weights as it does without.
        0.99 averages over the last hundred steps or so, but over the last tenth of the
        steps where that is less. None does not average.

    epochs : int, default=50
        Passes over the training data; at most so many with `early_stopping`.

    batch_size : int, default=16
        Samples in one step of the optimizer; also in one pass of a prediction, but
        there at most 32 rows of features or 4 images.

    class_weight : dict, "balanced" or None, default=None
        Class to weight. "balanced" gives all classes the same weight in sum.

    early_stopping : bool, default=False
        Whether to stop when the accuracy on validation data has not improved for
        `n_iter_no_change` epochs, and to keep the weights of the best epoch (of equal
        ones, the one with the least loss). The validation data are `X_val` and `y_val`
        of `fit` or, without them, a stratified part of the training data.

    validation_fraction : float, default=0.1
        The part of the training data that is held out. Only used with
        `early_stopping` and without `X_val`.

    n_iter_no_change : int, default=10
        Only used with `early_stopping`.

    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the fit before, for `epochs` more
        epochs. The optimizer starts anew, and an average of the weights.

    checkpoint_dir : str, path or None, default=None
        Folder in which the state is kept after each epoch, made if missing. A fit that
        was killed, or ended by Ctrl-C, and is called again with the same data and
        parameters (`verbose` may differ) goes on from there and ends with the same
        result. Needs a `random_state`. The file is removed when the fit is done; one
        that cannot be written, as on a full disk, costs a warning. `callbacks` do not
        get their own state back.

    callbacks : list or None, default=None
        Of `keras.callbacks.Callback`, or of functions or classes that return one when
        called without arguments: those get a new one in each fit, as fits that run at
        the same time need it. Callbacks see the network in training, whose outputs are
        logits: to save it use `checkpoint_dir` and `model_`, not `ModelCheckpoint`.
        They may assign numbers, such as the learning rate, but not exchange the
        optimizer or parts of the model.

    random_state : int, RandomState instance or None, default=None
        Decides the initial weights, the order of the samples, dropout, the held-out
        part and the augmentation, which depends on seed, epoch and image only. Pass an
        int for the same result at each call. No global random state is read (but with
        None, NumPy's) or changed.

    verbose : int, default=0
        0 is silent, 1 shows a progress bar, 2 a line for each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.

    n_features_in_ : int
        1. Only defined when `X` in `fit` was a column, of shape (n_samples, 1).

    feature_names_in_ : ndarray of shape (1,)
        Name of the column. Only defined when `X` in `fit` was a data frame.

    model_ : keras.Model
        The network, from images with values 0 to 255 to probabilities. Built anew at
        each access. `flip_average` is not part of it.

    history_ : dict of list of float
        "loss" and "accuracy" by epoch, as they were during the epoch, with dropout and
        penalties; with validation data also "val_loss" and "val_accuracy", at its end.

    loss_curve_ : list of float
        ``history_["loss"]``.

    validation_scores_ : list of float or None
        ``history_["val_accuracy"]``; None without validation data.

    best_validation_score_ : float or None
        Accuracy on the validation data in the best epoch.

    best_epoch_ : int or None
        Number of the best epoch, counted from 1.

    n_iter_ : int
        Number of epochs that were run.

    See Also
    --------
    VGG16BottleneckTransformer : Features of a network that has seen a million photos.
    ImageAugmenter : The random transformations.

    Notes
    -----
    Images are decoded once and kept in memory during `fit`, as long as they take no
    more than 2 GB (about 31,000 of 150 x 150 pixels); otherwise they are decoded again
    in each epoch.

    Ctrl-C during `fit` ends the training: the classifier is as after the last complete
    epoch, and a warning says so. In the first epoch the interrupt is raised.

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
        "interpolation": [StrOptions(set(INTERPOLATIONS))],
        "filters": "no_validation",  # by check_units
        "dense_units": [positive_integer],
        "augmenter": [ImageAugmenter, None],
        "flip_average": ["boolean", StrOptions({"auto"})],
    }

    def __init__(
        self,
        *,
        image_size=(150, 150),
        interpolation="bilinear",
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
        self.interpolation = interpolation
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

    def _check_data(self, X, *, reset):
        images = validate_images(self, X, reset=reset)
        return ImageData(images, self._image_size(), self.interpolation, self.augmenter)

    def _describe_network(self, data, n_outputs):
        filters = check_units("filters", self.filters)
        return "scratch_cnn", data.image_size, filters, self.dense_units, n_outputs

    def _predicted_views(self, data):
        return predicted_views(data, self.flip_average, self.augmenter)

    def _image_size(self):
        smallest = 1
        for _ in check_units(
            "filters", self.filters
        ):  # halved, after 3 x 3 filters without padding
            smallest = 2 * smallest + 2
        return check_image_size(self.image_size, smallest)

    def __sklearn_tags__(self):
        return image_tags(super().__sklearn_tags__())
