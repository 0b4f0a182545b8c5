"""The post's small fully-connected network on features."""

import numpy as np
from sklearn.utils.validation import validate_data

from skvision._training.base import BaseNetworkClassifier
from skvision._training.data import ArrayData
from skvision._utils.validation import TRAINING_CONSTRAINTS, check_units

__all__ = ["DenseHeadClassifier"]


class DenseHeadClassifier(BaseNetworkClassifier):
    """A small fully-connected network on features.

    It is the classifier that [1]_ trains on the features of VGG16: a hidden layer with
    rectified linear units and dropout, and one output for two classes (sigmoid) or one
    for each of more classes (softmax). It minimizes the cross-entropy.

    Parameters
    ----------
    hidden_units : sequence of int, default=(256,)
        Units of each hidden layer. Empty for none: then it is a logistic regression.

    dropout : float, default=0.5
        Fraction of each hidden layer's outputs that is set to 0 in training.

    l1, l2 : float, default=0.0
        Penalty on the sum of the absolute or squared values of all weights, without
        the biases.

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

    ema_momentum : float or None, default=None
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
        Decides the initial weights, the order of the samples, dropout and the held-out
        part. Pass an int for the same result at each call. No global random state is
        read (but with None, NumPy's) or changed.

    verbose : int, default=0
        0 is silent, 1 shows a progress bar, 2 a line for each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.

    n_features_in_ : int
        Number of features seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Only defined when `X` has names that are all strings.

    model_ : keras.Model
        The network, from features to probabilities. Built anew at each access.

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
    VGG16BottleneckTransformer : From images to the features that this is made for.
    sklearn.neural_network.MLPClassifier : Without dropout, on NumPy alone.

    Notes
    -----
    Features of very different sizes, such as those of VGG16, make the first epochs
    rough. Their square root, scaled to length 1 (`sklearn.preprocessing.Normalizer`),
    is gentler.

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
    >>> from sklearn.datasets import load_iris
    >>> from skvision import DenseHeadClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = DenseHeadClassifier(hidden_units=(16,), epochs=60, random_state=0)
    >>> classifier.fit(X, y).score(X, y) > 0.9
    True
    >>> classifier.predict_proba(X[:2]).shape
    (2, 3)
    """

    _parameter_constraints = {
        **TRAINING_CONSTRAINTS,
        "hidden_units": "no_validation",  # by check_units
    }

    def __init__(
        self,
        *,
        hidden_units=(256,),
        dropout=0.5,
        l1=0.0,
        l2=0.0,
        optimizer="rmsprop",
        learning_rate=None,
        learning_rate_schedule="constant",
        ema_momentum=None,
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
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.l1 = l1
        self.l2 = l2
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
        # float16 features stay what they are in memory, each batch is converted.
        dtypes = [np.float32, np.float16]
        try:
            return ArrayData(validate_data(self, X, reset=reset, dtype=dtypes))
        except ValueError as error:
            if "convert string to float" not in str(error):
                raise
            raise ValueError(
                f"{error}. DenseHeadClassifier takes features, not paths: put a "
                "VGG16BottleneckTransformer before it. In a pipeline, X_val goes "
                'through the steps before with Pipeline(transform_input=["X_val"]).'
            ) from error

    def _describe_network(self, data, n_outputs):
        units = check_units("hidden_units", self.hidden_units)
        return "dense_head", self.n_features_in_, units, n_outputs
