"""ProxyGML against its rivals, all tuned alike.

    python -m benchmarks.comparison.compare_losses --data FOLDER    # goes on where it was cut off
    python -m benchmarks.comparison.compare_losses --data FOLDER --tasks icons --stages search
    python -m benchmarks.comparison.report              # tables and plots from the results

`FOLDER` holds `products/` (train/ and test/ of class folders, at 128 px), `icons64.npz` and
`efficientnet_lite0_imagenet.keras`. The glyphs need no folder. Each run leaves a line in
`results/TASK.jsonl`. A run whose stage and label are there is not run again. To use two cores,
start two processes, with `--worker 1/2` and `--worker 2/2`.

length    How long a task trains: losses at their defaults with 4 epochs, 8, 16, ...
search    9 settings of each loss, the same number for all, trained on three quarters of the
          training classes and judged by MAP@R on the other quarter. From scratch, with shifts and
          64 epochs.
claims    ProxyGML with and without each idea of the paper, with 3 seeds on the same classes. One
          setting for all tasks. From scratch, with shifts and 64 epochs.
parts     ProxyGML at one fixed setting, with one part changed, on the same classes. From scratch,
          without shifts and with 32 epochs.
mask      As `parts`, with and without the mask, and what the gradient does in each training.
recipe    ProxyGML from scratch without the mask, for 32 epochs, and with changes of mask,
          augmentation, network and optimizer, on the same classes.
choice    ProxyGML on the pretrained network, at settings that may become the advice. Each quarter
          of the training classes is held out once, with 3 seeds.
fixed     ProxyGML at one setting for all tasks of a kind, and at the setting that was advised
          before, with 5 seeds on the test half. From scratch also without the mask.
final     The best of the search, trained on all training classes with 5 seeds, and judged on the
          test half.
"""

import argparse
import itertools
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

import keras_proxygml as kp
from benchmarks.comparison.gradients import Gradients
from benchmarks.comparison.ingredients import augmented, embedder_of, judged, optimizer_of
from benchmarks.comparison.losses import CONTENDERS, SETTINGS, UNMASKED, settings_to_search
from benchmarks.comparison.store import append, read
from benchmarks.comparison.tasks import TASKS, Batches

STAGES = ("length", "search", "claims", "parts", "mask", "recipe", "choice", "fixed", "final")
BATCH_SIZE, SEEDS = 64, 5
QUARTERS = 4  # of the training classes, one of which is held out
FEW_SEEDS = 3  # where many settings are compared on held-out classes
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


