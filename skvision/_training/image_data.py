"""Images as the training wants its data: batches, transformed at random if asked."""

from concurrent.futures import ThreadPoolExecutor
from copy import copy

import numpy as np

from skvision._utils.parallel import map_ahead, n_threads

# Decoded images of a fit are kept in memory up to this size, about 31,000 of 150 x 150
# pixels; more are decoded again in each epoch.
MAX_BYTES_IN_MEMORY = 2 * 2**30


def predicted_views(data, flip_average, augmenter):
    """The data of which a prediction is the mean: images, and their mirror images."""
    if flip_average == "auto":
        flip_average = augmenter is not None and augmenter.horizontal_flip
    return (data, data.mirrored()) if flip_average else (data,)


class ImageData:
    """Images of one size, decoded when they are asked for.

    Parameters
    ----------
    images : ImageFiles or ImageArrays
    image_size, interpolation
        How they are decoded.
    augmenter : ImageAugmenter or None
        Transforms the batches of the training.
    """

    max_predict_batch = 4  # a single image costs little more

    def __init__(self, images, image_size, interpolation, augmenter):
        self.images = images
        self.image_size = image_size
        self.interpolation = interpolation
        self.augmenter = augmenter
        self.indices = np.arange(len(images))
        self.pixels = None  # (len(images), height, width, 3), from `load`
        self.is_mirrored = False
        self._drawn = None

    def __len__(self):
        return len(self.indices)

    def take(self, indices):
        data = copy(self)
        data.indices = self.indices[indices]
        return data

    def mirrored(self):
        """The images turned left to right, for predictions."""
        data = copy(self)
        data.is_mirrored = True
        return data

    def load(self, seed=None):
        """Decode all images now if they fit in memory."""
        shape = (len(self.images), *self.image_size, 3)
        if np.prod(shape, dtype=float) > MAX_BYTES_IN_MEMORY:
            return self
        self.pixels = np.empty(shape, dtype=np.uint8)
        with ThreadPoolExecutor(n_threads()) as pool:
            decoded = map_ahead(pool, self._decode, range(len(self.images)), 16)
            for i, image in enumerate(decoded):
                self.pixels[i] = image
        return self

    def batch(self, indices, randomness=None):
        """Images of the batch, transformed as (seed, epoch) and their index have it."""
        indices = self.indices[indices]
        if self.pixels is None:
            images = np.stack([self._decode(i) for i in indices])
        else:
            images = self.pixels[indices]
        if self.is_mirrored:
            images = images[:, :, ::-1]
        if randomness is None or self.augmenter is None:
            return images
        drawn = self._draw(randomness)
        return self.augmenter.apply(images, {k: v[indices] for k, v in drawn.items()})

    def content(self):
        """Yield bytes that tell this data from other data."""
        augmenter = self.augmenter and sorted(self.augmenter.get_params().items())
        yield repr((self.image_size, self.interpolation, augmenter)).encode()
        for i in self.indices:
            yield self.images.digest(i)

    def _decode(self, i):
        data = self.images.read_bytes(i)
        return self.images.decode(i, data, self.image_size, self.interpolation)

    def _draw(self, randomness):
        """Transformations of all images in an epoch: cheaper than batch by batch."""
        if self._drawn is None or self._drawn[0] != randomness:
            seed, epoch = randomness
            everything = np.arange(len(self.images))
            drawn = self.augmenter.draw_for(
                everything, self.image_size, seed=seed, epoch=epoch
            )
            self._drawn = randomness, drawn
            return drawn
        return self._drawn[1]
