"""Displays of images and of trainings, in the manner of scikit-learn's.

A display holds the data of a plot. Its class methods `from_...` compute them and draw;
`plot` draws again, elsewhere or otherwise. They need matplotlib, which is not installed
with skvision itself but with ``pip install "scikit-vision[plot]"``. None of them calls
``matplotlib.pyplot.show``.
"""

from skvision.plot._augmentation import AugmentationDisplay
from skvision.plot._history import TrainingHistoryDisplay
from skvision.plot._predictions import ImagePredictionDisplay
from skvision.plot._saliency import SaliencyDisplay

__all__ = [
    "AugmentationDisplay",
    "ImagePredictionDisplay",
    "SaliencyDisplay",
    "TrainingHistoryDisplay",
]
