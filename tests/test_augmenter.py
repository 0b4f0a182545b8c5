"""Tests of ImageAugmenter, with Keras' ImageDataGenerator as the reference."""

import inspect
import pickle
import re
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import ParameterGrid

from skvision._augmenter import ImageAugmenter
from skvision.exceptions import ImageReadError

FILL_MODES = ["nearest", "constant", "reflect", "wrap"]

# The settings of Chollet (2016), the shear of 0.2 rad in degrees as in today's Keras.
CHOLLET_2016 = {
    "rotation_range": 40,
    "width_shift_range": 0.2,
    "height_shift_range": 0.2,
    "shear_range": 11.5,
    "zoom_range": 0.2,
    "horizontal_flip": True,
}
ALL_SETTINGS = {
    **CHOLLET_2016,
    "vertical_flip": True,
    "channel_shift_range": 60.0,
    "brightness_range": (0.3, 1.8),
    "cval": 77.0,
}
# Mean error in grey levels: the rounding of float32, and its effect where brightness is
# truncated to whole levels, where one pixel in 100,000 differs by a level or two.
TOLERANCE = 1e-3

# Keras imports scipy's function from a deprecated namespace.
ignore_keras = pytest.mark.filterwarnings(
    "ignore:Please import `affine_transform`:DeprecationWarning"
)


@pytest.fixture(scope="module")
def keras_generator():
    """Keras' class ImageDataGenerator."""
    import tensorflow as tf

    return tf.keras.preprocessing.image.ImageDataGenerator


