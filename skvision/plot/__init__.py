"""Displays of images and training histories, following scikit-learn's Display API.

A display stores the data of a plot. Its `from_...` class methods compute the data and
draw the plot; `plot` draws it again, on other axes or in another style. Displays
require matplotlib, an optional dependency: ``pip install "scikit-vision[plot]"``. None
of them calls ``matplotlib.pyplot.show``.
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
