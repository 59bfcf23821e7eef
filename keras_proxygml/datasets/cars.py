"""Cars196: photographs of 196 car models."""

import os
from pathlib import Path

import numpy as np

from keras_proxygml.checks import refuse
from keras_proxygml.datasets.files import (
    ImageFiles,
    check_counts,
    check_file,
    check_present,
    split,
)
from keras_proxygml.datasets.folders import has_split, read_split

COUNTS = {"train": (98, 8_054), "test": (98, 8_131)}  # classes, images
PAGE = "https://ai.stanford.edu/~jkrause/cars/car_dataset.html"
ADVICE = (
    "Put cars_annos.mat and the unpacked car_ims.tgz into the directory. Or unpack cars_train.tgz, "
    "cars_test.tgz and car_devkit.tgz there, and add cars_test_annos_withlabels.mat. Get them from "
    f"{PAGE}. This function downloads nothing."
)
GET_AGAIN = f"Get the file again from {PAGE}."


def cars196(directory: str | os.PathLike[str]) -> tuple[ImageFiles, ImageFiles]:
    """Finds the images of Cars196, with the zero-shot split: classes 0-97 train, 98-195 test.

    The training and the test part of the published classification task are merged first. The
    directory has one of three layouts. Nothing is downloaded.

    - `cars_annos.mat` with `car_ims/`;
    - `devkit/` with `cars_train_annos.mat` and `cars_meta.mat`, `cars_test_annos_withlabels.mat`
      in `devkit/` or beside it, `cars_train/` and `cars_test/`;
    - `train/` and `test/` with a folder for each class, as the official ProxyGML code wants them.

    Args:
        directory: Folder with one of these layouts.

    Returns:
        `(train, test)`, two `ImageFiles` of 8,054 and 8,131 images, 98 classes each. Labels are
        from 0 on in each half.

    Raises:
        FileNotFoundError: If there is none of the layouts, or if annotations or images are
            missing.
        ValueError: If annotations cannot be read, or if the number of classes or images is not
            the published one.

    Reference:
        Krause et al., 2013, "3D Object Representations for Fine-Grained Categorization";
        https://ai.stanford.edu/~jkrause/cars/car_dataset.html. Split: Song et al., 2016, "Deep
        Metric Learning via Lifted Structured Feature Embedding".
    """
    folder = Path(directory)
    if (folder / "cars_annos.mat").is_file():
        halves = _read_original(folder)
    elif (folder / "devkit" / "cars_train_annos.mat").is_file():
        halves = _read_devkit(folder)
    elif has_split(folder):
        halves = read_split(folder)
    else:
        refuse(
            "directory",
            "hold Cars196: cars_annos.mat, devkit/cars_train_annos.mat, or train/ and test/ with "
            "class folders",
            f"{folder}, which has none of them",
            ADVICE,
            error=FileNotFoundError,
        )
    return check_counts("Cars196", folder, halves, COUNTS, ADVICE)


def _read_original(folder):
    """Reads the layout of `cars_annos.mat`, which lists all images."""
    path = folder / "cars_annos.mat"
    images, classes = _annotations(path, "relative_im_path")
    return _split([folder / image for image in images], classes, _class_names(path))


def _read_devkit(folder):
    """Reads the later layout, with the images of the classification task in two folders."""
    paths, classes = [], []
    for part, annotations in (
        ("cars_train", folder / "devkit" / "cars_train_annos.mat"),
        ("cars_test", _test_annotations(folder)),
    ):
        images, labels = _annotations(annotations, "fname")
        paths += [folder / part / image for image in images]
        classes += labels
    return _split(paths, classes, _class_names(folder / "devkit" / "cars_meta.mat"))


def _split(paths, classes, names):
    check_present(paths, ADVICE)
    # MATLAB counts from 1.
    return split(paths, classes, dict(enumerate(names, 1)), COUNTS["train"][0] + 1)


def _test_annotations(folder):
    """Finds the test annotations that have labels; those in the devkit have none."""
    name = "cars_test_annos_withlabels.mat"
    for path in (folder / "devkit" / name, folder / name):
        if path.is_file():
            return path
    refuse(
        "directory",
        f"hold {name}, because devkit/cars_test_annos.mat has no classes",
        f"{folder} without it",
        f"Put it there. Get it from {PAGE}.",
        error=FileNotFoundError,
    )


def _annotations(path, field):
    """Reads the images' file names and classes, which are from 1 on."""
    rows = _read_mat(path, "annotations")
    if not {field, "class"} <= set(rows.dtype.names or ()):
        refuse(
            "directory",
            f"hold annotations with the fields {field!r} and 'class'",
            f"{path} with the fields {rows.dtype.names}",
            GET_AGAIN,
        )
    return [str(name) for name in rows[field]], [int(label) for label in rows["class"]]


def _class_names(path):
    return [str(name) for name in _read_mat(path, "class_names")]


def _read_mat(path, variable):
    """Reads a variable of a MATLAB file as a one-dimensional array."""
    from scipy.io import loadmat  # comes with scikit-learn, and takes a moment to import

    check_file(path, ADVICE)
    try:
        values = loadmat(path, squeeze_me=True, variable_names=[variable])[variable]
    except Exception as error:  # scipy raises nearly anything at a broken file
        refuse(
            "directory",
            f"hold {path.name}, a MATLAB file with the variable {variable!r}",
            f"{path}, which scipy cannot read ({error!r})",
            GET_AGAIN,
        )
    return np.atleast_1d(values)
