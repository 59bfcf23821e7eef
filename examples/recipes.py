"""The options of `train_cars.py`, and its recipes with the source of each number."""

import argparse
from pathlib import Path

# The official code's settings for Cars196 and CUB-200-2011: run.sh, or the default in train.py.
# Three things differ. A frozen batch norm keeps its scale and offset too, but the official code
# continues to train them. The embedding's bias starts at 0. No epoch freezes the backbone (see
# warm_up).
PAPER = {
    "backbone": "bn_inception",  # net/bninception.py, with its ImageNet weights
    "embedding_size": 512,  # run.sh: --dim 512
    "image_size": 224,  # train.py: RandomResizedCrop(224), CenterCrop(224)
    "crop_area": 0.08,  # train.py: RandomResizedCrop's default
    "num_proxies": 12,  # run.sh: --N 12
    "ratio": 0.05,  # run.sh: --r 0.05
    "scale": 1.0,  # loss/ProxyGML.py
    "separation": 0.3,  # run.sh: --weight_lambda 0.3
    "learning_rate": 1e-4,  # train.py: --modellr 0.0001
    "proxy_multiplier": 300,  # run.sh: --centerlr 0.03, over the other rate
    "epsilon": 0.01,  # train.py: --eps 0.01, Adam's
    "l2": 1e-4,  # train.py: --wd 1e-4, which PyTorch adds to the gradient
    "batch_size": 32,  # run.sh: -b 32
    "epochs": 50,  # run.sh: --epochs 50
    "freeze_batch_norm": True,  # run.sh: --freeze_BN
    "schedule": "step",  # train.py: adjust_learning_rate, before each epoch
    "warm_up": 0,  # train.py: --warm 1, which freezes the backbone in the second epoch instead
}
RECIPES = {
    "paper": PAPER,
    # run.sh for Stanford Online Products.
    "paper-sop": PAPER
    | {
        "num_proxies": 1,
        "separation": 0.0,
        "proxy_multiplier": 3000,  # run.sh: --centerlr 0.3
        "freeze_batch_norm": False,
    },
    # Our own, for a pretrained backbone and little time. docs/results.md has the experiments.
    "fine-tune": PAPER
    | {
        "crop_area": 0.3,
        "num_proxies": 2,
        "ratio": 0.5,
        "scale": 5.0,
        "learning_rate": 3e-4,
        "proxy_multiplier": 10,
        "epsilon": 1e-7,
        "l2": 0.0,
        "epochs": 12,
        "schedule": "cosine",
        "warm_up": 1,
    },
    "demo": PAPER
    | {
        "backbone": "small",
        "embedding_size": 64,
        "image_size": 48,
        "crop_area": 0.5,
        "num_proxies": 4,
        "scale": 4.0,
        "ratio": 0.1,
        "learning_rate": 1e-3,
        "proxy_multiplier": 10,
        "epsilon": 1e-7,
        "l2": 0.0,
        "epochs": 10,
        "freeze_batch_norm": False,  # from random weights there is nothing to freeze
        "schedule": "constant",
    },
}


BY_DATASET = {"stanford_online_products": "paper-sop", "folder": "fine-tune"}
HELP = {
    "backbone": "bn_inception, small, a keras.applications name, or a .keras file",
    "embedding_size": "numbers in an embedding",
    "image_size": "height and width of the images in pixels",
    "crop_area": "the smallest share of an image that a random crop keeps",
    "num_proxies": "proxies per class",
    "ratio": "share of all proxies that a sample is compared with",
    "scale": "factor of the class scores before the softmax",
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
    add("--recipe", choices=RECIPES, help=f"default: {recipe}")
    for name, value in RECIPES[recipe].items():
        kind = {"type": type(value)}
        if isinstance(value, bool):
            kind = {"action": argparse.BooleanOptionalAction}
        elif name == "schedule":
            kind = {"choices": ("constant", "step", "cosine")}
        shown = f"{HELP[name]} (default: {value})"
        add(f"--{name.replace('_', '-')}", default=value, help=shown, **kind)
    add(
        "--decay-epochs",
        type=int,
        nargs="*",
        default=[20, 40],  # run.sh: --new_epoch_to_decay 20 40, --rate 0.1
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
