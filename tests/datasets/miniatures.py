"""Writes miniature copies of each data set, in every layout that is read."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from keras_proxygml.datasets import birds, cars, cars196, cub200, products, stanford_online_products

MODULES = [cars, birds, products]
LOADERS = [cars196, cub200, stanford_online_products]

# Of each image: its class, and whether it is in the test part of the classification task.
CLASSES = [1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 4]
IN_TEST = [0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1]
NAMES = ["Audi S4", "BMW M3", "Fiat 500", "Ram C/V"]
COUNTS = {"train": (2, 5), "test": (2, 6)}


def write_image(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 9), (shade, shade, shade)).save(path)


def shade_of(number):
    """A gray that tells an image's number and survives JPEG."""
    return 20 * number + 10


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
    unlabeled = [[*row[:4], row[5]] for row in rows[1]]
    unlabeled = annotations(unlabeled, [*fields[:4], "fname"])
    savemat(folder / "devkit/cars_test_annos.mat", {"annotations": unlabeled})
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
    for module in MODULES:
        monkeypatch.setattr(module, "COUNTS", COUNTS)
