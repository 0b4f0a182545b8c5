"""Checks for estimators of images, as scikit-learn has them for rows of numbers."""

from skvision._image_checks_rows import rows_as_images

__all__ = ["rows_as_images"]
