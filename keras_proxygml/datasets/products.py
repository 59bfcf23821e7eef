"""Stanford Online Products: photographs of 22,634 products from an online auction house."""

import os
from pathlib import Path

from keras_proxygml.checks import refuse
from keras_proxygml.datasets.files import (
    ImageFiles,
    check_counts,
    check_present,
    find_root,
    group,
    read_table,
)
from keras_proxygml.datasets.folders import has_split, read_split

COUNTS = {"train": (11_318, 59_551), "test": (11_316, 60_502)}  # classes, images
ADVICE = (
    "Unpack Stanford_Online_Products.zip into the directory. Get it from "
    "https://cvgl.stanford.edu/projects/lifted_struct/. This function downloads nothing."
)


def stanford_online_products(
    directory: str | os.PathLike[str],
) -> tuple[ImageFiles, ImageFiles]:
    """Finds the images of Stanford Online Products, with the zero-shot split as published.

    The directory has one of two layouts. Nothing is downloaded.

    - `Ebay_train.txt`, `Ebay_test.txt` and the folders they name, in the directory or in
      `Stanford_Online_Products/` there, as the archive has them;
    - `train/` and `test/` with a folder for each class, as the official ProxyGML code wants them.

    Args:
        directory: Folder with one of these layouts.

    Returns:
        `(train, test)`, two `ImageFiles` of 59,551 images of 11,318 classes and 60,502 images of
        11,316 classes. Labels are from 0 on in each half. A class is named by what the product is
        and by its published number, such as `bicycle 1`, or by its folder.

    Raises:
        FileNotFoundError: If there is none of the layouts, or if lists or images are missing.
        ValueError: If a list cannot be read, or if the number of classes or images is not the
            published one.

    Reference:
        Song et al., 2016, "Deep Metric Learning via Lifted Structured Feature Embedding";
        https://cvgl.stanford.edu/projects/lifted_struct/.
    """
    folder = Path(directory)
    root = find_root(folder, "Stanford_Online_Products", "Ebay_train.txt")
    if root is not None:
        halves = [_read_list(root, f"Ebay_{half}.txt") for half in COUNTS]
    elif has_split(folder):
        halves = read_split(folder)
    else:
        refuse(
            "directory",
            "hold Stanford Online Products: Ebay_train.txt, "
            "Stanford_Online_Products/Ebay_train.txt, or train/ and test/ with class folders",
            f"{folder}, which has none of them",
            ADVICE,
            error=FileNotFoundError,
        )
    return check_counts("Stanford Online Products", folder, halves, COUNTS, ADVICE)


def _read_list(root, name):
    """Reads a half: lines of an image's number, class, kind of product and path, after a header."""
    rows = read_table(root / name, 4, header=True)
    paths = [root / path for *_, path in rows]
    check_present(paths, ADVICE)
    classes = [label for _, label, _, _ in rows]
    # The images of bicycles are in bicycle_final/.
    names = {label: f"{path.split('_final/')[0]} {label}" for _, label, _, path in rows}
    return group(paths, classes, names)
