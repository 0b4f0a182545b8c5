"""Random transformations of images, drawn and applied in two separate steps."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skvision._images.preview import preview_files, read_image, write_images
from skvision._images.random_transforms import (
    N_UNIFORMS,
    check_parameters,
    draw_parameters,
    indexed_uniforms,
)
from skvision._images.warp import FILL_MODES, check_batch, transform_images
from skvision._utils.persistence import SavedWithVersions
from skvision._utils.validation import (
    Interval,
    Real,
    StrOptions,
    check_image_size,
    non_negative,
)


class ImageAugmenter(SavedWithVersions, BaseEstimator):
    """Random transformations that make more of few images.

    Names, units and meaning of the parameters are those of Keras'
    `ImageDataGenerator` [1]_, whose arguments can be copied; the same transformation
    of the same image gives the same pixels, at several times the speed. Rotation,
    shift, shear, zoom and flips are composed to one map, so that each image is sampled
    once.

    Parameters
    ----------
    rotation_range : float, default=0
        Largest angle of rotation, in degrees, to either side.

    width_shift_range, height_shift_range : float, int or array-like, default=0.0
        Largest shift, to either side. A float below 1 is a fraction of the image's
        width or height, any other float a number of pixels. An int `n` allows the
        whole numbers of pixels from ``-n + 1`` to ``n - 1``. A list holds the shifts
        to choose from, each of them to either side; fractions, if all are below 1.

    brightness_range : pair of float or None, default=None
        Smallest and largest factor of brightness. The image is cut to whole grey
        levels before and after. None leaves the brightness alone.

    shear_range : float, default=0.0
        Largest angle of shear, in degrees, to either side.

    zoom_range : float or pair of float, default=0.0
        Smallest and largest factor, drawn for height and width separately; below 1
        enlarges what is seen. A float `z` stands for ``(1 - z, 1 + z)``.

    channel_shift_range : float, default=0.0
        Largest number of grey levels added to all channels, or taken off. The result
        stays between the darkest and the brightest value of the image.

    fill_mode : {"nearest", "constant", "reflect", "wrap"}, default="nearest"
        What to see beyond the border of the image: "nearest" its last pixel
        (aaaa|abcd|dddd), "constant" `cval`, "reflect" its mirror image
        (dcba|abcd|dcba), "wrap" the image again (abcd|abcd|abcd).

    cval : float, default=0.0
        Grey level, from 0 to 255, beyond the border. Only used when `fill_mode` is
        "constant".

    horizontal_flip : bool, default=False
        Whether to exchange left and right in half of the images.

    vertical_flip : bool, default=False
        Whether to exchange top and bottom in half of the images.

    Notes
    -----
    Equality goes as far as to keep two peculiarities of `ImageDataGenerator` in
    Keras 3: `height_shift_range` (through `tx`) moves images to the left and right, and
    `width_shift_range` (through `ty`) up and down; and the centre of rotation of images
    that are not square is that of the transposed image.

    `shear_range` is in degrees since December 2017 and was in radians when [2]_ was
    written: its 0.2 is ``np.rad2deg(0.2)``, about 11.5, here.

    There is nothing to fit. One thread does the work; the parameters of an image depend
    on `random_state` and the image's position alone, never on the number of images.

    References
    ----------
    .. [1] https://www.tensorflow.org/api_docs/python/tf/keras/preprocessing/image/ImageDataGenerator
    .. [2] F. Chollet, "Building powerful image classification models using very little
       data", The Keras Blog, 2016.
       https://blog.keras.io/building-powerful-image-classification-models-using-very-little-data.html

    Examples
    --------
    >>> import numpy as np
    >>> from skvision import ImageAugmenter
    >>> images = np.zeros((3, 40, 60, 3), dtype="uint8")
    >>> augmenter = ImageAugmenter(rotation_range=40, zoom_range=0.2)
    >>> augmenter.transform(images, random_state=0).shape
    (3, 40, 60, 3)

    The same in two steps, to see what was drawn:

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
        """Transform each image at random.

        Parameters
        ----------
        images : array-like of shape (n_images, height, width, 3)
            Values from 0 to 255, uint8 or float.
        random_state : int, RandomState instance or None, default=None
            An int gives the same images at each call. Image i gets the same
            transformation however many images follow it.

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
            Source of the random numbers. With an int, the first transformations are
            the same whatever `n_images`.

        Returns
        -------
        parameters : dict of str to ndarray of shape (n_images,)
            Row i of all is what `ImageDataGenerator.get_random_transform` returns:
            `theta` and `shear` in degrees, `tx` and `ty` in pixels, the factors `zx`
            and `zy`, `flip_horizontal` and `flip_vertical`, and
            `channel_shift_intensity` and `brightness`, which hold None if they are off.
        """
        self._validate_params()
        if not (isinstance(n_images, Integral) and n_images > 0):
            raise ValueError(f"n_images must be a positive int. Got {n_images!r}.")
        height_and_width = check_image_size(image_size)
        rng = check_random_state(random_state)
        uniforms = rng.random_sample((n_images, N_UNIFORMS))
        return draw_parameters(self.get_params(), height_and_width, uniforms)

    def draw_for(self, indices, image_size, *, seed, epoch):
        """Draw the parameters that belong to some images in one epoch.

        They depend on the seed, the epoch and the index alone, so any split of the
        images into batches, in any order, gives the same ones.

        Parameters
        ----------
        indices : array-like of int of shape (n_images,)
            The images' positions in the whole set.
        image_size : tuple of (int, int)
            Height and width of the images, in pixels.
        seed : int
            Non-negative seed, below 2**64.
        epoch : int
            Non-negative number of the epoch.

        Returns
        -------
        parameters : dict of str to ndarray of shape (n_images,)
            As `draw` returns them.

        Notes
        -----
        Time and memory grow with the distance from the smallest to the largest index,
        not with their number. So ask for all images of an epoch at once where they are
        shuffled: 2000 take less than a millisecond.

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
        """Transform each image with its own parameters.

        Parameters
        ----------
        images : array-like of shape (n_images, height, width, 3)
            Values from 0 to 255, uint8 or float.
        parameters : dict of str to array-like of shape (n_images,)
            As `draw` returns them. A single value is for all images; what is missing
            is not applied.

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
        """Transform one image several times, to look at the results.

        Parameters
        ----------
        path : str or os.PathLike
            File of the image.
        n_images : int, default=20
            Number of results.
        save_to_dir : str, os.PathLike or None, default=None
            Folder to write the results to, made if missing. They are called
            ``{save_prefix}_0000.{save_format}`` and so on. None writes nothing.
        save_prefix : str, default="image"
            First part of the files' names.
        save_format : {"png", "jpeg", "jpg"}, default="png"
            Format, and ending, of the files. JPEG does not keep the exact values.
        random_state : int, RandomState instance or None, default=None
            Source of the random numbers.
        image_size : tuple of (int, int) or None, default=None
            Height and width to bring the image to; None keeps its own.

        Returns
        -------
        images : ndarray of shape (n_images, height, width, 3), dtype uint8
            The results, rounded.

        Raises
        ------
        ImageReadError
            If the file cannot be read.
        FileExistsError
            If one of the files is there already; nothing is written then.
        """
        if image_size is not None:
            image_size = check_image_size(image_size)
        image = read_image(path, image_size)
        parameters = self.draw(n_images, image.shape[:2], random_state)
        if save_to_dir is not None:
            files = preview_files(save_to_dir, save_prefix, save_format, n_images)
        results = np.empty((n_images, *image.shape), dtype=np.uint8)
        for i in range(n_images):  # one by one: photos as floats take much memory
            own = {name: values[i] for name, values in parameters.items()}
            results[i] = np.rint(self._apply(image[np.newaxis], own)[0])
        if save_to_dir is not None:
            write_images(results, files)
        return results

    def _apply(self, images, parameters):
        """Transform images that have been checked."""
        parameters = check_parameters(parameters, len(images))
        return transform_images(images, parameters, self.fill_mode, self.cval)
