"""Miniature copies of each data set, in every layout that is read, written and read back."""

import sys

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from keras_proxygml.datasets import (
    ImageFiles,
    cars196,
    cub200,
    image_folder,
    stanford_online_products,
)

# Of each image: its class, and whether it is in the test part of the classification task.
CLASSES = [1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 4]
IN_TEST = [0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1]
NAMES = ["Audi S4", "BMW M3", "Fiat 500", "Ram C/V"]
COUNTS = {"train": (2, 5), "test": (2, 6)}


def write_image(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 9), (shade, shade, shade)).save(path)


def shade_of(number):
    """A grey that tells an image's number and survives JPEG."""
    return 20 * number + 10


def numbers_in(files):
    """The numbers of the images that the paths lead to."""
    return [round((Image.open(path).getpixel((3, 3))[0] - 10) / 20) for path in files.paths]


def check_halves(train, test, train_names, test_names):
    """The halves hold the images of `CLASSES`, grouped and labelled."""
    assert sorted(numbers_in(train)) == [0, 1, 2, 3, 4]
    assert sorted(numbers_in(test)) == [5, 6, 7, 8, 9, 10]
    for files, first, names in ((train, 1, train_names), (test, 3, test_names)):
        assert files.labels.dtype == np.int32
        expected = [CLASSES[number] - first for number in numbers_in(files)]
        np.testing.assert_array_equal(files.labels, expected)
        np.testing.assert_array_equal(files.labels, np.sort(files.labels))
        assert files.class_names == tuple(names)
        assert files.paths.dtype.kind == "U"


def annotations(rows, fields):
    """A struct array as MATLAB writes it, one row of fields an image."""
    values = np.array([tuple(row) for row in rows], dtype=[(field, object) for field in fields])
    return values[None]


def boxes():
    return [np.uint16(value) for value in (1, 2, 10, 8)]


def cells(names):
    values = np.empty((1, len(names)), object)
    values[0] = names
    return values


def write_cars_original(folder):
    rows = []
    for number, (label, in_test) in enumerate(zip(CLASSES, IN_TEST, strict=True)):
        path = f"car_ims/{number + 1:06}.jpg"
        write_image(folder / path, shade_of(number))
        rows.append([path, *boxes(), np.uint8(label), np.uint8(in_test)])
    fields = ["relative_im_path", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "test"]
    variables = {"annotations": annotations(rows, fields), "class_names": cells(NAMES)}
    savemat(folder / "cars_annos.mat", variables)


def write_cars_devkit(folder, labels_at="devkit/cars_test_annos_withlabels.mat"):
    rows = {0: [], 1: []}
    for number, (label, in_test) in enumerate(zip(CLASSES, IN_TEST, strict=True)):
        name = f"{len(rows[in_test]) + 1:05}.jpg"  # both folders count from 1
        part = "cars_test" if in_test else "cars_train"
        write_image(folder / part / name, shade_of(number))
        rows[in_test].append([*boxes(), np.uint8(label), name])
    (folder / "devkit").mkdir()
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname"]
    train, test = (annotations(rows[part], fields) for part in (0, 1))
    savemat(folder / "devkit/cars_train_annos.mat", {"annotations": train})
    savemat(folder / labels_at, {"annotations": test})
    unlabelled = [[*row[:4], row[5]] for row in rows[1]]
    unlabelled = annotations(unlabelled, [*fields[:4], "fname"])
    savemat(folder / "devkit/cars_test_annos.mat", {"annotations": unlabelled})
    savemat(folder / "devkit/cars_meta.mat", {"class_names": cells(NAMES)})


def write_cub(folder):
    names = [
        f"{c:03}.{name.replace(' ', '_').replace('/', '_')}" for c, name in enumerate(NAMES, 1)
    ]
    paths = []
    for number, label in enumerate(CLASSES):
        paths.append(f"{names[label - 1]}/Bird_{number:04}.jpg")
        write_image(folder / "images" / paths[-1], shade_of(number))
    write_lines(folder / "images.txt", paths)
    write_lines(folder / "image_class_labels.txt", CLASSES)
    write_lines(folder / "train_test_split.txt", [1 - part for part in IN_TEST])
    write_lines(folder / "classes.txt", names)
    return names


def write_lines(path, values):
    path.write_text("".join(f"{n} {value}\n" for n, value in enumerate(values, 1)))


