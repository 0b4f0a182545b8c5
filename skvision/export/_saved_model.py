"""Export to a folder in TensorFlow's SavedModel format."""

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from skvision._nets.backend import tf
from skvision.export._agreement import check_agreement
from skvision.export._metadata import to_json
from skvision.export._networks import as_function, classifying_network, outputs
from skvision.export._quiet import quiet_conversion


def write(parts, path, metadata):
    """Write the folder, with the signature "serving_default"."""
    network = classifying_network(parts, required_by="SavedModel")
    with _replacing_folder(path) as folder:
        save(network, folder, parts, metadata, f"path={path!r}", with_labels=True)
        serve = tf.saved_model.load(folder).signatures["serving_default"]

        def run(images):
            values = serve(images=tf.constant(images))
            return _labels(values.get("label")), values["probabilities"].numpy()

        check_agreement(parts, run, "SavedModel")


def save(network, folder, parts, metadata, place, *, with_labels):
    """Save a network; its labels stay indices of classes unless `with_labels`.

    `place` is what the user knows of `folder`, for messages.
    """

    def name_outputs(probabilities):
        named = outputs(probabilities, parts, metadata)
        if with_labels and "label" in named:
            labels = tf.constant(metadata["classes"])
            named["label"] = tf.gather(labels, named["label"])
        return named

    module = tf.Module()
    module.serve, _ = as_function(network, name_outputs)
    with quiet_conversion():
        module.serve.get_concrete_function()  # errors of it are not those of a disk
        try:
            tf.saved_model.save(module, folder, signatures=module.serve)
        except _write_errors() as error:
            reason = error.message.rpartition("; ")[2]  # after the hidden path
            raise OSError(f"Cannot write to {place}: {reason}") from error
    extra = Path(folder, "assets.extra")
    extra.mkdir()
    (extra / "skvision.json").write_text(to_json(metadata), encoding="utf-8")


def _write_errors():
    """Return TensorFlow's errors for a full disk, large file, or missing permission."""
    return (
        tf.errors.ResourceExhaustedError,
        tf.errors.OutOfRangeError,
        tf.errors.PermissionDeniedError,
        tf.errors.NotFoundError,
        tf.errors.FailedPreconditionError,
        tf.errors.UnknownError,
    )


def _labels(label):
    if label is None or label.dtype != tf.string:
        return None if label is None else label.numpy()
    return [value.decode() for value in label.numpy()]


@contextlib.contextmanager
def _replacing_folder(path):
    """Return a new folder that replaces `path` if the block succeeds."""
    parent, name = os.path.split(os.path.abspath(path))
    new, old = (
        os.path.join(parent, f".{name}.{secrets.token_hex(8)}.tmp") for _ in range(2)
    )
    os.mkdir(new)
    try:
        yield new
        if os.path.lexists(path):
            os.replace(path, old)
        os.replace(new, path)
    except BaseException:
        if os.path.lexists(old):
            os.replace(old, path)
        raise
    finally:
        for folder in (new, old):
            shutil.rmtree(folder, ignore_errors=True)
