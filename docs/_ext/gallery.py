"""The order of the examples."""

FIRST = (
    "five_lines",
    "check_folder",
    "learning_curve",
    "augmentation",
    "saliency",
    "groups",
    "backbones",
    "abstention",
    "class_imbalance",
    "new_photos",
    "scratch_cnn",
    "search_augmentation",
    "fine_tuning",
)


class Order:
    """The key by which sphinx-gallery sorts examples: these first, others by name."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        name = filename.removeprefix("plot_").removesuffix(".py")
        return (FIRST.index(name) if name in FIRST else len(FIRST), name)
