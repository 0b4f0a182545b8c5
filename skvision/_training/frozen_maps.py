"""Activations of the frozen blocks of VGG16, computed once for each image and view."""

import functools
import itertools
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from skvision._features.extraction import FLIPS, Extraction, rows_per_pass
from skvision._features.store import FeatureStore
from skvision._images.random_transforms import describe_augmenter
from skvision._training.data import VIEWS
from skvision._training.image_data import ImageData, augmented


@dataclass(frozen=True)
class FrozenMaps:
    """Activations of the last frozen layer, each computed once and stored.

    Data flow: image -> view (a flipped or augmented copy) -> frozen blocks -> store ->
    batch. Each epoch of training uses one view of each image, and all views before any
    is repeated.

    Attributes
    ----------
    fixed : Extraction
        Extraction from images as they are and flipped, `FLIPS`.
    shape : tuple of int
        Shape of the activations of an image: height, width, channels.
    augmenter : ImageAugmenter or None
    n_views : int or None
        Number of random views of each image, in addition to the image and, if the
        augmenter flips, its flipped copies; None for a new, unstored view in each
        epoch.
    is_seeded : bool
        Whether later fits can use the same random views, so that it pays to store them.
    indices : ndarray
        Index of the image of each sample.
    max_bytes : int or None
        Maximum size of a temporary store.
    random : Extraction or None
        Extraction from the random views.
    views : tuple of str
        Names of the views used in training.
    unstored : ImageData or None
        The images, if views are not stored.
    view : str
        Name of the view outside training.
    """

    fixed: Extraction
    shape: tuple
    augmenter: object
    n_views: int | None
    is_seeded: bool
    indices: np.ndarray
    max_bytes: int | None = None
    random: Extraction | None = None
    views: tuple = ("plain",)
    unstored: ImageData | None = None
    view: str = "plain"

    @property
    def max_predict_batch(self):
        return next((n for n in (1, 4) if len(self) <= n), 24)

    def __len__(self):
        return len(self.indices)

    def take(self, indices):
        return replace(self, indices=self.indices[indices])

    def mirrored(self):
        """Return the data of the mirrored images, for predictions."""
        return replace(self, view="mirrored")

    def load(self, seed=None):
        """Compute and store missing activations; with `seed`, also of the views."""
        is_augmented = seed is not None and self.augmenter is not None
        is_stored = is_augmented and (
            self.n_views is not None or self.augmenter._only_flips()
        )
        views = flips_of(self.augmenter) if is_stored else ("plain",)
        fixed = self.fixed
        if fixed.store is None:
            fixed = fixed.changed(store=FeatureStore(None, self.max_bytes))
        if not _filled(fixed, views):  # or each epoch would compute what is missing
            fixed = fixed.changed(store=FeatureStore(None, self.max_bytes))
            _filled(fixed, views)
        loaded = replace(self, fixed=fixed, views=views)
        if is_augmented and not is_stored:
            unstored = ImageData(fixed.images, fixed.image_settings, self.augmenter)
            return replace(loaded, unstored=unstored.load())
        if not is_augmented or self.augmenter._only_flips():
            return loaded
        store = fixed.store
        if not self.is_seeded:
            store = FeatureStore(None, self.max_bytes)
        drawn = random_views(self.augmenter, self.n_views, seed)
        random = fixed.changed(store=store, views=drawn, label="views")
        random.fill()
        return replace(loaded, random=random, views=(*views, *drawn))

    def batch(self, indices, randomness=None):
        """Return activations of shape (n, *shape); without `randomness`, no views."""
        indices = self.indices[indices]
        if self.unstored is not None and randomness is not None:
            maps = self._frozen(self.unstored.batch(indices, randomness))
            return maps.reshape(len(indices), *self.shape)
        views = np.repeat(self.view, len(indices))
        if randomness is not None:
            names, n_images = np.array(self.views), len(self.fixed.images)
            views = names[numbers_of_views(*randomness, len(names), n_images)[indices]]
        maps = np.empty((len(indices), *self.shape), dtype=np.float32)
        for extraction in filter(None, (self.fixed, self.random)):
            some = np.isin(views, list(extraction.views))
            if some.any():
                pairs = list(zip(indices[some], views[some].tolist(), strict=True))
                maps[some] = extraction.fetch(pairs).reshape(-1, *self.shape)
        return maps

    def warn(self):
        self.fixed.images.warn_if_narrow()

    def content(self):
        augmenter = self.augmenter and describe_augmenter(self.augmenter)
        yield repr((self.fixed.settings, augmenter, self.n_views)).encode()
        for i in self.indices:
            yield self.fixed.digests[i]

    def _frozen(self, images):
        network, max_rows = self.fixed.load_network()
        n = len(images)
        n_rows = rows_per_pass(n, max_rows)
        images = np.pad(images, [(0, -n % n_rows), (0, 0), (0, 0), (0, 0)])
        passes = np.split(images, len(images) // n_rows)
        return np.concatenate([network(some) for some in passes])[:n]


@functools.lru_cache(maxsize=4)
def numbers_of_views(seed, epoch, n_views, n_images):
    """Return the view number of each image; in `n_views` epochs each occurs once."""
    cycle, step = divmod(epoch, n_views)
    rng = np.random.default_rng([seed, VIEWS, cycle])
    order = np.tile(np.arange(n_views), (n_images, 1))
    return rng.permuted(order, axis=1)[:, step]


def _filled(fixed, views):
    """Store the flipped copies `views`; return False if the store is read-only."""
    extraction = fixed.changed(views={name: FLIPS[name] for name in views})
    extraction.fill()
    return extraction.store.is_writable


def flips_of(augmenter):
    """Return the names of all flipped copies that the augmenter makes."""
    horizontally, vertically = augmenter.horizontal_flip, augmenter.vertical_flip
    made = True, horizontally, vertically, horizontally and vertically
    return tuple(itertools.compress(FLIPS, made))


def random_views(augmenter, n_views, seed):
    """Return view name -> function from an image to the view."""
    description = describe_augmenter(augmenter)
    return {
        f"{description} seed={seed} number={number}": _View(augmenter, seed, number)
        for number in range(n_views)
    }


@dataclass(frozen=True)
class _View:
    """A random transformation, determined by the content of the image and `seed`."""

    augmenter: object
    seed: int
    number: int

    def __call__(self, image):
        digest = blake2b(image.tobytes() + b"%d" % self.seed, digest_size=8).digest()
        transformations = self.augmenter.draw_for(
            [0],
            image.shape[:2],
            seed=int.from_bytes(digest, "little"),
            epoch=self.number,
        )
        view = augmented(self.augmenter, image[np.newaxis], transformations)[0]
        return np.rint(view).clip(0, 255).astype(np.uint8)
