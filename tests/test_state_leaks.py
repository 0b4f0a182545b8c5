"""Tests that nothing of one fit reaches the next one, whatever callbacks do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from _heads import data, head
from numpy.testing import assert_allclose, assert_array_equal

from skvision import (
    FineTunedVGGClassifier,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)
from skvision._nets import layers, program_pool, programs
from skvision._nets.optimizers import optimizer_config
from skvision.exceptions import TrainingDivergedError

X, y = data()


def sgd(callbacks=None, **settings):
    settings = {"momentum": 0.9, "nesterov": True} | settings
    optimizer = keras.optimizers.SGD(0.1, **settings)
    return head(optimizer=optimizer, learning_rate=None, callbacks=callbacks)


@pytest.fixture(scope="module")
def expected():
    return sgd().fit(X, y).history_


def calling(function, hook):
    """Return a callback that calls `function` with the model in `hook`."""
    body = {hook: lambda self, *args, **kwargs: function(self.model)}
    return type("Custom", (keras.callbacks.Callback,), body)()


def freeze_layer(model):
    model.layers[1].trainable = False


def freeze_model(model):
    model.trainable = False


def replace_activation(model):
    model.layers[1].activation = keras.activations.tanh


def replace_optimizer(model):
    model.optimizer = keras.optimizers.SGD(0.1)


def schedule_learning_rate(model):
    decay = keras.optimizers.schedules.CosineDecay(0.01, 10)
    model.optimizer.learning_rate = decay


def setting(name, value):
    return lambda model: setattr(model.optimizer, name, value)


def replace_method(model):
    model.layers[1].call = lambda inputs, **kwargs: 0 * inputs[:, :16]


def replace_update(model):
    model.optimizer.update_step = lambda *args: None


def change_dtype(model):
    model.layers[1].dtype_policy = keras.DTypePolicy("mixed_bfloat16")


def change_policy(model):
    model.layers[1].dtype_policy._compute_dtype = "bfloat16"


def exclude_from_weight_decay(model):
    model.optimizer.exclude_from_weight_decay(var_names=["kernel"])


def freeze_variable(model):
    model.layers[1].kernel.trainable = False


def constrain_variable(model):
    model.layers[1].kernel.constraint = keras.constraints.NonNeg()


CHANGES = {
    "'trainable' of the variable 'dense_1/kernel'": freeze_variable,
    "'constraint' of the variable 'dense_1/kernel'": constrain_variable,
    "'momentum' of SGD": setting("momentum", 0.0),
    "'nesterov' of SGD": setting("nesterov", False),
    "'weight_decay' of SGD": setting("weight_decay", 0.1),
    "'clipnorm' of SGD": setting("clipnorm", 0.01),
    "'learning_rate' of SGD": schedule_learning_rate,
    r"'trainable' of the layer 'dense_1' \(Dense\)": freeze_layer,
    "'trainable' of Functional": freeze_model,
    "'activation' of the layer 'dense_1'": replace_activation,
    "'optimizer' of Functional": replace_optimizer,
    "'call' of the layer 'dense_1'": replace_method,
    "'update_step' of SGD": replace_update,
    "'dtype_policy' of the layer 'dense_1'": change_dtype,
    r"'dtype_policy' of the layer 'dense_1' \(Dense\)": change_policy,
    "'exclude_from_weight_decay' of SGD": exclude_from_weight_decay,
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_that_would_be_ignored_is_an_error(change, expected):
    with pytest.raises(ValueError, match=f"callbacks' changed .*{change}"):
        sgd([calling(CHANGES[change], "on_train_begin")]).fit(X, y)
    after = sgd().fit(X, y)
    assert after.history_ == expected
    assert np.isfinite(after.predict_proba(X)).all()


@pytest.mark.parametrize(
    "hook",
    [
        "on_epoch_begin",
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_epoch_end",
        "on_train_end",
    ],
)
def test_change_in_any_hook_does_not_reach_the_next_fit(hook, expected):
    change = "'momentum' of SGD"
    classifier = sgd([calling(CHANGES[change], hook)])
    if hook == "on_train_end":  # too late to change anything
        classifier.fit(X, y)
    else:
        with pytest.raises(ValueError, match=change):
            classifier.fit(X, y)
    assert sgd().fit(X, y).history_ == expected


def test_schedule_that_a_callback_modifies_is_not_used_again():
    def fit(callbacks=None, l2=0.0):
        decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
        classifier = sgd(callbacks).set_params(optimizer=keras.optimizers.SGD(decay))
        return classifier.set_params(l2=l2).fit(X, y).history_  # l2: traced anew

    def modify(model):
        vars(model.optimizer)["_learning_rate"].decay_rate = 0.01

    program_pool._idle.clear()
    expected = fit(), fit(l2=0.1)
    program_pool._idle.clear()
    for _ in "new", "pooled":
        with pytest.raises(ValueError, match="changed 'learning_rate' of SGD"):
            fit([calling(modify, "on_train_begin")])
        assert (fit(), fit(l2=0.1)) == expected


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end"])
def test_learning_rate_and_weights_do_not_reach_the_next_fit(hook, expected):
    def halve(model):
        model.optimizer.learning_rate = 0.01
        model.set_weights([w / 2 for w in model.get_weights()])

    changed = sgd([calling(halve, hook)]).fit(X, y)
    assert changed.history_ != expected
    assert sgd().fit(X, y).history_ == expected


def test_program_with_an_added_attribute_is_not_reused(monkeypatch, expected):
    released = []
    monkeypatch.setattr(program_pool, "_release", lambda *args: released.append(args))

    def annotate(model):
        model.note = "mine"

    sgd([calling(annotate, "on_train_begin")]).fit(X, y)
    assert not released
    sgd().fit(X, y)
    assert len(released) == 1


def test_callbacks_of_keras_leave_programs_as_they_were(monkeypatch, tmp_path):
    callbacks = [
        keras.callbacks.EarlyStopping("loss", restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("loss", patience=1),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.ModelCheckpoint(tmp_path / "model.weights.h5"),
        keras.callbacks.ModelCheckpoint(tmp_path / "model.keras"),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.History(),
    ]
    released = []
    monkeypatch.setattr(program_pool, "_release", lambda *args: released.append(args))
    sgd(callbacks[:1]).fit(X, y)
    sgd(callbacks[1:4]).fit(X, y)
    sgd(callbacks[5:]).fit(X, y)
    assert len(released) == 3


def test_failed_fit_does_not_reach_the_next_one(expected):
    with pytest.raises(TrainingDivergedError, match="'learning_rate'"):
        sgd().set_params(learning_rate=1e30).fit(X, y)
    assert sgd().fit(X, y).history_ == expected


def test_optimizer_class_that_is_defined_anew_is_used():
    def fit(factor):
        @keras.saving.register_keras_serializable("tests", "Scaled")
        class Scaled(keras.optimizers.SGD):
            def update_step(self, gradient, variable, learning_rate):
                super().update_step(factor * gradient, variable, learning_rate)

        classifier = head(optimizer=Scaled(0.1), learning_rate=None, dropout=0.0)
        return classifier.fit(X, y).loss_curve_

    one, two = fit(1.0), fit(0.0)
    assert one[-1] < one[0]
    assert_allclose(two, two[0], rtol=1e-5)
    assert fit(1.0) == one


def test_optimizer_class_that_is_modified_is_used():
    @keras.saving.register_keras_serializable("tests", "Factor")
    class Factor(keras.optimizers.SGD):
        factor = 1.0

        def update_step(self, gradient, variable, learning_rate):
            super().update_step(self.factor * gradient, variable, learning_rate)

    classifier = head(optimizer=Factor(0.1), learning_rate=None, dropout=0.0)
    expected = classifier.fit(X, y).loss_curve_
    Factor.factor = 0.0
    without_steps = classifier.fit(X, y).loss_curve_
    assert_allclose(without_steps, without_steps[0], rtol=1e-5)
    Factor.factor = 1.0
    assert classifier.fit(X, y).loss_curve_ == expected


def test_schedule_class_that_is_defined_anew_is_used():
    def fit(factor):
        @keras.saving.register_keras_serializable("tests", "Constant")
        class Constant(keras.optimizers.schedules.LearningRateSchedule):
            def __call__(self, step):
                return factor * 0.1

            def get_config(self):
                return {}

        optimizer = keras.optimizers.SGD(Constant())
        classifier = head(optimizer=optimizer, learning_rate=None, dropout=0.0)
        return classifier.fit(X, y).loss_curve_

    one, two = fit(1.0), fit(0.0)
    assert one[-1] < one[0]
    assert_allclose(two, two[0], rtol=1e-5)


def test_model_that_a_callback_keeps_is_not_used_again(expected):
    class Keep(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            self.kept = self.model

    keep = Keep()
    assert sgd([lambda: keep]).fit(X, y).history_ == expected
    weights = keep.kept.get_weights()
    assert sgd().set_params(random_state=1).fit(X, y).history_ != expected
    for kept, before in zip(keep.kept.get_weights(), weights, strict=True):
        assert_array_equal(kept, before)
    replace_activation(keep.kept)
    # With a penalty, the step is traced anew.
    penalized = sgd().set_params(l2=0.1).fit(X, y).history_
    program_pool._idle.clear()
    assert sgd().set_params(l2=0.1).fit(X, y).history_ == penalized
    assert sgd().fit(X, y).history_ == expected


def test_callback_may_use_the_model(expected):
    def use(model):
        model.predict(X[:3], verbose=0)
        model.predict_on_batch(X[:3])
        keras.Sequential(model.layers[1:2]).build((None, 10))

    callbacks = [calling(use, hook) for hook in ("on_train_begin", "on_epoch_end")]
    assert sgd(callbacks).fit(X, y).history_ == expected


@pytest.mark.slow
def test_weights_that_are_not_trained_are_reset(pixels):
    def fit(callbacks=None):
        classifier = FineTunedVGGClassifier(
            weights=None,
            image_size=(32, 32),
            n_trainable_blocks=5,
            head_epochs=1,
            epochs=2,
            random_state=0,
            callbacks=callbacks,
        )
        return classifier.fit(pixels, [0, 1] * 12).loss_curve_

    def halve(model):
        model.set_weights([w / 2 for w in model.get_weights()])

    before = fit()
    assert fit([calling(halve, "on_epoch_end")])[0] == before[0]
    assert fit() == before


def test_loss_scale_changes_nothing_but_rounding(expected):
    scaled = sgd(loss_scale_factor=1024).fit(X, y).loss_curve_
    assert_allclose(scaled, expected["loss"], rtol=1e-3)
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    with pytest.raises(ValueError, match=r"'optimizer' parameter.*LossScale"):
        head(optimizer=optimizer, learning_rate=None).fit(X, y)


def test_type_of_keras_does_not_leak_into_pooled_programs():
    reference = sgd().fit(X, y).loss_curve_
    keras.config.set_floatx("float64")
    try:
        sgd().fit(X, y)
    finally:
        keras.config.set_floatx("float32")
    assert sgd().fit(X, y).loss_curve_ == reference


@pytest.mark.parametrize(
    "scope",
    [
        lambda: tf.Graph().as_default(),
        lambda: tf.distribute.MirroredStrategy(["/cpu:0"]).scope(),
    ],
)
def test_without_eager_execution_there_is_an_error(scope, expected, pixels):
    classifier = sgd().fit(X, y)
    transformer = VGG16BottleneckTransformer(weights=None, image_size=(32, 32))
    for call in (
        lambda: sgd().fit(X, y),
        lambda: classifier.predict(X),
        lambda: classifier.model_,
        lambda: transformer.transform(pixels[:1]),
    ):
        with scope(), pytest.raises(RuntimeError, match="eager execution"):
            call()
    assert sgd().fit(X, y).history_ == expected


@pytest.mark.parametrize("n_rows", [1, 3, 48, 100])
def test_row_is_rounded_alike_at_any_position(n_rows):
    classifier = head(hidden_units=(64,), epochs=1).fit(X, y)
    proba = classifier.predict_proba(np.repeat(X[:1], n_rows, axis=0))
    assert len(np.unique(proba, axis=0)) == 1


@pytest.mark.slow
def test_without_xla_keras_layers_are_trained(monkeypatch, pixels):
    labels = [0, 1] * 12

    def fit():
        classifier = ScratchCNNClassifier(
            image_size=(16, 18), filters=(8, 8), epochs=2, random_state=0
        )
        return classifier.fit(pixels, labels)

    expected = fit()
    for module in (layers, programs):
        monkeypatch.setattr(module, "xla_compiles", lambda: False)
    monkeypatch.setattr(program_pool, "_idle", type(program_pool._idle)())
    built = []
    original = programs.Program.__init__
    monkeypatch.setattr(
        programs.Program,
        "__init__",
        lambda self, *args: built.append(self) or original(self, *args),
    )
    found = fit()
    kinds = {type(layer).__name__ for layer in built[0].model.layers}
    assert {"Conv2D", "MaxPooling2D"} <= kinds
    assert "PooledConvolution" not in kinds
    assert_allclose(
        found.predict_proba(pixels), expected.predict_proba(pixels), rtol=1e-3
    )
    for ours, theirs in zip(found._weights, expected._weights, strict=True):
        assert_allclose(ours, theirs, rtol=1e-2, atol=1e-4)


def test_pool_is_keyed_by_network_and_optimizer():
    network = "dense_head", 10, (16,), 1
    rate, momentum = (
        optimizer_config(keras.optimizers.SGD(0.1, momentum=m), 0.2) for m in (0.0, 0.9)
    )
    with program_pool.acquire(network, rate) as one:
        with program_pool.acquire(network, rate) as two:
            assert one is not two
    with program_pool.acquire(network, optimizer_config("sgd", 0.3)) as again:
        assert again in (one, two)
    others = [(network, momentum), (network, None), (("dense_head", 9, (16,), 1), rate)]
    for key in others:
        with program_pool.acquire(*key) as other:
            assert other not in (one, two)