def random_images(n, height, width, seed=0):
    """Return noise, the hardest case: neighbouring pixels are independent."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def row(parameters, i):
    """The parameters of image `i`, as accepted by Keras."""
    return {name: values[i] for name, values in parameters.items()}


def apply_keras(generator, images, parameters):
    return np.stack(
        [
            generator.apply_transform(image.astype("float32"), row(parameters, i))
            for i, image in enumerate(images)
        ]
    )


def exchanged(parameters):
    """Exchange `tx` and `ty`: Keras shifts columns by `tx`, we shift rows."""
    shifts = {"tx": parameters.get("ty", 0), "ty": parameters.get("tx", 0)}
    n = len(next(iter(parameters.values())))
    return {**parameters, **{k: np.broadcast_to(v, n) for k, v in shifts.items()}}


def differences(keras_generator, images, parameters, **settings):
    """Mean absolute difference of each square image from that of Keras."""
    generator = keras_generator(**settings)
    expected = apply_keras(generator, images, exchanged(parameters))
    got = ImageAugmenter(**settings).apply(images, parameters)
    return np.abs(got - expected).mean(axis=(1, 2, 3))


class TestEqualsImageDataGenerator:
    pytestmark = ignore_keras

    @pytest.mark.parametrize("fill_mode", FILL_MODES)
    @pytest.mark.parametrize("size", [1, 2, 7, 150])
    def test_all_settings_together(self, keras_generator, fill_mode, size):
        settings = dict(ALL_SETTINGS, fill_mode=fill_mode)
        if size < 150:  # brightness may differ by a level at single points
            del settings["brightness_range"]
        images = random_images(20, size, size)
        parameters = ImageAugmenter(**settings).draw(20, (size, size), random_state=0)
        difference = differences(keras_generator, images, parameters, **settings)
        assert difference.max() < TOLERANCE

    @pytest.mark.parametrize("fill_mode", FILL_MODES)
    @pytest.mark.parametrize(
        "setting",
        [
            {"rotation_range": 180},
            {"width_shift_range": 2.5},
            {"height_shift_range": 2.5},
            {"shear_range": 60},
            {"zoom_range": (0.2, 5.0)},
            {"channel_shift_range": 200.0},
            {"brightness_range": (0.0, 3.0)},
        ],
        ids=lambda setting: next(iter(setting)),
    )
    def test_each_setting_alone(self, keras_generator, fill_mode, setting):
        settings = dict(setting, fill_mode=fill_mode, cval=200)
        images = random_images(10, 31, 31)
        parameters = ImageAugmenter(**settings).draw(10, (31, 31), random_state=2)
        difference = differences(keras_generator, images, parameters, **settings)
        assert difference.max() < TOLERANCE

    @pytest.mark.parametrize("fill_mode", FILL_MODES)
    def test_integer_shifts_fall_on_the_same_side_of_the_border(
        self, keras_generator, fill_mode
    ):
        # Shifts by more than the size of the image: every point is the centre of a
        # pixel, and some points are on the seams of "wrap".
        shifts = np.arange(-40, 41)
        images = random_images(len(shifts), 13, 13)
        parameters = {"tx": shifts, "ty": shifts[::-1]}
        settings = {"fill_mode": fill_mode, "cval": 5}
        difference = differences(keras_generator, images, parameters, **settings)
        assert difference.max() < TOLERANCE

    @pytest.mark.parametrize("size", [(31, 51), (51, 21)])
    def test_images_that_are_not_square(self, keras_generator, size):
        # Cut from the middle of a square image, they have the same centre. Compare
        # points of the cutting that come from points of the cutting.
        settings = dict(CHOLLET_2016, fill_mode="constant", zoom_range=(0.5, 0.9))
        parameters = ImageAugmenter(**settings).draw(20, size, random_state=3)
        (top, left), (height, width) = (np.subtract(51, size) // 2), size
        cut = np.s_[:, top : top + height, left : left + width]
        images, inside = random_images(20, 51, 51), np.zeros((20, 51, 51, 3))
        inside[cut] = 1
        generator = keras_generator(**settings)
        expected = apply_keras(generator, images, exchanged(parameters))[cut]
        is_inside = apply_keras(generator, inside, exchanged(parameters))[cut] == 1
        assert is_inside.mean() > 0.5
        got = ImageAugmenter(**settings).apply(images[cut], parameters)
        assert_allclose(got[is_inside], expected[is_inside], atol=0.05)

    def test_parameters_drawn_by_keras(self, keras_generator):
        settings = dict(ALL_SETTINGS, fill_mode="reflect")
        state = np.random.get_state()
        drawn = [
            keras_generator(**settings).get_random_transform((99, 99, 3), seed=i)
            for i in range(20)
        ]
        np.random.set_state(state)
        parameters = {name: [p[name] for p in drawn] for name in drawn[0]}
        images = random_images(20, 99, 99)
        difference = differences(keras_generator, images, parameters, **settings)
        assert difference.max() < TOLERANCE

    def test_draw_has_the_same_keys(self, keras_generator):
        state = np.random.get_state()
        expected = keras_generator().get_random_transform((5, 5, 3), seed=0)
        np.random.set_state(state)
        assert row(ImageAugmenter().draw(1, (5, 5)), 0) == expected

    def test_same_constructor(self, keras_generator):
        ours = inspect.signature(ImageAugmenter).parameters
        theirs = dict(inspect.signature(keras_generator.__init__).parameters)
        del theirs["self"]
        assert {name: p.default for name, p in ours.items()} == {
            name: theirs.pop(name).default for name in ours
        }
        for name in theirs:  # the error says why it is not needed
            with pytest.raises(TypeError, match=f"^ImageAugmenter: '{name}' .*: .*"):
                ImageAugmenter(**{name: 1, "rotation_range": 40})


class TestApply:
    @pytest.mark.parametrize("fill_mode", FILL_MODES)
    @pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
    def test_identity_returns_the_input(self, fill_mode, dtype):
        images = random_images(3, 15, 22).astype(dtype)
        augmenter = ImageAugmenter(fill_mode=fill_mode)
        result = augmenter.transform(images, random_state=0)
        assert result.dtype == np.float32
        assert_array_equal(result, images)
        assert_array_equal(augmenter.apply(images, {}), images)

    def test_flips_are_exact(self):
        images = random_images(4, 15, 22)
        flips = {
            "flip_horizontal": [False, True, False, True],
            "flip_vertical": [False, False, True, True],
        }
        plain, horizontal, vertical, both = ImageAugmenter().apply(images, flips)
        assert_array_equal(plain, images[0])
        assert_array_equal(horizontal, images[1, :, ::-1])
        assert_array_equal(vertical, images[2, ::-1])
        assert_array_equal(both, images[3, ::-1, ::-1])

    def test_rotation_by_90_degrees(self):
        images = random_images(1, 16, 16)
        result = ImageAugmenter().apply(images, {"theta": 90})[0]
        assert_allclose(result, np.rot90(images[0]), atol=1e-3)

    @pytest.mark.parametrize("size", [(20, 30), (30, 20)])
    @pytest.mark.parametrize("unit", ["fraction", "pixels"])
    def test_shifts_are_along_the_width_and_the_height(self, size, unit):
        images = random_images(1, *size)
        options = {"fill_mode": "constant", "cval": 0}
        for axis, name in enumerate(("height_shift_range", "width_shift_range")):
            shift = 5 if unit == "pixels" else 5 / size[axis]
            augmenter = ImageAugmenter(**{name: [shift]}, **options)
            key = ("tx", "ty")[axis]
            drawn = augmenter.draw(30, size, random_state=0)
            assert set(drawn[key].round(9)) == {-5, 5}
            result = augmenter.apply(images, {key: 5})
            before, after = (np.moveaxis(x[0], axis, 0) for x in (images, result))
            assert_allclose(after[:-5], before[5:], atol=1e-3)
            assert_array_equal(after[-5:], 0)

    @pytest.mark.parametrize("size", [(9, 16), (15, 4), (1, 7), (7, 1)])
    def test_images_turn_about_their_centre(self, size):
        images = random_images(1, *size)
        result = ImageAugmenter().apply(images, {"theta": 180})
        assert_allclose(result, images[:, ::-1, ::-1], atol=0.02)

    def test_single_value_applies_to_all_images(self):
        images = random_images(3, 8, 8)
        augmenter = ImageAugmenter()
        assert_array_equal(
            augmenter.apply(images, {"theta": 10}),
            augmenter.apply(images, {"theta": [10, 10, 10]}),
        )

    def test_values_stay_in_the_range(self):
        images = random_images(50, 20, 20)
        settings = dict(ALL_SETTINGS, fill_mode="constant", cval=255)
        result = ImageAugmenter(**settings).transform(images, random_state=0)
        assert result.min() >= 0
        assert result.max() <= 255

    def test_input_is_unchanged(self):
        images = random_images(3, 8, 8).astype("float32")
        images.flags.writeable = False
        parameters = ImageAugmenter(**ALL_SETTINGS).draw(3, (8, 8), random_state=0)
        for values in parameters.values():
            values.flags.writeable = False
        ImageAugmenter(**ALL_SETTINGS).apply(images, parameters)

    def test_any_memory_layout(self):
        images = random_images(4, 20, 30)
        augmenter = ImageAugmenter(**CHOLLET_2016)
        expected = augmenter.transform(images[::2, ::-1], random_state=0)
        got = augmenter.transform(images[::2, ::-1].copy(), random_state=0)
        assert_array_equal(got, expected)
        assert_array_equal(
            augmenter.transform(list(images[::2, ::-1]), random_state=0), expected
        )


class TestDraw:
    def draw(self, n=4000, image_size=(100, 200), **settings):
        return ImageAugmenter(**settings).draw(n, image_size, random_state=0)

    def check_uniform(self, values, low, high):
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
        assert_allclose(values.mean(), (low + high) / 2, atol=0.03 * (high - low))

    def test_default_settings_give_the_identity(self):
        drawn = self.draw(n=3)
        for name in ("theta", "tx", "ty", "shear"):
            assert_array_equal(drawn[name], 0)
        for name in ("zx", "zy"):
            assert_array_equal(drawn[name], 1)
        for name in ("flip_horizontal", "flip_vertical"):
            assert_array_equal(drawn[name], False)
        for name in ("channel_shift_intensity", "brightness"):
            assert drawn[name].tolist() == [None] * 3

    def test_angles_are_in_degrees_in_both_directions(self):
        drawn = self.draw(rotation_range=40, shear_range=15)
        self.check_uniform(drawn["theta"], -40, 40)
        self.check_uniform(drawn["shear"], -15, 15)

    def test_a_float_below_1_is_a_fraction_of_the_size(self):
        drawn = self.draw(width_shift_range=0.2, height_shift_range=0.1)
        self.check_uniform(drawn["tx"], -0.1 * 100, 0.1 * 100)
        self.check_uniform(drawn["ty"], -0.2 * 200, 0.2 * 200)

    def test_a_float_of_1_or_more_is_in_pixels(self):
        drawn = self.draw(width_shift_range=1.0, height_shift_range=7.5)
        self.check_uniform(drawn["tx"], -7.5, 7.5)
        self.check_uniform(drawn["ty"], -1, 1)

    def test_unsigned_numbers_of_numpy(self):
        settings = {"rotation_range": 40, "shear_range": 15, "channel_shift_range": 30}
        settings |= {"width_shift_range": 3, "zoom_range": 1}
        expected = self.draw(**settings)
        drawn = self.draw(**{k: np.uint8(v) for k, v in settings.items()})
        for name in expected:
            assert_array_equal(drawn[name], expected[name])

    def test_an_int_gives_integer_shifts_below_it(self):
        drawn = self.draw(width_shift_range=3, height_shift_range=1)
        assert set(drawn["ty"]) == {-2, -1, 0, 1, 2}
        assert_array_equal(drawn["tx"], 0)

    @pytest.mark.parametrize("kind", [list, tuple, np.array])
    def test_a_list_is_chosen_from(self, kind):
        drawn = self.draw(
            width_shift_range=kind([5, 10]), height_shift_range=kind([0.1, 0.3])
        )
        assert set(drawn["ty"]) == {-10, -5, 5, 10}
        assert set(drawn["tx"].round(6)) == {-30, -10, 10, 30}
        assert_allclose(np.mean(drawn["ty"] == 5), 0.25, atol=0.03)

    def test_zoom_number_and_pair(self):
        for zoom_range in (0.2, (0.8, 1.2)):
            drawn = self.draw(zoom_range=zoom_range)
            self.check_uniform(drawn["zx"], 0.8, 1.2)
            self.check_uniform(drawn["zy"], 0.8, 1.2)
            assert abs(np.corrcoef(drawn["zx"], drawn["zy"])[0, 1]) < 0.1
        self.check_uniform(self.draw(zoom_range=(1, 3))["zx"], 1, 3)

    def test_brightness_and_channel_shift(self):
        drawn = self.draw(brightness_range=(0.5, 1.5), channel_shift_range=30)
        self.check_uniform(drawn["brightness"], 0.5, 1.5)
        self.check_uniform(drawn["channel_shift_intensity"], -30, 30)

    def test_half_of_the_images_are_flipped(self):
        drawn = self.draw(horizontal_flip=True)
        assert_allclose(drawn["flip_horizontal"].mean(), 0.5, atol=0.03)
        assert not drawn["flip_vertical"].any()

    def test_independent_of_each_other(self):
        drawn = self.draw(**ALL_SETTINGS)
        correlations = np.corrcoef([v.astype(float) for v in drawn.values()])
        assert np.abs(correlations - np.eye(len(drawn))).max() < 0.1

    def test_more_settings_do_not_change_the_others(self):
        drawn = self.draw(n=10, **CHOLLET_2016)
        more = self.draw(n=10, **ALL_SETTINGS)
        for name in ("theta", "tx", "ty", "shear", "zx", "zy", "flip_horizontal"):
            assert_array_equal(more[name], drawn[name])

    def test_fewer_images_get_the_same_first_parameters(self):
        augmenter = ImageAugmenter(**ALL_SETTINGS)
        few = augmenter.draw(3, (50, 50), random_state=7)
        many = augmenter.draw(100, (50, 50), random_state=7)
        for name, values in few.items():
            assert_array_equal(values, many[name][:3])

    def test_seeds_differ_and_a_random_state_advances(self):
        augmenter = ImageAugmenter(rotation_range=40)
        rng = np.random.RandomState(0)
        thetas = [augmenter.draw(1, (5, 5), s)["theta"][0] for s in (0, 1, rng, rng)]
        assert thetas[2] == thetas[0]
        assert len(set(thetas)) == 3


class TestDrawFor:
    augmenter = ImageAugmenter(**ALL_SETTINGS)

    def draw(self, indices, seed=3, epoch=5):
        return self.augmenter.draw_for(indices, (50, 60), seed=seed, epoch=epoch)

    def test_independent_of_the_batch(self):
        everything = self.draw(range(100))
        for indices in ([0], [99], [7, 3, 3, 50], np.arange(40, 60)):
            for name, values in self.draw(indices).items():
                assert_array_equal(values, everything[name][indices], err_msg=name)

    def test_depends_on_seed_and_epoch(self):
        thetas = [
            self.draw([0, 1], seed=seed, epoch=epoch)["theta"]
            for seed in (0, 1, 2**64 - 1)
            for epoch in (0, 1)
        ]
        assert len(np.unique(thetas)) == 12

    def test_large_index_needs_no_memory(self):
        assert self.draw([10**15])["theta"].shape == (1,)

    def test_uniform_distribution(self):
        values = self.draw(range(4000))["theta"]
        assert_allclose([values.min(), values.max()], [-40, 40], atol=0.5)
        assert_allclose(values.mean(), 0, atol=1.5)

    @pytest.mark.parametrize(
        "indices", [[], [[0]], [0.5], [-1, 0]], ids=["empty", "2-D", "float", "below 0"]
    )
    def test_invalid_indices(self, indices):
        with pytest.raises(ValueError, match="indices must be a non-empty 1-D"):
            self.draw(indices)

    @pytest.mark.parametrize("name", ["seed", "epoch"])
    @pytest.mark.parametrize("value", [-1, 2**64, 0.5, None])
    def test_invalid_seed_and_epoch(self, name, value):
        with pytest.raises(ValueError, match=f"{name} must be an int from 0"):
            self.draw([0], **{name: value})


class TestRandomState:
    def test_independent_of_batch_size(self):
        augmenter = ImageAugmenter(**ALL_SETTINGS)
        images = random_images(7, 20, 20)
        whole = augmenter.transform(images, random_state=0)
        assert_array_equal(augmenter.transform(images[:3], random_state=0), whole[:3])
        parameters = augmenter.draw(7, (20, 20), random_state=0)
        one_by_one = [
            augmenter.apply(images[[i]], row(parameters, i))[0] for i in range(7)
        ]
        assert_array_equal(one_by_one, whole)

    def test_independent_of_threads(self):
        augmenter = ImageAugmenter(**ALL_SETTINGS)
        images = random_images(8, 60, 60)
        expected = augmenter.transform(images, random_state=0)
        results = [None] * 4

        def work(i):
            results[i] = augmenter.transform(images, random_state=0)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            assert_array_equal(result, expected)

    def test_global_state_is_unchanged(self, paths):
        augmenter = ImageAugmenter(**ALL_SETTINGS)
        before = np.random.get_state()
        augmenter.transform(random_images(2, 8, 8), random_state=0)
        augmenter.draw_for([0, 1], (8, 8), seed=0, epoch=0)
        augmenter.preview(paths[0], n_images=1, random_state=0)
        after = np.random.get_state()
        assert_array_equal(after[1], before[1])
        assert after[2:] == before[2:]

    def test_none_draws_anew(self):
        images = random_images(1, 8, 8)
        augmenter = ImageAugmenter(rotation_range=90)
        first, second = (augmenter.transform(images) for _ in range(2))
        assert np.abs(first - second).max() > 0


class TestEstimator:
    def test_clone_and_pickle(self):
        augmenter = ImageAugmenter(**ALL_SETTINGS)
        for copy in (clone(augmenter), pickle.loads(pickle.dumps(augmenter))):
            assert copy.get_params() == augmenter.get_params()
            assert copy.get_params()["rotation_range"] == 40

    def test_nested_in_a_grid(self):
        class Classifier(BaseEstimator):
            def __init__(self, augmenter=None):
                self.augmenter = augmenter

        classifier = Classifier(ImageAugmenter(rotation_range=40))
        for candidate in ParameterGrid({"augmenter__zoom_range": [0.2, (0.5, 2.0)]}):
            augmenter = clone(classifier).set_params(**candidate).augmenter
            assert augmenter.zoom_range == candidate["augmenter__zoom_range"]
            assert augmenter.rotation_range == 40
        assert classifier.augmenter.zoom_range == 0.0

    def test_constructor_does_not_validate_and_is_keyword_only(self):
        assert ImageAugmenter(fill_mode="mirror").fill_mode == "mirror"
        with pytest.raises(TypeError, match="positional"):
            ImageAugmenter(40)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("rotation_range", -1),
            ("rotation_range", None),
            ("width_shift_range", -0.2),
            ("height_shift_range", "0.2"),
            ("brightness_range", 0.5),
            ("shear_range", np.nan),
            ("zoom_range", 1.5),
            ("zoom_range", "0.2"),
            ("channel_shift_range", -1),
            ("fill_mode", "mirror"),
            ("cval", 256),
            ("horizontal_flip", "yes"),
            ("vertical_flip", 2),
        ],
    )
    def test_invalid_setting(self, name, value):
        augmenter = ImageAugmenter(**{name: value})
        images = random_images(1, 8, 8)
        message = f"The '{name}' parameter of ImageAugmenter must be"
        with pytest.raises(ValueError, match=message):
            augmenter.draw(1, (8, 8))
        with pytest.raises(ValueError, match=message):
            augmenter.apply(images, {})
        with pytest.raises(ValueError, match=message):
            augmenter.transform(images)

    @pytest.mark.parametrize("name", ["zoom_range", "brightness_range"])
    @pytest.mark.parametrize(
        "value", [(1.2, 0.8), (-0.5, 1), (1,), (1, 2, 3)], ids=repr
    )
    def test_invalid_pair(self, name, value):
        augmenter = ImageAugmenter(**{name: value})
        message = rf"'{name}' .* must be a pair .* Got {re.escape(repr(value))} instead"
        with pytest.raises(ValueError, match=message):
            augmenter.draw(1, (8, 8))

    @pytest.mark.parametrize(
        "name",
        ["zoom_range", "brightness_range", "width_shift_range", "height_shift_range"],
    )
    @pytest.mark.parametrize(
        "value", [[], [[1, 2]], ["a", "b"], [1, np.inf], [None, 1]], ids=repr
    )
    def test_invalid_list(self, name, value):
        augmenter = ImageAugmenter(**{name: value})
        with pytest.raises(
            ValueError, match=f"'{name}' .* 1-D and contain only finite"
        ):
            augmenter.draw(1, (8, 8))


class TestInvalidInput:
    @pytest.mark.parametrize(
        ("shape", "hint"),
        [
            ((5, 8, 8), r"for grey images, pass np.stack\(\[images\] \* 3, axis=-1\)"),
            ((5, 8, 8, 1), r"for grey images, pass np.repeat\(images, 3, axis=3\)"),
            ((8, 8, 3), r"for a single image, pass images\[np.newaxis\]"),
            ((5, 8, 8, 4), r"drop the alpha channel, images\[..., :3\]"),
            ((8, 8), r"Got shape \(8, 8\) and dtype uint8\."),
            ((0, 8, 8, 3), r"Got shape \(0, 8, 8, 3\) and dtype uint8\."),
        ],
    )
    def test_shape(self, shape, hint):
        images = np.zeros(shape, dtype=np.uint8)
        message = rf"images must be .* \(n_images, height, width, 3\).* {hint}"
        for call in (
            ImageAugmenter().transform,
            lambda images: ImageAugmenter().apply(images, {}),
        ):
            with pytest.raises(ValueError, match=message):
                call(images)

    @pytest.mark.parametrize("dtype", ["int64", "bool", "object", "complex64"])
    def test_dtype(self, dtype):
        with pytest.raises(ValueError, match=f"uint8 or float .* dtype {dtype}"):
            ImageAugmenter().transform(np.zeros((2, 8, 8, 3), dtype=dtype))

    @pytest.mark.parametrize("value", [-1, 256, np.nan, np.inf])
    def test_values(self, value):
        images = np.zeros((2, 8, 8, 3))
        images[1, 2, 3, 0] = value
        with pytest.raises(ValueError, match=r"values from 0 to 255.* Got values"):
            ImageAugmenter().transform(images)

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_values_scaled_to_1(self, dtype):
        images = (random_images(2, 8, 8) / 255).astype(dtype)
        augmenter = ImageAugmenter(brightness_range=(1, 1))
        for scaled in (images, images * 1.2):
            with pytest.raises(ValueError, match=r"scaled to 0 to 1: pass 255"):
                augmenter.transform(scaled, random_state=0)
            with pytest.raises(ValueError, match="dark as that, pass them as uint8"):
                augmenter.apply(scaled, {})

    def test_dark_images(self):
        black = np.zeros((2, 8, 8, 3), dtype=np.float32)
        dark = (random_images(2, 8, 8) % 2).astype(np.uint8)
        mixed = black.copy()
        mixed[1] = 2
        for images in (black, dark, mixed):
            assert_array_equal(ImageAugmenter().transform(images), images)

    def test_images_of_different_sizes(self):
        images = [np.zeros((8, 8, 3)), np.zeros((9, 8, 3))]
        with pytest.raises(ValueError, match=r"images must be .* inhomogeneous"):
            ImageAugmenter().transform(images)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"angle": [1, 2]}, r"unknown keys \['angle'\]. Valid keys: \['theta'"),
            ({"theta": [1, 2, 3]}, r"\['theta'\] must .* 2 images. Got .* \(3,\)"),
            ({"zx": [1, np.nan]}, r"\['zx'\] must be finite"),
            ({"flip_vertical": [True, None]}, r"\['flip_vertical'\] must be finite"),
            ({"brightness": [1, np.inf]}, r"\['brightness'\] must be finite"),
            ({"theta": ["a", "b"]}, r"\['theta'\] must be numeric"),
        ],
    )
    def test_parameters(self, parameters, message):
        with pytest.raises(ValueError, match=message):
            ImageAugmenter().apply(random_images(2, 8, 8), parameters)

    @pytest.mark.parametrize("n_images", [0, -1, 2.5, None])
    def test_n_images(self, n_images):
        with pytest.raises(ValueError, match="n_images must be a positive int"):
            ImageAugmenter().draw(n_images, (8, 8))

    @pytest.mark.parametrize("image_size", [8, (8,), (0, 8), (8.0, 8), (8, 8, 3)])
    def test_image_size(self, image_size):
        with pytest.raises(ValueError, match="'image_size' parameter must be a pair"):
            ImageAugmenter().draw(1, image_size)
        with pytest.raises(ValueError, match="'image_size' parameter must be a pair"):
            ImageAugmenter().draw_for([0], image_size, seed=0, epoch=0)


class TestPreview:
    augmenter = ImageAugmenter(**CHOLLET_2016)

    @pytest.mark.parametrize("save_format", ["png", "jpeg", "jpg"])
    def test_writes_what_it_returns(self, paths, tmp_path, save_format):
        folder = tmp_path / "new" / "preview"
        images = self.augmenter.preview(
            paths[0],
            save_to_dir=folder,
            save_prefix="cat",
            save_format=save_format,
            random_state=0,
        )
        assert images.shape == (20, 40, 36, 3)
        assert images.dtype == np.uint8
        names = [f"cat_{i:04d}.{save_format}" for i in range(20)]
        assert sorted(file.name for file in folder.iterdir()) == names
        for image, name in zip(images, names, strict=True):
            with Image.open(folder / name) as file:
                assert file.format == ("PNG" if save_format == "png" else "JPEG")
                assert file.size == (36, 40)
                if save_format == "png":
                    assert_array_equal(np.asarray(file), image)

    def test_equals_transform(self, paths, pixels):
        got = self.augmenter.preview(paths[0], n_images=3, random_state=0)
        expected = self.augmenter.transform(pixels[[0, 0, 0]], random_state=0)
        assert_array_equal(got, expected.round())
        assert len(np.unique(got, axis=0)) == 3

    def test_writes_nothing_by_default(self, paths, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        self.augmenter.preview(paths[0], n_images=1)
        assert sorted(tmp_path.rglob("*")) == before

    def test_image_size(self, paths):
        images = self.augmenter.preview(paths[0], n_images=2, image_size=(20, 30))
        assert images.shape == (2, 20, 30, 3)
        with pytest.raises(ValueError, match="'image_size' parameter must be a pair"):
            self.augmenter.preview(paths[0], image_size=20)

    def test_size_of_a_photo_with_exif_orientation(self, pixels, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6  # to be rotated by 90 degrees
        path = tmp_path / "turned.png"
        Image.fromarray(pixels[0]).save(path, exif=exif)
        got = ImageAugmenter().preview(path, n_images=1)[0]
        assert_array_equal(got, np.rot90(pixels[0], -1))

    @pytest.mark.parametrize("last_one_only", [True, False])
    def test_never_overwrites(self, paths, tmp_path, last_one_only):
        def preview(seed):
            self.augmenter.preview(paths[0], 3, tmp_path, random_state=seed)

        preview(0)
        if last_one_only:
            for i in range(2):
                (tmp_path / f"image_{i:04d}.png").unlink()
        before = {file: file.read_bytes() for file in tmp_path.glob("*.png")}
        with pytest.raises(FileExistsError, match=r"image_000\d.png' already exists"):
            preview(1)
        after = {file: file.read_bytes() for file in tmp_path.glob("*.png")}
        assert after == before

    def test_file_created_meanwhile_is_not_overwritten(
        self, paths, tmp_path, monkeypatch
    ):
        def transform_slowly(images, *args):
            (tmp_path / "image_0000.png").write_text("somebody's")
            return images.astype("float32")

        monkeypatch.setattr("skvision._augmenter.transform_images", transform_slowly)
        with pytest.raises(FileExistsError, match=r"image_0000.png"):
            self.augmenter.preview(paths[0], 1, tmp_path)
        assert (tmp_path / "image_0000.png").read_text() == "somebody's"

    def test_other_prefixes_share_a_folder(self, paths, tmp_path):
        for prefix in ("a", "b"):
            self.augmenter.preview(paths[0], 3, tmp_path, save_prefix=prefix)
        assert len(list(tmp_path.glob("*.png"))) == 6

    def test_unreadable_file(self, tmp_path):
        (tmp_path / "text.png").write_text("not an image")
        with pytest.raises(ImageReadError, match=r"text.png.* not a complete image"):
            self.augmenter.preview(tmp_path / "text.png")
        with pytest.raises(ImageReadError, match=r"missing.png.*No such file"):
            self.augmenter.preview(tmp_path / "missing.png")

    def test_invalid_names(self, paths, tmp_path):
        with pytest.raises(ValueError, match=r"save_format must be one of .*'png'"):
            self.augmenter.preview(paths[0], 1, tmp_path, save_format="gif")
        for prefix in ("a/b", None):
            with pytest.raises(ValueError, match="save_prefix must be the beginning"):
                self.augmenter.preview(paths[0], 1, tmp_path, save_prefix=prefix)
        with pytest.raises(TypeError, match=r"save_to_dir must be a path .*got 3"):
            self.augmenter.preview(paths[0], 1, 3)
        with pytest.raises(ValueError, match="n_images must be a positive int"):
            self.augmenter.preview(paths[0], 0, tmp_path)
