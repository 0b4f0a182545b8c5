"""Images through a frozen network, each one only once.

The way of the data: bytes -> digest -> in the store? -> decoded -> view -> network ->
store. Nothing here knows the network: it is handed over as a function.
"""

import functools
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skvision._features.store import FeatureStore, content_digest
from skvision._utils.parallel import chunks, map_ahead, n_threads
from skvision.exceptions import ImageReadError

__all__ = ["Extraction"]


@dataclass(frozen=True)
class Extraction:
    """How images become features, and what of it their address in a store must hold.

    Attributes
    ----------
    images : ImageFiles or ImageArrays
        What `check_images` made of `X`.
    image_size, interpolation
        How they are decoded.
    views : dict of str to callable
        Name of a view to a function from a decoded image to the image that the network
        sees. The features of each view are computed and stored on their own.
    load_network : callable
        Returns the network, a function from uint8 images (rows, height, width, 3) to
        features (rows, n_features), and the one number of rows that it is called with.
        Not called where the store has everything: then TensorFlow is not started.
    settings : str
        All that changes the features, but for the image and its view.
    n_features, dtype
        Of the features of one view.
    batch_size : int
        Rows that are written to the store in one transaction.
    store : FeatureStore or None
    progress : callable
        From the number of rows to compute to an object with ``add(n)``.
    """

    images: Any
    image_size: tuple[int, int]
    interpolation: str
    views: dict[str, Callable]
    load_network: Callable
    settings: str
    n_features: int
    dtype: np.dtype
    batch_size: int
    store: FeatureStore | None
    progress: Callable

    def stream(self):
        """Yield `(indices, features)`: one view's features, and the images with it."""
        rows = self._rows()
        if self.store is None:
            missing = list(rows)
        else:
            present = self.store.contains(rows)
            missing = [key for key in rows if key not in present]
            stored = [key for key in rows if key in present]
            for keys in chunks(stored, self.batch_size):
                found = self._read(keys)
                # Another process may have cleared the store in between.
                missing += [key for key in keys if key not in found]
                for key, features in found.items():
                    yield rows[key][1], features
        if missing:
            yield from self._computed(rows, missing)

    def fetch(self, pairs):
        """Return the features of some pairs (index, view), one row each.

        What is not in the store is computed, and written to it.
        """
        keys = [self._key(self.digests[index], view) for index, view in pairs]
        found = {} if self.store is None else self._read(keys)
        missing = {
            key: (key, view, [index])
            for key, (index, view) in zip(keys, pairs, strict=True)
            if key not in found
        }
        if missing:
            network, n_rows = self.load_network()
            for chunk in chunks(list(missing.values()), n_rows):
                computed = self._run(network, n_rows, chunk)
                self._write(computed)
                found |= computed
        return np.stack([found[key] for key in keys])

    @functools.cached_property
    def digests(self):
        """Of the content of each image; without a store its number, unread."""
        if self.store is None:
            return range(len(self.images))
        with ThreadPoolExecutor(n_threads()) as pool:
            digest = lambda i: content_digest(self.images.read_bytes(i))  # noqa: E731
            return list(map_ahead(pool, digest, range(len(self.images)), 16))

    def on_images_of(self, other, views):
        """This extraction of other views, with what `other` knows of its images."""
        varied = replace(self, images=other.images, store=other.store, views=views)
        vars(varied)["digests"] = other.digests
        return varied

    def _rows(self):
        """Return key -> (view, indices of the images that have this key)."""
        rows = {}
        for index, digest in enumerate(self.digests):
            for view in self.views:
                key = self._key(digest, view)
                rows.setdefault(key, (view, []))[1].append(index)
        return rows

    def _key(self, digest, view):
        if self.store is None:
            return digest, view
        return FeatureStore.key(digest, f"{self.settings} view={view}")

    def _read(self, keys):
        return self.store.read(keys, self.dtype, (self.n_features,))

    def _computed(self, rows, missing):
        """Yield as `stream` does, from the network, and write to the store."""
        network, n_rows = self.load_network()
        progress = self.progress(len(missing))
        todo = _in_own_order(chunks(missing, n_rows))
        unsaved = {}

        def run(chunk):
            return self._run(network, n_rows, [(key, *rows[key]) for key in chunk])

        # One thread more than cores: while some wait for a file or for each other, the
        # network has work. The forward pass itself uses all threads it may.
        with ThreadPoolExecutor(n_threads() + 1) as pool:
            try:
                for result in map_ahead(pool, run, todo, 2 * (n_threads() + 1)):
                    unsaved.update(result)
                    for key, features in result.items():
                        yield rows[key][1], features
                    if len(unsaved) >= self.batch_size:
                        self._write(unsaved)
                        unsaved = {}
                    progress.add(len(result))
            finally:
                # Also after an unreadable image or Ctrl-C: what is paid for is kept.
                self._write(unsaved)

    def _write(self, features):
        if self.store is not None and features:
            self.store.write(features)

    def _run(self, network, n_rows, chunk):
        """Features of a chunk of (key, view, indices): read, decode, forward."""
        # Another process may have come by since `stream` looked.
        keys = [key for key, _, _ in chunk]
        found = {} if self.store is None else self._read(keys)
        todo = [row for row in chunk if row[0] not in found]
        if not todo:
            return found
        pixels = np.zeros((n_rows, *self.image_size, 3), dtype=np.uint8)
        decoded = {}
        for slot, (key, view, (index, *_)) in enumerate(todo):
            if index not in decoded:
                decoded[index] = self._decode(index, key, view)
            pixels[slot] = self.views[view](decoded[index])
        features = _cast(network(pixels)[: len(todo)], self.dtype)
        return found | {key: f for (key, _, _), f in zip(todo, features, strict=True)}

    def _decode(self, index, key, view):
        data = self.images.read_bytes(index)
        if self.store is not None and self._key(content_digest(data), view) != key:
            raise ImageReadError(
                f"The content of {self.images.name(index)} changed while it was being "
                "read. Call again once nothing writes to it.",
                index=index,
            )
        return self.images.decode(index, data, self.image_size, self.interpolation)


def _in_own_order(pieces):
    """`pieces`, in a worker in an order that no other worker has.

    Workers of a search ask for the same images at the same time. Each looks in the
    store before it computes a piece; if all walked in step they would all compute
    everything, in different orders they share the work.
    """
    in_main = (
        multiprocessing.current_process().name == "MainProcess"
        and threading.current_thread() is threading.main_thread()
    )
    if in_main:
        return pieces
    rng = np.random.default_rng([os.getpid(), threading.get_ident()])
    return [pieces[i] for i in rng.permutation(len(pieces))]


def _cast(features, dtype):
    if dtype == np.float16:
        largest = np.finfo(np.float16).max
        features = np.clip(features, -largest, largest)
    return features.astype(dtype, copy=False)
