"""Reading of arrays from HDF5 files that may be crafted.

Only plain datasets in the file itself are accepted. Links, compressed data, and data in
other files are refused: Keras writes none of them, and they can be used to read other
files or to exhaust memory.
"""

import os
import stat

import h5py

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_ITEMSIZE = 8  # bytes of a float64
_MAX_LINKS = 10_000  # a hard link to a parent makes traversal endless


def read_signature(path):
    """Return the first 8 bytes of a regular file; opening a pipe would block."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("it is not a regular file")
    with open(path, "rb") as stream:
        return stream.read(8)


def walk(file, context=None, enter=lambda key, group, context: context):
    """Yield (dataset, context) for all datasets, checking each link.

    `enter` returns the context of a group within one with another context, or False for
    groups to be skipped.
    """
    pending, n_links = [(file, context)], 0
    while pending:
        group, context = pending.pop()
        for key in group:
            n_links += 1
            if n_links > _MAX_LINKS:
                raise ValueError(f"it has more than {_MAX_LINKS} entries")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ValueError(
                    f"{key!r} in {group.name!r} is a soft or external link"
                )
            item = group[key]
            if isinstance(item, h5py.Dataset):
                yield item, context
            elif isinstance(item, h5py.Group):
                inner = enter(key, item, context)
                if inner is not False:
                    pending.append((item, inner))


def read_dataset(name, dataset):
    """Return the array, if all of its data is stored in the file as it is."""
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{name} stores its data in another file")
    # HDF5 decompresses whole chunks, even if they far exceed the shape.
    if dataset.id.get_create_plist().get_nfilters():
        raise ValueError(f"{name} is compressed")
    if dataset.id.get_storage_size() < dataset.nbytes:
        raise ValueError(f"{name} has a shape but no data")
    return dataset[()]
