"""Keras' optimizers as plain values: from a name or object to a configuration."""

import json

from skvision._nets.backend import keras


def optimizer_config(optimizer, learning_rate):
    """Return the configuration of a Keras optimizer given by name or as an object.

    The user's object is only read. Its learning rate is replaced if one is given.
    """
    config = keras.optimizers.serialize(keras.optimizers.get(optimizer))
    del config["config"]["name"]  # numbered, so no two are alike
    if learning_rate is not None:
        config["config"]["learning_rate"] = float(learning_rate)
    return config


def build_optimizer(config):
    try:
        optimizer = keras.optimizers.deserialize(config)
        if isinstance(optimizer, keras.optimizers.Optimizer):
            return optimizer
        raise TypeError(f"it gives {optimizer!r}")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The 'optimizer' parameter cannot be built again from its configuration "
            f"({error}). Classes of your own must be registered with "
            "keras.saving.register_keras_serializable, and have a get_config that "
            "returns the arguments of their constructor."
        ) from error


def is_keras_optimizer(optimizer):
    """Return whether the optimizer is one of Keras' own, not a user's class."""
    return type(optimizer).__module__.split(".")[0] == "keras"


def optimizer_key(config):
    """Return what an optimizer's traced update depends on, as a dictionary key.

    A learning rate that is a number is left out: it is a variable of the optimizer. The
    class is part of the key, for a user may define another one of the same name.
    """
    if config is None:
        return None
    settings = dict(config["config"])
    if not isinstance(settings.get("learning_rate"), dict):
        settings["learning_rate"] = None
    text = json.dumps(config | {"config": settings}, sort_keys=True)
    return text, type(build_optimizer(config)), keras.config.floatx()
