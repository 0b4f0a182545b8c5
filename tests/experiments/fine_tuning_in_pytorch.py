"""Compare recipes of fine-tuning, in PyTorch on a GPU; results in docs/notes/.

The activations of the frozen blocks, of all images and views, stay in the GPU's memory.

Run with Python. FOLDER has the subfolders train and validation, WEIGHTS is "imagenet"
or a file of weights as `FineTunedVGGClassifier` reads it, SIZE is the height and width
in pixels, and NAME a key of `RECIPES`, by default all.

- ``fine_tuning_in_pytorch.py FOLDER WEIGHTS SIZE cv [NAME...]`` compares recipes within
  the training images: 16 times trained on 600 random ones and evaluated on the others,
  and in two 5-fold cross-validations.
- ``... FOLDER WEIGHTS SIZE final [NAME...]`` trains on 600 random images and on all,
  with eight seeds, and evaluates on the validation images.

Each line has accuracy / cross-entropy, and the difference to the second approach with
its standard error.
"""

import functools
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

from skvision import read_image
from skvision._backbones.weights import load_vgg16_weights
from skvision.datasets import load_image_files

IS_CUDA = torch.cuda.is_available()
DEVICE, DTYPE = ("cuda", torch.bfloat16) if IS_CUDA else ("cpu", torch.float32)
N_CONVOLUTIONS = (2, 2, 3, 3, 3)
VIEWS = {  # seed, and whether half of the images are mirrored; None if not random
    "plain": None,
    "mirrored": None,
    "zoom": (1, False),
    "crop 0": (3, True),
    "crop 1": (4, True),
}


@dataclass(frozen=True)
class Recipe:
    rate: float = 1e-3
    epochs: int = 4
    optimizer: str = "SGD"
    views: tuple = ("plain",)
    head_views: tuple = ("plain",)
    mirrors_averaged: bool = False  # in predictions
    batch: int = 16
    n_blocks: int = 1
    lower_rate: float = 1.0  # of block 4, relative
    dropped_positions: float = 0.0  # share of the positions of the activations


def adam(rate, **settings):
    return Recipe(rate, optimizer="Adam", **settings)


ZOOM = {"views": ("plain", "zoom")}
MIRRORED = {"views": ("plain", "mirrored"), "head_views": ("plain", "mirrored")}
CROPS = MIRRORED | {"views": ("plain", "mirrored", "crop 0", "crop 1")}
RECIPES = {
    "defaults": Recipe(),
    "defaults, mirror images averaged": Recipe(mirrors_averaged=True),
    "SGD 1e-3, 6 epochs": Recipe(epochs=6),
    "SGD 1e-3, crops": Recipe(**CROPS),
    "Adam 2e-5": adam(2e-5),
    "Adam 3e-5": adam(3e-5),
    "Adam 3e-5, 6 epochs": adam(3e-5, epochs=6),
    "Adam 3e-5, batches of 32": adam(3e-5, batch=32),
    "Adam 3e-5, 10% of the positions dropped": adam(3e-5, dropped_positions=0.1),
    "Adam 3e-5, zoom": adam(3e-5, **ZOOM),
    "Adam 3e-5, crops": adam(3e-5, **CROPS),
    "Adam 2e-5, two blocks": adam(2e-5, n_blocks=2, lower_rate=0.3),
}


def transformed(images, view, rows):
    """Return the view of some images (n, 3, height, width), as floats."""
    x = images[rows].to(DEVICE).float()
    if VIEWS[view] is None:
        return x.flip(3) if view == "mirrored" else x
    seed, is_mirrored = VIEWS[view]
    rng = np.random.default_rng(seed)
    theta = np.deg2rad(rng.uniform(-10, 10, len(images)))
    zx, zy = rng.uniform(0.75, 1, (2, len(images)))
    if is_mirrored:
        zx = np.where(rng.random(len(images)) < 0.5, -zx, zx)
    matrices = np.zeros((len(images), 2, 3), dtype=np.float32)
    matrices[:, :, 0] = np.stack([np.cos(theta) * zx, np.sin(theta) * zx], axis=1)
    matrices[:, :, 1] = np.stack([-np.sin(theta) * zy, np.cos(theta) * zy], axis=1)
    matrices = torch.tensor(matrices[rows], device=DEVICE)
    points = F.affine_grid(matrices, x.shape, align_corners=False)
    return F.grid_sample(x, points, padding_mode="border", align_corners=False).round()


