"""Display of an image and random transformations of it."""

import numpy as np

from skvision._images.drawing import draw_image, image_names
from skvision._images.inputs import single_image
from skvision._images.resize import ImageSettings
from skvision._utils.validation import check_image_size
from skvision.plot._composites import (
    check_estimator,
    having,
    is_network,
    names_inside,
)
from skvision.plot._shared import (
    check_matplotlib,
    grid_axes,
    read_for_display,
)


class AugmentationDisplay:
    """Visualization of an image and random transformations of it.

    It is recommended to use :meth:`from_augmenter` or :meth:`from_estimator` to create
    a display. All parameters are stored as attributes.

    Parameters
    ----------
    original : ndarray of shape (height, width, 3), dtype uint8
        The original image.

    images : ndarray of shape (n_images, height, width, 3), dtype uint8
        The transformed images.

    name : str, default=None
        File name of the original, drawn below it.

    Attributes
    ----------
    axes_ : ndarray of shape (n_images + 1,) of matplotlib Axes
        Axes of the original, which has a title and a frame, then of the transformed
        images.

    figure_ : matplotlib Figure
        Figure containing the axes.

    images_ : list of matplotlib AxesImage
        The original and the transformed images.

    See Also
    --------
    skvision.ImageAugmenter.preview : The same images, returned or saved to files.

    Examples
    --------
    >>> from skvision import ImageAugmenter
    >>> from skvision.datasets import load_digit_images
    >>> from skvision.plot import AugmentationDisplay
    >>> digits = load_digit_images("digits", n_per_class=1)
    >>> display = AugmentationDisplay.from_augmenter(
    ...     ImageAugmenter(rotation_range=40), digits.data[3], n_images=6
    ... )
    >>> len(display.axes_)
    7
    """

    def __init__(self, *, original, images, name=None):
        self.original = original
        self.images = images
        self.name = name

    def plot(self, *, ax=None, n_cols=7, im_kw=None):
        """Draw the images in a grid, starting with the original.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to replace with a grid of axes, or one axes per image. If None, a new
            figure is created.
        n_cols : int, default=7
            Number of columns in the grid. Ignored if `ax` has one axes per image.
        im_kw : dict, default=None
            Keyword arguments passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : AugmentationDisplay
            This display.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        images = [self.original, *self.images]
        self.axes_ = grid_axes(
            ax, images, n_cols, width=1.7, n_lines=1 + (self.name is not None)
        )
        texts = {"lines": [("", "original", "")], "name": self.name}
        texts |= {"fontweight": "bold"}
        self.images_ = [
            draw_image(ax, image, im_kw, **({} if i else texts))
            for i, (ax, image) in enumerate(zip(self.axes_, images, strict=True))
        ]
        self.axes_[0].spines[:].set(visible=True, color="C1", linewidth=3)
        self.figure_ = self.axes_[0].figure
        return self

    @classmethod
    def from_augmenter(
        cls,
        augmenter,
        image,
        *,
        n_images=20,
        random_state=None,
        image_size=None,
        ax=None,
        n_cols=7,
        im_kw=None,
    ):
        """Transform an image several times and draw the results.

        Parameters
        ----------
        augmenter : ImageAugmenter
            Generates the random transformations.
        image : str, os.PathLike, bytes, PIL.Image.Image or ndarray
            Path of the image, its encoded file, or its pixels: a Pillow image or a
            uint8 array of shape (height, width, 3) or (height, width).
        n_images : int, default=20
            Number of transformed images.
        random_state : int, RandomState instance or None, default=None
            Controls the random transformations. Pass an int for reproducible results;
            the first images then do not depend on `n_images`.
        image_size : tuple of (int, int) or None, default=None
            Height and width, in pixels, to which the image is resized before it is
            transformed. If None, its aspect ratio is kept and its longer side is at
            most 320 pixels. Shifts in pixels refer to the resized image.
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to replace with a grid of axes, or one axes per image. If None, a new
            figure is created.
        n_cols : int, default=7
            Number of columns in the grid. Ignored if `ax` has one axes per image.
        im_kw : dict, default=None
            Keyword arguments passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : AugmentationDisplay
            Display of the original and the transformed images.

        Raises
        ------
        TypeError
            If `augmenter` is not an ImageAugmenter.
        ImageReadError
            If the file cannot be read.

        Examples
        --------
        >>> import numpy as np
        >>> from skvision import ImageAugmenter
        >>> from skvision.plot import AugmentationDisplay
        >>> image = np.arange(40 * 60, dtype="uint8").reshape(40, 60)
        >>> display = AugmentationDisplay.from_augmenter(
        ...     ImageAugmenter(zoom_range=0.5), image, n_images=3, random_state=0
        ... )
        >>> display.images.shape
        (3, 40, 60, 3)
        """
        check_matplotlib(f"{cls.__name__}.from_augmenter")
        _check_augmenter(augmenter)
        settings = image_size and ImageSettings(check_image_size(image_size))
        original, name = _read_image(image, settings)
        display = _transform(cls, augmenter, original, name, n_images, random_state)
        return display.plot(ax=ax, n_cols=n_cols, im_kw=im_kw)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        image,
        *,
        n_images=20,
        random_state=None,
        ax=None,
        n_cols=7,
        im_kw=None,
    ):
        """Draw an image as a classifier sees it during training.

        The image is resized to the `image_size` of the classifier, which may change its
        aspect ratio, and transformed by its `augmenter`.

        Parameters
        ----------
        estimator : ScratchCNNClassifier, FineTunedVGGClassifier or composite estimator
            A classifier with an `augmenter`, or a pipeline, search or other composite
            estimator with one inside, fitted or not. Of a fitted search, the best
            estimator is taken.
        image : str, os.PathLike, bytes, PIL.Image.Image or ndarray
            Path of the image, its encoded file, or its pixels: a Pillow image or a
            uint8 array of shape (height, width, 3) or (height, width).
        n_images : int, default=20
            Number of transformed images.
        random_state : int, RandomState instance or None, default=None
            Controls the random transformations. The `random_state` of the classifier is
            not used.
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to replace with a grid of axes, or one axes per image. If None, a new
            figure is created.
        n_cols : int, default=7
            Number of columns in the grid. Ignored if `ax` has one axes per image.
        im_kw : dict, default=None
            Keyword arguments passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : AugmentationDisplay
            Display of the original and the transformed images.

        Raises
        ------
        TypeError
            If `estimator` or its augmenter is something else, such as a class.
        ValueError
            If neither the estimator nor any inside it has an augmenter.
        ImageReadError
            If the file cannot be read.

        Examples
        --------
        >>> from skvision import ImageAugmenter, ScratchCNNClassifier
        >>> from skvision.datasets import load_digit_images
        >>> from skvision.plot import AugmentationDisplay
        >>> digits = load_digit_images("digits", n_per_class=1)
        >>> classifier = ScratchCNNClassifier(
        ...     image_size=(28, 28), augmenter=ImageAugmenter(rotation_range=20)
        ... )
        >>> display = AugmentationDisplay.from_estimator(
        ...     classifier, digits.data[3], n_images=6
        ... )
        >>> display.images.shape
        (6, 28, 28, 3)
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        check_estimator(estimator)
        found = [part for part in having(estimator, "augmenter") if is_network(part)]
        if not found:
            raise ValueError(
                f"There is no augmenter in {names_inside(estimator)}. Set the "
                "'augmenter' parameter of a ScratchCNNClassifier or "
                "FineTunedVGGClassifier to an ImageAugmenter, or use from_augmenter."
            )
        classifier = found[0]
        _check_augmenter(classifier.augmenter)
        original, name = _read_image(image, classifier._image_settings())
        display = _transform(
            cls, classifier.augmenter, original, name, n_images, random_state
        )
        return display.plot(ax=ax, n_cols=n_cols, im_kw=im_kw)


def _check_augmenter(augmenter):
    is_class = isinstance(augmenter, type)
    if is_class or not (hasattr(augmenter, "draw") and hasattr(augmenter, "apply")):
        raise TypeError(
            "'augmenter' must be an ImageAugmenter, such as ImageAugmenter("
            f"rotation_range=20). Got {augmenter!r} instead. For a classifier that has "
            "one, use from_estimator."
        )


def _read_image(image, settings):
    """Return an image of shape (height, width, 3), uint8, and its file name if any."""
    images = single_image(image)
    name = None if images.path(0) is None else image_names(images)[0]
    if settings is None:
        return read_for_display(images, 0), name
    return images.read(0, settings), name


def _transform(cls, augmenter, original, name, n_images, random_state):
    """Return a display of an image and its transformations, without drawing it."""
    parameters = augmenter.draw(n_images, original.shape[:2], random_state)
    copies = np.broadcast_to(original, (n_images, *original.shape))
    images = np.rint(augmenter.apply(copies, parameters)).astype(np.uint8)
    return cls(original=original, images=images, name=name)
