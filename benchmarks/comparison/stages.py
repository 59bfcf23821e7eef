"""The runs of each stage of `compare_losses`, which says what they are for."""

import itertools

import numpy as np

from benchmarks.comparison.losses import CONTENDERS, SETTINGS, UNMASKED, settings_to_search
from benchmarks.comparison.store import read
from benchmarks.comparison.tasks import TASKS

SEEDS = 5
FEW_SEEDS = 3  # where many settings are compared on held-out classes
QUARTERS = 4  # of the training classes, one of which is held out
LENGTHS, OF_LENGTH = (4, 8, 16, 32, 64), ("ProxyGML", "NormalizedSoftmax", "SupCon")

# What `parts` changes one part of, by the learning rate of the task.
SHARED = {"proxy_multiplier": 10, "images_per_class": 1, "separation": 0.3}
OF_DRAWINGS = {"num_proxies": 4, "ratio": 0.1, "sharpness": 3.0}
FROM_SCRATCH = {"learning_rate": 2e-3} | OF_DRAWINGS
PRETRAINED = {"learning_rate": 5e-4, "num_proxies": 2, "ratio": 0.5, "sharpness": 10.0}
BASES = {
    "products": SHARED | PRETRAINED,
    "glyphs": SHARED | FROM_SCRATCH,
    "icons": SHARED | FROM_SCRATCH,
}
LONG, LONGER = {"epochs": 64}, {"epochs": 192}  # twice and six times those from scratch
SHIFTED = {"shift": 0.1} | LONG
WIDE, OVER_SHIFTS = {"embedding_size": 512}, {"test_shift": 3}
WITHOUT_MASK = FROM_SCRATCH | UNMASKED | {"ratio": 0.3}
# The settings that were advised before.
BEFORE = PRETRAINED | {"learning_rate": 1e-3}
MASKED = {"masked": True, "ratio": 0.1}
ADVISED = MASKED | SHIFTED  # from scratch, as a change of `WITHOUT_MASK`
# For a pretrained network, where single runs differ too little to choose from.
CANDIDATES = {
    "N 2, ratio 0.5, N · scale 10": PRETRAINED,
    "N 4, ratio 0.1, N · scale 3": PRETRAINED | OF_DRAWINGS,
    "N 4, ratio 0.1, N · scale 3, learning rate 0.0003": (
        PRETRAINED | OF_DRAWINGS | {"learning_rate": 3e-4}
    ),
    "N 4, ratio 0.1, N · scale 3, without the mask": PRETRAINED | OF_DRAWINGS | UNMASKED,
    "N 2, ratio 0.5, N · scale 10, without the mask": PRETRAINED | UNMASKED,
    "N 12, ratio 0.05, N · scale 12, without the mask": (
        PRETRAINED | {"num_proxies": 12, "ratio": 0.05, "sharpness": 12.0} | UNMASKED
    ),
}
# What ProxyGML is without each idea of the paper, and with its factor of the scores.
CLAIMS = {
    "as it is": {},
    "all proxies kept": {"ratio": 1.0},
    "one proxy per class": {"num_proxies": 1},
    "own proxies only if near": {"positives": False},
    "without the mask": UNMASKED,
    "without the regularizer": {"separation": 0.0},
    "N · scale = 12": {"sharpness": 12.0},
}
# Changes of a base. Those of the loss itself make it a `ProxyGMLVariant`.
PARTS = {
    "as it is": {},
    "own proxies only if near": {"positives": False},
    "without the mask": UNMASKED,
    "unreached classes with a bound": {"unreached": "bound"},
    "margin 0.1": {"margin": 0.1},
    "margin 0.2": {"margin": 0.2},
    "push on other classes times 0.3": {"push": 0.3},
    "push on other classes times 0.1": {"push": 0.1},
    "without the mask, push times 3": UNMASKED | {"push": 3.0},
    "without the mask, N · scale = 6": UNMASKED | {"sharpness": 6.0},
    "without the mask, ratio 0.05": UNMASKED | {"ratio": 0.05},
    "without the mask, ratio 0.3": UNMASKED | {"ratio": 0.3},
    "without the mask, N = 1": UNMASKED | {"num_proxies": 1},
    "without the mask, N · scale = 2": UNMASKED | {"sharpness": 2.0},
    "without the mask, N · scale = 12": UNMASKED | {"sharpness": 12.0},
    "without the mask, learning rate 0.005": UNMASKED | {"learning_rate": 5e-3},
    "without the mask, four images of a class": UNMASKED | {"images_per_class": 4},
    "no regularizer": {"separation": 0.0},
    "four images of a class": {"images_per_class": 4},
    "ratio 0.02": {"ratio": 0.02},
    "ratio 0.5": {"ratio": 0.5},
    "ratio 1": {"ratio": 1.0},
    "N · scale = 1.5": {"sharpness": 1.5},
    "N · scale = 6": {"sharpness": 6.0},
    "N · scale = 12": {"sharpness": 12.0},
    "N = 1": {"num_proxies": 1},
    "N = 12": {"num_proxies": 12},
    "as from scratch": OF_DRAWINGS,
    "as from scratch, learning rate 0.001": OF_DRAWINGS | {"learning_rate": 1e-3},
    "learning rate 0.005": {"learning_rate": 5e-3},
    "proxies 100 times as fast": {"proxy_multiplier": 100},
}
# Changes of a base whose gradients are measured.
MASKS = {"masked": {}, "without the mask": UNMASKED, "all proxies": {"ratio": 1.0}}
# What `recipe` changes, as `ingredients.py` has it, and the size of a batch.
RECIPE = {
    "as it is": {},
    "average pooling": {"pooling": "average"},
    "maximum pooling": {"pooling": "max"},
    "both poolings": {"pooling": "both"},
    "layer normalization before the embedding": {"normalize": True},
    "dropout 0.3 before the embedding": {"dropout": 0.3},
    "embedding of 64": {"embedding_size": 64},
    "embedding of 512": {"embedding_size": 512},
    "batches of 32": {"batch_size": 32},
    "batches of 128": {"batch_size": 128},
    "shifts": {"shift": 0.1},
    "larger shifts": {"shift": 0.2},
    "shifts, embedding of 512": {"shift": 0.1, "embedding_size": 512},
    "shifts, embedding of 512, layer normalization": {
        "shift": 0.1,
        "embedding_size": 512,
        "normalize": True,
    },
    "shifts, 64 epochs": SHIFTED,
    "crops from 0.8, 64 epochs": {"crop": 0.8} | LONG,
    "with the mask": MASKED,
    "with the mask, 64 epochs": MASKED | LONG,
    "with the mask, shifts, 64 epochs": ADVISED,
    "with the mask, ratio 0.5, shifts, 64 epochs": ADVISED | {"ratio": 0.5},
    "with the mask, crops from 0.8, 64 epochs": MASKED | {"crop": 0.8} | LONG,
    "with the mask, crops from 0.5, 64 epochs": MASKED | {"crop": 0.5} | LONG,
    "with the mask, shifts of 0.05, 64 epochs": ADVISED | {"shift": 0.05},
    "zooms": {"zoom": 0.15},
    "turns": {"turn": 0.03},
    "shifts, zooms and turns": {"shift": 0.1, "zoom": 0.15, "turn": 0.03},
    "erased rectangles": {"erase": 0.5},
    "average of weights": {"average": 0.99},
    "weight decay": {"decay": 0.01},
    "with the mask, shifts, 192 epochs": ADVISED | LONGER,
    "with the mask, shifts, 192 epochs, judged over shifts": ADVISED | LONGER | OVER_SHIFTS,
    "with the mask, shifts, 192 epochs, embedding of 512, judged over shifts": (
        ADVISED | LONGER | WIDE | OVER_SHIFTS
    ),
}
RECIPE |= {
    f"with the mask, shifts, 64 epochs, {label}": ADVISED | change
    for label, change in {
        "embedding of 512": WIDE,
        "layer normalization": {"normalize": True},
        "batches of 32": {"batch_size": 32},
        "zooms": {"zoom": 0.15},
        "ratio 0.05": {"ratio": 0.05},
        "N · scale = 2": {"sharpness": 2.0},
        "no regularizer": {"separation": 0.0},
        "judged over shifts": OVER_SHIFTS,
    }.items()
}


