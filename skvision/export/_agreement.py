"""Comparison of an exported model with the estimator that it was exported from."""

import numpy as np

from skvision.export._parts import head_name

TOLERANCE = 1e-4
_N_IMAGES, _N_ROWS = 4, 256
_MOST_QUANTIZED = 0.05
# Of few images, two labels may change by chance.
_MOST_LABELS, _FEW_LABELS = 0.05, 2


def check_agreement(parts, run, format):
    """Raise unless the exported model agrees with the estimator.

    Parameters
    ----------
    parts : Parts
    run : callable
        From uint8 images to their labels (None if not exported) and probabilities.
    format : str
        Name of the format, for the message.
    """
    images = probe_images(parts.settings.image_size)
    expected, actual = parts.predict(images), run(images)
    error = np.abs(actual[1] - expected[1]).max(axis=1)
    # Rounding of the features may change a decision of a tree, but not often.
    if not np.median(error) <= 10 * TOLERANCE or _wrong_labels(expected, actual, error):
        raise ValueError(
            f"The model exported to {format} does not agree with the estimator: "
            f"probabilities of {_N_IMAGES} generated images differ by up to "
            f"{error.max():.2g}. Nothing was written. Please report this, with the "
            "output of skvision.show_versions()."
        )


def check_quantized(parts, run, images):
    """Raise unless the quantized model nearly agrees; return how much it differs."""
    n = len(images)
    expected, actual = parts.predict(images), [run(image[None]) for image in images]
    probabilities = np.concatenate([values[1] for values in actual])
    change = float(np.abs(probabilities - expected[1]).max(axis=1).mean())
    if actual[0][0] is None:
        is_same = probabilities.argmax(axis=1) == expected[1].argmax(axis=1)
    else:
        is_same = np.concatenate([values[0] for values in actual]) == expected[0]
    n_changed, same = n - int(np.sum(is_same)), float(np.mean(is_same))
    if not change <= _MOST_QUANTIZED or n_changed > max(_FEW_LABELS, _MOST_LABELS * n):
        raise ValueError(
            f"quantize='int8' changes the probabilities of the {n} calibration images "
            f"by {change:.2g} in the mean (at most {_MOST_QUANTIZED} is accepted), and "
            f"the labels of {n_changed} of them (at most {_MOST_LABELS:.0%}, or "
            f"{_FEW_LABELS} images, are accepted). Nothing was written. Export with "
            "quantize=None, use another network (EfficientNetLite0 to "
            "EfficientNetLite2 are made for int8), or pass more calibration images, "
            "like those that the model will classify."
        )
    return {"mean_probability_change": round(change, 4), "same_labels": round(same, 4)}


def check_rest(parts, features, run):
    """Raise unless the converted classifier of features agrees with the original.

    Converters may not know a new version of a classifier, and convert it to something
    else. `features` are those of images, from which others are mixed.
    """
    rows = _mixed(features)
    expected, actual = parts.predict_features(rows), run(rows)
    error = np.abs(actual[1] - expected[1]).max(axis=1)
    if np.mean(~(error <= TOLERANCE)) > 0.01 or _wrong_labels(expected, actual, error):
        raise ValueError(
            f"skl2onnx does not convert {head_name(parts)}, or a step before it, "
            f"correctly: probabilities differ by up to {error.max():.2g}. Nothing was "
            "written. Use another classifier, such as LogisticRegression. In a "
            "CalibratedClassifierCV, the methods 'isotonic' and 'temperature' can be "
            "exported after linear models and DenseHeadClassifier; other classifiers "
            "require method='sigmoid'."
        )


def _wrong_labels(expected, actual, error):
    """Return whether labels differ where probabilities agree."""
    if actual[0] is None:
        return False
    differ = np.asarray(expected[0]) != np.asarray(actual[0])
    return bool(np.mean(differ & (error <= TOLERANCE)) > 0.01)


def probe_images(image_size):
    """Return generated images of different colours, contrast and coarseness."""
    rng = np.random.default_rng(0)
    images = []
    for i in range(_N_IMAGES):
        shape = [max(1, side // 2**i) for side in image_size]
        coarse = rng.integers(0, 256, (*shape, 3))
        rows, columns = (
            np.arange(n) * m // n for n, m in zip(image_size, shape, strict=True)
        )
        colour, contrast = rng.integers(0, 256, 3), rng.uniform(0.2, 1)
        images.append(colour + contrast * (coarse[rows][:, columns] - colour))
    return np.stack(images).astype(np.uint8)


def _mixed(features):
    """Return many different rows of features, around those of some images."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(_N_ROWS, len(features)))
    centre, scale = features.mean(axis=0), rng.uniform(0, 3, (_N_ROWS, 1))
    noise = features.std(axis=0) * rng.normal(size=(_N_ROWS, features.shape[1]))
    mixed = centre + scale * (weights @ (features - centre) / 2 + noise)
    return mixed.astype(np.float32)
