"""The public function that reads one image as the estimators do."""

from skvision._images.inputs import check_value_range, single_image
from skvision._images.resize import INTERPOLATIONS, RESIZE_MODES, ImageSettings
from skvision._utils.validation import check_image_size, check_option


def read_image(
    image,
    *,
    image_size=None,
    resize_mode="stretch",
    interpolation="bilinear",
    value_range=None,
):
    """Read an image exactly as the estimators do.

    EXIF orientation is applied, transparent pixels are composited on white, only the
    first frame is read, and more than 8 bits are scaled to 8. So pixels read by this
    function are what the networks see; pixels from ``np.asarray(image)`` may not be.

    Parameters
    ----------
    image : str, os.PathLike, bytes, PIL.Image.Image or ndarray
        Path of a file, the bytes of an encoded file, a Pillow image, or a uint8 array
        of shape (height, width, 3) or (height, width).

    image_size : tuple of (int, int), default=None
        Height and width of the result, in pixels. None keeps the size of the image.

    resize_mode : {"stretch", "crop", "pad"}, default="stretch"
        How an image of another aspect ratio is resized: "stretch" ignores the ratio,
        "crop" keeps the largest part around the centre, and "pad" adds bars in the mean
        colour of ImageNet. It has no effect if `image_size` is None.

    interpolation : {"nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"}, \
            default="bilinear"
        Resampling filter for resizing. All except "nearest" use antialiasing.

    value_range : tuple of (float, float), default=None
        The values that are black and white in grey images of more than 8 bits. None
        means 0 and 65535 for integers, and 0 and 1 for floating point. Values outside
        of a range that is given become black or white.

    Returns
    -------
    pixels : ndarray of shape (height, width, 3), dtype uint8
        Values from 0 to 255, channels in the order RGB.

    Raises
    ------
    ImageReadError
        If the image cannot be read, or is larger than the limits allow.
    ValueError
        If a parameter is not valid.

    Warns
    -----
    SkvisionWarning
        If an image of more than 8 bits uses less than a sixteenth of its range.

    See Also
    --------
    skvision.datasets.check_image_files : Check many images before training.

    Notes
    -----
    A Pillow image that has been loaded no longer tells whether its colours had 16 bits
    in the file, so `value_range` has no effect on it then. A JPEG more than twice as
    large as `image_size` is decoded at a reduced scale, which a loaded image cannot be:
    pixels may differ by some grey levels.

    Examples
    --------
    >>> from PIL import Image
    >>> from skvision import read_image
    >>> exif = Image.Exif()
    >>> exif[274] = 6  # the camera was held upright
    >>> Image.new("RGB", (80, 60)).save("photo.jpg", exif=exif)
    >>> read_image("photo.jpg").shape
    (80, 60, 3)
    >>> read_image("photo.jpg", image_size=(224, 224), resize_mode="pad").shape
    (224, 224, 3)
    """
    settings = ImageSettings(
        image_size if image_size is None else check_image_size(image_size),
        check_option("interpolation", interpolation, INTERPOLATIONS),
        check_option("resize_mode", resize_mode, RESIZE_MODES),
        check_value_range(value_range),
    )
    images = single_image(image)
    pixels = images.read(0, settings)
    images.warn_if_narrow()
    return pixels
