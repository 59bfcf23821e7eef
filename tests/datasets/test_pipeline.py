import sys
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from keras_proxygml import RetrievalEvaluation
from keras_proxygml.datasets import ImageFiles, bgr_means, evaluation_batches, training_batches
from keras_proxygml.datasets.pixels import TRIES, random_window

pytestmark = pytest.mark.tensorflow


def photo(width, height, seed=0):
    """Soft shapes in colour with some grain, as photographs have."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (height // 8, width // 8, 3), "uint8"))
    soft = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), int)
    grainy = soft + random.integers(-8, 9, (height, width, 1))
    return Image.fromarray(np.clip(grainy, 0, 255).astype("uint8"))


def ramps():
    """Red tells the column, green the row, without loss: a crop can be read off its pixels."""
    rows, columns = np.mgrid[:240, :240].astype("uint8")
    return Image.fromarray(np.stack([columns, rows, np.zeros_like(rows)], 2))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Twelve photographs, three of each class."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{number}.jpg" for number in range(12)]
    for number, path in enumerate(paths):
        photo(60, 45, number).save(path)
    return ImageFiles(paths, np.arange(12) // 3, "abcd")


def single(path, image=None, copies=1, **options):
    """Files that are one image so many times."""
    if image is not None:
        image.save(path, **options)
    return ImageFiles([path] * copies, np.zeros(copies), ["x"])


def read(dataset):
    """All images and labels, in the order they come in."""
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def pil_central_crop(image, image_size, shorter_side):
    """What torchvision's Resize and CenterCrop do to a PIL image."""
    width, height = image.size
    shorter = min(width, height)
    size = int(shorter_side * width / shorter), int(shorter_side * height / shorter)
    resized = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (round((side - image_size) / 2) for side in size)
    return np.asarray(resized.crop((left, top, left + image_size, top + image_size)), "float32")


