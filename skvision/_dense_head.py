"""A small dense network on features, as in Chollet (2016)."""

import numpy as np
from sklearn.utils.validation import validate_data

from skvision._training.base import BaseNetworkClassifier
from skvision._training.data import ArrayData
from skvision._utils.validation import TRAINING_CONSTRAINTS, check_units

__all__ = ["DenseHeadClassifier"]


class DenseHeadClassifier(BaseNetworkClassifier):
    """A small dense network on features.

    The classifier that Chollet (2016) [1]_ trains on the features of VGG16: a hidden
    layer with ReLU and dropout, and one sigmoid output for two classes, or a softmax
    over more classes. It minimizes the cross-entropy.

    Parameters
    ----------
    hidden_units : sequence of int, default=(256,)
        Number of units in each hidden layer. Empty for logistic regression.

    dropout : float, default=0.5
        Fraction of each hidden layer's outputs that is set to 0 in training.

    l1, l2 : float, default=0.0
        Factors of the penalties on the sums of absolute and of squared weights, in all
        layers; biases are not penalized.

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

    ema_momentum : float or None, default=None
        Momentum of an exponential moving average of the weights, updated after each
        batch [2]_. Predictions, validation and callbacks at the end of an epoch use the
        average; training itself continues from the latest weights. 0.99 averages over
        about the last hundred steps, or the last tenth of all steps if that is fewer.
        None disables averaging.

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
        Determines the initial weights, the order of the samples, dropout and the
        held-out split. Pass an int for the same result in each call, with any number of
        threads. None uses NumPy's global random state; no other global state is read or
        changed.

    verbose : int, default=0
        0 is silent, 1 shows a progress bar for each phase, 2 prints a line for each
        epoch and for each other pass over the images.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`. Only defined if `X` has feature names that
        are all strings.

    model_ : keras.Model
        The network, from features to probabilities. Rebuilt at each access.

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
    VGG16BottleneckTransformer : Features of images, from VGG16.
    sklearn.neural_network.MLPClassifier : A dense network without dropout, in NumPy.

    Notes
    -----
    Features on very different scales, such as those of VGG16, make the first epochs
    unstable. Their square roots, scaled to unit norm with
    `sklearn.preprocessing.Normalizer`, train more smoothly.

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

    def _check_data(self, X, *, reset, name="X"):
        # float16 features are not converted as a whole, but batch by batch.
        dtypes = [np.float32, np.float16]
        try:
            return ArrayData(validate_data(self, X, reset=reset, dtype=dtypes))
        except ValueError as error:
            if "convert string to float" not in str(error):
                raise
            raise ValueError(
                f"{error}. DenseHeadClassifier accepts features, not paths: put a "
                "VGG16BottleneckTransformer before it. In a pipeline, set "
                'transform_input=["X_val"] to transform X_val, too.'
            ) from error

    def _describe_network(self, n_outputs):
        units = check_units("hidden_units", self.hidden_units)
        return "dense_head", self.n_features_in_, units, n_outputs
