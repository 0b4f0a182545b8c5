from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def cats_vs_dogs():
    """Folder of the cats-and-dogs images, which are not in the repository."""
    folder = SHARED / "data" / "cats_vs_dogs"
    if not folder.is_dir():
        pytest.skip(f"needs the cats-and-dogs images in {folder}")
    return folder


@pytest.fixture(scope="session")
def imagenet():
    """Skip the test if the ImageNet weights are not available."""
    from skvision._backbones.weights import load_vgg16_weights
    from skvision.exceptions import WeightsNotFoundError

    try:
        load_vgg16_weights("imagenet")
    except WeightsNotFoundError as error:
        pytest.skip(f"needs the ImageNet weights: {error}")


@pytest.fixture(scope="session")
def pixels():
    """24 different small images, uint8 of shape (24, 40, 36, 3)."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (24, 10, 9, 3), dtype=np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


@pytest.fixture
def paths(pixels, tmp_path):
    """The images of `pixels` as PNG files."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{i:02d}.png")
    return [str(folder / f"{i:02d}.png") for i in range(len(pixels))]


@pytest.fixture(scope="module", params=[2, 3], ids=["binary", "multi-class"])
def fitted_head(request):
    """A fitted `DenseHeadClassifier`, X and y. Tests must not modify them."""
    from _heads import data, head

    X, y = data(request.param)
    y = np.array(["cat", "dog", "eel"])[y]
    return head(epochs=30).fit(X, y), X, y
