"""Random inputs: damaged images, arbitrary X and arbitrary parameters."""

import json
import subprocess
import sys
from pathlib import Path

import _fuzz
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import skvision
from skvision import (
    DenseHeadClassifier,
    FineTunedVGGClassifier,
    ImageAugmenter,
    ImageEncoder,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)
from skvision._images.inputs import Images, check_images
from skvision._images.resize import ImageSettings
from skvision.exceptions import ImageReadError

bounded = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,  # the same examples in each run
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits as on Linux")
@pytest.mark.parametrize("n", [200, pytest.param(3000, marks=pytest.mark.slow)])
def test_damaged_files_raise_only_image_read_errors(n):
    # In a process of its own: forks of this one, with TensorFlow, would be slow.
    output = subprocess.check_output([sys.executable, _fuzz.__file__, str(n)])
    counts = json.loads(output)
    assert not counts.pop("failures")
    assert sum(counts.values()) == n
    assert min(counts["pixels"], counts["error"]) > n / 20


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parent.glob("corpus/*")), ids=lambda path: path.name
)
def test_files_that_once_failed(path):
    assert _fuzz.outcome(path.read_bytes()) in ("pixels", "error")


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=20),
    st.sampled_from([np.int64(3), np.float32(0.5), np.str_("a"), Path("a"), object()]),
)
images = st.one_of(
    st.builds(lambda mode: Image.new(mode, (3, 4)), st.sampled_from("1LPFI")),
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16, np.float64, bool]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    ),
)
anything = st.recursive(
    scalars | images,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner) | st.sets(scalars),
    max_leaves=8,
)


@bounded
@given(anything)
def test_X_is_accepted_or_refused_with_an_explanation(X):
    try:
        accepted = check_images(X)
    except (ValueError, TypeError) as error:
        assert "X" in str(error)
        return
    assert isinstance(accepted, Images)
    for i in range(len(accepted)):
        try:
            pixels = accepted.read(i, ImageSettings((5, 6)))
        except ImageReadError as error:
            assert (error.index, error.argument) == (i, "X")
        else:
            assert (pixels.shape, pixels.dtype) == ((5, 6, 3), np.uint8)


ESTIMATORS = [
    DenseHeadClassifier(),
    ScratchCNNClassifier(),
    FineTunedVGGClassifier(),
    ImageEncoder(),
    VGG16BottleneckTransformer(),
    ImageAugmenter(),
]
# Their values are used after the training has started, or name files.
UNCHECKED = {"callbacks", "cache_dir", "checkpoint_dir", "weights", "optimizer"}


@bounded
@given(st.data())
def test_wrong_parameters_are_named(data):
    """Any value of a parameter is refused with its name, or a valid one.

    X is empty, so a fit with valid parameters fails later.
    """
    estimator = data.draw(st.sampled_from(ESTIMATORS))
    names = sorted(set(estimator.get_params(deep=False)) - UNCHECKED)
    name = data.draw(st.sampled_from(names))
    value = data.draw(anything)
    estimator = type(estimator)(**{name: value})
    with pytest.raises((ValueError, TypeError), match=r".") as info:
        if isinstance(estimator, ImageAugmenter):
            estimator.draw(0, (4, 4))
        else:
            estimator.fit([], [])
    assert (
        name in str(info.value)
        or "0 sample" in str(info.value)
        or (isinstance(estimator, ImageAugmenter) and "n_images" in str(info.value))
    )


@bounded
@given(
    image_size=anything,
    resize_mode=anything | st.sampled_from(["stretch", "crop", "pad"]),
    value_range=anything | st.tuples(st.floats(), st.floats()),
)
def test_read_image_with_any_parameters(image_size, resize_mode, value_range):
    parameters = {
        "image_size": image_size,
        "resize_mode": resize_mode,
        "value_range": value_range,
    }
    image = np.zeros((4, 5), np.uint8)
    try:
        pixels = skvision.read_image(image, **parameters)
    except ValueError as error:
        assert any(repr(name) in str(error) for name in parameters)
    else:
        assert pixels.ndim == 3
