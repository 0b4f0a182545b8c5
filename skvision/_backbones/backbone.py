"""What is known of a backbone without building it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Backbone:
    """A network without its last layers, from images to feature maps.

    Attributes
    ----------
    name : str
        As users write it.
    kind : {"keras", "lite", "vgg16"}
        Who builds it, and where its weights come from.
    image_size : tuple of (int, int)
        Height and width of the images with which it was tested.
    layer : str
        The last layer with an output of shape (height, width, channels).
    n_features : int
        Channels of that layer.
    n_parameters : float
        Millions of weights.
    gflop : float
        Billions of operations for one image of `image_size`; a product and a sum are
        two.
    accuracy : float
        Published accuracy on ImageNet, in percent.
    preprocessing : {"caffe", "inside", "tf", "torch"}
        A mode of Keras' `preprocess_input`, or "inside" if layers of the network do it.
    licence : str
        Of the ImageNet weights.
    interpolation : str
        Filter with which images were resized in training or testing.
    smallest : int
        Smallest height and width of images.
    module : str or None
        Module of `keras.applications`.
    file, url : str or None
        Name of the weights in Keras' cache, or in the package that has them; and their
        address.
    file_digest : str or None
        Recorded MD5 (32 characters) or SHA-256 (64) of that file.
    package : str or None
        The package that has the weights.
    weights_digest : str or None
        Digest of the arrays, where the file becomes another one in the cache.
    """

    name: str
    kind: str
    image_size: tuple[int, int]
    layer: str
    n_features: int
    n_parameters: float
    gflop: float
    accuracy: float
    preprocessing: str
    licence: str
    interpolation: str = "bilinear"
    smallest: int = 32
    module: str | None = None
    file: str | None = None
    url: str | None = None
    file_digest: str | None = None
    package: str | None = None
    weights_digest: str | None = None

    @property
    def megabytes(self):
        """Size of the weights in float32."""
        return 4 * self.n_parameters

    @property
    def relative_cost(self):
        """Operations per pixel, compared with VGG16."""
        height, width = self.image_size
        return self.gflop / (height * width) / (30.69 / 224**2)
