"""Classify images from very little data: quickstart.py [FOLDER] [--backbone NAME]

FOLDER contains FOLDER/train/CLASS/*.jpg and FOLDER/validation/CLASS/*.jpg, or just
FOLDER/CLASS/*.jpg, of which a quarter is held out for validation. Without FOLDER the
script uses small photos that are cut from two photos in scikit-learn. NAME is a network
that skvision.list_backbones() lists, such as EfficientNetLite2; the default is VGG16.
The model is written to quickstart.joblib in the current folder.
"""

import argparse
import shlex
import time
from pathlib import Path

import joblib
import numpy as np
from scipy.stats import binomtest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skvision import DenseHeadClassifier, ImageEncoder
from skvision.datasets import get_data_home, load_image_files, load_sample_photos
from skvision.exceptions import ImageReadError

MODEL = "quickstart.joblib"


def load(folder):
    """Return X_train, X_val, y_train, y_val, and the folder of the last or None."""
    if folder is None:
        train = load_sample_photos(subset="train")
        validation = load_sample_photos(subset="test")
        folder_val = Path(validation.data[0]).parents[1]
    elif (folder / "train").is_dir():
        train = load_image_files(folder / "train")
        folder_val = folder / "validation"
        validation = load_image_files(folder_val)
    else:
        images = load_image_files(folder)
        X, y = images.data, images.target
        check_classes(y, folder, minimum=2)
        split = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
        return *split, None
    check_classes(train.target, folder, minimum=1)
    if set(validation.target) - set(train.target):
        raise ValueError(
            f"{folder_val} has the classes {', '.join(validation.target_names)}, "
            f"{folder / 'train'} has {', '.join(train.target_names)}. Expected the "
            "same names, with the same capital letters."
        )
    return train.data, validation.data, train.target, validation.target, folder_val


def accuracy_line(y_true, y_pred, name):
    """Return the accuracy with its confidence interval, as text."""
    n_correct, n = int(np.sum(y_true == y_pred)), len(y_true)
    interval = binomtest(n_correct, n).proportion_ci(method="wilson")
    return (
        f"{name}: {n_correct / n:.3f} ({n_correct} of {n}), 95 % confidence interval "
        f"{interval.low:.3f} to {interval.high:.3f}"
    )


def check_classes(y, folder, minimum):
    """Raise an error if there are no two classes, or if one has too few images."""
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) < 2:
        raise ValueError(
            f"{folder} has one class, {classes[0]}. Expected at least two folders of "
            "images, one for each class."
        )
    if counts.min() < minimum:
        raise ValueError(
            f"The class {classes[counts.argmin()]} has {counts.min()} image. Expected "
            f"at least {minimum} of each class, for training and for validation."
        )


parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
parser.add_argument("--backbone", default="VGG16", metavar="NAME")
arguments = parser.parse_args()
folder, backbone = arguments.folder, arguments.backbone
try:
    X_train, X_val, y_train, y_val, folder_val = load(folder)
except (ValueError, OSError) as error:
    parser.error(str(error))

# Features are stored per image, and reused by the second model below and when this
# script runs again.
cache_dir = Path(get_data_home()) / "features"
classes = np.unique(y_train)
print(f"{len(X_train)} photos for training, {len(X_val)} for validation.")
print(f"Classes: {', '.join(classes)}.")
print(f"Features of the photos are stored in {cache_dir}.")
encoder = ImageEncoder(backbone, cache_dir=cache_dir, verbose=1)
if folder is None:
    encoder.set_params(image_size=(64, 64))  # these photos have only 48 x 48 pixels
try:
    encoder.fit(X_train[:1])
except ValueError as error:
    parser.error(str(error))
recommended = make_pipeline(encoder, LogisticRegression())
models = {
    f"{backbone} and logistic regression": recommended,
    f"{backbone} and a small network": make_pipeline(
        encoder, DenseHeadClassifier(epochs=15, random_state=0)
    ),
}

baseline = DummyClassifier().fit(y_train, y_train).predict(y_val)
lines = [accuracy_line(y_val, baseline, "always the most frequent class")]
for name, model in models.items():
    print(f"\n{name}", flush=True)
    start = time.perf_counter()
    try:
        y_pred = model.fit(X_train, y_train).predict(X_val)
    except ImageReadError as error:
        checked = "" if folder is None else shlex.quote(str(folder))
        parser.error(f"{error} To list them: python -m skvision check {checked}")
    lines.append(accuracy_line(y_val, y_pred, name))
    print(f"{time.perf_counter() - start:.1f} s for training and validation")

print("\nAccuracy on the validation photos:", *lines, sep="\n  ")
if folder is None:
    print("These are patches of two photos, to try it out. Now try it on your own:")
    print(f"  python {shlex.quote(__file__)} FOLDER")

joblib.dump(recommended, MODEL)
photo = X_val[-1]
probabilities = recommended.predict_proba([photo])[0]
print(
    f"\nThe model with logistic regression is saved as {MODEL}. One validation photo:\n"
    f"  {photo}\n"
    f"  predicted: {recommended.classes_[probabilities.argmax()]} (probability "
    f"{probabilities.max():.2f}), in the folder: {y_val[-1]}"
)
folder_val = "OTHER_PHOTOS" if folder_val is None else shlex.quote(str(folder_val))
print(
    "\nWhat to do next:\n"
    f"  python -m skvision evaluate {MODEL} {folder_val}\n"
    f"  python -m skvision predict {MODEL} {shlex.quote(str(photo))}\n"
    f"  python -m skvision export {MODEL} {Path(MODEL).stem}.keras"
)
