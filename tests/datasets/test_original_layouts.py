"""Every layout of each data set, in miniature, is read into its halves, without TensorFlow."""

import sys

import numpy as np
import pytest
from miniatures import (
    CLASSES,
    LOADERS,
    MODULES,
    NAMES,
    _clean_keras,  # noqa: F401
    _few,  # noqa: F401
    write_cars_devkit,
    write_cars_original,
    write_cub,
    write_folders,
    write_products,
)
from PIL import Image

from keras_proxygml.datasets import cars196, cub200, image_folder, stanford_online_products


def numbers_in(files):
    """The numbers of the images that the paths lead to."""
    return [round((Image.open(path).getpixel((3, 3))[0] - 10) / 20) for path in files.paths]


def check_halves(train, test, train_names, test_names):
    """The halves hold the images of `CLASSES`, grouped and labeled."""
    assert sorted(numbers_in(train)) == [0, 1, 2, 3, 4]
    assert sorted(numbers_in(test)) == [5, 6, 7, 8, 9, 10]
    for files, first, names in ((train, 1, train_names), (test, 3, test_names)):
        assert files.labels.dtype == np.int32
        expected = [CLASSES[number] - first for number in numbers_in(files)]
        np.testing.assert_array_equal(files.labels, expected)
        np.testing.assert_array_equal(files.labels, np.sort(files.labels))
        assert files.class_names == tuple(names)
        assert files.paths.dtype.kind == "U"


def test_counts_are_the_published_ones(monkeypatch):
    monkeypatch.undo()
    counts = [module.COUNTS for module in MODULES]
    assert counts[0] == {"train": (98, 8_054), "test": (98, 8_131)}
    assert counts[1] == {"train": (100, 5_864), "test": (100, 5_924)}
    assert counts[2] == {"train": (11_318, 59_551), "test": (11_316, 60_502)}


def test_cars_original_layout(tmp_path):
    write_cars_original(tmp_path)
    check_halves(*cars196(tmp_path), NAMES[:2], NAMES[2:])


@pytest.mark.parametrize("place", ["", "devkit/"])
def test_cars_devkit_layout(tmp_path, place):
    write_cars_devkit(tmp_path, f"{place}cars_test_annos_withlabels.mat")
    check_halves(*cars196(str(tmp_path)), NAMES[:2], NAMES[2:])


@pytest.mark.parametrize("inside", ["", "CUB_200_2011"])
def test_cub_original_layout(tmp_path, inside):
    names = write_cub(tmp_path / inside)
    check_halves(*cub200(tmp_path), names[:2], names[2:])


@pytest.mark.parametrize("inside", ["", "Stanford_Online_Products"])
def test_products_original_layout(tmp_path, inside):
    write_products(tmp_path / inside)
    names = ["coffee_maker 1", "bicycle 2", "coffee_maker 3", "bicycle 4"]
    check_halves(*stanford_online_products(tmp_path), names[:2], names[2:])


@pytest.mark.parametrize("loader", [*LOADERS, image_folder])
def test_layout_of_the_official_code(tmp_path, loader):
    write_folders(tmp_path)
    check_halves(*loader(tmp_path), ["8", "9"], ["10", "11"])  # numbers by value


@pytest.mark.parametrize("loader", [*LOADERS, image_folder])
def test_loaders_need_no_tensorflow(tmp_path, monkeypatch, loader):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    write_folders(tmp_path)
    assert len(loader(tmp_path)[0]) == 5
