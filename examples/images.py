"""The images of a run of `train_cars.py`: found where they are, and enough to train on."""

import numpy as np
from miniature import make_miniature

from keras_proxygml import datasets
from keras_proxygml.datasets.folders import has_split

LOADERS = {
    "cars196": datasets.cars196,
    "cub200": datasets.cub200,
    "stanford_online_products": datasets.stanford_online_products,
    "folder": datasets.image_folder,
}


def choose_split(args):
    """Settles which seed splits a folder's classes: none where it has train/ and test/.

    Raises:
        ValueError: If there is no folder, or a seed for a split that is published.
    """
    if args.demo:
        if args.data_dir:
            raise ValueError("--demo makes its own images. Leave out --data-dir, or --demo.")
    elif not args.data_dir.is_dir():
        raise ValueError(f"--data-dir must be a folder. Received: {args.data_dir}. Check the path.")
    elif args.dataset == "folder" and not has_split(args.data_dir):
        args.split_seed = args.split_seed or 0
    elif args.split_seed is not None:
        raise ValueError(
            f"--split-seed is for class folders without a split. Received: {args.data_dir}, whose "
            "split is fixed. Leave out --split-seed."
        )


def find_images(args):
    """The training and the test half, `ImageFiles`, of classes and images enough.

    Raises:
        FileNotFoundError, ValueError: If there are none.
    """
    if args.demo:
        args.dataset, args.data_dir = "folder", make_miniature(args.output / "miniature")
    if args.dataset == "folder":
        halves = datasets.image_folder(args.data_dir, seed=args.split_seed)
    else:
        halves = find_published(args)
    check_classes(args, *halves)
    return halves


def find_published(args):
    """The halves of a published data set, or an error that tells of one's own images first."""
    try:
        return LOADERS[args.dataset](args.data_dir)
    except (FileNotFoundError, ValueError) as error:
        # Cars196 is the default, so perhaps nobody asked for it.
        is_own = args.dataset == "cars196" and holds_class_folders(args.data_dir)
        details = "" if is_own else f" For {args.dataset}: {error}"
        raise ValueError(
            f"{args.data_dir} does not hold {args.dataset}. For your own images, in a folder for "
            "each class, add --dataset folder --backbone EfficientNetV2B0 --weights imagenet."
            + details
        ) from error


def holds_class_folders(folder):
    try:
        datasets.image_folder(folder)
    except (FileNotFoundError, ValueError):
        return False
    return not has_split(folder)


def check_classes(args, train, test):
    """Refuses too few classes or images to train on, or to test on.

    Raises:
        ValueError: If so.
    """
    classes = len(train.class_names), len(test.class_names)
    if min(classes) < 2:
        raise ValueError(
            "Training takes two classes or more, and testing two others. Received: "
            f"{args.data_dir} with {sum(classes)} classes, {classes[0]} to train on and "
            f"{classes[1]} to test on. Add class folders."
        )
    if np.bincount(test.labels).max() < 2:
        raise ValueError(
            "A class to test on must have two images or more. Received: one image of each. Add "
            f"images to the class folders of {args.data_dir}."
        )
    lowest = 1 / len(train.class_names)
    if args.ratio <= lowest:
        raise ValueError(
            f"--ratio must be above {lowest:.3g} with {classes[0]} classes to train on, or a "
            f"sample is compared with its own class only. Received: {args.ratio}. Give --ratio 1, "
            "or add class folders."
        )
