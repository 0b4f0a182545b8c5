"""Keras' optimizers as plain values: from a name or an object, and built again."""

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


def without_learning_rate(optimizer):
    """`optimizer` as text, but for a learning rate that is a number."""
    if optimizer is None:
        return None
    config = dict(optimizer["config"])
    if not isinstance(config.get("learning_rate"), dict):
        config["learning_rate"] = None
    return json.dumps(optimizer | {"config": config}, sort_keys=True, default=str)
