"""The options of `train_cars.py`, whose defaults are those of a recipe."""

import argparse
import dataclasses
from pathlib import Path

from keras_proxygml.training import RECIPES, Recipe
from keras_proxygml.training.recipes import SCHEDULES, as_recipe

BY_DATASET = {"stanford_online_products": "paper-sop", "folder": "fine-tune"}
BACKBONES = {"demo": "small"}  # of the other recipes, the paper's
HELP = {
    "embedding_size": "numbers in an embedding",
    "image_size": "height and width of the images in pixels; None: the backbone's, or 224",
    "crop_area": "the smallest share of an image that a random crop keeps",
    "flip": "mirror half of the images at random",
    "num_proxies": "proxies per class",
    "ratio": "share of all proxies that a sample is compared with",
    "scale": "factor of the class scores before the softmax",
    "masked": "leave the classes that were not reached out of the softmax",
    "separation": "weight of the proxies' regularizer",
    "learning_rate": "of the network",
    "proxy_multiplier": "the proxies learn so many times as fast",
    "epsilon": "of Adam",
    "l2": "weight decay, added to the gradient",
    "batch_size": "images in a batch",
    "epochs": "how many in all",
    "freeze_batch_norm": "keep the batch normalization as it was pretrained",
    "schedule": "of the learning rate",
    "warm_up": "epochs in which only the embedding and the proxies learn, at first",
}


def parse(description, data_sets):
    """Reads the command line of `train_cars.py`: a recipe, and options that replace its numbers."""
    # Which recipe applies depends on the command line, and the help shows its numbers.
    first, _ = make_parser(description, data_sets, "paper", add_help=False).parse_known_args()
    default = "demo" if first.demo else BY_DATASET.get(first.dataset, "paper")
    recipe = first.recipe or default
    args = make_parser(description, data_sets, recipe).parse_args()
    args.recipe = recipe
    return args


def recipe_of(args):
    """Returns the recipe with the numbers that the options replace."""
    names = [*HELP, "decay_epochs"]
    return as_recipe(args.recipe).replace(**{name: getattr(args, name) for name in names})


def make_parser(description, data_sets, recipe, add_help=True):
    """Makes a parser whose defaults are those of the recipe."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"These are the defaults of the recipe {recipe}. With --dataset, --demo or\n"
        "--recipe, --help shows the defaults that apply then.",
        usage="%(prog)s [--dataset NAME] --data-dir FOLDER [options]\n"
        "       %(prog)s --demo [options]",
        formatter_class=argparse.RawTextHelpFormatter,
        add_help=add_help,
    )
    add = parser.add_argument
    add("--dataset", choices=data_sets, default="cars196", help="default: cars196")
    add("--data-dir", type=Path, help="folder with the images")
    add("--demo", action="store_true", help="run on a miniature made on the spot")
    add("--output", type=Path, default=Path("run"), help="results (default: run)")
    names = [name.replace("_", "-") for name in RECIPES]
    add("--recipe", choices=names, help=f"default: {recipe}")
    add(
        "--backbone",
        default=BACKBONES.get(recipe, "bn_inception"),
        help="bn_inception, small, a keras.applications name, or a .keras file\n"
        "(default: %(default)s)",
    )
    numbers = as_recipe(recipe)
    types = {field.name: field.type for field in dataclasses.fields(Recipe)}
    for name, text in HELP.items():
        value = getattr(numbers, name)
        kind = {"type": float if types[name] is float else int}
        if isinstance(value, bool):
            kind = {"action": argparse.BooleanOptionalAction}
        elif name == "schedule":
            kind = {"choices": SCHEDULES}
        shown = f"{text} (default: {value})"
        add(f"--{name.replace('_', '-')}", default=value, help=shown, **kind)
    add(
        "--decay-epochs",
        type=int,
        nargs="*",
        default=numbers.decay_epochs,
        help="with --schedule step: from each of these epochs on, counted from 1, a tenth\n"
        "(default: 20 40)",
    )
    add("--weights", help="checkpoint of bn_inception; or imagenet, which Keras downloads")
    add("--frozen-until", default="", help="the backbone's layers before this one do not learn")
    add("--shorter-side", type=int, help="of test images before the central crop; 256 for 224")
    add("--mixed-precision", choices=("float16", "bfloat16"))
    add("--strategy", choices=("one", "mirrored"), default="one", help="mirrored: all local GPUs")
    add("--seed", type=int, default=0, help="of weights, order and crops (default: 0)")
    add(
        "--split-seed",
        type=int,
        help="which random half of a folder's classes is to train on (default: 0)",
    )
    return parser
