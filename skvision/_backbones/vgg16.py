"""VGG16's convolutional layers: names, shapes, and digests of their weights."""

import hashlib

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def vgg16_layers(blocks=BLOCKS):
    """Yield (name, block, number of filters) of each convolution and pooling layer.

    Blocks are numbered from 1. Each ends with its pooling layer, for which the number
    of filters is that of the block.
    """
    for block, (n_convolutions, n_filters) in enumerate(blocks, start=1):
        for i in range(1, n_convolutions + 1):
            yield f"block{block}_conv{i}", block, n_filters
        yield f"block{block}_pool", block, n_filters


# Layer name -> (number of 2 x 2 poolings up to its output, number of channels).
LAYERS = {
    name: (block if name.endswith("pool") else block - 1, n_filters)
    for name, block, n_filters in vgg16_layers()
}


def _layer_shapes(blocks=BLOCKS):
    """Map the name of each convolution to the shapes of its kernel and bias."""
    shapes, n_channels = {}, 3
    for name, _, n_filters in vgg16_layers(blocks):
        if not name.endswith("pool"):
            shapes[name] = ((3, 3, n_channels, n_filters), (n_filters,))
            n_channels = n_filters
    return shapes


LAYER_SHAPES = _layer_shapes()

# SHA-256 of each ImageNet layer, as `layer_digest` computes it.
LAYER_DIGESTS = {
    "block1_conv1": "ede017a0bd726a8c7fe2e1cb4646ffe2608d4f26cbfd7e84b5ddf00f4631a812",
    "block1_conv2": "90d1af738f8186b340415efaf8d26f77a5f3613f199203096deb0daf74854ff2",
    "block2_conv1": "06a0f4bedced9b7918cdd3d380612a05a684a61215f8430e3e6e8f735954b578",
    "block2_conv2": "979eebaca5c7a84e46dfff6fadd4539af59a9e6a5b894362146a3acde962a73e",
    "block3_conv1": "9d6e9619d83d2f9b56141f010ba0b583122332d8973bfe4075452a9f19c159ae",
    "block3_conv2": "b5450177b82813f30dcaf42d5a6c5668edfee26203f10552d21f7a76c12ac529",
    "block3_conv3": "41368cdb78d7b299fb9a91d83be96c07c3dd05771ee6308fb2c927d1c53e8579",
    "block4_conv1": "6f7993b060a44d4b6a8311917bb6ad2fdd4d54e8c321aebdaf188e1424dfa3ea",
    "block4_conv2": "42cc5dcecba1ad004a1733cb5c97c35cac491da4a903842a2fbb280b793c9d27",
    "block4_conv3": "d9bccfb29481f94018193f2ebfde9ad1c3c144ae605b4e54ca5ac147121a84bb",
    "block5_conv1": "3d11466750b67ed4a56ed4bcc333639998d33dffbbe7076ba23f47ad85091a5c",
    "block5_conv2": "dd12966cd890ed7717a15beee2ac2e510af182068f667a2ebd5ee2e3b6eb0ff6",
    "block5_conv3": "252f7cf2545042cd0198274a701592252594cdeb3d57e782a9012f78e3e67dc5",
}


def layer_digest(name, arrays):
    """Return the SHA-256 of the name and each array's shape and little-endian bytes."""
    digest = hashlib.sha256(name.encode())
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(array.astype("<f4", copy=False).data)
    return digest.hexdigest()


def combined_digest(layer_digests):
    """Return one digest of all layers, computed from their digests."""
    return hashlib.sha256("".join(layer_digests).encode()).hexdigest()
