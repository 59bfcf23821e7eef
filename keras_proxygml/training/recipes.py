"""The recipes of `fine_tune`, with the source of each number."""

import dataclasses
import operator
from typing import Any

import numpy as np

from keras_proxygml.checks import check_choice, check_integer, check_number, refuse

SCHEDULES = ("constant", "step", "cosine")
INTERVALS = {
    "crop_area": "(0, 1]",
    "ratio": "(0, 1]",
    "scale": "(0, inf)",
    "separation": "[0, inf)",
    "learning_rate": "(0, inf)",
    "proxy_multiplier": "(0, inf)",
    "epsilon": "(0, inf)",
    "l2": "[0, inf)",
}
LEAST = {"embedding_size": 1, "num_proxies": 1, "batch_size": 1, "epochs": 1, "warm_up": 0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How `fine_tune` trains: all that does not depend on the images and the backbone.

    The defaults are the paper's, see `RECIPES`.

    Args:
        name: What the recipe is called.
        embedding_size: Numbers in an embedding, D.
        image_size: Height and width S of the images in pixels. `None` takes the backbone's own
            size. Where the backbone takes any size, it is that of images given as an array, and
            224 for files.
        crop_area: The smallest share of an image that a random crop keeps. In (0, 1].
        flip: Whether half of the images are mirrored at random.
        num_proxies: Proxies per class, N.
        ratio: Share of all proxies that a sample is compared with. In (0, 1], and above
            1 / number of classes.
        scale: Factor of the class scores before the softmax.
        masked: Whether the softmax leaves out the classes that were not reached, see
            `ProxyGMLLoss`.
        separation: Weight λ of the proxies' regularizer, see `ProxySeparation`.
        learning_rate: Rate of the network.
        proxy_multiplier: The learning rate of the proxies, as a multiple of the network's.
        epsilon: Of Adam.
        l2: Weight decay, added to the gradient.
        batch_size: Images in a batch, B.
        epochs: How many epochs in all.
        freeze_batch_norm: Whether to keep the batch normalization as it was pretrained.
        schedule: Of the learning rate: `"constant"`, `"step"` or `"cosine"`.
        decay_epochs: With `"step"`, from each of these epochs on, counted from 1, a tenth of the
            rate. A warm-up has the whole rate.
        warm_up: Epochs at first in which only the embedding and the proxies learn.
        embedding_initializer: Initializer of the embedding layer, a name of Keras or `"pytorch"`,
            whose values are half as large as those of Keras's default.

    Raises:
        ValueError: If a number is out of range, `decay_epochs` are no integers of 1 or more, or a
            schedule is unknown.

    Example:

    >>> RECIPES["fine_tune"].replace(epochs=3).epochs
    3
    """

    name: str = "own"
    embedding_size: int = 512
    image_size: int | None = None
    crop_area: float = 0.08
    flip: bool = True
    num_proxies: int = 12
    ratio: float = 0.05
    scale: float = 1.0
    masked: bool = True
    separation: float = 0.3
    learning_rate: float = 1e-4
    proxy_multiplier: float = 300
    epsilon: float = 0.01
    l2: float = 1e-4
    batch_size: int = 32
    epochs: int = 50
    freeze_batch_norm: bool = True
    schedule: str = "step"
    decay_epochs: tuple[int, ...] = (20, 40)
    warm_up: int = 0
    embedding_initializer: str = "pytorch"

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            check_integer(name, getattr(self, name), least)
        if self.image_size is not None:
            check_integer("image_size", self.image_size, 1)
        for name, interval in INTERVALS.items():
            check_number(name, getattr(self, name), interval)
        check_choice("schedule", self.schedule, SCHEDULES)
        object.__setattr__(self, "decay_epochs", _epochs(self.decay_epochs))
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _plain(getattr(self, field.name)))

    def replace(self, **changes: Any) -> "Recipe":
        """Returns a recipe that differs in some numbers.

        Args:
            **changes: New values by name.

        Returns:
            A `Recipe`. This one stays as it is.

        Raises:
            ValueError: If a name is unknown, or a value is not allowed.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            check_choice("changes", name, known)
        return dataclasses.replace(self, **changes)


def _plain(value):
    """Makes a NumPy number one of Python, because JSON has no NumPy numbers."""
    is_numpy = isinstance(value, (np.generic, np.ndarray))
    return value.item() if is_numpy else value


def _epochs(epochs):
    """Makes epochs a tuple of integers."""
    try:
        numbers = tuple(operator.index(epoch) for epoch in epochs)
    except TypeError:
        numbers = (0,)
    if min(numbers, default=1) < 1:
        allowed, hint = "hold integers of 1 or more", "Give for instance decay_epochs=(20, 40)."
        refuse("decay_epochs", allowed, f"decay_epochs={epochs!r}", hint)
    return numbers


# The official code's settings for Cars196 and CUB-200-2011: run.sh, or the default in train.py.
# Three things differ. A frozen batch norm keeps its scale and offset too, but the official code
# continues to train them. The embedding's bias starts at 0. No epoch freezes the backbone (see
# warm_up).
PAPER = Recipe(
    name="paper",
    embedding_size=512,  # run.sh: --dim 512
    image_size=224,  # train.py: RandomResizedCrop(224), CenterCrop(224)
    crop_area=0.08,  # train.py: RandomResizedCrop's default
    flip=True,  # train.py: RandomHorizontalFlip
    num_proxies=12,  # run.sh: --N 12
    ratio=0.05,  # run.sh: --r 0.05
    scale=1.0,  # loss/ProxyGML.py
    masked=True,  # loss/ProxyGML.py
    separation=0.3,  # run.sh: --weight_lambda 0.3
    learning_rate=1e-4,  # train.py: --modellr 0.0001
    proxy_multiplier=300,  # run.sh: --centerlr 0.03, over the other rate
    epsilon=0.01,  # train.py: --eps 0.01, Adam's
    l2=1e-4,  # train.py: --wd 1e-4, which PyTorch adds to the gradient
    batch_size=32,  # run.sh: -b 32
    epochs=50,  # run.sh: --epochs 50
    freeze_batch_norm=True,  # run.sh: --freeze_BN
    schedule="step",  # train.py: adjust_learning_rate, before each epoch
    decay_epochs=(20, 40),  # run.sh: --new_epoch_to_decay 20 40, --rate 0.1
    warm_up=0,  # train.py: --warm 1, which freezes the backbone in the second epoch instead
    embedding_initializer="pytorch",  # train.py: torch.nn.Linear
)
# What our own recipes share: Keras's defaults, and no weight decay.
OURS = PAPER.replace(
    image_size=None,
    proxy_multiplier=10,
    epsilon=1e-7,
    l2=0.0,
    embedding_initializer="glorot_uniform",
)
RECIPES = {
    "paper": PAPER,
    # run.sh for Stanford Online Products.
    "paper_sop": PAPER.replace(
        name="paper_sop",
        num_proxies=1,
        separation=0.0,
        proxy_multiplier=3000,  # run.sh: --centerlr 0.3
        freeze_batch_norm=False,
    ),
    # Our own, for a pretrained backbone and little time. docs/measurements.md has the experiments.
    "fine_tune": OURS.replace(
        name="fine_tune",
        crop_area=0.3,
        num_proxies=2,
        ratio=0.5,
        scale=5.0,
        learning_rate=3e-4,
        epochs=12,
        schedule="cosine",
        warm_up=1,
    ),
    # Our own, for a network that starts at random. docs/measurements.md and docs/settings.md have
    # the experiments, on drawn characters, icons and products. Mirroring was not measured.
    "from_scratch": OURS.replace(
        name="from_scratch",
        embedding_size=128,
        crop_area=0.8,
        num_proxies=4,
        ratio=0.1,
        scale=0.75,
        separation=0.3,
        learning_rate=2e-3,
        batch_size=64,
        epochs=64,
        freeze_batch_norm=False,  # its statistics are not trained yet
        schedule="cosine",
    ),
    # Our own, for `examples/train_cars.py --demo`: minutes, on a small network.
    "demo": OURS.replace(
        name="demo",
        embedding_size=64,
        image_size=48,
        crop_area=0.5,
        num_proxies=4,
        scale=4.0,
        ratio=0.1,
        learning_rate=1e-3,
        epochs=10,
        freeze_batch_norm=False,
        schedule="constant",
    ),
}


def as_recipe(recipe: str | Recipe) -> Recipe:
    """Returns a recipe, given it or its name. A name may have dashes."""
    if isinstance(recipe, Recipe):
        return recipe
    name = recipe.replace("-", "_") if isinstance(recipe, str) else recipe
    if name not in RECIPES:
        known = ", ".join(RECIPES)
        refuse("recipe", f"be a Recipe, or one of {known}", f"{recipe!r}", "Check the name.")
    return RECIPES[name]
