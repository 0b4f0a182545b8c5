"""Random image transformations, drawn and applied in two separate steps."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skvision._images.preview import preview_files, write_images
from skvision._images.random_transforms import (
    N_UNIFORMS,
    check_parameters,
    draw_parameters,
    indexed_uniforms,
)
from skvision._images.reading import read_image
from skvision._images.warp import FILL_MODES, check_batch, transform_images
from skvision._utils.persistence import SavedWithVersions
from skvision._utils.validation import (
    Interval,
    Real,
    StrOptions,
    check_image_size,
    explain_unknown_arguments,
    non_negative,
    positive_integer,
)

# Arguments of Keras' ImageDataGenerator that have no equivalent here.
_NOT_NEEDED = {
    "rescale": "is not needed: images have values from 0 to 255 here, and the "
    "estimators scale them themselves",
    **dict.fromkeys(
        (
            "featurewise_center",
            "featurewise_std_normalization",
            "samplewise_center",
            "samplewise_std_normalization",
            "zca_whitening",
            "zca_epsilon",
        ),
        "does not exist: the estimators scale images themselves. To standardize or "
        "whiten features, put a StandardScaler or PCA(whiten=True) after a "
        "VGG16BottleneckTransformer",
    ),
    "preprocessing_function": "does not exist: the estimators preprocess images "
    "themselves. Apply a function of your own to the images before, and pass an array",
    "validation_split": "does not exist: split with "
    "sklearn.model_selection.train_test_split, or use 'early_stopping' and "
    "'validation_fraction' of the classifiers",
    "data_format": "is not needed: images always have the shape (height, width, 3)",
    "interpolation_order": "does not exist: interpolation is always bilinear (order 1)",
    "dtype": "is not needed: results are always float32",
}


class ImageAugmenter(SavedWithVersions, BaseEstimator):
    """Random image transformations for data augmentation.

    Names, units and meaning of the parameters are those of Keras'
    `ImageDataGenerator` [1]_, so its arguments can be copied; an argument that is not
    needed here raises a TypeError that says what replaces it. Rotation, shift, shear,
    zoom and flips are composed into a single affine transformation, so each image is
    sampled only once, several times as fast.

    Parameters
    ----------
    rotation_range : float, default=0
        Maximum rotation angle, in degrees, in either direction.

    width_shift_range, height_shift_range : float, int or array-like, default=0.0
        Maximum shift to the left and right, and up and down. A float below 1 is a
        fraction of the image width or height, any other float a number of pixels. An
        int `n` allows all integer shifts from ``-n + 1`` to ``n - 1`` pixels. An
        array-like lists the shifts to choose from, in either direction; they are
        fractions if all are below 1.

    brightness_range : pair of float or None, default=None
        Minimum and maximum brightness factor. The image is truncated to whole grey
        levels before and after. None does not change the brightness.

    shear_range : float, default=0.0
        Maximum shear angle, in degrees, in either direction.

    zoom_range : float or pair of float, default=0.0
        Minimum and maximum zoom factor, drawn separately for height and width. Factors
        below 1 zoom in. A float `z` means ``(1 - z, 1 + z)``.

    channel_shift_range : float, default=0.0
        Maximum number of grey levels that is added to or subtracted from all channels.
        The result is clipped to the range of values of the image.

    fill_mode : {"nearest", "constant", "reflect", "wrap"}, default="nearest"
        How to fill points beyond the border of the image: "nearest" repeats the edge
        pixel (aaaa|abcd|dddd), "constant" uses `cval`, "reflect" mirrors the image
        (dcba|abcd|dcba), "wrap" repeats it (abcd|abcd|abcd).

    cval : float, default=0.0
        Grey level, from 0 to 255, of points beyond the border. Only used when
        `fill_mode` is "constant".

    horizontal_flip : bool, default=False
        Whether to flip half of the images horizontally.

    vertical_flip : bool, default=False
        Whether to flip half of the images vertically.

    Notes
    -----
    The same parameters give the same pixels as `ImageDataGenerator`, apart from two
    faults of that class in Keras 3 [3]_, which ignores that the coordinates of images
    are (row, column): `width_shift_range` moves images up and down there,
    `height_shift_range` left and right, and images that are not square are transformed
    about another point than their centre. On square images, `apply` is its
    `apply_transform` with `tx` and `ty` exchanged.

    `shear_range` has been in degrees since December 2017. It was in radians in
    Chollet (2016) [2]_, whose value 0.2 is ``np.rad2deg(0.2)``, about 11.5, here.

    There is nothing to fit. Images are transformed in a single thread. The parameters
    of an image depend only on `random_state` and the index of the image, not on the
    number of images.

    References
    ----------
    .. [1] https://www.tensorflow.org/api_docs/python/tf/keras/preprocessing/image/ImageDataGenerator
    .. [2] F. Chollet, "Building powerful image classification models using very little
       data", The Keras Blog, 2016.
       https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html
    .. [3] https://github.com/tensorflow/tensorflow/issues/82838

    Examples
    --------
    >>> import numpy as np
    >>> from skvision import ImageAugmenter
    >>> images = np.zeros((3, 40, 60, 3), dtype="uint8")
    >>> augmenter = ImageAugmenter(rotation_range=40, zoom_range=0.2)
    >>> augmenter.transform(images, random_state=0).shape
    (3, 40, 60, 3)

    The same in two steps, to inspect the parameters:

    >>> parameters = augmenter.draw(3, image_size=(40, 60), random_state=0)
    >>> parameters["theta"].round(1)
    array([ 3.9,  5.4, -30.5])
    >>> augmenter.apply(images, parameters).shape
    (3, 40, 60, 3)
    """

    _parameter_constraints = {
        "rotation_range": [non_negative],
        "width_shift_range": [non_negative, "array-like"],
        "height_shift_range": [non_negative, "array-like"],
        "brightness_range": ["array-like", None],
        "shear_range": [non_negative],
        "zoom_range": [Interval(Real, 0, 1, closed="both"), "array-like"],
        "channel_shift_range": [non_negative],
        "fill_mode": [StrOptions(set(FILL_MODES))],
        "cval": [Interval(Real, 0, 255, closed="both")],
        "horizontal_flip": ["boolean"],
        "vertical_flip": ["boolean"],
    }

    @explain_unknown_arguments(_NOT_NEEDED)
    def __init__(
        self,
        *,
        rotation_range=0,
        width_shift_range=0.0,
        height_shift_range=0.0,
        brightness_range=None,
        shear_range=0.0,
        zoom_range=0.0,
        channel_shift_range=0.0,
        fill_mode="nearest",
        cval=0.0,
        horizontal_flip=False,
        vertical_flip=False,
    ):
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.brightness_range = brightness_range
        self.shear_range = shear_range
        self.zoom_range = zoom_range
        self.channel_shift_range = channel_shift_range
        self.fill_mode = fill_mode
        self.cval = cval
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip

    def transform(self, images, random_state=None):
        """Transform each image randomly.

        Parameters
        ----------
        images : array-like of shape (n_images, height, width, 3)
            Values from 0 to 255, uint8 or float. Floats that are all below 2, but not
            all 0, raise a ValueError, because they appear to be scaled to 0 to 1.
        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible output across multiple calls. The
            transformation of image i does not depend on the number of images.

        Returns
        -------
        images : ndarray of shape (n_images, height, width, 3), dtype float32
            The transformed images, values from 0 to 255.
        """
        images = check_batch(images)
        parameters = self.draw(len(images), images.shape[1:3], random_state)
        return self._apply(images, parameters)

    def draw(self, n_images, image_size, random_state=None):
        """Draw the parameters of random transformations.

        Parameters
        ----------
        n_images : int
            Number of transformations.
        image_size : tuple of (int, int)
            Height and width of the images, in pixels.
        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible output across multiple calls. The first
            transformations are then the same for any `n_images`.

        Returns
        -------
        parameters : dict of str to ndarray of shape (n_images,)
            The values at index i are those that
            `ImageDataGenerator.get_random_transform` returns for one image: `theta`
            and `shear` in degrees, `tx` (along the height) and `ty` (along the width)
            in pixels, the factors `zx` and `zy`, `flip_horizontal` and `flip_vertical`,
            and `channel_shift_intensity` and `brightness`, which are None if disabled.
        """
        self._validate_params()
        if not positive_integer.is_satisfied_by(n_images):
            raise ValueError(f"n_images must be a positive int. Got {n_images!r}.")
        height_and_width = check_image_size(image_size)
        rng = check_random_state(random_state)
        uniforms = rng.random_sample((n_images, N_UNIFORMS))
        return draw_parameters(self.get_params(), height_and_width, uniforms)

    def draw_for(self, indices, image_size, *, seed, epoch):
        """Draw the parameters of some images in one epoch.

        They depend only on the seed, the epoch and the index of the image, so they are
        the same for any batches and any order of the images.

        Parameters
        ----------
        indices : array-like of int of shape (n_images,)
            The indices of the images in the dataset.
        image_size : tuple of (int, int)
            Height and width of the images, in pixels.
        seed : int
            Seed from 0 to 2**64 - 1.
        epoch : int
            Number of the epoch, from 0 to 2**64 - 1.

        Returns
        -------
        parameters : dict of str to ndarray of shape (n_images,)
            As returned by `draw`.

        Notes
        -----
        Time and memory grow with the difference between the largest and the smallest
        index, not with the number of indices. If the images are shuffled, draw for all
        images of an epoch in one call: 2000 take less than a millisecond.

        Examples
        --------
        >>> from skvision import ImageAugmenter
        >>> augmenter = ImageAugmenter(rotation_range=40)
        >>> for batch in ([0, 1, 2], [2, 0]):
        ...     drawn = augmenter.draw_for(batch, (150, 150), seed=0, epoch=5)
        ...     print(drawn["theta"].round(1))
        [  7.   -5.4 -32.4]
        [-32.4   7. ]
        """
        self._validate_params()
        height_and_width = check_image_size(image_size)
        uniforms = indexed_uniforms(indices, seed, epoch)
        return draw_parameters(self.get_params(), height_and_width, uniforms)

    def apply(self, images, parameters):
        """Transform each image with its row parameters.

        Parameters
        ----------
        images : array-like of shape (n_images, height, width, 3)
            Values from 0 to 255, uint8 or float. Floats that are all below 2, but not
            all 0, raise a ValueError, because they appear to be scaled to 0 to 1.
        parameters : dict of str to array-like of shape (n_images,)
            As returned by `draw`. A single value applies to all images, and missing
            parameters do not change the images.

        Returns
        -------
        images : ndarray of shape (n_images, height, width, 3), dtype float32
            The transformed images, values from 0 to 255.
        """
        self._validate_params()
        return self._apply(check_batch(images), parameters)

    def preview(
        self,
        path,
        n_images=20,
        save_to_dir=None,
        save_prefix="image",
        save_format="png",
        random_state=None,
        image_size=None,
    ):
        """Transform one image several times, to inspect the results.

        Parameters
        ----------
        path : str or os.PathLike
            Path of the image file.
        n_images : int, default=20
            Number of transformed images.
        save_to_dir : str, os.PathLike or None, default=None
            Folder to write the results to, created if missing. The files are named
            ``{save_prefix}_0000.{save_format}`` and so on. None writes nothing.
        save_prefix : str, default="image"
            First part of the file names.
        save_format : {"png", "jpeg", "jpg"}, default="png"
            Format and extension of the files. JPEG does not keep the exact values.
        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible output across multiple calls.
        image_size : tuple of (int, int) or None, default=None
            Height and width to resize the image to; None keeps its original size.

        Returns
        -------
        images : ndarray of shape (n_images, height, width, 3), dtype uint8
            The transformed images, rounded.

        Raises
        ------
        ImageReadError
            If the file cannot be read.
        FileExistsError
            If one of the files already exists. Nothing is written in that case.
        """
        if image_size is not None:
            image_size = check_image_size(image_size)
        image = read_image(path, image_size=image_size)
        parameters = self.draw(n_images, image.shape[:2], random_state)
        if save_to_dir is not None:
            files = preview_files(save_to_dir, save_prefix, save_format, n_images)
        results = np.empty((n_images, *image.shape), dtype=np.uint8)
        for i in range(n_images):  # one by one, since photos use much memory as floats
            row = {name: values[i] for name, values in parameters.items()}
            results[i] = np.rint(self._apply(image[np.newaxis], row)[0])
        if save_to_dir is not None:
            write_images(results, files)
        return results

    def _only_flips(self):
        """Return whether the settings cause no other transformations than flips.

        False for subclasses, which may do anything in `apply`.
        """
        ignored = "horizontal_flip", "vertical_flip", "fill_mode", "cval"
        defaults = ImageAugmenter().get_params()
        return type(self) is ImageAugmenter and all(
            name in ignored or np.array_equal(value, defaults[name])
            for name, value in self.get_params().items()
        )

    def _apply(self, images, parameters):
        """Transform images that have already been checked."""
        parameters = check_parameters(parameters, len(images))
        return transform_images(images, parameters, self.fill_mode, self.cval)
