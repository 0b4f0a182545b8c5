"""Features of a large folder, on a dask cluster: scale_out_dask.py FOLDER RESULT

All images below FOLDER go through VGG16, partition by partition, on the workers of a
cluster; RESULT gets a file ``part-00000.npz`` with `paths` and `features` for each
partition, and never are all features in memory. Called again after a crash or Ctrl-C it
goes on with the partitions that are missing. Without arguments the handwritten digits
that come with scikit-learn are taken, and the folder ``features``.

The cluster is two processes on this machine, or the one whose scheduler is named by
``--scheduler tcp://host:8786``; FOLDER and RESULT must then be on a disk that all its
machines see. It needs ``pip install "dask[distributed]"``.
"""

import argparse
import os
import time
from pathlib import Path

# TensorFlow tells of its start-up on many lines; this leaves a few, all harmless.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from dask.distributed import Client, as_completed

from skvision import VGG16BottleneckTransformer
from skvision.datasets import IMAGE_EXTENSIONS, load_digit_images


def extract(transformer, paths, target):
    """Write the features of a partition; return the number of images and its name.

    The transformer travels as its parameters, less than a kilobyte. Each worker loads
    the weights once, and keeps them for the partitions to come.
    """
    features = transformer.transform(paths)
    unfinished = target.with_suffix(".unfinished.npz")
    np.savez(unfinished, paths=np.array(paths), features=features)
    unfinished.replace(target)  # so that a file that is there is complete
    return len(paths), target.name


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    parser.add_argument("result", nargs="?", type=Path, default="features")
    parser.add_argument("--scheduler", help="address of a running cluster")
    parser.add_argument("--size", type=int, default=1000, help="images a partition")
    args = parser.parse_args()
    transformer = VGG16BottleneckTransformer(pooling="avg")
    if args.folder is None:
        paths = load_digit_images(n_per_class=10).data
        args.size = 40
        transformer.set_params(image_size=(64, 64))
    else:
        files = args.folder.rglob("*")
        paths = sorted(str(f) for f in files if f.suffix.lower() in IMAGE_EXTENSIONS)
    args.result.mkdir(parents=True, exist_ok=True)
    parts = [
        paths[start : start + args.size] for start in range(0, len(paths), args.size)
    ]
    targets = [args.result.resolve() / f"part-{i:05}.npz" for i in range(len(parts))]
    todo = [(p, t) for p, t in zip(parts, targets, strict=True) if not t.exists()]
    print(f"{len(paths)} images in {len(parts)} partitions, {len(todo)} of them to do")

    # One thread a worker: TensorFlow shares the cores out by itself.
    cluster = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with Client(args.scheduler) if args.scheduler else Client(**cluster) as client:
        start, n_images = time.perf_counter(), 0
        futures = [client.submit(extract, transformer, p, t) for p, t in todo]
        for future in as_completed(futures):
            n_done, name = future.result()
            n_images += n_done
            rate = n_images / (time.perf_counter() - start)
            print(f"{name}: {n_images} images, {rate:.1f} images/s", flush=True)
    if todo:
        print_costs(rate)


def print_costs(rate):
    """What a million images would take at `rate`, on paper."""
    print(f"\na million images at {rate:.1f} images/s: {1e6 / rate / 3600:.0f} hours")
    for n_features, setting in (512, 'pooling="avg"'), (8192, "150 x 150 pixels"):
        for dtype in "float32", "float16":
            n_bytes = 1e6 * n_features * np.dtype(dtype).itemsize
            print(
                f"  {n_features} features ({setting}), {dtype}: {n_bytes / 1e9:.0f} GB"
            )


if __name__ == "__main__":
    main()
