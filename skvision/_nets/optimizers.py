"""Configurations of Keras' optimizers: from a name or instance, and back."""

import copy
import json

from skvision._nets.backend import check_usable_here, keras


def optimizer_config(optimizer, learning_rate):
    """Return the configuration of a Keras optimizer, given by name or as an instance.

    The instance is not modified. `learning_rate`, unless None, replaces its own.
    """
    check_usable_here()
    optimizer = keras.optimizers.get(optimizer)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError("training is in float32, whose loss needs no scale")
    config = keras.optimizers.serialize(optimizer)
    del config["config"]["name"]  # numbered, so different for each instance
    if learning_rate is not None:
        config["config"]["learning_rate"] = float(learning_rate)
    return config


def build_optimizer(config):
    try:
        # A copy, as `from_config` may modify it. (`keras.optimizers.deserialize` of
        # Keras 3.15 does not know Lamb.)
        optimizer = keras.saving.deserialize_keras_object(copy.deepcopy(config))
        if isinstance(optimizer, keras.optimizers.Optimizer):
            optimizer._all_reduce_sum_gradients = _of_one_replica
            return optimizer
        raise TypeError(f"the result is {optimizer!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "The 'optimizer' parameter cannot be created from its configuration "
            f"({error}). Custom classes must be registered with "
            "keras.saving.register_keras_serializable, and their get_config must "
            "return the arguments of the constructor."
        ) from error


def _of_one_replica(grads_and_vars):
    """Return the gradients as they are.

    Keras would sum them over replicas, of which there is one, and TensorFlow keeps the
    graph of that sum, with all variables, until the process ends.
    """
    return grads_and_vars


def saved_form(optimizer):
    """Return an optimizer as plain values, unless it is of a user's class.

    Optimizers refer to variables of TensorFlow, which skops cannot save.
    """
    if not is_keras_optimizer(optimizer):
        return optimizer
    return keras.optimizers.serialize(optimizer)


def is_keras_optimizer(optimizer):
    """Return whether the optimizer and its schedule are Keras', not a user's class."""
    parts = optimizer, getattr(optimizer, "_learning_rate", optimizer)
    return all(type(part).__module__.split(".")[0] == "keras" for part in parts)


def optimizer_key(config):
    """Return everything that an optimizer's traced update depends on, as a key.

    A learning rate that is a number is not included, because it is a variable of the
    optimizer. Returns None for classes of users: their code may depend on anything.
    """
    if not is_keras_optimizer(build_optimizer(config)):
        return None
    settings = dict(config["config"])
    if not isinstance(settings.get("learning_rate"), dict):
        settings["learning_rate"] = None
    text = json.dumps(config | {"config": settings}, sort_keys=True)
    return text, keras.config.floatx()
