"""Composition with scikit-learn: pipelines, searches, ensembles and containers."""

import pickle

import joblib
import numpy as np
import pytest
import sklearn
from _optional import pd, pl
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import uniform
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
    permutation_test_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    Normalizer,
    StandardScaler,
)

from skvision import (
    DenseHeadClassifier,
    FineTunedVGGClassifier,
    ImageAugmenter,
    ScratchCNNClassifier,
    VGG16BottleneckTransformer,
)

CLASSES = np.array(["ant", "bee", "cow"])
# Fewer threads sum the gradients of filters in another order.
RTOL_OF_THREADS = 1e-3


def vgg(**parameters):
    defaults = {"weights": None, "image_size": (32, 32), "layer": "block2_pool"}
    return VGG16BottleneckTransformer(**defaults | {"pooling": "avg"} | parameters)


def head(**parameters):
    defaults = {"hidden_units": (8,), "epochs": 2, "random_state": 0}
    return DenseHeadClassifier(**defaults | parameters)


def cnn(**parameters):
    defaults = {"image_size": (24, 24), "filters": (8,), "dense_units": 8}
    return ScratchCNNClassifier(
        **defaults | {"epochs": 2, "random_state": 0} | parameters
    )


@pytest.fixture(scope="module")
def pixels():
    """36 images of three classes, with a different colour for each class."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 80, (36, 28, 30, 3), dtype=np.uint8)
    for i, image in enumerate(X):
        image[..., i % 3] += 150
    return X


@pytest.fixture(scope="module")
def paths(pixels, tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("images")
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{i:02}.png")
    return np.array(sorted(map(str, folder.iterdir())))


@pytest.fixture(scope="module")
def y():
    return CLASSES[np.arange(36) % 3]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


# Pipelines


def test_pipeline_with_memory(paths, y, tmp_path):
    expected = make_pipeline(vgg(), LogisticRegression()).fit(paths, y)
    for _ in "first", "from memory":
        model = make_pipeline(vgg(), LogisticRegression(), memory=str(tmp_path))
        assert_array_equal(
            model.fit(paths, y).predict_proba(paths), expected.predict_proba(paths)
        )


def test_column_transformer_with_images_and_numbers(paths, y):
    table = pd.DataFrame({"image": paths, "weight": np.arange(36.0), "no": 0})
    columns = ColumnTransformer(
        [("img", vgg(), ["image"]), ("tab", StandardScaler(), ["weight"])]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(table, y)
    assert columns.fit_transform(table).shape == (36, 129)
    assert model.predict(table.sample(frac=1, random_state=0)).shape == (36,)
    names = model[0].get_feature_names_out()
    assert names[0].startswith("img__vgg16")
    assert names[-1] == "tab__weight"
    as_polars = pl.DataFrame({name: table[name].tolist() for name in table})
    assert_allclose(columns.fit_transform(as_polars), columns.fit_transform(table))


def test_feature_union_of_two_layers(paths, y):
    union = make_union(vgg(), vgg(layer="block1_pool", pooling="max"))
    model = make_pipeline(union, MinMaxScaler(), head()).fit(paths, y)
    features = union.transform(paths)
    assert features.shape == (36, 128 + 64)
    assert_array_equal(features[:, :128], vgg().transform(paths))
    assert model.predict_proba(paths).shape == (36, 3)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_output_containers(paths, y, container):
    pytest.importorskip(container, reason=f"needs {container}")
    model = make_pipeline(vgg(), StandardScaler(), head())
    expected = clone(model).fit(paths, y).predict_proba(paths)
    with sklearn.config_context(transform_output=container):
        proba = model.fit(paths, y).predict_proba(paths)
        frame = model[:-1].transform(paths)
        assert type(frame).__module__.startswith(container)
        assert list(frame.columns) == list(model[0].get_feature_names_out())
        # The memory layout changes the summation order in the scaler.
        assert_allclose(proba, expected, rtol=1e-5)
        assert list(model[-1].feature_names_in_) == list(frame.columns)


@pytest.mark.parametrize(
    "estimator",
    [vgg(), head(), cnn(augmenter=ImageAugmenter()), FineTunedVGGClassifier()],
    ids=lambda e: type(e).__name__,
)
def test_html(estimator):
    name = type(estimator).__name__
    assert name in estimator._repr_html_()
    pipeline = make_pipeline(vgg(layer="block1_pool"), estimator)
    html = pipeline._repr_html_()
    assert name in html
    assert "block1_pool" in html


# Ensembles and other meta-estimators


@pytest.mark.parametrize(
    "meta",
    [
        lambda e: CalibratedClassifierCV(e, cv=2),
        lambda e: VotingClassifier([("a", e), ("b", clone(e))], voting="soft"),
        lambda e: StackingClassifier([("a", e)], LogisticRegression(), cv=2),
        lambda e: BaggingClassifier(e, n_estimators=2, random_state=0),
        OneVsRestClassifier,
    ],
    ids=["calibrated", "voting", "stacking", "bagging", "rest"],
)
@pytest.mark.parametrize(
    "kind", ["features", pytest.param("convnet", marks=pytest.mark.slow)]
)
def test_meta_estimators(paths, pixels, y, meta, kind):
    estimator = make_pipeline(vgg(), head()) if kind == "features" else cnn()
    meta = meta(estimator)
    # Bagging converts X to a 2D array; the others pass it on unchanged.
    X = paths
    if isinstance(meta, BaggingClassifier):
        X = pd.DataFrame({"path": paths})
    predicted = meta.fit(X, y).predict(X)
    assert set(predicted) <= set(CLASSES)
    assert_array_equal(pickle.loads(pickle.dumps(meta)).predict(X), predicted)
    assert_array_equal(clone(meta).fit(X, y).predict(X), predicted)


def test_frozen_features_and_network(paths, y):
    fitted = make_pipeline(vgg(), head()).fit(paths, y)
    frozen = CalibratedClassifierCV(FrozenEstimator(fitted), method="sigmoid")
    weights = [w.copy() for w in fitted[-1]._weights]
    assert frozen.fit(paths, y).predict_proba(paths).shape == (36, 3)
    for before, after in zip(weights, fitted[-1]._weights, strict=True):
        assert_array_equal(before, after)


# Cross-validation and searches


def test_estimators_of_cross_validate_match_cross_val_predict(paths, y):
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    result = cross_validate(cnn(), paths, y, cv=folds, return_estimator=True)
    predicted = cross_val_predict(cnn(), paths, y, cv=folds)
    for (_, test), estimator, score in zip(
        folds.split(paths, y),
        result["estimator"],
        result["test_score"],
        strict=True,
    ):
        assert_array_equal(estimator.predict(paths[test]), predicted[test])
        assert estimator.score(paths[test], y[test]) == score


def test_order_of_the_folds_does_not_matter(paths, y, cache_dir):
    model = make_pipeline(vgg(cache_dir=cache_dir), head())
    folds = list(KFold(3, shuffle=True, random_state=0).split(paths))
    one = cross_validate(model, paths, y, cv=folds)["test_score"]
    other = cross_validate(model, paths, y, cv=folds[::-1])["test_score"]
    assert_array_equal(one, other[::-1])


@pytest.mark.slow
def test_permutation_test(paths, y, cache_dir):
    model = make_pipeline(vgg(cache_dir=cache_dir), StandardScaler(), head(epochs=10))
    score, permuted, _ = permutation_test_score(
        model, paths, y, n_permutations=5, cv=2, random_state=0
    )
    assert score > permuted.max()


@pytest.mark.slow
def test_halving_search(paths, y):
    search = HalvingGridSearchCV(
        cnn(),
        {"dropout": [0.0, 0.5], "l2": [0.0, 0.1]},
        resource="epochs",
        min_resources=1,
        max_resources=4,
        factor=2,
        cv=2,
        random_state=0,
    ).fit(paths, y)
    assert search.n_resources_ == [1, 2, 4]
    assert search.best_estimator_.n_iter_ == 4


def test_randomized_search(paths, y, cache_dir):
    search = RandomizedSearchCV(
        make_pipeline(vgg(cache_dir=cache_dir), head()),
        {
            "vgg16bottlenecktransformer__layer": ["block1_pool", "block2_pool"],
            "denseheadclassifier__dropout": uniform(0, 0.8),
        },
        n_iter=4,
        cv=2,
        random_state=0,
    ).fit(paths, y)
    assert search.predict(paths).shape == (36,)


def test_candidates_that_fail_get_the_error_score(paths, y):
    search = GridSearchCV(
        cnn(), {"learning_rate": [1e-3, 1e30]}, cv=2, error_score=-1.0
    )
    with pytest.warns(FitFailedWarning, match="diverged"):
        search.fit(paths, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] > -1
    assert scores[1] == -1
    assert search.best_params_ == {"learning_rate": 1e-3}


def test_early_stopping_inside_a_search(paths, y):
    search = GridSearchCV(
        cnn(epochs=6, early_stopping=True, n_iter_no_change=2, validation_fraction=0.3),
        {"dropout": [0.0, 0.5]},
        cv=2,
    ).fit(paths, y)
    best = search.best_estimator_
    assert best.best_epoch_ <= best.n_iter_ <= 6
    # The validation set is split from the training folds, not from the test fold.
    assert len(best.validation_scores_) == best.n_iter_


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_search_in_workers(paths, y, backend):
    grid = {"dropout": [0.0, 0.5], "augmenter__rotation_range": [0, 30]}
    search = GridSearchCV(
        cnn(augmenter=ImageAugmenter()), grid, cv=2, n_jobs=2, scoring="neg_log_loss"
    )
    expected = clone(search).set_params(n_jobs=1).fit(paths, y)
    with joblib.parallel_backend(backend):
        search.fit(paths, y)
    assert search.best_params_ == expected.best_params_
    for name in "split0_test_score", "split1_test_score":
        assert_allclose(
            search.cv_results_[name], expected.cv_results_[name], rtol=RTOL_OF_THREADS
        )
    # Both were refitted in this process.
    assert_array_equal(search.predict_proba(paths), expected.predict_proba(paths))


def test_metadata_routing(paths, y, cache_dir):
    weight = np.where(y == "cow", 0.0, 1.0)
    folds = KFold(2, shuffle=True, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = head().set_fit_request(sample_weight=True)
        scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
        model = make_pipeline(vgg(cache_dir=cache_dir), classifier)
        result = cross_validate(
            model,
            paths,
            y,
            params={"sample_weight": weight},
            cv=folds,
            scoring=scorer,
            return_estimator=True,
            error_score="raise",
        )
        features = vgg().transform(paths)
        for fitted, (train, _) in zip(
            result["estimator"], folds.split(paths), strict=True
        ):
            weighted = head().fit(
                features[train], y[train], sample_weight=weight[train]
            )
            assert_array_equal(
                fitted.predict_proba(paths), weighted.predict_proba(features)
            )
        validated = make_pipeline(
            vgg(cache_dir=cache_dir),
            head(early_stopping=True).set_fit_request(X_val=True, y_val=True),
            transform_input=["X_val"],
        )
        validated.fit(paths, y, X_val=paths[:6], y_val=y[:6])
    assert len(validated[-1].validation_scores_) == validated[-1].n_iter_


# Random pipelines


def random_pipeline(rng, cache_dir):
    """A random but plausible combination of steps."""

    def pick(*options):
        return options[rng.integers(len(options))]

    def features():
        return vgg(
            layer=pick("block1_pool", "block2_conv1", "block2_pool"),
            pooling=pick("avg", "max"),
            preprocessing=pick("imagenet", "rescale"),
            flip_average=pick(False, True),
            dtype=pick("float32", "float16"),
            cache_dir=pick(None, cache_dir),
        )

    if rng.random() < 0.2:
        augmenter = pick(None, ImageAugmenter(rotation_range=20, horizontal_flip=True))
        options = {
            "augmenter": augmenter,
            "dropout": pick(0.0, 0.5),
            "l2": pick(0, 1e-3),
        }
        network = cnn(epochs=1, batch_size=pick(8, 16), **options)
        return pick(network, make_pipeline("passthrough", network))
    extract = pick(features(), FeatureUnion([("a", features()), ("b", features())]))
    between = [
        pick(StandardScaler(), MinMaxScaler(), Normalizer(), "passthrough"),
        pick(
            PCA(5, random_state=0),
            SelectKBest(k=10),
            FunctionTransformer(np.abs),
            "passthrough",
        ),
    ]
    classifier = pick(
        head(epochs=1, hidden_units=pick((), (8,), (8, 4)), class_weight="balanced"),
        LogisticRegression(max_iter=200),
        RandomForestClassifier(n_estimators=5, random_state=0),
        KNeighborsClassifier(3),
        VotingClassifier([("a", head(epochs=1)), ("b", KNeighborsClassifier())]),
        CalibratedClassifierCV(head(epochs=1), cv=2),
        OneVsRestClassifier(head(epochs=1)),
    )
    return make_pipeline(extract, *between, classifier)


@pytest.mark.parametrize(
    "seeds",
    [range(2), pytest.param(range(2, 50), marks=pytest.mark.slow)],
    ids=["2", "48"],
)
@pytest.mark.filterwarnings("ignore:Features:UserWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_random_pipelines(paths, pixels, y, cache_dir, seeds):
    """Clones, pickles and images in memory give the same predictions."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        model = random_pipeline(rng, cache_dir)
        order = rng.permutation(36)
        X, images, labels = paths[order], pixels[order], y[order]
        predicted = model.fit(X, labels).predict(X)
        message = f"seed {seed}: {model}"
        again = clone(model).fit(X, labels)
        assert_array_equal(again.predict(X), predicted, message)
        loaded = pickle.loads(pickle.dumps(model))
        assert_array_equal(loaded.predict(X), predicted, message)
        assert_array_equal(model.predict(X[:5]), predicted[:5], message)
        assert_array_equal(model.predict(images), predicted, message)
        assert repr(clone(model)) == repr(model)