def pixels_of(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def check_equal_to_pil(files, images, image_size, shorter_side):
    for path, image in zip(files.paths, images, strict=True):
        expected = pil_central_crop(pixels_of(path), image_size, shorter_side)
        # PIL rounds twice. The conversion of CMYK is no standard.
        tolerance = 6 if "cmyk" in path else 1.1
        assert np.abs(image - expected).max() <= tolerance, path
        assert np.abs(image - expected).mean() < 0.4, path


def test_evaluation_equals_pil(tmp_path):
    sizes = [(500, 375), (334, 500), (600, 601), (90, 120), (256, 256), (130, 700)]
    paths = [tmp_path / f"{width}.jpg" for width, _ in sizes]
    for path, size in zip(paths, sizes, strict=True):
        photo(*size).save(path, quality=92)
    files = ImageFiles(paths, range(6), "abcdef")
    images, labels = read(evaluation_batches(files))
    assert (images.shape, images.dtype, labels.dtype) == ((6, 224, 224, 3), "float32", "int32")
    check_equal_to_pil(files, images, 224, 256)


@pytest.mark.parametrize(("image_size", "shorter_side"), [(64, 64), (128, 146), (127, 200)])
def test_evaluation_of_another_size_equals_pil(tmp_path, image_size, shorter_side):
    files = single(tmp_path / "a.png", photo(300, 200))
    images, _ = read(evaluation_batches(files, image_size=image_size, shorter_side=shorter_side))
    check_equal_to_pil(files, images, image_size, shorter_side)


def test_shorter_side_keeps_the_official_proportion(files):
    default, _ = read(evaluation_batches(files, image_size=112))
    given, _ = read(evaluation_batches(files, image_size=112, shorter_side=128))  # as 256 to 224
    np.testing.assert_array_equal(default, given)


def test_kinds_of_images_are_read_as_pil_reads_them(tmp_path):
    kinds = {
        "grey.jpg": ("L", {}),
        "cmyk.jpg": ("CMYK", {}),
        "progressive.jpg": ("RGB", {"progressive": True}),
        "png_inside.jpg": ("RGB", {"format": "PNG"}),
        "grey.png": ("L", {}),
        "alpha.png": ("RGBA", {}),
        "palette.png": ("P", {}),
        "bitmap.bmp": ("RGB", {}),
        "palette.gif": ("P", {}),
    }
    for name, (mode, options) in kinds.items():
        photo(80, 64).convert(mode).save(tmp_path / name, **options)
    files = ImageFiles([tmp_path / name for name in kinds], range(len(kinds)), kinds)
    images, _ = read(evaluation_batches(files, image_size=48, shorter_side=64, on_error="raise"))
    check_equal_to_pil(files, images, 48, 64)
    cropped, _ = read(training_batches(files, image_size=32, on_error="raise"))
    assert cropped.shape == (len(kinds), 32, 32, 3)


@pytest.mark.parametrize(
    ("side", "largest", "mean"), [(40, 1.1, 0.4), (300, 1.1, 0.4), (90, 40, 3)]
)
def test_training_resizes_as_pil_but_for_antialiasing_within_a_factor_of_two(
    tmp_path, side, largest, mean
):
    files = single(tmp_path / "a.png", photo(side, side))
    whole = training_batches(files, image_size=64, area=(1, 1), aspect=(1, 1), flip=False)
    resized = pixels_of(files.paths[0]).resize((64, 64), Image.Resampling.BILINEAR)
    difference = np.abs(read(whole)[0][0] - np.asarray(resized, "float32"))
    assert difference.max() <= largest
    assert difference.mean() <= mean


def torchvision_window(width, height, draws, area, aspect):
    """RandomResizedCrop.get_params, with its random numbers given."""
    areas, aspects, place = draws[:TRIES], draws[TRIES:-2], draws[-2:]
    for u, v in zip(areas, aspects, strict=True):
        target = width * height * (area[0] + (area[1] - area[0]) * u)
        ratio = np.exp(np.log(aspect[0]) + (np.log(aspect[1]) - np.log(aspect[0])) * v)
        w, h = round(np.sqrt(target * ratio)), round(np.sqrt(target / ratio))
        if 0 < w <= width and 0 < h <= height:
            return [int(place[0] * (height - h + 1)), int(place[1] * (width - w + 1)), h, w]
    if width / height < aspect[0]:
        w, h = width, round(width / aspect[0])
    elif width / height > aspect[1]:
        w, h = round(height * aspect[1]), height
    else:
        w, h = width, height
    return [(height - h) // 2, (width - w) // 2, h, w]


@pytest.mark.parametrize(
    ("width", "height", "area"),
    [(500, 375, (0.08, 1)), (375, 500, (0.5, 1)), (40, 400, (0.3, 1)), (900, 50, (0.2, 0.9)),
     (31, 30, (1, 1)), (1, 1, (0.08, 1)), (2, 9, (0.08, 0.1))],
)  # fmt: skip
def test_windows_equal_torchvisions(width, height, area):
    draws = np.random.default_rng(0).random((100, 2 * TRIES + 2)).astype("float32")
    aspect = 0.7, 1.6
    windows = np.array([random_window([height, width], row, area, aspect) for row in draws])
    expected = np.array([torchvision_window(width, height, row, area, aspect) for row in draws])
    # float32 here, float64 there: a rounding may fall the other way.
    assert (windows == expected).all(1).mean() >= 0.98
    assert np.abs(windows - expected).max() <= 1
    assert (windows[:, :2] >= 0).all()
    assert (windows[:, :2] + windows[:, 2:] <= [height, width]).all()


def test_the_last_draw_stays_inside():
    draws = np.ones(2 * TRIES + 2, "float32")
    top, left, height, width = random_window([30, 40], draws, (0.5, 0.5), (1, 1)).numpy()
    assert (top + height, left + width) == (30, 40)


def read_windows(dataset, image_size):
    """Reads left, top, width and height of each crop of `ramps()`, and whether it is mirrored."""
    images, _ = read(dataset)
    columns, rows = images[:, 0, :, 0], images[:, :, 0, 1]
    inner = slice(2, -2)  # smoothing bends the ramps at their ends
    places = np.arange(image_size)[inner]
    fit = [np.polyfit(places, ramp[:, inner].T, 1) for ramp in (columns, rows)]
    (across, left), (down, top) = fit
    mirrored = across < 0
    left = np.where(mirrored, left + across * (image_size - 1), left)
    width, height = np.abs(across) * image_size, down * image_size
    return left - np.abs(across) / 2 + 0.5, top - down / 2 + 0.5, width, height, mirrored


def test_crops_are_spread_over_area_aspect_place_and_mirroring(tmp_path):
    files = single(tmp_path / "a.png", ramps(), copies=800)
    options = {"image_size": 24, "area": (0.1, 0.6), "aspect": (0.5, 2.0), "seed": 1}
    left, top, width, height, mirrored = read_windows(training_batches(files, **options), 24)
    area, aspect = width * height / 240**2, width / height
    assert 0.095 < area.min() < 0.11
    assert 0.55 < area.max() < 0.605
    assert 0.48 < aspect.min() < 0.53
    assert 1.9 < aspect.max() < 2.08
    # Those above an area of 0.5 and far from square do not fit and are drawn anew.
    bins = np.histogram(area, 4, (0.1, 0.5))[0]
    assert bins.min() / bins.max() > 0.7
    assert abs(np.log(aspect).mean()) < 0.04
    assert np.log(aspect).std() == pytest.approx(2 * np.log(2) / np.sqrt(12), rel=0.08)
    for start, side in ((left, width), (top, height)):
        assert start.min() > -1
        assert (start + side).max() < 241
        assert (start / (240 - side)).mean() == pytest.approx(0.5, abs=0.03)
    assert mirrored.mean() == pytest.approx(0.5, abs=0.05)
    # Nor does one draw depend on another.
    draws = np.stack([area, np.log(aspect), left / (240 - width), top / (240 - height), mirrored])
    assert np.abs(np.corrcoef(draws) - np.eye(5)).max() < 0.12


def test_no_flip(tmp_path):
    files = single(tmp_path / "a.png", ramps(), copies=40)
    dataset = training_batches(files, image_size=24, flip=False)
    assert not read_windows(dataset, 24)[-1].any()


def epochs(files, count, **options):
    dataset = training_batches(files, 5, image_size=16, **options)
    return [read(dataset) for _ in range(count)]


def test_equal_seeds_give_equal_batches_and_epochs_differ(files):
    first, again, other = (epochs(files, 2, seed=seed) for seed in (3, 3, 4))
    for run, twin in zip(first, again, strict=True):
        np.testing.assert_array_equal(run[0], twin[0])
        np.testing.assert_array_equal(run[1], twin[1])
    for one, two in ((first[0], first[1]), (first[0], other[0])):
        assert (one[1] != two[1]).any()
        assert all(np.abs(image - two[0]).max((1, 2, 3)).min() > 0 for image in one[0])


def test_first_epoch_goes_on_where_another_run_stopped(files):
    whole = epochs(files, 3)
    np.testing.assert_array_equal(whole[2][0], epochs(files, 1, first_epoch=2)[0][0])


def test_an_epoch_holds_every_image_once_with_its_label(files):
    options = {"image_size": 45, "area": (1, 1), "aspect": (60 / 45, 60 / 45), "flip": False}
    images, labels = read(training_batches(files, 5, **options))
    expected = [np.asarray(pixels_of(p).resize((45, 45))).mean((0, 1)) for p in files.paths]
    means = images.mean((1, 2))
    origin = np.abs(means[:, None] - np.array(expected)).sum(2).argmin(1)
    assert sorted(origin) == list(range(12))
    assert list(origin) != list(range(12))
    np.testing.assert_array_equal(labels, files.labels[origin])


def test_evaluation_keeps_the_order(files):
    sizes = [len(labels) for _, labels in evaluation_batches(files, 5, image_size=16)]
    assert sizes == [5, 5, 2]
    _, labels = read(evaluation_batches(files, 5, image_size=16))
    np.testing.assert_array_equal(labels, files.labels)


def test_bgr_means():
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype("uint8")
    expected = images[..., ::-1].astype("float32") - np.array([104, 117, 128], "float32")
    np.testing.assert_array_equal(bgr_means(images), expected)


@pytest.mark.parametrize("make", [training_batches, evaluation_batches])
def test_preprocess_is_applied(files, make):
    plain, _ = read(make(files, 5, image_size=16))
    changed, _ = read(make(files, 5, image_size=16, preprocess=bgr_means))
    assert 0 <= plain.min() < plain.max() <= 255
    np.testing.assert_allclose(changed, bgr_means(plain), atol=1e-4)
    scaled, _ = read(
        make(files, 5, image_size=16, preprocess=keras.applications.mobilenet_v2.preprocess_input)
    )
    np.testing.assert_allclose(scaled, plain / 127.5 - 1, atol=1e-5)


BROKEN = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:400]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"<html>404</html>"),
    "missing": lambda path: path.unlink(),
}


