"""Images through a frozen network, each one only once.

Data flow: bytes -> digest -> cache hit? or else decoded -> view -> network -> store.
Nothing here knows the network: it is passed as a function.
"""

import functools
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skvision._features.store import FeatureStore
from skvision._images.resize import ImageSettings
from skvision._utils.files import content_digest
from skvision._utils.interrupts import check_interrupt
from skvision._utils.parallel import Threads, chunks, map_ahead, n_threads
from skvision._utils.progress import Progress
from skvision.exceptions import ImageReadError

# View name -> function from an image to the view.
FLIPS = {
    "plain": lambda image: image,
    "mirrored": np.fliplr,
    "upside down": np.flipud,
    "turned": lambda image: image[::-1, ::-1],
}


@dataclass(frozen=True)
class Extraction:
    """How images become features, and what identifies these in a store.

    Attributes
    ----------
    images : Images
        What `check_images` made of `X`.
    image_settings : ImageSettings
        How they are decoded.
    views : dict of str to callable
        Name of a view to a function from a decoded image to the image that the network
        sees. The features of each view are computed and stored separately.
    load_network : callable
        Returns the network, a function from uint8 images (rows, height, width, 3) to
        features (rows, n_features), and the largest number of rows in a pass. Not
        called if everything is in the store: then TensorFlow is not started.
    settings : str
        All that changes the features, except for the image and its view.
    n_features, dtype
        Of the features of one view.
    batch_size : int
        Rows that are read from the store, or written to it, in one transaction.
    store : FeatureStore or None
    label : str
        What progress is called.
    verbose : int
    """

    images: Any
    image_settings: ImageSettings
    views: dict[str, Callable]
    load_network: Callable
    settings: str
    n_features: int
    dtype: np.dtype
    batch_size: int
    store: FeatureStore | None
    label: str
    verbose: int

    def stream(self):
        """Yield `(indices, features)`: features of one view, and the images with it."""
        rows = self._rows()
        missing = self._missing(rows)
        for keys in chunks([k for k in rows if k not in missing], self.batch_size):
            found = self._read(keys)
            # Another process may have cleared the store in the meantime.
            missing.update(dict.fromkeys(key for key in keys if key not in found))
            for key, features in found.items():
                yield rows[key][1], features
        if missing:
            with closing(self._computed(rows, list(missing))) as computed:
                yield from computed
            self.images.warn_if_narrow()

    def fill(self):
        """Compute what is not in the store, until that is full; read no features."""
        rows = self._rows()
        if missing := self._missing(rows):
            with closing(self._computed(rows, list(missing))) as computed:
                for _ in computed:
                    if self.store.is_full or not self.store.is_writable:
                        return
            self.images.warn_if_narrow()

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
            network, max_rows = self.load_network()
            n_rows = rows_per_pass(len(missing), max_rows)
            for chunk in chunks(list(missing.values()), n_rows):
                computed = self._run(network, n_rows, chunk)
                self._write(computed)
                found |= computed
        return np.stack([found[key] for key in keys])

    @functools.cached_property
    def digests(self):
        """Digest of each image's content; without a store its number, unread."""
        if self.store is None:
            return range(len(self.images))
        indices = range(len(self.images))
        with (
            Threads(n_threads()) as pool,
            closing(map_ahead(pool, self.images.digest, indices, 16)) as digests,
        ):
            return list(digests)

    def changed(self, **attributes):
        """Return this extraction with other views or another store."""
        extraction = replace(self, **attributes)
        if self.store is not None:
            vars(extraction)["digests"] = self.digests
        return extraction

    def _rows(self):
        """Return key -> (view, indices of the images that have this key)."""
        rows = {}
        for index, digest in enumerate(self.digests):
            for view in self.views:
                key = self._key(digest, view)
                rows.setdefault(key, (view, []))[1].append(index)
        return rows

    def _missing(self, rows):
        """Return the keys of rows that are not in the store, as a dict in order."""
        present = () if self.store is None else self.store.contains(rows)
        return dict.fromkeys(key for key in rows if key not in present)

    def _key(self, digest, view):
        if self.store is None:
            return digest, view
        return FeatureStore.key(digest, f"{self.settings} view={view}")

    def _read(self, keys):
        return self.store.read(keys, self.dtype, (self.n_features,))

    def _computed(self, rows, missing):
        """Yield as `stream` does, from the network, and write to the store."""
        network, max_rows = self.load_network()
        n_rows = rows_per_pass(len(missing), max_rows)
        unit = "image" if len(self.views) == 1 else "view"
        todo = _in_own_order(chunks(missing, n_rows))
        unsaved = deque()  # of results; appended to by the threads

        def run(chunk):
            result = self._run(network, n_rows, [(key, *rows[key]) for key in chunk])
            unsaved.append(result)
            return result

        # One more thread than cores: while some wait for a file or for each other, the
        # network has work. The forward pass itself uses all threads it may.
        n_workers = n_threads() + 1
        with (
            Threads(n_workers) as pool,
            closing(map_ahead(pool, run, todo, 2 * n_workers)) as results,
            Progress(self.label, len(missing), unit, self.verbose) as progress,
        ):
            try:
                for result in results:
                    check_interrupt()
                    for key, features in result.items():
                        yield rows[key][1], features
                    if len(unsaved) * n_rows >= self.batch_size:
                        self._save(unsaved)
                    progress.add(len(result))
            finally:
                # Also after an unreadable image or Ctrl-C: keep what was computed.
                try:
                    self._save(unsaved)
                except KeyboardInterrupt:
                    self._save(unsaved)
                    raise

    def _save(self, unsaved):
        """Write results to the store, and drop them; an interrupt loses none."""
        results = list(unsaved)
        self._write({k: f for result in results for k, f in result.items()})
        for _ in results:
            unsaved.popleft()

    def _write(self, features):
        if self.store is not None and features:
            self.store.write(features)

    def _run(self, network, n_rows, chunk):
        """Features of a chunk of (key, view, indices): read, decode, forward."""
        # Another process may have computed some of them in the meantime.
        keys = [key for key, _, _ in chunk]
        found = {} if self.store is None else self._read(keys)
        todo = [row for row in chunk if row[0] not in found]
        if not todo:
            return found
        size = self.image_settings.image_size
        pixels = np.zeros((n_rows, *size, 3), dtype=np.uint8)
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
                f"The content of {self.images.describe(index)} changed while it was "
                "being read. Call again once nothing writes to it.",
                index=index,
                path=self.images.path(index),
                argument=self.images.name,
            )
        return self.images.decode(index, data, self.image_settings)


def rows_per_pass(n, max_rows):
    """Return the rows of each pass of `n` images: all alike, and hardly any padding."""
    return -(-n // -(-n // max_rows))


def _in_own_order(pieces):
    """Return `pieces`, in a worker process in an order that no other worker has.

    Workers of a search need the same images at the same time. Each looks in the store
    before it computes a piece: in the same order, all of them would compute everything;
    in different orders, they share the work.
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
