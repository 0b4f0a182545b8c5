"""Classify images from very little data: quickstart.py [FOLDER]

FOLDER holds your images as FOLDER/train/CLASS/*.jpg and FOLDER/validation/CLASS/*.jpg,
or as FOLDER/CLASS/*.jpg: then a quarter of them is set aside for the validation.
Without it, the handwritten digits that come with scikit-learn are written as images.
"""

import argparse
import os
import time
from pathlib import Path

# TensorFlow tells of its start-up on many lines; this leaves a few, all harmless.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

from skvision import DenseHeadClassifier, VGG16BottleneckTransformer
from skvision.datasets import get_data_home, load_digit_images, load_image_files


def load(folder):
    """Return X_train, X_val, y_train, y_val, the classes by name."""
    if folder is None:
        train = load_digit_images(subset="train")
        validation = load_digit_images(subset="test")
    elif (folder / "train").is_dir():
        train = load_image_files(folder / "train")
        validation = load_image_files(folder / "validation")
    else:
        images = load_image_files(folder)
        names = np.array(images.target_names)[images.target]
        return train_test_split(
            images.data, names, test_size=0.25, stratify=names, random_state=0
        )
    parts = train, validation
    names = [np.array(part.target_names)[part.target] for part in parts]
    return train.data, validation.data, *names


parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
folder = parser.parse_args().folder
try:
    X_train, X_val, y_train, y_val = load(folder)
except (ValueError, OSError) as error:
    parser.error(f"{error}\n{__doc__}")

# Features are kept per image: what was computed once is not computed again, neither
# for the second model below nor when this script runs again.
cache_dir = Path(get_data_home()) / "features"
print(
    f"{len(X_train)} images to train on, {len(X_val)} to validate; classes: "
    f"{', '.join(np.unique(y_train))}\nfeatures are kept in {cache_dir}"
)
vgg16 = VGG16BottleneckTransformer(
    # The digits have 8 x 8 pixels: no need to blow them up to 150 x 150.
    image_size=(64, 64) if folder is None else (150, 150),
    cache_dir=cache_dir,
    verbose=1,
)
models = {
    "VGG16 features, logistic regression": make_pipeline(
        vgg16, LogisticRegression(max_iter=1000)
    ),
    "the same, square root and L2 norm first": make_pipeline(
        vgg16,
        FunctionTransformer(np.sqrt, feature_names_out="one-to-one"),
        Normalizer(),
        LogisticRegression(C=30, max_iter=1000),
    ),
    "VGG16 features, the blog post's dense net": make_pipeline(
        vgg16, DenseHeadClassifier(epochs=15, random_state=0)
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
print("\nThe first model pays for the features of all images, the others reuse them.")
