"""Classify images from very little data: quickstart.py [FOLDER] [--backbone NAME]

FOLDER contains FOLDER/train/CLASS/*.jpg and FOLDER/validation/CLASS/*.jpg, or just
FOLDER/CLASS/*.jpg, of which a quarter is held out for validation. Without FOLDER the
script uses the handwritten digits included in scikit-learn. NAME is a network that
skvision.list_backbones() lists, such as EfficientNetLite2; the default is VGG16.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skvision import DenseHeadClassifier, ImageEncoder
from skvision.datasets import get_data_home, load_digit_images, load_image_files


def load(folder):
    """Return X_train, X_val, y_train, y_val."""
    if folder is None:
        train = load_digit_images(subset="train")
        validation = load_digit_images(subset="test")
    elif (folder / "train").is_dir():
        train = load_image_files(folder / "train")
        validation = load_image_files(folder / "validation")
    else:
        images = load_image_files(folder)
        X, y = images.data, images.target
        return train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
    return train.data, validation.data, train.target, validation.target


parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
parser.add_argument("--backbone", default="VGG16", metavar="NAME")
arguments = parser.parse_args()
folder, backbone = arguments.folder, arguments.backbone
try:
    X_train, X_val, y_train, y_val = load(folder)
except (ValueError, OSError) as error:
    parser.error(f"{error}\n{__doc__}")

# Features are stored per image and reused by the second model below and when this
# script runs again.
cache_dir = Path(get_data_home()) / "features"
print(
    f"{len(X_train)} training images, {len(X_val)} validation images; classes: "
    f"{', '.join(np.unique(y_train))}\nfeatures are stored in {cache_dir}"
)
encoder = ImageEncoder(backbone, cache_dir=cache_dir, verbose=1)
if folder is None:
    encoder.set_params(image_size=(64, 64))  # the digits have only 8 x 8 pixels
try:
    encoder.fit(X_train[:1])
except ValueError as error:
    parser.error(str(error))
models = {
    f"{backbone}, logistic regression": make_pipeline(encoder, LogisticRegression()),
    f"{backbone}, small dense network": make_pipeline(
        encoder, DenseHeadClassifier(epochs=15, random_state=0)
    ),
}

rows = []
for name, model in models.items():
    start = time.perf_counter()
    print(f"\n{name}: training ...", flush=True)
    model.fit(X_train, y_train)
    print(f"{name}: validating ...", flush=True)
    accuracy = model.score(X_val, y_val)
    rows.append((name, accuracy, time.perf_counter() - start))

print(f"\n{'model':<45}{'accuracy':>10}{'seconds':>10}")
for name, accuracy, seconds in rows:
    print(f"{name:<45}{accuracy:>10.3f}{seconds:>10.1f}")
print("\nThe first model computes the features of all images; the second reuses them.")
