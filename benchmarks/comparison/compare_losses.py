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
from benchmarks.comparison.losses import CONTENDERS
from benchmarks.comparison.stages import QUARTERS, STAGES, runs, score
from benchmarks.comparison.store import append, read
from benchmarks.comparison.tasks import TASKS, Batches

BATCH_SIZE = 64


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
    for number, (label, name, settings, seed) in enumerate(runs(task_name, stage)):
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
        epochs = settings.get("epochs", TASKS[task_name].epochs)
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
