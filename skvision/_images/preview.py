"""Writing the images of a preview."""

import os
from pathlib import Path

from PIL import Image

from skvision._utils.files import expand_path

# File name extension -> Pillow's name of the format.
_FORMATS = {"png": "PNG", "jpeg": "JPEG", "jpg": "JPEG"}


def preview_files(folder, prefix, save_format, n):
    """Return the paths of `n` files that do not exist yet, and create their folder.

    Parameters
    ----------
    folder : str or os.PathLike
        Folder for the files.
    prefix : str
        First part of the file names.
    save_format : {"png", "jpeg", "jpg"}
        File name extension.
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
        If one of the files already exists.
    """
    if save_format not in list(_FORMATS):
        raise ValueError(
            f"save_format must be one of {sorted(_FORMATS)}. Got {save_format!r}."
        )
    if not isinstance(prefix, str) or os.path.basename(prefix) != prefix:
        raise ValueError(
            "save_prefix must be the beginning of a file name, without a folder: pass "
            f"that as save_to_dir. Got {prefix!r}."
        )
    folder = expand_path(folder, "save_to_dir")
    if not folder:
        raise ValueError(
            "save_to_dir must be a folder. Got an empty string; '.' is the current "
            "folder, and None saves nothing."
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{prefix}_{i:04d}.{save_format}" for i in range(n)]
    for path in paths:
        if path.exists():
            raise FileExistsError(
                f"{str(path)!r} already exists, so nothing was written. Remove the "
                "files of the previous preview, or pass another save_prefix or "
                "save_to_dir."
            )
    return paths


def write_images(images, paths):
    """Write uint8 images to new files, never overwriting an existing one."""
    for image, path in zip(images, paths, strict=True):
        with open(path, "xb") as file:
            Image.fromarray(image).save(file, _FORMATS[path.suffix[1:]])
