"""``skvision export``: convert a model for use without skvision."""

from skvision._cli.models import load_model


def run(args):
    """Write the file, and print its path."""
    from skvision.export import export_model

    model = load_model(args.model)
    print(export_model(model, args.file, image_size=args.image_size))
