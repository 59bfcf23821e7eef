"""Cars196: photographs of 196 car models."""

from pathlib import Path

import numpy as np

from keras_proxygml.datasets.files import check_counts, check_present, split
from keras_proxygml.datasets.image_folder import has_split, read_split

COUNTS = {"train": (98, 8_054), "test": (98, 8_131)}  # classes, images
PAGE = "https://ai.stanford.edu/~jkrause/cars/car_dataset.html"
ARCHIVES = (
    "Put cars_annos.mat and the unpacked car_ims.tgz there, or unpack cars_train.tgz, "
    "cars_test.tgz and car_devkit.tgz and add cars_test_annos_withlabels.mat"
)


def cars196(directory):
    """Finds the images of Cars196, with the zero-shot split: classes 0-97 train, 98-195 test.

    The training and the test part of the published classification task are merged first. One of
    three layouts is read, and nothing is downloaded:

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
        raise FileNotFoundError(
            f"{folder} has neither cars_annos.mat, nor devkit/cars_train_annos.mat, nor train/ and "
            f"test/ with class folders, so it does not hold Cars196. {ARCHIVES}; they come from "
            f"{PAGE}. Nothing is downloaded by itself."
        )
    return check_counts("Cars196", halves, COUNTS, f"{ARCHIVES}: {folder}.")


def _read_original(folder):
    """Reads the layout of `cars_annos.mat`, which lists all images."""
    path = folder / "cars_annos.mat"
    images, classes = _annotations(path, "relative_im_path")
    return _split([folder / image for image in images], classes, _class_names(path), folder)


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
    return _split(paths, classes, _class_names(folder / "devkit" / "cars_meta.mat"), folder)


def _split(paths, classes, names, folder):
    check_present(paths, f"{ARCHIVES}: {folder}.")
    # MATLAB counts from 1.
    return split(paths, classes, dict(enumerate(names, 1)), COUNTS["train"][0] + 1)


def _test_annotations(folder):
    """Finds the test annotations that have labels; those in the devkit have none."""
    name = "cars_test_annos_withlabels.mat"
    for path in (folder / "devkit" / name, folder / name):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"{folder / name} is missing, and devkit/cars_test_annos.mat has no classes. Put {name} "
        f"there; it comes from {PAGE}."
    )


def _annotations(path, field):
    """Reads the images' file names and classes, which are from 1 on."""
    rows = _read_mat(path, "annotations")
    if not {field, "class"} <= set(rows.dtype.names or ()):
        raise ValueError(
            f"The annotations in {path} have the fields {rows.dtype.names}, {field!r} and 'class' "
            "are needed. Get the file anew."
        )
    return [str(name) for name in rows[field]], [int(label) for label in rows["class"]]


def _class_names(path):
    return [str(name) for name in _read_mat(path, "class_names")]


def _read_mat(path, variable):
    """Reads a variable of a MATLAB file as a one-dimensional array."""
    from scipy.io import loadmat  # comes with scikit-learn, and takes a moment to import

    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {ARCHIVES}: {PAGE}.")
    try:
        values = loadmat(path, squeeze_me=True, variable_names=[variable])[variable]
    except Exception as error:  # scipy raises nearly anything at a broken file
        raise ValueError(
            f"{path} is no MATLAB file with {variable!r}: {error!r}. Get the file anew."
        ) from error
    return np.atleast_1d(values)
