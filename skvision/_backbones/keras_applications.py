"""The networks of `keras.applications`: one entry each, and their ImageNet weights.

Parameters, arithmetic and shapes were measured with Keras 3.15, by
`tests/experiments/describe_backbones.py`; files and digests are those in its source.
Accuracies are those that Keras publishes.
"""

from skvision._backbones.backbone import Backbone

_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
_URLS = {
    "efficientnet": "https://storage.googleapis.com/keras-applications/",
    "resnet_v2": f"{_URL}resnet/",
}

# Settings shared by the networks of one module of `keras.applications`.
_FAMILIES = {
    "resnet": {"preprocessing": "caffe", "licence": "MIT"},
    "resnet_v2": {"preprocessing": "tf", "licence": "BSD"},
    "vgg19": {"preprocessing": "caffe", "licence": "CC BY 4.0"},
    "mobilenet": {"preprocessing": "tf", "licence": "Apache-2.0"},
    "mobilenet_v2": {"preprocessing": "tf", "licence": "Apache-2.0"},
    "mobilenet_v3": {"preprocessing": "inside", "licence": "Apache-2.0"},
    "efficientnet": {
        "preprocessing": "inside",
        "interpolation": "bicubic",
        "licence": "Apache-2.0",
    },
    "efficientnet_v2": {
        "preprocessing": "inside",
        "interpolation": "bicubic",
        "licence": "Apache-2.0",
    },
    "convnext": {
        "preprocessing": "inside",
        "interpolation": "bicubic",
        "licence": "MIT",
    },
    "densenet": {"preprocessing": "torch", "licence": "BSD-3-Clause"},
    "inception_v3": {"preprocessing": "tf", "smallest": 75, "licence": "Apache-2.0"},
    "inception_resnet_v2": {
        "preprocessing": "tf",
        "smallest": 75,
        "licence": "Apache-2.0",
    },
    "xception": {"preprocessing": "tf", "smallest": 71, "licence": "MIT"},
    "nasnet": {"preprocessing": "tf", "licence": "Apache-2.0"},
}


# Where the name of the download is not that of Keras' file.
_REMOTE_NAMES = {
    "nasnet_mobile_no_top.h5": "NASNet-mobile-no-top.h5",
    "nasnet_large_no_top.h5": "NASNet-large-no-top.h5",
}