def score(result):
    """MAP@R after the last epoch, by which settings are chosen. 0 if the run diverged."""
    value = result.get("history", {}).get("val_map@r", [0.0])[-1]
    return value if np.isfinite(value) else 0.0


def best_settings(task, name):
    """The best settings of a loss in the search, or None before it is over."""
    found = read(task, "search", f"{name}-*")
    if len(found) < SETTINGS + 1:
        return None
    return max(found.values(), key=score)["settings"]


def runs(task, stage):
    """The runs of a stage: label, loss, settings, seed. No settings if they are not known yet."""
    return STAGES[stage](task)


def training(task):
    """What the losses of a search share: how long they train, and how pictures are shifted.

    Without shifts, ProxyGML learned the few pictures of the glyphs by heart.
    """
    return {} if task == "products" else SHIFTED


def length(task):
    for epochs, name in itertools.product(LENGTHS, OF_LENGTH):
        settings = settings_to_search(name, TASKS[task])[0]
        yield f"{name}-{epochs}", name, settings | {"epochs": epochs}, 0


def search(task):
    for number, name in itertools.product(range(SETTINGS + 1), CONTENDERS):
        settings = settings_to_search(name, TASKS[task])[number]
        yield f"{name}-{number}", name, settings | training(task), 0


def claims(task):
    base = BASES[task] | OF_DRAWINGS | training(task)
    for seed, (label, change) in itertools.product(range(FEW_SEEDS), CLAIMS.items()):
        yield f"{label}-{seed}", "ProxyGML", base | change, seed


