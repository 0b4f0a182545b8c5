"""Groups of images with the same content, or that look nearly the same."""

import numpy as np
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# Bits of a hash: the lowest 8 x 8 frequencies.
_SIDE = 8
# Images that look the same also correlate, pixel by pixel. Simple drawings have similar
# hashes, but lower correlations.
_MIN_CORRELATION = 0.97
# Distances of hashes, and pairs of small images, that are compared at a time.
_BLOCK = 2**20
_PAIRS = 2**12


def exact_groups(digests):
    """Return the indices of each group of equal digests, skipping None."""
    groups = _by_digest(digests)
    return [np.array(group) for group in groups if len(group) > 1]


def _by_digest(digests):
    """Return the lists of indices with the same digest, skipping None."""
    groups = {}
    for i, digest in enumerate(digests):
        if digest is not None:
            groups.setdefault(digest, []).append(i)
    return list(groups.values())


def near_groups(digests, thumbnails, max_distance):
    """Return the groups of images that look nearly the same, but are not equal.

    Parameters
    ----------
    digests : list of bytes or None
        Digests of the contents; None for images that cannot be read.
    thumbnails : list of ndarray of shape (side, side), dtype uint8, or None
        Small grey copies of the images.
    max_distance : int
        The largest number of different bits in the hashes of such images.

    Returns
    -------
    groups : list of ndarray of int
    """
    members = [
        group
        for group in _by_digest(digests)
        # Blank images have equal hashes, and look like no other.
        if thumbnails[group[0]].min() < thumbnails[group[0]].max()
    ]
    firsts = [group[0] for group in members]
    labels = _components([thumbnails[i] for i in firsts], max_distance)
    groups = {}
    for label, group in zip(labels, members, strict=True):
        groups.setdefault(label, []).append(group)
    return [np.sort(np.concatenate(g)) for g in groups.values() if len(g) > 1]


def perceptual_hashes(thumbnails):
    """Return the perceptual hash (pHash) of each image, 64 numbers that are -1 or 1.

    They are the signs of the lowest frequencies of the discrete cosine transform,
    compared with their median.
    """
    spectrum = dctn(thumbnails, axes=(1, 2), norm="ortho")[:, :_SIDE, :_SIDE]
    spectrum = spectrum.reshape(len(thumbnails), -1)
    median = np.median(spectrum[:, 1:], axis=1, keepdims=True)
    return np.where(spectrum > median, np.float32(1), np.float32(-1))


def _components(thumbnails, max_distance):
    """Return, for each image, the number of its group."""
    n = len(thumbnails)
    labels = np.arange(n)
    if n < 2:
        return labels
    pixels = np.array(thumbnails, dtype=np.float32)
    hashes = perceptual_hashes(pixels)
    pixels = _standardized(pixels.reshape(n, -1))
    n_rows = max(1, _BLOCK // n)
    for start in range(0, n, n_rows):
        # Equal bits minus different bits.
        products = hashes[start : start + n_rows] @ hashes[start:].T
        i, j = np.nonzero(products >= _SIDE**2 - 2 * max_distance) + np.array(start)
        some = labels[i] != labels[j]
        i, j = i[some], j[some]
        some = [_correlation(pixels, *ij) >= _MIN_CORRELATION for ij in _pieces(i, j)]
        if some:
            some = np.concatenate(some)
            labels = _merged(labels, i[some], j[some])
    return labels


def _standardized(pixels):
    """Return each row centred and of length 1, or 0 where all pixels are equal."""
    pixels = pixels - pixels.mean(axis=1, keepdims=True)
    return pixels / np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1)


def _pieces(i, j):
    """Split the pairs so that the pixels of a piece take little memory."""
    for start in range(0, len(i), _PAIRS):
        yield i[start : start + _PAIRS], j[start : start + _PAIRS]


def _correlation(pixels, i, j):
    return np.einsum("np,np->n", pixels[i], pixels[j])


def _merged(labels, i, j):
    """Return the labels after joining the groups of each pair (i, j)."""
    edges = np.ones(len(i)), (labels[i], labels[j])
    graph = coo_array(edges, shape=(len(labels), len(labels)))
    return connected_components(graph, directed=False)[1][labels]
