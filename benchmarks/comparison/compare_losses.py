"""ProxyGML against its rivals, all tuned alike, and its own questions: numbers of proxies, parts.

    python -m benchmarks.comparison.compare_losses --data FOLDER    # goes on where it was cut off
    python -m benchmarks.comparison.compare_losses --data FOLDER --tasks products --stages search
    python -m benchmarks.comparison.report              # tables and plots from the results

`FOLDER` holds `products/` (train/ and test/ of class folders, at 128 px) and
`efficientnet_lite0_imagenet.keras`. The glyphs need no folder. Each run leaves a line in
`results/TASK.jsonl`. A run whose stage and label are there is not run again. To use two cores,
start one process for each task.

search    8 settings of each loss, the same number for all, trained on three quarters of the
          training classes and judged by MAP@R on the other quarter.
scale     ProxyGML with factors of the class scores, at N = 1 and N = 4; else as its best so far,
          and on the same classes, as in what follows.
grid      ProxyGML with N proxies of each class and a ratio of proxies kept, at the same N · scale.
rates     ProxyGML's best so far at other learning rates, of the network and of the proxies.
ablation  ProxyGML without positives always kept, without the mask, without the regularizer.
final     The best of the search, trained on all training classes with 5 seeds, and judged on the
          test half. And ProxyGML at the best of search, scale, grid and rates, which no rival had.
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
from benchmarks.comparison.losses import CONTENDERS, RATES, settings_to_search
from benchmarks.comparison.store import append, read
from benchmarks.comparison.tasks import TASKS, Batches

STAGES = ("search", "scale", "grid", "rates", "ablation", "final")
# What ProxyGML had been tried with before a stage.
BEFORE = {
    "scale": (),
    "grid": ("scale",),
    "rates": ("scale", "grid"),
    "ablation": ("scale",),
    "final": ("scale", "grid", "rates"),
}
BATCH_SIZE, SEEDS = 64, 5
TUNED = "ProxyGMLTuned"


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


def train(task, name, settings, seed, train_half, test_half):
    """One run: the metrics after each epoch, and the time of a step."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    contender = CONTENDERS[name]
    embedder = task.embedder()
    head = contender.head(settings, int(train_half.labels.max()) + 1)
    model = keras.Model(embedder.input, head(embedder.output))
    batches = Batches(train_half, BATCH_SIZE, seed, contender.per_class)
    # To zero along a cosine, so that no loss is judged on the noise of a high rate.
    rate = keras.optimizers.schedules.CosineDecay(
        settings["learning_rate"], len(batches) * task.epochs
    )
    model.compile(kp.ProxyAdam(rate, settings["proxy_multiplier"]), contender.loss(settings))
    evaluation = kp.RetrievalEvaluation((test_half.inputs[0], test_half.labels), embedder)
    clock = Clock()
    history = model.fit(batches, epochs=task.epochs, callbacks=[evaluation, clock], verbose=0)
    return {
        "loss": name,
        "settings": settings,
        "seed": seed,
        "history": {key: [round(v, 6) for v in values] for key, values in history.history.items()},
        "seconds_per_step": float(np.median(clock.seconds)),
    }


def score(result):
    """What settings are chosen by; a run that diverged is the worst."""
    value = result.get("history", {}).get("val_map@r", [0.0])[-1]
    return value if np.isfinite(value) else 0.0


def best_settings(task, name):
    """The best settings of a loss in the search, or None before it is over."""
    found = read(task, "search", f"{name}-*")
    if len(found) < len(settings_to_search(name)):
        return None
    return max(found.values(), key=score)["settings"]


def tuned_settings(task, stage):
    """The best settings of ProxyGML before a stage, None while the stages before are not over."""
    if best_settings(task, "ProxyGML") is None or any(
        len(read(task, before)) < len(VARIANTS[before]) for before in BEFORE[stage]
    ):
        return None
    found = [*read(task, "search", "ProxyGML-*").values()]
    found += [result for before in BEFORE[stage] for result in read(task, before).values()]
    return max(found, key=score)["settings"]


def runs(task, stage):
    """The runs of a stage: label, loss, settings, seed."""
    if stage == "search":
        for name in CONTENDERS:
            for i, settings in enumerate(settings_to_search(name)):
                yield f"{name}-{i}", name, settings, 0
    elif stage == "final":
        for seed in range(SEEDS):
            for name in CONTENDERS:
                yield f"{name}-{seed}", name, best_settings(task, name), seed
            yield f"{TUNED}-{seed}", "ProxyGML", tuned_settings(task, stage), seed
    else:
        best = tuned_settings(task, stage)
        for label, changes in VARIANTS[stage].items():
            if best and stage in ("grid", "ablation"):  # a score is a sum of N: N · scale counts
                sharpness = best["num_proxies"] * best["scale"]
                changes = changes | {"scale": sharpness / changes["num_proxies"]}
            yield label, "ProxyGML", best and best | changes, 0


def _ablations():
    for parts in itertools.product((True, False), repeat=3):
        kept = dict(zip(("positives", "mask", "regularizer"), parts, strict=True))
        label = "+".join(part for part in kept if kept[part]) or "none"
        without = [part for part in ("positives", "mask") if not kept[part]]
        changes = {"without": without, "ratio": 0.05, "num_proxies": 4}
        yield label, changes | {"separation": 0.3 * kept["regularizer"]}


VARIANTS = {
    "grid": {
        f"N{n}-ratio{ratio}": {"num_proxies": n, "ratio": ratio}
        for n in (1, 2, 4, 8, 12)
        for ratio in (0.02, 0.05, 0.1, 0.5, 1.0)
    },
    "rates": {
        f"rate{rate:g}-multiplier{multiplier}": {
            "learning_rate": rate,
            "proxy_multiplier": multiplier,
        }
        for rate, multiplier in itertools.product(*RATES.values())
    },
    "ablation": dict(_ablations()),
    "scale": {
        f"N{n}-scale{scale}": {"num_proxies": n, "scale": float(scale)}
        for n in (1, 4)
        for scale in (1, 4, 8, 16, 32)
    },
}


def halves(task, stage):
    """What to train on and what to judge on."""
    if stage == "final":
        return task.train, task.test
    classes = np.random.default_rng(0).permutation(np.unique(task.train.labels))
    held_out = len(classes) // 4
    return task.train.classes(classes[held_out:]), task.train.classes(classes[:held_out])


def run_stage(task_name, stage, task):
    """Runs what is not there yet; `task` makes the task when it is first needed."""
    for label, name, settings, seed in runs(task_name, stage):
        if label in read(task_name, stage):
            continue
        if settings is None:
            print(f"{task_name} {stage} {label}: wait for the search of {name}")
            continue
        start = time.time()
        try:
            result = train(task(), name, settings, seed, *halves(task(), stage))
        except ValueError as error:  # settings that the loss refuses, or that diverged
            result = {"loss": name, "settings": settings, "seed": seed, "error": str(error)}
        append(task_name, stage, label, result)
        print(
            f"{task_name} {stage} {label}: MAP@R {score(result):.3f}, {time.time() - start:.0f} s",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with the products and their backbone")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    args = parser.parse_args()
    if "products" in args.tasks and args.data is None:
        parser.error("--data is missing; without the products, give --tasks glyphs")
    made = {}
    for stage, name in itertools.product(args.stages, args.tasks):

        def task(name=name):
            if name not in made:
                made[name] = TASKS[name](args.data)
            return made[name]

        run_stage(name, stage, task)


if __name__ == "__main__":
    main()