# Module, class, pixels, features, millions of parameters, GFLOP per image, published
# accuracy on ImageNet in percent; default layer, file of the weights; its MD5, SHA-256,
# or None where Keras records none.
# fmt: off
_ROWS = (
    ("resnet", "ResNet50", 224, 2048, 23.6, 7.71, 74.9,
     "conv5_block3_out", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "4d473c1dd8becc155b73f8504c6f6626"),
    ("resnet", "ResNet101", 224, 2048, 42.7, 15.14, 76.4,
     "conv5_block3_out", "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "88cf7a10940856eca736dc7b7e228a21"),
    ("resnet", "ResNet152", 224, 2048, 58.4, 22.56, 76.6,
     "conv5_block3_out", "resnet152_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    ("resnet_v2", "ResNet50V2", 224, 2048, 23.6, 6.96, 76.0,
     "post_relu", "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "fac2f116257151a9d068a22e544a4917"),
    ("resnet_v2", "ResNet101V2", 224, 2048, 42.6, 14.38, 77.2,
     "post_relu", "resnet101v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "c0ed64b8031c3730f411d2eb4eea35b5"),
    ("resnet_v2", "ResNet152V2", 224, 2048, 58.3, 21.81, 78.0,
     "post_relu", "resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "ed17cf2e0169df9d443503ef94b23b33"),
    ("vgg19", "VGG19", 224, 512, 20.0, 39.02, 71.3,
     "block5_pool", "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "253f8cb515780f3b799900260a226db6"),
    ("mobilenet", "MobileNet", 224, 1024, 3.2, 1.14, 70.4,
     "conv_pw_13_relu", "mobilenet_1_0_224_tf_no_top.h5",
     None),
    ("mobilenet_v2", "MobileNetV2", 224, 1280, 2.3, 0.6, 71.3,
     "out_relu", "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
     None),
    ("mobilenet_v3", "MobileNetV3Small", 224, 576, 0.9, 0.11, 68.1,
     "activation_17", "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
     "d3e8ec802a04aa4fc771ee12a9a9b836"),
    ("mobilenet_v3", "MobileNetV3Large", 224, 960, 3.0, 0.43, 75.6,
     "activation_19", "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
     "07fb09a5933dd0c8eaafa16978110389"),
    ("efficientnet", "EfficientNetB0", 224, 1280, 4.0, 0.77, 77.1,
     "top_activation", "efficientnetb0_notop.h5",
     "50bc09e76180e00e4465e1a485ddc09d"),
    ("efficientnet", "EfficientNetB1", 240, 1280, 6.6, 1.37, 79.1,
     "top_activation", "efficientnetb1_notop.h5",
     "74c4e6b3e1f6a1eea24c589628592432"),
    ("efficientnet", "EfficientNetB2", 260, 1408, 7.8, 1.98, 80.1,
     "top_activation", "efficientnetb2_notop.h5",
     "111f8e2ac8aa800a7a99e3239f7bfb39"),
    ("efficientnet", "EfficientNetB3", 300, 1536, 10.8, 3.65, 81.6,
     "top_activation", "efficientnetb3_notop.h5",
     "af6d107764bb5b1abb91932881670226"),
    ("efficientnet", "EfficientNetB4", 380, 1792, 17.7, 8.78, 82.9,
     "top_activation", "efficientnetb4_notop.h5",
     "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    ("efficientnet", "EfficientNetB5", 456, 2048, 28.5, 20.53, 83.6,
     "top_activation", "efficientnetb5_notop.h5",
     "38879255a25d3c92d5e44e04ae6cec6f"),
    ("efficientnet", "EfficientNetB6", 528, 2304, 41.0, 38.13, 84.0,
     "top_activation", "efficientnetb6_notop.h5",
     "9ecce42647a20130c1f39a5d4cb75743"),
    ("efficientnet", "EfficientNetB7", 600, 2560, 64.1, 75.49, 84.3,
     "top_activation", "efficientnetb7_notop.h5",
     "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    ("efficientnet_v2", "EfficientNetV2B0", 224, 1280, 5.9, 1.43, 78.7,
     "top_activation", "efficientnetv2-b0_notop.h5",
     "893217f2bb855e2983157299931e43ff"),
    ("efficientnet_v2", "EfficientNetV2B1", 240, 1280, 6.9, 2.39, 79.8,
     "top_activation", "efficientnetv2-b1_notop.h5",
     "0e80663031ca32d657f9caa404b6ec37"),
    ("efficientnet_v2", "EfficientNetV2B2", 260, 1408, 8.8, 3.39, 80.5,
     "top_activation", "efficientnetv2-b2_notop.h5",
     "1dfe2e7a5d45b6632553a8961ea609eb"),
    ("efficientnet_v2", "EfficientNetV2B3", 300, 1536, 12.9, 6.02, 82.0,
     "top_activation", "efficientnetv2-b3_notop.h5",
     "f6abf7b5849ac99a89b50dd3fd532856"),
    ("efficientnet_v2", "EfficientNetV2S", 384, 1280, 20.3, 16.73, 83.9,
     "top_activation", "efficientnetv2-s_notop.h5",
     "af0682fb74e8c54910f2d4393339c070"),
    ("efficientnet_v2", "EfficientNetV2M", 480, 1280, 53.2, 49.16, 85.3,
     "top_activation", "efficientnetv2-m_notop.h5",
     "1b8dc055df72dde80d614482840fe342"),
    ("efficientnet_v2", "EfficientNetV2L", 480, 1280, 117.7, 112.16, 85.7,
     "top_activation", "efficientnetv2-l_notop.h5",
     "b0b66b5c863aef5b46e8608fe1711615"),
    ("convnext", "ConvNeXtTiny", 224, 768, 27.8, 8.91, 81.3,
     "layer_normalization", "convnext_tiny_notop.h5",
     "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
    ("convnext", "ConvNeXtSmall", 224, 768, 49.5, 17.37, 82.3,
     "layer_normalization", "convnext_small_notop.h5",
     "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"),
    ("convnext", "ConvNeXtBase", 224, 1024, 87.6, 30.71, 85.3,
     "layer_normalization", "convnext_base_notop.h5",
     "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"),
    ("convnext", "ConvNeXtLarge", 224, 1536, 196.2, 68.72, 86.3,
     "layer_normalization", "convnext_large_notop.h5",
     "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd"),
    ("convnext", "ConvNeXtXLarge", 224, 2048, 348.1, 121.84, 86.7,
     "layer_normalization", "convnext_xlarge_notop.h5",
     "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05"),
    ("densenet", "DenseNet121", 224, 1024, 7.0, 5.67, 75.0,
     "relu", "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "30ee3e1110167f948a6b9946edeeb738"),
    ("densenet", "DenseNet169", 224, 1664, 12.6, 6.72, 76.2,
     "relu", "densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "b8c4d4c20dd625c148057b9ff1c1176b"),
    ("densenet", "DenseNet201", 224, 1920, 18.3, 8.58, 77.3,
     "relu", "densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "c13680b51ded0fb44dff2d8f86ac8bb1"),
    ("inception_v3", "InceptionV3", 299, 2048, 21.8, 11.42, 77.9,
     "mixed10", "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "bcbd6486424b2319ff4ef7d526e38f63"),
    ("inception_resnet_v2", "InceptionResNetV2", 299, 1536, 54.3, 26.31, 80.3,
     "conv_7b_ac", "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "d19885ff4a710c122648d3b5c3b684e4"),
    ("xception", "Xception", 299, 2048, 20.9, 16.71, 79.0,
     "block14_sepconv2_act", "xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "b0042744bf5b25fce3cb969f33bebb97"),
    ("nasnet", "NASNetMobile", 224, 1056, 4.3, 1.13, 74.4,
     "activation_187", "nasnet_mobile_no_top.h5",
     "1ed92395b5b598bdda52abe5c0dbfd63"),
    ("nasnet", "NASNetLarge", 331, 4032, 84.9, 47.56, 82.5,
     "activation_259", "nasnet_large_no_top.h5",
     "d81d89dc07e6e56530c4e77faddd61b5"),
)
# fmt: on


def _entry(
    module, name, side, n_features, parameters, gflop, accuracy, layer, file, digest
):
    family = _FAMILIES[module]
    remote = _REMOTE_NAMES.get(file, file)
    return Backbone(
        name=name,
        kind="keras",
        module=module,
        image_size=(side, side),
        layer=layer,
        n_features=n_features,
        n_parameters=parameters,
        gflop=gflop,
        accuracy=accuracy,
        file=file,
        url=_URLS.get(module, f"{_URL}{module}/") + remote,
        file_digest=digest,
        **family,
    )


KERAS_APPLICATIONS = tuple(_entry(*row) for row in _ROWS)
