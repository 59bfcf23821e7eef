"""Data sets that lack something or do not fit are refused, and the file to fix is named."""

import numpy as np
import pytest
from miniatures import (
    LOADERS,
    NAMES,
    _clean_keras,  # noqa: F401
    _few,  # noqa: F401
    write_cars_devkit,
    write_cars_original,
    write_cub,
    write_folders,
    write_image,
    write_lines,
    write_products,
)
from scipy.io import savemat

from keras_proxygml.datasets import cars196, cub200, stanford_online_products


@pytest.mark.parametrize("loader", LOADERS)
def test_absent_directory_says_what_to_get_and_where_to_put_it(tmp_path, loader):
    folder = tmp_path / "absent"
    message = (
        f"must hold .* Received: {folder}, which .* into the .* from https://.* downloads nothing"
    )
    with pytest.raises(FileNotFoundError, match=message):
        loader(folder)


@pytest.mark.parametrize("loader", LOADERS)
def test_wrong_count_is_named(tmp_path, loader):
    write_folders(tmp_path)
    write_image(tmp_path / "test" / "10" / "extra.jpg", 0)
    message = "must hold 6 images of 2 classes in the test half .* with 7 images of 2 classes"
    with pytest.raises(ValueError, match=message):
        loader(tmp_path)


@pytest.mark.parametrize(
    ("loader", "write", "image"),
    [
        (cars196, write_cars_original, "car_ims/000004.jpg"),
        (cars196, write_cars_devkit, "cars_test/00003.jpg"),
        (cub200, write_cub, "images/002.BMW_M3/Bird_0003.jpg"),
        (stanford_online_products, write_products, "bicycle_final/11108512282_3.JPG"),
    ],
)
def test_missing_image_is_named(tmp_path, loader, write, image):
    write(tmp_path)
    (tmp_path / image).unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"must hold all \d+ images .* Received: 1 missing images, .*" + image,
    ):
        loader(tmp_path)


def test_missing_image_folder_is_named(tmp_path):
    write_cars_original(tmp_path)
    (tmp_path / "car_ims").rename(tmp_path / "elsewhere")
    with pytest.raises(
        FileNotFoundError,
        match=r"must hold all 11 images .* Received: 11 missing images.* car_ims.tgz",
    ):
        cars196(tmp_path)


def test_cars_without_test_labels_says_which_file_to_get(tmp_path):
    write_cars_devkit(tmp_path)
    (tmp_path / "devkit/cars_test_annos_withlabels.mat").unlink()
    message = r"hold cars_test_annos_withlabels.mat, because .* has no classes. .* without it"
    with pytest.raises(FileNotFoundError, match=message):
        cars196(tmp_path)


def test_cars_with_unlabeled_annotations_says_so(tmp_path):
    write_cars_devkit(tmp_path)
    unlabeled = tmp_path / "devkit/cars_test_annos.mat"
    unlabeled.rename(tmp_path / "devkit/cars_test_annos_withlabels.mat")
    with pytest.raises(
        ValueError, match=r"fields 'fname' and 'class'. Received: .* fields \(.*'fname'\)\."
    ):
        cars196(tmp_path)


def test_cars_without_class_names_says_so(tmp_path):
    write_cars_devkit(tmp_path)
    (tmp_path / "devkit/cars_meta.mat").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"must hold cars_meta.mat\. Received: .*/devkit without it\. .*https://",
    ):
        cars196(tmp_path)


@pytest.mark.parametrize("contents", [b"", b"<html>404</html>", None, "other"])
def test_broken_mat_file_is_named(tmp_path, contents):
    write_cars_original(tmp_path)
    path = tmp_path / "cars_annos.mat"
    if contents == "other":
        savemat(path, {"boxes": np.zeros(3)})
    else:
        path.write_bytes(path.read_bytes()[:300] if contents is None else contents)
    message = r"variable 'annotations'\. Received: .*/cars_annos.mat, .* Get the file again"
    with pytest.raises(ValueError, match=message):
        cars196(tmp_path)


def test_cub_lists_that_do_not_fit_are_refused(tmp_path):
    write_cub(tmp_path)
    write_lines(tmp_path / "classes.txt", NAMES[:3])
    with pytest.raises(
        ValueError,
        match=r"fit each other\. .* lists 11 images, .* 11, and classes.txt names 3 classes",
    ):
        cub200(tmp_path)


def test_missing_list_is_named(tmp_path):
    write_cub(tmp_path)
    (tmp_path / "image_class_labels.txt").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"must hold image_class_labels.txt\. Received: .* without it"
    ):
        cub200(tmp_path)


@pytest.mark.parametrize("line", ["12", "one two", "1 x 2 a_final/b.JPG"])
def test_broken_line_is_named(tmp_path, line):
    write_products(tmp_path)
    with open(tmp_path / "Ebay_test.txt", "a") as file:
        file.write(line + "\n")
    with pytest.raises(
        ValueError, match=r"must have 3 whole numbers .* Received: .* in line 8 of .*Ebay_test.txt"
    ):
        stanford_online_products(tmp_path)