def write_products(folder):
    head = "image_id class_id super_class_id path\n"
    lists = {"train": head, "test": head}
    for number, label in enumerate(CLASSES):
        kind = "coffee_maker" if label % 2 else "bicycle"
        path = f"{kind}_final/1110851228{label}_{number}.JPG"
        write_image(folder / path, shade_of(number))
        lists["train" if label < 3 else "test"] += f"{number + 1} {label} {label % 2 + 1} {path}\n"
    for half, text in lists.items():
        (folder / f"Ebay_{half}.txt").write_text(text)


def write_folders(folder):
    """The layout of the official ProxyGML code."""
    for number, label in enumerate(CLASSES):
        half = "train" if label < 3 else "test"
        write_image(folder / half / str(label + 7) / f"{number}.jpg", shade_of(number))


@pytest.fixture(autouse=True)
def _clean_keras():
    """Saves the time: no Keras here."""


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    """Expects as many images as a miniature has."""
    for name in ("cars196", "cub200", "stanford_online_products"):
        module = sys.modules[f"keras_proxygml.datasets.{name}"]
        monkeypatch.setattr(module, "COUNTS", COUNTS)


LOADERS = [cars196, cub200, stanford_online_products]


def test_counts_are_the_published_ones(monkeypatch):
    monkeypatch.undo()
    counts = [sys.modules[loader.__module__].COUNTS for loader in LOADERS]
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


@pytest.mark.parametrize("loader", LOADERS)
def test_absent_directory_says_what_to_get_and_where_to_put_it(tmp_path, loader):
    folder = tmp_path / "absent"
    message = f"{folder} has neither .* there.* from https://.* Nothing is downloaded"
    with pytest.raises(FileNotFoundError, match=message):
        loader(folder)


@pytest.mark.parametrize("loader", LOADERS)
def test_wrong_count_is_named(tmp_path, loader):
    write_folders(tmp_path)
    write_image(tmp_path / "test" / "10" / "extra.jpg", 0)
    message = "The test half of .* has 7 images of 2 classes, expected are 6 images of 2 classes"
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
    with pytest.raises(FileNotFoundError, match=r"1 of \d+ images are missing, .*" + image):
        loader(tmp_path)


def test_missing_image_folder_is_named(tmp_path):
    write_cars_original(tmp_path)
    (tmp_path / "car_ims").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"11 of 11 images are missing.* car_ims.tgz"):
        cars196(tmp_path)


def test_cars_without_test_labels_says_which_file_to_get(tmp_path):
    write_cars_devkit(tmp_path)
    (tmp_path / "devkit/cars_test_annos_withlabels.mat").unlink()
    message = r"cars_test_annos_withlabels.mat is missing, and .* has no classes"
    with pytest.raises(FileNotFoundError, match=message):
        cars196(tmp_path)


def test_cars_with_unlabelled_annotations_says_so(tmp_path):
    write_cars_devkit(tmp_path)
    unlabelled = tmp_path / "devkit/cars_test_annos.mat"
    unlabelled.rename(tmp_path / "devkit/cars_test_annos_withlabels.mat")
    with pytest.raises(ValueError, match=r"fields \(.*'fname'\), 'fname' and 'class' are needed"):
        cars196(tmp_path)


