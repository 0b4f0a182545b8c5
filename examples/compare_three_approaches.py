"""Compare Chollet's three approaches: compare_three_approaches.py [FOLDER]

The approaches are those of F. Chollet, "Building powerful image classification models
using very little data", 2016. FOLDER contains FOLDER/train/CLASS/*.jpg and
FOLDER/validation/CLASS/*.jpg. With Chollet's 2000 training and 800 validation photos of
cats and dogs the script takes ten minutes to an hour. Without FOLDER it uses
smaller settings and the handwritten digits included in scikit-learn, and takes a few
minutes.
"""

import argparse
import time
from pathlib import Path

from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

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

# Features and activations of each image are stored for the next run.
cache_dir = Path(get_data_home()) / "features"
vgg16, cnn = {"cache_dir": cache_dir}, {"epochs": 50}
flips = ImageAugmenter(zoom_range=0.2, horizontal_flip=True)
views = clone(flips).set_params(rotation_range=20, width_shift_range=0.1)
if folder is None:
    vgg16["image_size"] = 64, 64
    cnn = {"epochs": 15, "image_size": (28, 28)}
    flips = views = ImageAugmenter(rotation_range=10)

approaches = {
    "1 convnet trained from scratch": (
        "0.79-0.81",
        ScratchCNNClassifier(augmenter=flips, random_state=0, verbose=2, **cnn),
    ),
    "2 classifier on VGG16 features": (
        "0.90-0.91",
        make_pipeline(
            VGG16BottleneckTransformer(verbose=1, **vgg16), LogisticRegression()
        ),
    ),
    "3 fine-tuned last block of VGG16": (
        "0.94",
        FineTunedVGGClassifier(augmenter=views, random_state=0, verbose=2, **vgg16),
    ),
}

rows = []
for name, (reported, model) in approaches.items():
    print(f"\n{name}: training ...", flush=True)
    start = time.perf_counter()
    model.fit(train.data, train.target)
    seconds = time.perf_counter() - start
    rows.append(
        (name, reported, model.score(validation.data, validation.target), seconds)
    )

print(f"\n{'approach':<34}{'Chollet (2016)':>16}{'here':>8}{'seconds':>10}")
for name, reported, accuracy, seconds in rows:
    print(f"{name:<34}{reported:>16}{accuracy:>8.3f}{seconds:>10.0f}")
if folder is None:
    print(
        "\nChollet's accuracies are for photos of cats and dogs, not for these digits."
    )