@pytest.fixture
def broken_files(tmp_path):
    """Ten images, of which four cannot be read: two in a row, and the last one."""
    paths = [tmp_path / f"{number}.jpg" for number in range(10)]
    for path in paths:
        photo(60, 45).save(path)
    for number, spoil in zip((2, 5, 6, 9), BROKEN.values(), strict=True):
        spoil(paths[number])
    return ImageFiles(paths, range(10), map(str, range(10)))


READABLE = [0, 1, 3, 4, 7, 8]


def check_warnings(caught, files):
    """Each broken image is named once, with a reason."""
    messages = "\n".join(str(warning.message) for warning in caught)
    assert len(caught) == 4
    assert all(warning.category is UserWarning for warning in caught)
    for number, path in enumerate(files.paths):
        assert (f"Skipped {path}, which cannot be read: " in messages) == (number not in READABLE)
    assert "No such file" in messages


def test_training_skips_broken_images_and_takes_others(broken_files):
    dataset = training_batches(broken_files, 3, image_size=16)
    with pytest.warns(UserWarning, match="Skipped") as caught:
        epochs = [read(dataset) for _ in range(3)]
    check_warnings(caught, broken_files)
    for images, labels in epochs:
        assert images.shape == (10, 16, 16, 3)
        assert sorted(labels[:6]) == READABLE
        assert set(labels) == set(READABLE)


