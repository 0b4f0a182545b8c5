"""Activations of the frozen blocks of VGG16, computed once for each image and view."""

import functools
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from skvision._features.extraction import Extraction, rows_per_pass
from skvision._features.store import FeatureStore
from skvision._training.image_data import ImageData

VIEWS = 3  # random stream, in addition to those in `loop`


@dataclass(frozen=True)
class FrozenMaps:
    """Activations of the last frozen layer, each computed once and stored.

    Data flow: image -> view (an augmented copy) -> frozen blocks -> store -> batch.
    Each epoch of training uses one view of each image, and all views before any is
    repeated.

    Attributes
    ----------
    plain : Extraction
        Extraction from images without augmentation: for predictions, and for training
        without an augmenter.
    half : Extraction
        The same with float16, for views: it takes half the space, and rounding errors
        are small compared with the noise of dropout.
    shape : tuple of int
        Shape of the activations of an image: height, width, channels.
    augmenter : ImageAugmenter or None
    n_views : int or None
        Number of views of each image; None for a new, unstored one in each epoch.
    is_seeded : bool
        Whether later fits can use the same views, so that it pays to store them.
    indices : ndarray
        Index of the image of each sample.
    max_bytes : int or None
        Maximum size of a temporary store.
    augmented : Extraction or None
        Extraction of the views other than the plain image.
    views : tuple of str
        Names of the views used in training.
    unstored : ImageData or None
        The images, if views are not stored.
    view : str
        Name of the view outside training.
    """

    plain: Extraction
    half: Extraction
    shape: tuple
    augmenter: object
    n_views: int | None
    is_seeded: bool
    indices: np.ndarray
    max_bytes: int | None = None
    augmented: Extraction | None = None
    views: tuple = ()
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
        mirrored = self.plain.on_images_of(self.plain, {"mirrored": np.fliplr})
        return replace(self, plain=mirrored, view="mirrored")

    def load(self, seed=None):
        """Compute and store missing activations; with `seed`, also of the views."""
        plain = self.plain
        if plain.store is None:
            plain = replace(plain, store=FeatureStore.temporary(self.max_bytes))
        plain.fill()
        if not plain.store.is_writable:  # or each epoch would compute what is missing
            temporary = FeatureStore.temporary(self.max_bytes)
            plain = plain.on_images_of(plain, plain.views, temporary)
            plain.fill()
        if seed is None or self.augmenter is None:
            return replace(self, plain=plain)
        if self.n_views is None:
            images = plain.images, plain.image_size, plain.interpolation
            unstored = ImageData(*images, self.augmenter).load()
            return replace(self, plain=plain, unstored=unstored)
        views = views_of(self.augmenter, self.n_views, seed)
        stored = {name: view for name, view in views.items() if name != "plain"}
        store = plain.store
        is_random = any(isinstance(view, _View) for view in views.values())
        if is_random and not self.is_seeded:
            store = FeatureStore.temporary(self.max_bytes)
        augmented = self.half.on_images_of(plain, stored, store)
        augmented.fill()
        return replace(self, plain=plain, augmented=augmented, views=tuple(views))

    def batch(self, indices, randomness=None):
        """Return activations of shape (n, *shape); without `randomness`, no views."""
        indices = self.indices[indices]
        if self.unstored is not None and randomness is not None:
            maps = self._frozen(self.unstored.batch(indices, randomness))
            return maps.reshape(len(indices), *self.shape)
        views = np.repeat(self.view, len(indices))
        if self.augmented is not None and randomness is not None:
            names, n_images = np.array(self.views), len(self.plain.images)
            views = names[numbers_of_views(*randomness, len(names), n_images)[indices]]
        maps = np.empty((len(indices), *self.shape), dtype=np.float32)
        is_plain = views == self.view
        for extraction, some in ((self.plain, is_plain), (self.augmented, ~is_plain)):
            if some.any():
                pairs = list(zip(indices[some], views[some].tolist(), strict=True))
                maps[some] = extraction.fetch(pairs).reshape(-1, *self.shape)
        return maps

    def content(self):
        augmenter = self.augmenter and sorted(self.augmenter.get_params().items())
        yield repr((self.plain.settings, augmenter, self.n_views)).encode()
        for i in self.indices:
            yield self.plain.digests[i]

    def _frozen(self, images):
        network, max_rows = self.plain.load_network()
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


def views_of(augmenter, n_views, seed):
    """Return view name -> function from an image to the view.

    An augmenter that only flips has just two views, or four.
    """
    params, flips = augmenter.get_params(), ("horizontal_flip", "vertical_flip")
    ranges = {k: v for k, v in params.items() if k not in (*flips, "fill_mode", "cval")}
    defaults = type(augmenter)().get_params()
    if all(value == defaults[name] for name, value in ranges.items()):
        views = {"plain": lambda image: image}
        if params["horizontal_flip"]:
            views["mirrored"] = np.fliplr
        if params["vertical_flip"]:
            upright = dict(views)
            views["upside down"] = np.flipud
            if "mirrored" in upright:
                views["turned"] = lambda image: image[::-1, ::-1]
        return views
    settings = f"augmented {sorted(params.items())} seed={seed}"
    return {
        f"{settings} number={number}": _View(augmenter, seed, number)
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
        view = self.augmenter.apply(image[np.newaxis], transformations)[0]
        return np.rint(view).clip(0, 255).astype(np.uint8)
