"""Reading one image to look at what becomes of it, and writing the results."""

import os
from pathlib import Path

from PIL import Image

from skvision._images.decode import own_size
from skvision._images.inputs import check_images

# Ending of a file's name -> Pillow's name of the format.
_FORMATS = {"png": "PNG", "jpeg": "JPEG", "jpg": "JPEG"}


def preview_files(folder, prefix, save_format, n):
    """Name `n` files that are not there yet, and make their folder.

    Parameters
    ----------
    folder : str or os.PathLike
        Where they shall be.
    prefix : str
        First part of the names.
    save_format : {"png", "jpeg", "jpg"}
        Ending of the names.
    n : int
        Number of files.

    Returns
    -------
    paths : list of Path

    Raises
    ------
    ValueError
        If `prefix` or `save_format` is not valid.
    FileExistsError
        If there is a file of one of these names.
    """
    if save_format not in _FORMATS:
        raise ValueError(
            f"save_format must be one of {sorted(_FORMATS)}. Got {save_format!r}."
        )
    if os.path.basename(prefix) != prefix:
        raise ValueError(
            "save_prefix must be the beginning of a file's name, without a folder, "
            f"which goes to save_to_dir. Got {prefix!r}."
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{prefix}_{i:04d}.{save_format}" for i in range(n)]
    for path in paths:
        if path.exists():
            raise FileExistsError(
                f"{str(path)!r} is there already, and nothing was written. Remove the "
                "files of the former preview, or pass another save_prefix or "
                "save_to_dir."
            )
    return paths


def write_images(images, paths):
    """Write uint8 images to new files; an existing one is never replaced."""
    for image, path in zip(images, paths, strict=True):
        with open(path, "xb") as file:
            Image.fromarray(image).save(file, _FORMATS[path.suffix[1:]])


def read_image(path, image_size=None):
    """Read one image file as uint8 array of shape (height, width, 3).

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    image_size : tuple of (int, int) or None, default=None
        Height and width to bring it to, None for its own.

    Raises
    ------
    ImageReadError
        If that cannot be done.
    """
    images = check_images([path])
    data = images.read_bytes(0)
    return images.decode(0, data, image_size or own_size(data), "bilinear")
