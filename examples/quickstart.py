"""Classify images from very little data: quickstart.py [FOLDER]

FOLDER holds your images as FOLDER/train/CLASS/*.jpg and FOLDER/validation/CLASS/*.jpg.
Without it, the handwritten digits that come with scikit-learn are written as images.
"""

import argparse
import os
import time
from pathlib import Path

# TensorFlow tells of its start-up on several lines; this is about the table below.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

from skvision import DenseHeadClassifier, VGG16BottleneckTransformer
from skvision.datasets import get_data_home, load_digit_images, load_image_files

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
folder = parser.parse_args().folder

if folder is None:
    train = load_digit_images(subset="train")
    validation = load_digit_images(subset="test")
    image_size = (64, 64)  # the digits have 8 x 8 pixels
else:
    train = load_image_files(folder / "train")
    validation = load_image_files(folder / "validation")
    image_size = (150, 150)

print(
    f"{len(train.data)} images to train on, {len(validation.data)} to validate, "
    f"{len(train.target_names)} classes: {', '.join(train.target_names)}"
)

# Features are kept per image: what was computed once is not computed again, neither
# for the second model below nor when this script runs again.
vgg16 = VGG16BottleneckTransformer(
    image_size=image_size, cache_dir=Path(get_data_home()) / "features", verbose=1
)
models = {
    "VGG16 features, logistic regression": make_pipeline(
        vgg16, LogisticRegression(max_iter=1000)
    ),
    "the same, square root and L2 norm first": make_pipeline(
        vgg16,
        FunctionTransformer(np.sqrt),
        Normalizer(),
        LogisticRegression(C=30, max_iter=1000),
    ),
    "VGG16 features, the blog post's dense net": make_pipeline(
        vgg16, DenseHeadClassifier(epochs=15, random_state=0)
    ),
}

rows = []
for name, model in models.items():
    print(f"\n{name} ...", flush=True)
    start = time.perf_counter()
    model.fit(train.data, train.target)
    accuracy = model.score(validation.data, validation.target)
    rows.append((name, accuracy, time.perf_counter() - start))

print(f"\n{'model':<45}{'accuracy':>10}{'seconds':>10}")
for name, accuracy, seconds in rows:
    print(f"{name:<45}{accuracy:>10.3f}{seconds:>10.1f}")
print("\nThe first model pays for the features of all images, the others reuse them.")
