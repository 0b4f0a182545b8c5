"""Extract features on a Dask cluster: scale_out_dask.py [FOLDER] [RESULT]

The workers extract VGG16 features of all images below FOLDER in partitions, and write
one file ``part-00000.npz`` per partition to RESULT, with arrays `paths` and `features`.
The features are never all in memory at once. After a crash or Ctrl-C, run the script
again to process the missing partitions. Without FOLDER it uses the handwritten digits
included in scikit-learn; RESULT defaults to ``features``.

The cluster is two local processes, or an existing cluster given by
``--scheduler tcp://host:8786``; FOLDER and RESULT must then be on a file system shared
by all its machines. Requires ``pip install "dask[distributed]"``.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from dask.distributed import Client, as_completed

from skvision import VGG16BottleneckTransformer
from skvision.datasets import IMAGE_EXTENSIONS, load_digit_images


def extract(transformer, paths, target):
    """Write the features of a partition; return its number of images and file name.

    Only the parameters of the transformer are sent to the workers, less than a
    kilobyte. Each worker loads the weights once and keeps them for later partitions.
    """
    features = transformer.transform(paths)
    unfinished = target.with_suffix(".unfinished.npz")
    np.savez(unfinished, paths=np.array(paths), features=features)
    unfinished.replace(target)  # atomic: existing files are complete
    return len(paths), target.name


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    parser.add_argument("result", nargs="?", type=Path, default="features")
    parser.add_argument("--scheduler", help="address of a running cluster")
    parser.add_argument("--size", type=int, default=1000, help="images per partition")
    args = parser.parse_args()
    transformer = VGG16BottleneckTransformer()
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

    # One thread per worker: TensorFlow uses several threads by itself.
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
    """Print the estimated time and storage for a million images."""
    print(f"\na million images at {rate:.1f} images/s: {1e6 / rate / 3600:.0f} hours")
    for n_features, setting in (512, 'pooling="avg"'), (25088, "pooling=None"):
        for dtype in "float32", "float16":
            n_bytes = 1e6 * n_features * np.dtype(dtype).itemsize
            print(
                f"  {n_features} features ({setting}), {dtype}: {n_bytes / 1e9:.0f} GB"
            )


if __name__ == "__main__":
    main()
