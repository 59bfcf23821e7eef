"""What `train_cars.py` can be told, and the recipes: the paper's and ours, each number's source."""

import argparse
from pathlib import Path

# The official code's settings for Cars196 and CUB-200-2011: run.sh, or the default in train.py.
# What differs: a frozen batch norm keeps its scale and offset too, where the official code goes on
# training them; the embedding's bias starts at 0; and no epoch freezes the backbone (see warm_up).
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
    # Ours, for a pretrained backbone and little time: docs/results.md has what was tried.
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


def parse(description, data_sets):
    """The command line of `train_cars.py`: a recipe, and what was given in its place."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--dataset", choices=data_sets, default="cars196")
    add("--data-dir", type=Path, help="folder with the images")
    add("--demo", action="store_true", help="run on a miniature made on the spot")
    add("--output", type=Path, default=Path("run"), help="folder for results and for going on")
    add("--recipe", choices=RECIPES, help="by default the paper's, for a folder fine-tune")
    for name, value in PAPER.items():
        kind = {"type": type(value)}
        if isinstance(value, bool):
            kind = {"action": argparse.BooleanOptionalAction}
        elif name == "schedule":
            kind = {"choices": ("constant", "step", "cosine")}
        also = {
            "backbone": "; or a keras.applications name, a .keras file, or small",
            "warm_up": "; epochs in which only the embedding and the proxies learn, at first",
        }
        shown = f"paper: {value}{also.get(name, '')}"
        add(f"--{name.replace('_', '-')}", default=None, help=shown, **kind)
    add(
        "--decay-epochs",
        type=int,
        nargs="*",
        default=[20, 40],  # run.sh: --new_epoch_to_decay 20 40, --rate 0.1
        help="with --schedule step: from each of these epochs on, counted from 1, a tenth",
    )
    add("--weights", help="checkpoint of bn_inception; or imagenet, which Keras downloads")
    add("--frozen-until", default="", help="the backbone's layers before this one do not learn")
    add("--shorter-side", type=int, help="of test images before the central crop; 256 for 224")
    add("--mixed-precision", choices=("float16", "bfloat16"))
    add("--strategy", choices=("one", "mirrored"), default="one", help="mirrored: all local GPUs")
    add("--seed", type=int, default=0)
    args = parser.parse_args()
    by_dataset = {"stanford_online_products": "paper-sop", "folder": "fine-tune"}
    default = "demo" if args.demo else by_dataset.get(args.dataset, "paper")
    args.recipe = args.recipe or default
    for name, value in RECIPES[args.recipe].items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    return args
