"""Needs tensorflow-datasets, an optional extra, except for the error if it is missing."""

import sys

import numpy as np
import pytest
from PIL import Image

from keras_proxygml.datasets import (
    cars,
    cars196,
    image_folder,
    products,
    stanford_online_products,
    unpack_prepared,
)

pytestmark = pytest.mark.tensorflow

CLASSES = {"train": [1, 99, 98, 0, 97], "test": [0, 97, 98, 195]}


@pytest.fixture
def tfds():
    return pytest.importorskip("tensorflow_datasets")


def prepare(tfds, folder, name, feature, classes):
    """Has tensorflow-datasets write a few images, each of a gray that tells its class."""
    import tensorflow as tf

    features = {
        "image": tfds.features.Image(encoding_format="jpeg"),
        feature: tfds.features.ClassLabel(num_classes=200),
    }
    splits = {
        part: tf.data.Dataset.from_tensor_slices(
            {
                "image": np.tile(np.uint8(labels)[:, None, None, None], (1, 9, 12, 3)),
                feature: np.int64(labels),
            }
        )
        for part, labels in classes.items()
    }
    builder = tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="2.1.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets=splits,
        data_dir=folder,
    )
    return builder.data_dir


def check_shades(files):
    for path, label in zip(files.paths, files.labels, strict=True):
        with Image.open(path) as image:
            assert abs(image.getpixel((5, 5))[0] - int(files.class_names[label])) <= 1


@pytest.mark.filterwarnings("default")  # tensorflow-datasets warns of itself
def test_cars_are_split_by_class(tfds, tmp_path, monkeypatch):
    source = prepare(tfds, tmp_path / "prepared", "cars196", "label", CLASSES)
    unpack_prepared(source, tmp_path / "cars")
    counts = {"train": (3, 5), "test": (3, 4)}
    monkeypatch.setattr(cars, "COUNTS", counts)
    train, test = cars196(tmp_path / "cars")
    assert train.class_names == ("0", "1", "97")
    assert test.class_names == ("98", "99", "195")
    check_shades(train)
    check_shades(test)


@pytest.mark.filterwarnings("default")
def test_products_keep_their_split(tfds, tmp_path, monkeypatch):
    classes = {"train": [5, 5, 120], "test": [3, 7]}
    name = "stanford_online_products"
    source = prepare(tfds, tmp_path / "prepared", name, "class_id", classes)
    unpack_prepared(source, tmp_path / "products")
    counts = {"train": (2, 3), "test": (2, 2)}
    monkeypatch.setattr(products, "COUNTS", counts)
    train, test = stanford_online_products(tmp_path / "products")
    assert (train.class_names, test.class_names) == (("5", "120"), ("3", "7"))
    check_shades(train)


@pytest.mark.filterwarnings("default")
def test_other_data_sets_and_full_folders_are_refused(tfds, tmp_path):
    source = prepare(tfds, tmp_path / "prepared", "flowers", "label", CLASSES)
    with pytest.raises(
        ValueError, match=r"must hold one of cars196, .* holds 'flowers'\. .*image_folder"
    ):
        unpack_prepared(source, tmp_path / "new")
    with pytest.raises(FileExistsError, match=r"must be new or empty\. Received: .* not empty"):
        unpack_prepared(source, source)
    with pytest.raises(
        FileNotFoundError, match=r"Received: .*absent, which has no dataset_info\.json"
    ):
        unpack_prepared(tmp_path / "absent", tmp_path / "new")
    with pytest.raises(FileNotFoundError, match=r"must be a folder .* which does not exist"):
        image_folder(tmp_path / "new")


def test_missing_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"`pip install tensorflow-datasets`"):
        unpack_prepared(tmp_path, tmp_path / "new")