def fixed_settings(task):
    """The settings of `fixed`, by their names."""
    if task == "products":
        return {
            "advised": PRETRAINED,
            "as_from_scratch": PRETRAINED | OF_DRAWINGS,
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


def training(task):
    """What the losses of a search share: how long they train, and how pictures are shifted.

    Without shifts, ProxyGML learned the few pictures of the glyphs by heart.
    """
    return {} if task == "products" else SHIFTED


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
    "unreached classes with 0": UNMASKED,
    "unreached classes with a bound": {"unreached": "bound"},
    "margin 0.1": {"margin": 0.1},
    "margin 0.2": {"margin": 0.2},
    "push on other classes times 0.3": {"push": 0.3},
    "push on other classes times 0.1": {"push": 0.1},
    "with 0, push times 3": UNMASKED | {"push": 3.0},
    "with 0, N · scale = 6": UNMASKED | {"sharpness": 6.0},
    "with 0, ratio 0.05": UNMASKED | {"ratio": 0.05},
    "with 0, ratio 0.3": UNMASKED | {"ratio": 0.3},
    "with 0, N = 1": UNMASKED | {"num_proxies": 1},
    "with 0, N · scale = 2": UNMASKED | {"sharpness": 2.0},
    "with 0, N · scale = 12": UNMASKED | {"sharpness": 12.0},
    "with 0, learning rate 0.005": UNMASKED | {"learning_rate": 5e-3},
    "with 0, four images of a class": UNMASKED | {"images_per_class": 4},
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
MASKS = {"masked": {}, "unreached classes with 0": UNMASKED, "all proxies": {"ratio": 1.0}}
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
}
RECIPE |= {
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


class Clock(keras.callbacks.Callback):
    """Seconds of each step but those of the first epoch, which compiles."""

    def __init__(self):
        super().__init__()
        self.seconds, self.epoch = [], 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch:
            self.seconds.append(time.perf_counter() - self.start)


def train(task, name, settings, seed, train_half, test_half, *, epochs, every, callbacks=()):
    """One run: the metrics after each `every` epochs, and the time of a step."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    contender = CONTENDERS[name]
    embedder = embedder_of(task, settings)
    head = contender.head(settings, int(train_half.labels.max()) + 1)
    images = keras.Input(embedder.input_shape[1:])
    model = keras.Model(images, head(embedder(augmented(images, settings))))
    batch_size = settings.get("batch_size", BATCH_SIZE)
    batches = Batches(train_half, batch_size, seed, settings["images_per_class"])
    # To zero along a cosine, so that no loss is judged on the noise of a high rate.
    rate = keras.optimizers.schedules.CosineDecay(settings["learning_rate"], len(batches) * epochs)
    model.compile(optimizer_of(settings, rate), contender.loss(settings))
    data = test_half.inputs[0], test_half.labels
    evaluation = kp.RetrievalEvaluation(
        data, judged(embedder, settings), every=every, clustering=every < epochs
    )
    clock = Clock()
    swap = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if settings.get("average") else []
    callbacks = [*swap, evaluation, clock, *callbacks]
    history = model.fit(batches, epochs=epochs, callbacks=callbacks, verbose=0).history
    return {
        "loss": name,
        "settings": settings,
        "seed": seed,
        "epochs": epochs,
        "history": {key: [round(v, 6) for v in values] for key, values in history.items()},
        "seconds_per_step": float(np.median(clock.seconds)),
    }


def score(result):
    """What settings are chosen by; a run that diverged is the worst."""
    value = result.get("history", {}).get("val_map@r", [0.0])[-1]
    return value if np.isfinite(value) else 0.0


def best_settings(task, name):
    """The best settings of a loss in the search, or None before it is over."""
    found = read(task, "search", f"{name}-*")
    if len(found) < SETTINGS + 1:
        return None
    return max(found.values(), key=score)["settings"]


def runs(task, stage):
    """The runs of a stage: label, loss, settings, seed, epochs."""
    epochs = TASKS[task].epochs
    if stage == "length":
        for length, name in itertools.product(LENGTHS, OF_LENGTH):
            yield f"{name}-{length}", name, settings_to_search(name, TASKS[task])[0], 0, length
    elif stage == "search":
        for number, name in itertools.product(range(SETTINGS + 1), CONTENDERS):
            settings = settings_to_search(name, TASKS[task])[number] | training(task)
            yield f"{name}-{number}", name, settings, 0, settings.get("epochs", epochs)
    elif stage == "claims":
        base = BASES[task] | OF_DRAWINGS | training(task)
        for seed, (label, change) in itertools.product(range(FEW_SEEDS), CLAIMS.items()):
            length = base.get("epochs", epochs)
            yield f"{label}-{seed}", "ProxyGML", base | change, seed, length
    elif stage == "parts":
        for label, change in PARTS.items():
            settings = BASES[task] | change
            if change and settings == BASES[task]:
                continue
            yield label, "ProxyGML", settings, 0, epochs
    elif stage == "mask":
        for label, change in MASKS.items():
            yield label, "ProxyGML", BASES[task] | change, 0, epochs
    elif stage == "recipe":
        if task != "products":
            for label, change in RECIPE.items():
                settings = SHARED | WITHOUT_MASK | change
                yield label, "ProxyGML", settings, 0, change.get("epochs", epochs)
    elif stage == "choice":
        if task == "products":
            tries = itertools.product(range(QUARTERS), range(FEW_SEEDS), CANDIDATES.items())
            for quarter, seed, (label, chosen) in tries:
                settings = SHARED | chosen | {"quarter": quarter}
                yield f"{label}-{quarter}-{seed}", "ProxyGML", settings, seed, epochs
    elif stage == "fixed":
        for seed, (label, chosen) in itertools.product(range(SEEDS), fixed_settings(task).items()):
            settings = SHARED | chosen
            yield f"{label}-{seed}", "ProxyGML", settings, seed, chosen.get("epochs", epochs)
    else:
        for name, seed in itertools.product(CONTENDERS, range(SEEDS)):
            settings = best_settings(task, name)
            length = (settings or {}).get("epochs", epochs)
            yield f"{name}-{seed}", name, settings, seed, length


def halves(task, stage, quarter=0):
    """What to train on and what to judge on. Of the training classes, a quarter is held out."""
    if stage in ("fixed", "final"):
        return task.train, task.test
    classes = np.random.default_rng(0).permutation(np.unique(task.train.labels))
    count = len(classes) // QUARTERS
    classes = np.roll(classes, -quarter * count)
    return task.train.classes(classes[count:]), task.validation.classes(classes[:count])


def run_stage(task_name, stage, task, worker=(1, 1), only=tuple(CONTENDERS)):
    """Runs what is not there yet.

    Args:
        task_name, stage: Which runs.
        task: A function that makes the task when it is first needed.
        worker: Which of how many processes this is: each takes its share of the runs.
        only: The losses to run.
    """
    for number, (label, name, settings, seed, epochs) in enumerate(runs(task_name, stage)):
        if (
            number % worker[1] != worker[0] - 1
            or name not in only
            or label in read(task_name, stage)
        ):
            continue
        if settings is None:
            print(f"{task_name} {stage} {label}: wait for the search of {name}")
            continue
        start = time.time()
        every = max(epochs // 8, 1) if stage in ("fixed", "final") else epochs
        train_half, test_half = halves(task(), stage, settings.get("quarter", 0))
        measured = stage == "mask"
        callbacks = [Gradients(train_half, settings, max(epochs // 4, 1))] if measured else []
        try:
            arguments = name, settings, seed, train_half, test_half
            result = train(task(), *arguments, epochs=epochs, every=every, callbacks=callbacks)
            if measured:
                result["gradients"] = callbacks[0].rows
        except ValueError as error:  # settings that the loss refuses, or that diverged
            result = {"loss": name, "settings": settings, "seed": seed, "error": str(error)}
        append(task_name, stage, label, result)
        print(
            f"{task_name} {stage} {label}: MAP@R {score(result):.3f}, {time.time() - start:.0f} s",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with the pictures and the backbone")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--losses", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--worker", default="1/1", help="this process's share, such as 1/2")
    args = parser.parse_args()
    if args.data is None and set(args.tasks) != {"glyphs"}:
        parser.error("--data is missing; without it, give --tasks glyphs")
    worker = tuple(map(int, args.worker.split("/")))
    made = {}
    for stage, name in itertools.product(args.stages, args.tasks):

        def task(name=name):
            if name not in made:
                made[name] = TASKS[name](args.data)
            return made[name]

        run_stage(name, stage, task, worker, args.losses)


if __name__ == "__main__":
    main()