@pytest.mark.parametrize(("batch_size", "sizes"), [(3, [3, 3, 0, 0]), (4, [4, 2, 0]), (10, [6])])
def test_evaluation_skips_broken_images(broken_files, batch_size, sizes):
    dataset = evaluation_batches(broken_files, batch_size, image_size=16, preprocess=bgr_means)
    with pytest.warns(UserWarning, match="Skipped") as caught:
        passes = [[labels.numpy() for _, labels in dataset] for _ in range(2)]
    check_warnings(caught, broken_files)
    for batches in passes:
        assert list(np.concatenate(batches)) == READABLE
        assert list(map(len, batches)) == sizes
    assert len(dataset) == len(sizes)


def test_keras_takes_batches_with_broken_images(broken_files):
    files = ImageFiles(broken_files.paths, broken_files.labels // 5, "ab")

    def use(model):
        training = training_batches(files, 3, image_size=16)
        history = model.fit(training, epochs=2, shuffle=False, verbose=0)
        assert np.isfinite(history.history["loss"]).all()
        evaluation = evaluation_batches(files, 3, image_size=16)
        assert len(model.predict(evaluation, verbose=0)) == 6
        evaluation = RetrievalEvaluation(evaluation, embedder=model, clustering=False)
        assert 0 <= evaluation.evaluate()["recall@1"] <= 1

    with pytest.warns(UserWarning, match="Skipped") as caught:
        use(embedding_model())
    assert len(caught) == 8  # four of either pipeline, none of Keras


def test_too_few_readable_images_are_an_error(broken_files):
    import tensorflow as tf

    files = ImageFiles(broken_files.paths[[2, 5, 6, 8]], range(4), "abcd")
    dataset = training_batches(files, image_size=16)
    message = "expected to contain 4 elements"
    with (
        pytest.warns(UserWarning, match="Skipped"),
        pytest.raises(tf.errors.FailedPreconditionError, match=message),
    ):
        read(dataset)


@pytest.mark.parametrize("make", [training_batches, evaluation_batches])
def test_broken_image_raises_with_its_path_when_asked(broken_files, make):
    import tensorflow as tf

    files = ImageFiles(broken_files.paths[2:5], range(3), "abc")
    dataset = make(files, image_size=16, on_error="raise")
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{files.paths[0]} cannot be read: "):
        read(dataset)


@pytest.mark.parametrize("make", [training_batches, evaluation_batches])
def test_length_is_known(files, make):
    assert len(make(files, 5, image_size=16)) == 3
    assert len(make(files, 4, image_size=16, on_error="raise")) == 3


def test_an_error_of_preprocess_is_no_broken_image(files):
    import tensorflow as tf

    def preprocess(images):
        return tf.debugging.check_numerics(images * np.nan, "no number")

    with pytest.raises(tf.errors.InvalidArgumentError, match="no number"):
        read(training_batches(files, image_size=16, preprocess=preprocess))


def test_odd_file_names_are_read(tmp_path):
    files = single(tmp_path / "Äpfel & [1] 'ω'.jpg", photo(60, 45))
    assert len(read(training_batches(files, image_size=16, on_error="raise"))[0]) == 1


def embedding_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(),
         keras.layers.Dense(4)]
    )  # fmt: skip
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_resumed_training_equals_uninterrupted_training(files, tmp_path):
    whole, half = embedding_model(), embedding_model()
    quiet = {"shuffle": False, "verbose": 0}  # Keras warns that it cannot shuffle a dataset
    whole.fit(training_batches(files, 4, image_size=16), epochs=4, **quiet)
    half.fit(training_batches(files, 4, image_size=16), epochs=2, **quiet)
    half.save(tmp_path / "half.keras")
    resumed = keras.models.load_model(tmp_path / "half.keras")
    rest = training_batches(files, 4, image_size=16, first_epoch=2)
    resumed.fit(rest, initial_epoch=2, epochs=4, **quiet)
    for expected, weight in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)


