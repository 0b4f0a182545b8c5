"""Images as `Data`: decoded, and augmented in training."""

from contextlib import closing
from copy import copy

import numpy as np

from skvision._images.random_transforms import describe_augmenter
from skvision._utils.parallel import Threads, map_ahead, n_threads

# Decoded images are kept in memory up to this size, about 31,000 images of 150 x 150
# pixels; larger data are decoded again in each epoch.
MAX_BYTES_IN_MEMORY = 2 * 2**30


def predicted_views(data, flip_average, augmenter):
    """Return the data over which predictions average: images and mirrored images."""
    if flip_average == "auto":
        flip_average = augmenter is not None and augmenter.horizontal_flip
    return (data, data.mirrored()) if flip_average else (data,)


def augmented(augmenter, images, transformations):
    """Return the transformed images; `apply` may be that of a user's subclass."""
    result = augmenter.apply(images, transformations)
    if np.shape(result) != images.shape:
        raise ValueError(
            f"The method apply of the 'augmenter' parameter, {augmenter!r}, returned "
            f"an array of shape {np.shape(result)} for images of shape "
            f"{images.shape}. Expected the same shape."
        )
    return result


class ImageData:
    """Images, decoded and resized when a batch is read, or by `load`.

    Parameters
    ----------
    images : Images
    settings : ImageSettings
        Target size, and how to resize.
    augmenter : ImageAugmenter or None
        Transforms training batches.
    """

    max_predict_batch = 4  # a single image costs little more

    def __init__(self, images, settings, augmenter):
        self.images = images
        self.settings = settings
        self.image_size = settings.image_size
        self.augmenter = augmenter
        self.indices = np.arange(len(images))
        self.pixels = None  # (len(images), height, width, 3), from `load`
        self.is_mirrored = False
        self._transformations = None

    def __len__(self):
        return len(self.indices)

    def take(self, indices):
        data = copy(self)
        data.indices = self.indices[indices]
        return data

    def mirrored(self):
        """Return the data of the mirrored images, for predictions."""
        data = copy(self)
        data.is_mirrored = True
        return data

    def load(self, seed=None):
        """Decode all images if they take at most `MAX_BYTES_IN_MEMORY`."""
        shape = (len(self.images), *self.image_size, 3)
        if np.prod(shape, dtype=float) > MAX_BYTES_IN_MEMORY:
            return self
        self.pixels = np.empty(shape, dtype=np.uint8)
        indices = range(len(self.images))
        with (
            Threads(n_threads()) as pool,
            closing(map_ahead(pool, self._decode, indices, 16)) as decoded,
        ):
            for i, image in enumerate(decoded):
                self.pixels[i] = image
        self.warn()
        return self

    def batch(self, indices, randomness=None):
        """Return images; with `randomness`, a pair (seed, epoch), augmented."""
        indices = self.indices[indices]
        if self.pixels is None:
            images = np.stack([self._decode(i) for i in indices])
        else:
            images = self.pixels[indices]
        if self.is_mirrored:
            images = images[:, :, ::-1]
        if randomness is None or self.augmenter is None:
            return images
        transformations = self._draw_transformations(randomness)
        chosen = {k: v[indices] for k, v in transformations.items()}
        return augmented(self.augmenter, images, chosen)

    def warn(self):
        self.images.warn_if_narrow()

    def content(self):
        """Yield bytes that identify the data."""
        augmenter = self.augmenter and describe_augmenter(self.augmenter)
        yield repr((self.settings, augmenter)).encode()
        for i in self.indices:
            yield self.images.digest(i)

    def _decode(self, i):
        return self.images.read(i, self.settings)

    def _draw_transformations(self, randomness):
        """Draw the transformations of all images in an epoch, once per epoch."""
        if self._transformations is None or self._transformations[0] != randomness:
            seed, epoch = randomness
            indices = np.arange(len(self.images))
            transformations = self.augmenter.draw_for(
                indices, self.image_size, seed=seed, epoch=epoch
            )
            self._transformations = randomness, transformations
            return transformations
        return self._transformations[1]