def run_block(x, params):
    for kernel, bias in zip(params[::2], params[1::2], strict=True):
        x = F.relu(F.conv2d(x, kernel.to(x.dtype), bias.to(x.dtype), padding=1))
    return F.max_pool2d(x, 2)


def features(x, convolutions, offset=1e-3):
    """Return the features of activations (n, channels, height, width)."""
    for first in range(0, len(convolutions), 6):
        x = run_block(x, convolutions[first : first + 6])
    x = (x.float().mean(dim=(2, 3)) + offset).sqrt()
    return 5 * x / x.norm(dim=1, keepdim=True)


def logits(params, x):
    *convolutions, coef, intercept = params
    return features(x, convolutions) @ coef + intercept


def fine_tune(recipe, start, maps, y, train, seed):
    """Return the averaged weights."""
    params = [p.clone().requires_grad_() for p in start]
    averages = [p.clone() for p in start]
    lower = len(params) - 8 if recipe.n_blocks == 2 else 0
    groups = [
        {"params": params[:lower], "scale": recipe.lower_rate},
        {"params": params[lower:], "scale": 1},
    ]
    settings = {"eps": 1e-7} if recipe.optimizer == "Adam" else {"momentum": 0.9}
    optimizer = getattr(torch.optim, recipe.optimizer)(groups, recipe.rate, **settings)
    rng, step = np.random.default_rng(seed), 0
    for epoch in range(recipe.epochs):
        number = epoch % len(recipe.views)
        if number == 0:  # all views are used before one is repeated
            order = np.tile(np.arange(len(recipe.views)), (len(y), 1))
            order = rng.permuted(order, axis=1)
        for group in optimizer.param_groups:
            rate = recipe.rate * (1 + np.cos(np.pi * epoch / recipe.epochs)) / 2
            group["lr"] = group["scale"] * rate
        shuffled = rng.permutation(train)
        for first in range(0, len(train), recipe.batch):
            rows = shuffled[first : first + recipe.batch]
            x = maps(recipe.views, rows, order[rows, number])
            if drop := recipe.dropped_positions:
                kept = torch.rand(len(x), 1, *x.shape[2:], device=DEVICE) > drop
                x = x * kept / (1 - drop)
            loss = F.binary_cross_entropy_with_logits(logits(params, x), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            with torch.no_grad():
                share = 1 - min(0.99, step / (9 + step))
                torch._foreach_lerp_(averages, params, share)
    return averages


class Laboratory:
    """All images, their activations and the weights of VGG16."""

    def __init__(self, files, y, weights, size):
        self.y = np.asarray(y, dtype=np.float32)
        read = functools.partial(read_image, image_size=(size, size))
        with ThreadPoolExecutor() as pool:
            images = np.stack(list(pool.map(read, files))).astype(np.uint8)
        self.images = torch.tensor(images).permute(0, 3, 1, 2)
        arrays = iter(load_vgg16_weights(weights).values())
        self.blocks = [
            list(chain(*(to_torch(*next(arrays)) for _ in range(n))))
            for n in N_CONVOLUTIONS
        ]
        self.activations = functools.cache(self._activations)
        self.features = functools.cache(self._features)

    @torch.no_grad()
    def _activations(self, n_blocks, view):
        """Return the activations of all images before the last `n_blocks`."""
        mean = torch.tensor([103.939, 116.779, 123.68], device=DEVICE).view(3, 1, 1)
        parts = []
        for rows in np.array_split(np.arange(len(self.y)), -(-len(self.y) // 100)):
            x = transformed(self.images, view, rows).flip(1) - mean  # BGR
            x = x.to(DTYPE, memory_format=torch.channels_last)
            for params in self.blocks[:-n_blocks]:
                x = run_block(x, params)
            parts.append(x)
        return torch.cat(parts)

    @torch.no_grad()
    def _features(self, view, offset):
        parts = self.activations(1, view).split(200)
        found = [features(x, self.blocks[-1], offset) for x in parts]
        return torch.cat(found).cpu().numpy()

    def head(self, train, views=("plain",), offset=1e-3):
        X = np.concatenate([self.features(view, offset)[train] for view in views])
        classifier = LogisticRegression(C=1 / len(views), max_iter=10_000)
        return classifier.fit(X, np.tile(self.y[train], len(views)))

    def second(self, train, test):
        """Return the scores of the second approach."""
        head = self.head(train, offset=0.0)
        z = head.decision_function(self.features("plain", 0.0)[test])
        return scores(z, self.y[test])

    def third(self, recipe, train, test, seed):
        """Return the scores of fine-tuning."""
        head = self.head(train, recipe.head_views)
        start = list(chain(*self.blocks[-recipe.n_blocks :]))
        for array in (head.coef_[0], head.intercept_[0]):
            start.append(torch.tensor(array, dtype=torch.float32, device=DEVICE))

        def maps(views, rows, numbers):
            all_views = [self.activations(recipe.n_blocks, view) for view in views]
            pairs = zip(rows, numbers, strict=True)
            return torch.stack([all_views[number][row] for row, number in pairs])

        y = torch.tensor(self.y, device=DEVICE)
        params = fine_tune(recipe, start, maps, y, train, seed)
        views = ("plain", "mirrored") if recipe.mirrors_averaged else ("plain",)
        z = [self._predict(params, recipe.n_blocks, view, test) for view in views]
        return scores(np.mean(z, axis=0), self.y[test])

    @torch.no_grad()
    def _predict(self, params, n_blocks, view, rows):
        activations = self.activations(n_blocks, view)
        parts = np.array_split(rows, -(-len(rows) // 400))
        z = [logits(params, activations[torch.as_tensor(some)]) for some in parts]
        return torch.cat(z).cpu().numpy()


def to_torch(kernel, bias):
    kernel = torch.tensor(np.asarray(kernel, np.float32)).permute(3, 2, 0, 1)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    return kernel.to(DEVICE), torch.tensor(np.asarray(bias, np.float32)).to(DEVICE)


def scores(z, y):
    """Return accuracy and cross-entropy."""
    margin = np.where(y > 0.5, z, -z)
    return np.mean(margin > 0), np.mean(np.logaddexp(0, -margin))


def report(name, results, reference):
    gains = results - reference
    (accuracy, loss), (gain, gain_loss) = results.mean(axis=0), gains.mean(axis=0)
    error, error_loss = gains.std(axis=0, ddof=1) / len(gains) ** 0.5
    print(
        f"{name}: {accuracy:.4f} / {loss:.4f}, difference {gain:+.4f} +- {error:.4f} / "
        f"{gain_loss:+.4f} +- {error_loss:.4f}",
        flush=True,
    )


def all_splits(task, y, n_train):
    y, validation = y[:n_train], np.arange(n_train, len(y))
    if task == "final":
        drawn = [random_splits(y, 1, seed)[0][0] for seed in range(8)]
        everything = [np.arange(n_train)] * 8
        names = {"600": drawn, "all": everything}
        return {k: [(train, validation) for train in v] for k, v in names.items()}
    folds = [StratifiedKFold(5, shuffle=True, random_state=seed) for seed in (0, 1)]
    return {
        "600": random_splits(y, 8, 0) + random_splits(y, 8, 1),
        "1600": list(chain(*(splitter.split(y, y) for splitter in folds))),
    }


def random_splits(y, n, seed):
    splitter = StratifiedShuffleSplit(n, train_size=0.3, random_state=seed)
    return list(splitter.split(y, y))


def main(folder, weights, size, task, *names):
    parts = [load_image_files(Path(folder) / part) for part in ("train", "validation")]
    files, target = (np.concatenate([p[k] for p in parts]) for k in ("data", "target"))
    y = np.unique(target, return_inverse=True)[1]
    laboratory = Laboratory(files, y, weights, int(size))
    sets = all_splits(task, y, len(parts[0].target))
    second = {
        name: np.array([laboratory.second(*split) for split in splits])
        for name, splits in sets.items()
    }
    for name, results in second.items():
        report(f"second approach, {name}", results, results)
    for recipe in names or RECIPES:
        for name, splits in sets.items():
            results = [
                laboratory.third(RECIPES[recipe], *split, seed)
                for seed, split in enumerate(splits)
            ]
            report(f"{recipe}, {name}", np.array(results), second[name])


if __name__ == "__main__":
    main(*sys.argv[1:])
