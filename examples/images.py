"""Finds the images of a run of `train_cars.py`."""

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
        for option, value in (("--data-dir", args.data_dir), ("--split-seed", args.split_seed)):
            if value is not None:
                raise ValueError(
                    f"{option} must be left out with --demo, which makes its own images. "
                    f"Received: {value}. Leave out one of them."
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
    """Returns the training and the test half, `ImageFiles`.

    Raises:
        FileNotFoundError, ValueError: If there are none.
    """
    if args.demo:
        args.dataset, args.data_dir = "folder", make_miniature(args.output / "miniature")
    if args.dataset == "folder":
        return datasets.image_folder(args.data_dir, seed=args.split_seed)
    return find_published(args)


def split_of(args):
    """Says how the classes are divided, after `choose_split`."""
    if args.split_seed is not None:
        return f"a random half of the classes, --split-seed {args.split_seed}"
    return "that of train/ and test/" if args.dataset == "folder" else "as published"


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
