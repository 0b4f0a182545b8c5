"""Compare networks on your photos: compare_backbones.py [FOLDER] [--backbones NAME ...]

FOLDER contains FOLDER/train/CLASS/*.jpg and FOLDER/validation/CLASS/*.jpg, or just
FOLDER/CLASS/*.jpg, of which a quarter is held out for validation. Without it the script
uses the handwritten digits included in scikit-learn, and without --backbones the
networks whose weights are on this machine. For each network it prints the accuracy of a
logistic regression on its features with its 95 % confidence interval, the seconds for
all images, and the bytes that an image takes in the feature store.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skvision import ImageEncoder, list_backbones
from skvision.datasets import load_digit_images, load_image_files
from skvision.exceptions import WeightsNotFoundError


def load(folder):
    """Return X_train, X_val, y_train and y_val."""
    if folder is None:
        train = load_digit_images(subset="train", n_per_class=10)
        validation = load_digit_images(subset="test", n_per_class=10)
    elif (folder / "train").is_dir():
        train = load_image_files(folder / "train")
        validation = load_image_files(folder / "validation")
    else:
        X, y = load_image_files(folder, return_X_y=True)
        return train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
    return train.data, validation.data, train.target, validation.target


parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
parser.add_argument("--backbones", nargs="+", metavar="NAME")
arguments = parser.parse_args()
try:
    X_train, X_val, y_train, y_val = load(arguments.folder)
except (ValueError, OSError) as error:
    parser.error(str(error))
# The digits have only 8 x 8 pixels.
settings = {"image_size": (96, 96)} if arguments.folder is None else {}
names = arguments.backbones or [row.name for row in list_backbones() if row.available]
if not names:
    parser.error(
        'there are no weights on this machine. pip install "scikit-vision[backbones]", '
        "or name networks whose weights Keras can download"
    )
n_images = len(X_train) + len(X_val)
print(f"{len(X_train)} training and {len(X_val)} validation images")
print(f"{'network':<22}{'accuracy':>10}{'95 % interval':>18}", end="")
print(f"{'seconds':>10}{'bytes/image':>14}")
for name in names:
    with tempfile.TemporaryDirectory() as folder:
        encoder = ImageEncoder(name, cache_dir=folder, verbose=1, **settings)
        model = make_pipeline(encoder, LogisticRegression())
        try:
            encoder.fit_transform(X_train[:1])  # starts TensorFlow, loads weights
            start = time.perf_counter()
            y_pred = model.fit(X_train, y_train).predict(X_val)
        except (ValueError, WeightsNotFoundError) as error:
            print(f"{name:<22}{error}")
            continue
        seconds = time.perf_counter() - start
        size = encoder.cache_info().n_bytes / n_images
    n_right = int(np.sum(y_pred == y_val))
    interval = binomtest(n_right, len(y_val)).proportion_ci(method="wilson")
    print(f"{name:<22}{n_right / len(y_val):>10.4f}", end="")
    print(f"{f'{interval.low:.3f} to {interval.high:.3f}':>18}", end="")
    print(f"{seconds:>10.1f}{size:>14.0f}", flush=True)