def parts(task):
    for label, change in PARTS.items():
        settings = BASES[task] | change
        if not change or settings != BASES[task]:
            yield label, "ProxyGML", settings, 0


def mask(task):
    for label, change in MASKS.items():
        yield label, "ProxyGML", BASES[task] | change, 0


def recipe(task):
    for label, change in RECIPE.items() if task != "products" else ():
        yield label, "ProxyGML", SHARED | WITHOUT_MASK | change, 0


def choice(task):
    candidates = CANDIDATES.items() if task == "products" else ()
    tries = itertools.product(range(QUARTERS), range(FEW_SEEDS), candidates)
    for quarter, seed, (label, settings) in tries:
        label = f"{label}-{quarter}-{seed}"
        yield label, "ProxyGML", SHARED | settings | {"quarter": quarter}, seed


def fixed(task):
    for seed, (label, settings) in itertools.product(range(SEEDS), fixed_settings(task).items()):
        yield f"{label}-{seed}", "ProxyGML", SHARED | settings, seed


def fixed_settings(task):
    """The settings of `fixed`, by their names."""
    if task == "products":
        return {
            "advised": PRETRAINED,
            "as_from_scratch": PRETRAINED | OF_DRAWINGS,
            "as_from_scratch_unmasked": PRETRAINED | OF_DRAWINGS | UNMASKED,
            "before": BEFORE,
        }
    return {
        "advised": FROM_SCRATCH | SHIFTED,
        "before": BEFORE,
        "before_long": BEFORE | LONG,
        "before_longer": BEFORE | LONGER,
        "longer": FROM_SCRATCH | SHIFTED | LONGER | WIDE | OVER_SHIFTS,
        "unmasked": WITHOUT_MASK,
        "unmasked_shifted": WITHOUT_MASK | SHIFTED,
    }


def final(task):
    for name, seed in itertools.product(CONTENDERS, range(SEEDS)):
        yield f"{name}-{seed}", name, best_settings(task, name), seed


STAGES = {
    stage.__name__: stage
    for stage in (length, search, claims, parts, mask, recipe, choice, fixed, final)
}
