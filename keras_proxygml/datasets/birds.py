"""CUB-200-2011: photographs of 200 bird species."""

import os
from pathlib import Path

from keras_proxygml.checks import refuse
from keras_proxygml.datasets.files import (
    ImageFiles,
    check_counts,
    check_present,
    find_root,
    read_table,
    split,
)
from keras_proxygml.datasets.folders import has_split, read_split

COUNTS = {"train": (100, 5_864), "test": (100, 5_924)}  # classes, images
ADVICE = (
    "Unpack CUB_200_2011.tgz into the directory. Get it from "
    "https://www.vision.caltech.edu/datasets/cub_200_2011/. This function downloads nothing."
)


def cub200(directory: str | os.PathLike[str]) -> tuple[ImageFiles, ImageFiles]:
    """Finds the images of CUB-200-2011, with the zero-shot split: classes 0-99 train, others test.

    The training and the test part of the published classification task are merged first. The
    directory has one of two layouts. Nothing is downloaded.

    - `images.txt`, `image_class_labels.txt`, `classes.txt` and `images/`, in the directory or in
      `CUB_200_2011/` there, as the archive has them;
    - `train/` and `test/` with a folder for each class, as the official ProxyGML code wants them.

    Args:
        directory: Folder with one of these layouts.

    Returns:
        `(train, test)`, two `ImageFiles` of 5,864 and 5,924 images, 100 classes each. Labels are
        from 0 on in each half.

    Raises:
        FileNotFoundError: If there is none of the layouts, or if lists or images are missing.
        ValueError: If a list cannot be read or does not fit the others, or if the number of
            classes or images is not the published one.

    Reference:
        Wah et al., 2011, "The Caltech-UCSD Birds-200-2011 Dataset";
        https://www.vision.caltech.edu/datasets/cub_200_2011/. Split: Song et al., 2016, "Deep
        Metric Learning via Lifted Structured Feature Embedding".
    """
    folder = Path(directory)
    root = find_root(folder, "CUB_200_2011", "images.txt")
    if root is not None:
        halves = _read_original(root)
    elif has_split(folder):
        halves = read_split(folder)
    else:
        refuse(
            "directory",
            "hold CUB-200-2011: images.txt, CUB_200_2011/images.txt, or train/ and test/ with "
            "class folders",
            f"{folder}, which has none of them",
            ADVICE,
            error=FileNotFoundError,
        )
    return check_counts("CUB-200-2011", folder, halves, COUNTS, ADVICE)


def _read_original(root):
    """Reads the archive's layout: three lists by number, and `images/`."""
    images = dict(read_table(root / "images.txt", 2))
    labels = dict(read_table(root / "image_class_labels.txt", 2))
    names = dict(read_table(root / "classes.txt", 2))  # from 1 on
    if images.keys() != labels.keys() or not set(labels.values()) <= set(map(str, names)):
        refuse(
            "directory",
            "hold lists that fit each other",
            f"{root}, where images.txt lists {len(images):,} images, image_class_labels.txt labels "
            f"{len(labels):,}, and classes.txt names {len(names):,} classes",
            ADVICE,
        )
    paths = [root / "images" / image for image in images.values()]
    check_present(paths, ADVICE)
    classes = [int(labels[number]) for number in images]
    return split(paths, classes, names, COUNTS["train"][0] + 1)
