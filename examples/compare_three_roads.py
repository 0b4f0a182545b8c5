"""The three roads of the post side by side: compare_three_roads.py [FOLDER]

FOLDER holds images as FOLDER/train/CLASS/*.jpg and FOLDER/validation/CLASS/*.jpg. With
the post's 2000 and 800 photos of cats and dogs it takes ten minutes to an hour.
Without FOLDER, the handwritten digits that come with scikit-learn are taken, and small
settings, which is done in some minutes.
"""

import argparse
import os
import time
from pathlib import Path

# TensorFlow tells of its start-up on many lines; this leaves a few, all harmless.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

from skvision import (
    FineTunedVGGClassifier,
    ImageAugmenter,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)
from skvision.datasets import get_data_home, load_digit_images, load_image_files

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
folder = parser.parse_args().folder
if folder is None:
    train = load_digit_images(subset="train", n_per_class=30)
    validation = load_digit_images(subset="test", n_per_class=15)
else:
    train = load_image_files(folder / "train")
    validation = load_image_files(folder / "validation")

# What VGG16 computes is kept per image, and shared by the second and the third road.
cache_dir = Path(get_data_home()) / "features"
vgg16 = {"image_size": (150, 150), "cache_dir": cache_dir, "verbose": 1}
cnn = {"image_size": (150, 150), "epochs": 50, "verbose": 2}
flips = ImageAugmenter(zoom_range=0.2, horizontal_flip=True)
views = clone(flips).set_params(rotation_range=20, width_shift_range=0.1)
if folder is None:
    vgg16["image_size"], cnn["image_size"], cnn["epochs"] = (64, 64), (28, 28), 15
    flips = views = ImageAugmenter(rotation_range=10)

roads = {
    "1 a convnet from scratch": (
        "0.79-0.81",
        ScratchCNNClassifier(augmenter=flips, random_state=0, **cnn),
    ),
    "2 a classifier on VGG16's features": (
        "0.90-0.91",
        make_pipeline(
            VGG16BottleneckTransformer(**vgg16),
            FunctionTransformer(np.sqrt, feature_names_out="one-to-one"),
            Normalizer(),
            LogisticRegression(C=10, max_iter=1000),
        ),
    ),
    "3 VGG16's last block fine-tuned": (
        "0.94",
        FineTunedVGGClassifier(
            augmenter=views,
            random_state=0,
            **vgg16 | {"verbose": 2},
        ),
    ),
}

rows = []
for name, (figure, model) in roads.items():
    print(f"\n{name}: training ...", flush=True)
    start = time.perf_counter()
    model.fit(train.data, train.target)
    seconds = time.perf_counter() - start
    rows.append(
        (name, figure, model.score(validation.data, validation.target), seconds)
    )

print(f"\n{'road':<36}{'the post':>10}{'here':>8}{'seconds':>10}")
for name, figure, accuracy, seconds in rows:
    print(f"{name:<36}{figure:>10}{accuracy:>8.3f}{seconds:>10.0f}")
if folder is None:
    print("\nThe post's figures are for photos of cats and dogs, not for these digits.")