def test_retrieval_evaluation_takes_evaluation_batches(files):
    model = embedding_model()
    evaluation = RetrievalEvaluation(evaluation_batches(files, 5, image_size=16), embedder=model)
    assert 0 <= evaluation.evaluate()["recall@1"] <= 1


def test_replicas_share_the_batches(files):
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(tf.config.list_logical_devices("CPU")[:2])
    dataset = strategy.experimental_distribute_dataset(training_batches(files, 4, image_size=16))
    labels = [strategy.experimental_local_results(batch[1]) for batch in dataset]
    assert [[len(part) for part in parts] for parts in labels] == [[2, 2]] * 3
    assert sorted(np.concatenate([*map(np.concatenate, labels)])) == sorted(files.labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 is not allowed. Give an integer of 1 or more"),
        ({"image_size": 2.5}, r"image_size=2\.5 is not allowed"),
        ({"on_error": "ignore"}, 'on_error=\'ignore\' is unknown. Use "skip" or "raise"'),
        ({"seed": None}, "seed=None is not allowed. Give an integer of 0 or more"),
        ({"first_epoch": -1}, "first_epoch=-1 is not allowed"),
        ({"area": (0, 1)}, r"area=\(0, 1\) is not allowed\. .* above 0 and at most 1"),
        ({"area": (0.5, 1.5)}, r"area=\(0\.5, 1\.5\) is not allowed"),
        ({"aspect": (2, 1)}, r"aspect=\(2, 1\) is not allowed"),
    ],
)
def test_wrong_arguments_are_refused(files, options, message):
    with pytest.raises(ValueError, match=message):
        training_batches(files, **options)


def test_evaluation_of_a_crop_that_does_not_fit_is_refused(files):
    with pytest.raises(ValueError, match="shorter_side=200 is less than image_size=224"):
        evaluation_batches(files, shorter_side=200)


def test_no_files_are_refused():
    with pytest.raises(ValueError, match="files holds no image"):
        training_batches(ImageFiles([], [], []))


@pytest.mark.parametrize("make", [training_batches, evaluation_batches])
def test_missing_tensorflow_is_named(files, monkeypatch, make):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-proxygml\[tensorflow\]'"):
        make(files)


def test_nothing_is_warned_of_where_all_images_are_whole(files):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(training_batches(files, image_size=16))
