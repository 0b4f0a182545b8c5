"""Searches and feature extraction on Dask and Ray, with two local workers."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skvision import (
    ImageAugmenter,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    distributed = pytest.importorskip("distributed", reason="needs dask.distributed")
    import dask

    folder = str(tmp_path_factory.mktemp("dask"))
    with (
        dask.config.set({"distributed.worker.daemon": False}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            local_directory=folder,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def ray_backend():
    ray = pytest.importorskip("ray", reason="needs ray")
    from joblib.pool import PicklingPool
    from ray.util.joblib import register_ray

    bases = PicklingPool.__bases__  # Ray's backend replaces them
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # do not write a token to HOME
        ray.init(num_cpus=2, include_dashboard=False)
        register_ray()
        yield "ray"
        ray.shutdown()
    PicklingPool.__bases__ = bases


def search(estimator, grid):
    return GridSearchCV(estimator, grid, cv=2, n_jobs=2, scoring="neg_log_loss")


SEARCHES = {
    "convnet": search(
        ScratchCNNClassifier(
            image_size=(24, 24),
            filters=(8,),
            dense_units=8,
            augmenter=ImageAugmenter(),
            epochs=2,
            random_state=0,
        ),
        {"dropout": [0.0, 0.5], "augmenter__rotation_range": [0, 30]},
    ),
    "features": search(
        make_pipeline(
            VGG16BottleneckTransformer(weights=None, image_size=(32, 32)),
            LogisticRegression(),
        ),
        {
            "vgg16bottlenecktransformer__layer": ["block1_pool", "block2_pool"],
            "logisticregression__C": [0.1, 10],
        },
    ),
}


def check_same_search(name, X, backends):
    y = np.tile(["ant", "bee"], 12)
    expected = clone(SEARCHES[name]).set_params(n_jobs=1).fit(X, y)
    for backend in backends:
        fitted = clone(SEARCHES[name])
        with joblib.parallel_config(backend=backend):
            fitted.fit(X, y)
        assert fitted.best_params_ == expected.best_params_
        # A worker has fewer threads, which sum gradients in another order.
        assert_allclose(
            fitted.cv_results_["mean_test_score"],
            expected.cv_results_["mean_test_score"],
            rtol=1e-3,
        )


@pytest.mark.parametrize("name", list(SEARCHES))
@pytest.mark.parametrize("form", ["paths", "pixels"])
def test_same_search_on_all_backends(client, paths, pixels, name, form):
    X = paths if form == "paths" else pixels
    check_same_search(name, X, ["loky", "threading", "dask"])


@pytest.mark.parametrize("name", list(SEARCHES))
def test_same_search_on_ray(ray_backend, paths, name):
    check_same_search(name, paths, [ray_backend])


def extract(transformer, paths):
    return transformer.transform(paths)


def test_extraction_in_partitions(client, paths):
    transformer = VGG16BottleneckTransformer(weights=None, image_size=(32, 32))
    parts = [paths[start : start + 8] for start in range(0, 24, 8)]
    futures = client.map(extract, [transformer] * 3, parts)
    features = np.concatenate(client.gather(futures))
    assert_allclose(features, transformer.transform(paths), rtol=1e-4, atol=1e-5)


def memory_per_transformer(paths):
    """Memory, in MB, of each further transformer with the same weights."""
    import psutil

    process = psutil.Process()
    options = {"weights": None, "image_size": (32, 32)}
    VGG16BottleneckTransformer(**options).transform(paths)
    before = process.memory_info().rss
    transformers = [VGG16BottleneckTransformer(**options) for _ in range(5)]
    for transformer in transformers:
        transformer.transform(paths)
    return (process.memory_info().rss - before) / 5 / 2**20


def test_weights_are_shared_within_a_worker(client, paths):
    pytest.importorskip("psutil")
    growth = client.submit(memory_per_transformer, paths, pure=False).result()
    print(f"\nmemory of another transformer: {growth:.1f} MB")
    assert growth <= 20
