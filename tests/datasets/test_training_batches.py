"""Training crops are torchvision's, spread as asked, and a seed fixes them and their order."""

import numpy as np
import pytest
from photos import photo, pixels_of, read, single, twelve_photos  # noqa: F401, a fixture
from PIL import Image

from keras_proxygml.datasets import training_batches
from keras_proxygml.datasets.groups import in_groups
from keras_proxygml.datasets.pixels import TRIES, random_window

pytestmark = pytest.mark.tensorflow


def ramps():
    """Red tells the column, green the row, without loss: a crop can be read off its pixels."""
    rows, columns = np.mgrid[:240, :240].astype("uint8")
    return Image.fromarray(np.stack([columns, rows, np.zeros_like(rows)], 2))


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
    # Those above an area of 0.5 and far from square do not fit and are drawn again.
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


@pytest.mark.parametrize("size", [2, 3, 4])
def test_images_of_a_class_come_in_groups_and_what_is_left_of_it_last(files, size):
    batches = training_batches(files, 12, image_size=16, images_per_class=size)
    epochs = [read(batches)[1] for _ in range(3)]
    whole = 4 * (3 // size)
    for labels in epochs:
        assert sorted(labels) == sorted(files.labels)
        groups = labels[: whole * size].reshape(whole, size)
        assert (groups == groups[:, :1]).all()
    assert not all((labels == epochs[0]).all() for labels in epochs)


@pytest.mark.parametrize("third", [2, -(2**63)])  # the second of these times 10 overflows to 0
def test_groups_keep_every_image_once(third):
    labels = np.array([0, 1, 1, 0, 2, 1, 1, 1, 0, 0])
    labels = np.array([0, 1, third])[labels]
    order = np.random.default_rng(0).permutation(10)
    grouped = in_groups(order, labels, 2, np.random.RandomState(0))
    assert sorted(grouped) == list(range(10))
    pairs = labels[grouped][:8].reshape(4, 2)  # two of class 0, two of class 1
    assert sorted(pairs[:, 0]) == [0, 0, 1, 1]
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert sorted(labels[grouped][8:]) == sorted([1, third])
