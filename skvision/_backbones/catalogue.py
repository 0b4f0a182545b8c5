"""The public list of backbones."""

from dataclasses import asdict, dataclass, fields

from skvision._backbones.imagenet import describe_sources
from skvision._backbones.lite_weights import cache_name, package_path
from skvision._backbones.sources import model_folders
from skvision._backbones.table import BACKBONES
from skvision._utils.optional import import_optional

_EXTRAS = {"lite": "backbones", "vgg16": "pypi-weights"}


@dataclass(frozen=True)
class BackboneInfo:
    """One row of `list_backbones`; see there."""

    name: str
    parameters: float
    megabytes: float
    gflop: float
    pixels: int
    features: int
    accuracy: float
    available: bool
    source: str
    licence: str


class BackboneList(tuple):
    """A tuple of `BackboneInfo` that prints as a table."""

    def to_frame(self):
        """Return the table as a pandas data frame, with the names as its index."""
        pandas = import_optional(
            "pandas", caller="BackboneList.to_frame", requirement="pandas"
        )
        return pandas.DataFrame([asdict(row) for row in self]).set_index("name")

    def __repr__(self):
        heading = [field.name for field in fields(BackboneInfo)]
        rows = [heading, *(_cells(row) for row in self)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(_line(row, widths) for row in rows)


def _cells(row):
    numbers = row.parameters, row.megabytes, row.gflop, row.pixels, row.features
    formats = "{:.1f}", "{:.0f}", "{:.2f}", "{}", "{}"
    return [
        row.name,
        *(text.format(number) for text, number in zip(formats, numbers, strict=True)),
        f"{row.accuracy:.1f}",
        "yes" if row.available else "no",
        row.source,
        row.licence,
    ]


def _line(row, widths):
    """Return one line; numbers are aligned to the right."""
    cells = [
        cell.rjust(width) if 0 < i < 7 else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def list_backbones():
    """List the networks that `ImageEncoder` knows, with their size and accuracy.

    Nothing is built or downloaded, and TensorFlow is not started.

    Returns
    -------
    backbones : BackboneList
        A tuple with one row per network, which prints as a table. ``to_frame()`` makes
        a pandas data frame of it. Rows have the attributes

        - `name`: the value of the `backbone` parameter;
        - `parameters`: millions of weights, without the last layers;
        - `megabytes`: their size in float32;
        - `gflop`: billions of operations per image of `pixels`; a product and a sum
          count as two;
        - `pixels`: default height and width of images;
        - `features`: values per image with the default parameters;
        - `accuracy`: published top-1 accuracy on ImageNet, in percent;
        - `available`: whether the ImageNet weights are on this machine;
        - `source`: how to get them: an extra of this package, or Keras' download, which
          starts at the first use;
        - `licence`: of the weights.

    Examples
    --------
    >>> import skvision
    >>> backbones = skvision.list_backbones()
    >>> backbones[0].name, backbones[0].features
    ('EfficientNetLite0', 1280)
    >>> [row.name for row in backbones if row.gflop < 0.5]
    ['MobileNetV3Small', 'MobileNetV3Large']
    """
    return BackboneList(map(_describe, BACKBONES.values()))


def _describe(backbone):
    extra = _EXTRAS.get(backbone.kind)
    return BackboneInfo(
        name=backbone.name,
        parameters=backbone.n_parameters,
        megabytes=round(backbone.megabytes, 1),
        gflop=backbone.gflop,
        pixels=backbone.image_size[0],
        features=backbone.n_features,
        accuracy=backbone.accuracy,
        available=_is_available(backbone),
        source=f'pip install "scikit-vision[{extra}]"' if extra else "download",
        licence=backbone.licence,
    )


def _is_available(backbone):
    """Return whether there is a file of the weights, without reading it."""
    if backbone.kind == "vgg16":
        return any(state in ("found", "installed") for _, state in describe_sources())
    name = backbone.file if backbone.kind == "keras" else cache_name(backbone)
    if any((folder / name).is_file() for folder in model_folders()):
        return True
    if backbone.kind == "keras":
        return False
    try:
        return package_path(backbone).is_file()
    except ModuleNotFoundError:
        return False