def test_cars_without_class_names_says_so(tmp_path):
    write_cars_devkit(tmp_path)
    (tmp_path / "devkit/cars_meta.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"devkit/cars_meta.mat is missing\. .*https://"):
        cars196(tmp_path)


@pytest.mark.parametrize("contents", [b"", b"<html>404</html>", None, "other"])
def test_broken_mat_file_is_named(tmp_path, contents):
    write_cars_original(tmp_path)
    path = tmp_path / "cars_annos.mat"
    if contents == "other":
        savemat(path, {"boxes": np.zeros(3)})
    else:
        path.write_bytes(path.read_bytes()[:300] if contents is None else contents)
    message = r"cars_annos.mat is no MATLAB file with 'annotations': .* Get the file anew"
    with pytest.raises(ValueError, match=message):
        cars196(tmp_path)


def test_cub_lists_that_do_not_fit_are_refused(tmp_path):
    write_cub(tmp_path)
    write_lines(tmp_path / "classes.txt", NAMES[:3])
    with pytest.raises(ValueError, match=r"lists 11 images, .* 11, and classes.txt 3 classes"):
        cub200(tmp_path)


def test_missing_list_is_named(tmp_path):
    write_cub(tmp_path)
    (tmp_path / "image_class_labels.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"image_class_labels.txt is missing"):
        cub200(tmp_path)


@pytest.mark.parametrize("line", ["12", "one two", "1 x 2 a_final/b.JPG"])
def test_broken_line_is_named(tmp_path, line):
    write_products(tmp_path)
    with open(tmp_path / "Ebay_test.txt", "a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=r"Line 8 of .*Ebay_test.txt is .* 3 whole numbers"):
        stanford_online_products(tmp_path)


def write_classes(folder, names, images=2):
    for name in names:
        for number in range(images):
            write_image(folder / name / f"{number}.jpg", 100)


def test_folder_of_classes_is_halved_in_order(tmp_path):
    write_classes(tmp_path, ["cow", "10", "9", "ant", "bee"])
    train, test = image_folder(tmp_path)
    assert train.class_names == ("9", "10")
    assert test.class_names == ("ant", "bee", "cow")
    np.testing.assert_array_equal(test.labels, [0, 0, 1, 1, 2, 2])
    assert [path.split("/")[-2:] for path in train.paths] == [
        ["9", "0.jpg"], ["9", "1.jpg"], ["10", "0.jpg"], ["10", "1.jpg"]
    ]  # fmt: skip


def test_seed_chooses_the_half(tmp_path):
    write_classes(tmp_path, map(str, range(20)), images=1)
    halves = [image_folder(tmp_path, seed=seed) for seed in (0, 0, 1)]
    names = [train.class_names for train, _ in halves]
    assert names[0] == names[1] != names[2]
    for train, test in halves:
        assert len(train) == len(test) == 10
        assert set(train.class_names) | set(test.class_names) == set(map(str, range(20)))
        assert train.class_names == tuple(sorted(train.class_names, key=int))


def test_other_files_are_left_out(tmp_path):
    write_classes(tmp_path, ["a", "b"])
    for name in ("notes.txt", "a/notes.txt", "a/.hidden.jpg", "a/image.webp"):
        (tmp_path / name).touch()
    (tmp_path / ".cache").mkdir()
    write_image(tmp_path / "b" / "LARGE.JPEG", 0)
    write_image(tmp_path / "b" / "graph.PNG", 0)
    train, test = image_folder(tmp_path)
    assert (len(train), len(test)) == (2, 4)


def test_class_named_train_is_no_split(tmp_path):
    write_classes(tmp_path, ["car", "train"])
    train, test = image_folder(tmp_path)
    assert (train.class_names, test.class_names) == (("car",), ("train",))


def test_halves_that_share_a_class_are_refused(tmp_path):
    write_classes(tmp_path / "train", ["a", "b"])
    write_classes(tmp_path / "test", ["b", "c"])
    with pytest.raises(ValueError, match=r"share 1 classes, the first is b.* Move all images"):
        image_folder(tmp_path)


def test_missing_half_is_named(tmp_path):
    write_classes(tmp_path / "train", ["a", "b"])
    with pytest.raises(FileNotFoundError, match=r"test is missing or holds no class folders"):
        image_folder(tmp_path)


def test_class_without_images_is_named(tmp_path):
    write_classes(tmp_path, ["a", "b"])
    (tmp_path / "c").mkdir()
    with pytest.raises(FileNotFoundError, match=r"class folder .*/c has no image.* \.jpg"):
        image_folder(tmp_path)


def test_absent_folder_and_single_class_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent is no folder\. Give one that holds"):
        image_folder(tmp_path / "absent")
    write_classes(tmp_path, ["a"])
    with pytest.raises(ValueError, match="has 1 class folders, needed are two or more"):
        image_folder(tmp_path)


def test_seed_for_a_split_that_stands_is_refused(tmp_path):
    write_folders(tmp_path)
    with pytest.raises(ValueError, match=r"seed=3 .* is split already\. Leave it out"):
        image_folder(tmp_path, seed=3)


def test_files_convert_and_count():
    files = ImageFiles(["a.jpg", "b.jpg"], [1, 0], ["x", "y"])
    assert len(files) == 2
    assert files.labels.dtype == np.int32
    assert files.class_names == ("x", "y")


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0], ["x"], r"shape \(1,\) and paths \(2,\)\. Give one label"),
        ([0, 1], ["x"], "labels go from 0 to 1, allowed are 0 to 0, .* Number the classes"),
        ([-1, 0], ["x", "y"], "labels go from -1 to 0, allowed are 0 to 1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, names, message):
    with pytest.raises(ValueError, match=message):
        ImageFiles(["a.jpg", "b.jpg"], labels, names)


@pytest.mark.parametrize("loader", [*LOADERS, image_folder])
def test_loaders_need_no_tensorflow(tmp_path, monkeypatch, loader):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    write_folders(tmp_path)
    assert len(loader(tmp_path)[0]) == 5
