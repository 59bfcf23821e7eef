"""Finds the images of a run of `train_cars.py`, and checks that they are enough."""

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
    """Decides which seed splits a folder's classes. There is none if it has train/ and test/.

    Raises:
        ValueError: If there is no folder, or a seed for a split that is published.
    """
    if args.demo:
        if args.data_dir:
            raise ValueError(
                "--data-dir must be left out with --demo, which makes its own images. Received: "
                f"{args.data_dir}. Leave out one of them."
            )
    elif not args.data_dir.is_dir():
        raise ValueError(f"--data-dir must be a folder. Received: {args.data_dir}. Check the path.")
    elif args.dataset == "folder" and not has_split(args.data_dir):
        args.split_seed = args.split_seed or 0
    elif args.split_seed is not None:
        raise ValueError(
            f"--split-seed must be left out if the split is fixed. Received: {args.split_seed} and "
            f"{args.data_dir}. Leave out --split-seed."
        )


def find_images(args):
    """Returns the training and the test half, `ImageFiles`, with enough classes and images.

    Raises:
        FileNotFoundError, ValueError: If there are not enough.
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
    """Returns the halves of a published data set, or says how to use images of your own."""
    try:
        return LOADERS[args.dataset](args.data_dir)
    except (FileNotFoundError, ValueError) as error:
        # Cars196 is the default, so perhaps nobody asked for it.
        is_own = args.dataset == "cars196" and holds_class_folders(args.data_dir)
        details = "" if is_own else f" For {args.dataset}: {error}"
        raise ValueError(
            f"--data-dir must hold {args.dataset}. Received: {args.data_dir}, which does not. For "
            "your own images, in a folder for each class, add --dataset folder --backbone "
            "EfficientNetV2B0 --weights imagenet." + details
        ) from error


def holds_class_folders(folder):
    try:
        datasets.image_folder(folder)
    except (FileNotFoundError, ValueError):
        return False
    return not has_split(folder)


def check_classes(args, train, test):
    """Checks that there are enough classes and images to train on and to test on.

    Raises:
        ValueError: If there are too few.
    """
    classes = len(train.class_names), len(test.class_names)
    if min(classes) < 2:
        raise ValueError(
            "--data-dir must hold two classes or more to train on, and two others to test on. "
            f"Received: {args.data_dir} with {sum(classes)} classes, {classes[0]} to train on and "
            f"{classes[1]} to test on. Add class folders."
        )
    if np.bincount(test.labels).max() < 2:
        raise ValueError(
            "--data-dir must hold two images or more of a class to test on. Received: "
            f"{args.data_dir} with one image of each. Add images to the class folders."
        )
    lowest = 1 / len(train.class_names)
    if args.ratio <= lowest:
        raise ValueError(
            f"--ratio must be above {lowest:.3g} with {classes[0]} classes to train on. Received: "
            f"{args.ratio}, which compares a sample with its own class only. Give --ratio 1, or "
            "add class folders."
        )
