"""``skvision fit``: train a classifier and write it to a file."""

import shlex

import numpy as np
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from skvision._cli.folders import load_parts
from skvision._cli.models import (
    EXPORTED,
    check_output,
    classify,
    describe,
    make_model,
    print_if_copies,
    print_if_trained_on,
    save_model,
    set_verbose,
)
from skvision._cli.parser import UsageError
from skvision._cli.scores import accuracy_lines
from skvision._cli.texts import say

_N_FOLDS = 5
_NOT_MEASURED = (
    "No accuracy was measured: that takes images that were not used for training. Fit "
    "again with some of the images in FOLDER/validation and the others in "
    "FOLDER/train, or use `skvision evaluate` with other images."
)


def run(args):
    """Train, save and validate."""
    _check_usage(args)
    path = check_output(args.output)
    train, validation = load_parts(args.folder)
    X, y = train.data, train.target
    _check_classes(train, validation)
    class_weight = "balanced" if args.balanced else None
    model = make_model(
        *(args.approach, args.backbone, class_weight),
        resize_mode=args.resize_mode,
        value_range=args.value_range,
    )
    say(f"Training on {len(X)} images in {train.folder}, classes: {_names(train)}")
    say(f"Model: {describe(model)}")
    set_verbose(model, 0 if args.quiet else 1)
    model.fit(X, y)
    _check_complete(model)
    if validation is not None:  # while progress is shown
        y_pred, _ = classify(model, validation.data)
    save_model(model, X, path)
    if validation is not None:
        print_if_trained_on(model, validation.data)
        print(accuracy_lines(validation.target, y_pred, "validation accuracy"))
    elif args.approach == "features":
        _cross_validate(model, X, y)
    else:
        say(_NOT_MEASURED)
    print(f"model: {args.output}")


def _check_usage(args):
    if args.backbone is not None and args.approach != "features":
        raise UsageError("--backbone requires the approach features")
    if args.output.lower().endswith(EXPORTED):
        raise UsageError(
            "MODEL is a joblib file, such as pets.joblib; convert it afterwards: "
            f"skvision export pets.joblib {shlex.quote(args.output)}"
        )


def _check_classes(train, validation):
    """Find out before training what would be an error or a wrong score after it."""
    if len(train.target_names) < 2:
        raise ValueError(
            f"{train.folder!r} contains one class, {_names(train)}. Expected at least "
            "two folders, one for each class."
        )
    if validation is not None:
        check_known(validation, train.target_names, "the training images")


def check_known(bunch, classes, owner):
    """Raise an error if images have classes that a model does not know."""
    unknown = sorted(set(bunch.target_names).difference(classes))
    if unknown:
        raise ValueError(
            f"{bunch.folder!r} has the classes {unknown}, but {owner} only "
            f"{list(classes)}. Rename or remove those folders."
        )


def _check_complete(model):
    """Raise KeyboardInterrupt again: after it, a classifier is as in its last epoch."""
    if hasattr(model, "n_iter_") and model.n_iter_ < model.epochs:
        say("No model was written, because the training is not complete.")
        raise KeyboardInterrupt


def _cross_validate(model, X, y):
    """Print the accuracy of models that were fitted to parts of the data."""
    n_folds = min(_N_FOLDS, np.unique(y, return_counts=True)[1].min())
    if n_folds < 2:
        say("No cross-validation: a class has a single image.")
        return
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    y_pred = cross_val_predict(model, X, y, cv=folds)
    print_if_copies(model, X)
    name = f"accuracy in {n_folds}-fold cross-validation"
    print(accuracy_lines(y, y_pred, name))


def _names(bunch):
    names = bunch.target_names
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(names[:20]) + more
