"""Arguments and help of all commands."""

import argparse

from skvision import __version__
from skvision._images.resize import RESIZE_MODES

APPROACHES = ("features", "scratch", "fine-tune")

_DESCRIPTION = """\
Classify images with few labelled photos.

FOLDER contains one folder per class, as in FOLDER/cats/1.jpg and FOLDER/dogs/2.jpg.
It may also contain two such folders, FOLDER/train and FOLDER/validation (or val).
"""

_EPILOG = """\
A first session:
  skvision check photos
  skvision fit photos -o pets.joblib
  skvision evaluate pets.joblib other_photos --worst worst.png
  skvision predict pets.joblib new_photos --csv > labels.csv
  skvision export pets.joblib pets.onnx

Results go to standard output, progress and messages to standard error. Exit status:
0 success, 1 a problem of the data or files, 2 wrong arguments, 130 Ctrl-C.
`skvision COMMAND --help` explains a command.
"""

_CHECK = """\
Read all images and report what may go wrong: unreadable files, duplicates within and
between classes, duplicates in FOLDER/train and FOLDER/validation, very small images,
imbalance, and classes without images or whose names differ only in spelling.

The exit status is 1 if an image cannot be read, or if images with the same content are
in two classes or in both train and validation, if a class of validation is not in
train, if a class has no images or is spelled in two ways, or if there is one class
only. Other findings do not change it.
"""

_FIT = """\
Train a classifier, and write it to MODEL.

If FOLDER contains `train`, that is used for training. The model is then evaluated on
FOLDER/validation, if it exists; other folders beside it are not used. Otherwise all
images are used for training, and the accuracy is estimated by 5-fold cross-validation
(approach `features` only; for the others nothing is measured).

Features of images are computed once, and stored in the folder `features` of
$SKVISION_DATA (default: ~/skvision_data): fitting again with more photos is fast.
"""

_APPROACH_HELP = """\
features (default): features of a network trained on ImageNet, and a logistic
regression; the best choice for most photos. fine-tune: also trains the last layers of
VGG16; takes longer. scratch: a small network trained on these images only, for images
that are unlike photos, or as a baseline"""

_BACKBONE_HELP = """\
network for the approach `features`: VGG16 or another one that
skvision.list_backbones() lists. Default: EfficientNetLite2 if its weights are on this
machine, otherwise VGG16"""

_LOADING = """\
MODEL is a joblib file. LOADING IT RUNS CODE that it contains, so only use files that
you trust.\
"""

_EVALUATE = f"""\
Classify the images of FOLDER and compare with their classes: accuracy with its 95 %
confidence interval (Wilson), the same for each class, and the confusion matrix. If
FOLDER contains `train` and `validation`, only validation is used. Images that the model
was trained on make the accuracy too high: they are counted.

{_LOADING}
"""

_PREDICT = f"""\
Classify images: one line for each, with path, label and probability.

An image that cannot be read has neither label nor probability, and one that does not
exist has no line; the exit status is then 1. The other images are classified.

{_LOADING} To exchange models with others, use ONNX, which contains no code:
`skvision export MODEL model.onnx`, and ONNX Runtime to predict.
"""

_EXPORT = f"""\
Convert MODEL for use without skvision. The ending of FILE is the format: .onnx (ONNX),
.tflite (LiteRT), .keras (Keras), none (a folder, TensorFlow's SavedModel). FILE
contains preprocessing, network, classifier and names of classes, but no code of Python.
ONNX requires the extra `export`: pip install "scikit-vision[export]".

{_LOADING}
"""


class UsageError(Exception):
    """Arguments that are wrong together."""


def build_parser():
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="skvision",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"skvision {__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, title="commands"
    )
    _add_check(commands)
    _add_fit(commands)
    _add_evaluate(commands)
    _add_predict(commands)
    _add_export(commands)
    return parser


def _add_check(commands):
    parser = _add(commands, "check", "look for problems in the images", _CHECK)
    _add_folder(parser)
    parser.add_argument(
        "--csv", action="store_true", help="print all findings, one line each, as CSV"
    )


def _add_fit(commands):
    parser = _add(commands, "fit", "train a classifier", _FIT)
    _add_folder(parser)
    parser.add_argument(
        *("-o", "--output"),
        metavar="MODEL",
        required=True,
        help="file to write, such as pets.joblib; replaced if it exists",
    )
    parser.add_argument(
        "--approach", choices=APPROACHES, default="features", help=_APPROACH_HELP
    )
    parser.add_argument("--backbone", metavar="NAME", help=_BACKBONE_HELP)
    parser.add_argument(
        "--balanced",
        action="store_true",
        help="give all classes the same total weight, for classes of unequal size",
    )
    parser.add_argument(
        "--resize-mode",
        choices=RESIZE_MODES,
        default="stretch",
        help="how images are made square: stretch (default), crop to the centre, or "
        "pad with bars",
    )
    parser.add_argument(
        "--value-range",
        nargs=2,
        type=float,
        metavar=("BLACK", "WHITE"),
        help="what is black and white in grey images of more than 8 bits, such as 0 "
        "4095 for 12 bits",
    )
    _add_quiet(parser)


def _add_evaluate(commands):
    parser = _add(commands, "evaluate", "measure the accuracy of a model", _EVALUATE)
    _add_model(parser)
    _add_folder(parser)
    parser.add_argument(
        "--worst",
        metavar="FILE.png",
        help="draw the images with the worst predictions (requires matplotlib)",
    )
    _add_quiet(parser)


def _add_predict(commands):
    parser = _add(commands, "predict", "classify images", _PREDICT)
    _add_model(parser)
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE|FOLDER",
        help="image files, and folders of which all images are classified",
    )
    parser.add_argument(
        "--csv", action="store_true", help="print CSV, with a header line"
    )
    parser.add_argument(
        "--min-proba",
        type=_probability,
        default=0.0,
        metavar="P",
        help="abstain if the probability is less than P, from 0 to 1: the label is "
        "then empty",
    )
    _add_quiet(parser)


def _add_export(commands):
    parser = _add(commands, "export", "convert a model for use elsewhere", _EXPORT)
    _add_model(parser)
    parser.add_argument("file", metavar="FILE", help="file to write")
    parser.add_argument(
        "--image-size",
        choices=["fixed", "any"],
        default="fixed",
        help="fixed (default): the input has the size of the network. any: images of "
        "any size, resized inside the model (ONNX only)",
    )
    parser.add_argument(
        "--quantize",
        choices=["int8"],
        help="compute with integers of 8 bits: a quarter of the size and about twice "
        "as fast, for small losses of accuracy (LiteRT only)",
    )
    parser.add_argument(
        "--calibration",
        metavar="FOLDER",
        help="for --quantize: a folder of images like those to be classified, such as "
        "the training images; 100 of them are used",
    )
    _add_quiet(parser)


def _add(commands, name, summary, description):
    parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(parser=parser)
    return parser


def _add_folder(parser):
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        help="folder with one folder per class, or with such folders named train and "
        "validation",
    )


def _add_model(parser):
    parser.add_argument("model", metavar="MODEL", help="file written by `skvision fit`")


def _add_quiet(parser):
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def _probability(text):
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value
