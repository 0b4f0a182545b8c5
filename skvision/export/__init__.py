"""Files with which a fitted classifier runs without skvision.

ONNX, LiteRT (TFLite), Keras and SavedModel. ONNX requires the extra ``export``:
``pip install "scikit-vision[export]"``.
"""

from skvision.export._export import export_model

__all__ = ["export_model"]
