"""Run a model that `skvision.export.export_model` wrote, with ONNX Runtime."""

import json
import os

import numpy as np

# Before the import: since 1.29, ONNX Runtime reports its use to Microsoft by default.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

_EXPECTED = (
    *("classes", "network_image_size", "resize_mode", "interpolation"),
    *("value_range", "weights"),
)
N_CELLS = 5  # of the map of where the model looked, in each direction
_N_COVERED = 2  # cells that are covered at once, in each direction


class Model:
    """A model in an ONNX file.

    Attributes
    ----------
    metadata : dict
        What skvision wrote: classes, image size, resizing, versions and licence.
    """

    def __init__(self, path, n_threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads
        # Else threads that wait for work take time from the other workers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        properties = self._session.get_modelmeta().custom_metadata_map
        self.metadata = json.loads(properties.get("skvision", "{}"))
        missing = [name for name in _EXPECTED if name not in self.metadata]
        if missing:
            raise ValueError(f"it lacks the metadata {', '.join(missing)}")
        self._outputs = [output.name for output in self._session.get_outputs()]
        height, width = self.metadata["network_image_size"]
        self.probabilities(np.zeros((height, width, 3), np.uint8))  # the first is slow

    def predict(self, pixels):
        """Return the label of an image, as text, and a dict of its probabilities."""
        outputs = self._run(pixels)
        probabilities = outputs["probabilities"][0].tolist()
        classes = self.metadata["classes"] or range(len(probabilities))
        by_class = dict(zip(map(str, classes), probabilities, strict=True))
        if "label" in outputs:
            return str(outputs["label"][0]), by_class
        return max(by_class, key=by_class.get), by_class

    def probabilities(self, pixels):
        """Return the probabilities of an image, of shape (n_classes,)."""
        return self._run(pixels)["probabilities"][0]

    def _run(self, pixels):
        values = self._session.run(None, {"images": pixels[np.newaxis]})
        return dict(zip(self._outputs, values, strict=True))


def check_model(path):
    """Raise a ValueError, of one line, unless a file is a model for this service."""
    export = "Write one with: skvision export pets.joblib model.onnx"
    if not os.path.isfile(path):
        raise ValueError(f"{path!r} is not a file. Expected an ONNX model. {export}")
    try:
        Model(path, 1)
    except Exception as error:  # ONNX Runtime has a type for each kind of damage
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{path!r} is not an ONNX model of skvision ({reason}). {export}"
        ) from error


def covered(pixels):
    """Yield copies of an image of which a part is covered with its mean colour.

    Also yields the part of the map, of shape (N_CELLS, N_CELLS), that it is.
    """
    edges = [
        np.linspace(0, side, N_CELLS + 1).round().astype(int)
        for side in pixels.shape[:2]
    ]
    mean = pixels.mean(axis=(0, 1))
    # The parts overlap, and extend over the border, so that each cell is in four.
    for i in range(1 - _N_COVERED, N_CELLS):
        for j in range(1 - _N_COVERED, N_CELLS):
            cells = tuple(slice(max(0, k), k + _N_COVERED) for k in (i, j))
            y, x = (
                slice(edge[max(0, k)], edge[min(N_CELLS, k + _N_COVERED)])
                for edge, k in zip(edges, (i, j), strict=True)
            )
            image = pixels.copy()
            image[y, x] = mean
            yield image, cells
