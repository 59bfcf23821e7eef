"""Classes added to a trained model: accuracy on old and new ones, beside training on all.

    python -m benchmarks.comparison.added_classes --data FOLDER
    python -m benchmarks.comparison.added_classes --sets glyphs --seeds 1
    python -m benchmarks.comparison.added_classes --report    # only the table, from the results

`FOLDER` holds `icons64.npz`. The glyphs need no folder. Half of the training classes train a model.
`add_classes` adds the other half. A quarter of the images of each training class is held out, and
measures accuracy. The test half has other classes, and measures Recall@1.

Each run leaves a line in `results/added_classes.jsonl`. The command goes on where it was cut off.
It writes its table into `docs/measurements.md`.
"""

import argparse
import itertools
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

import keras_proxygml as kp
from benchmarks.comparison.sets import SETS, embed, fit, new_model
from benchmarks.comparison.store import append, read
from benchmarks.comparison.tasks import Half
from benchmarks.reporting import insert, markdown

DOCS = Path(__file__).parents[2] / "docs"
NAME = "added_classes"
EPOCHS = {"glyphs": 14, "icons": 20}
MORE = (0, 1, 3)  # epochs after the classes were added
WAYS = {
    "before": "old classes only, before",
    "whole": "added",
    "frozen": "added, embedder frozen",
    "random": "added, with random proxies",
    "random-frozen": "added, with random proxies, embedder frozen",
    "all": "all classes from the start",
}


class Split:
    """Old classes are numbered first. `old`, `new` and `both` train, `held` measures accuracy."""

    def __init__(self, half, seed):
        rng = np.random.default_rng(seed)
        classes = rng.permutation(np.unique(half.labels))
        self.num_old, self.num_classes = len(classes) // 2, len(classes)
        labels = np.argsort(classes)[half.labels]
        order = rng.permutation(len(labels))
        order = order[np.argsort(labels[order], kind="stable")]
        starts = np.searchsorted(labels[order], np.arange(len(classes)))
        place = np.arange(len(labels)) - starts[labels[order]]  # within the class
        counts = np.bincount(labels)[labels[order]]
        is_held = np.zeros(len(labels), bool)
        is_held[order[place < counts // 4]] = True
        self.both = Half(half.inputs[:, ~is_held], labels[~is_held])
        self.held = Half(half.inputs[:, is_held], labels[is_held])
        self.old, self.new = (
            Half(self.both.inputs[:, rows], self.both.labels[rows])
            for rows in (self.both.labels < self.num_old, self.both.labels >= self.num_old)
        )


def measured(model, split, test):
    """Accuracy on held-out images, by the nearest proxy, and Recall@1 on other classes."""
    similarities = model.predict(split.held.inputs[0].astype("float32"), 256, verbose=0)
    is_right = similarities.max(axis=-1).argmax(axis=-1) == split.held.labels
    is_old = split.held.labels < split.num_old
    recall = kp.retrieval_metrics(embed(model, test.inputs), test.labels, k=1)["recall@1"]
    return {
        "old": float(is_right[is_old].mean()),
        "new": float(is_right[~is_old].mean()),
        "all": float(is_right.mean()),
        "recall@1": float(recall),
    }


def larger_model(model, split, way, seed):
    """A model with the new classes, prepared for one of `WAYS`."""
    inputs = split.new.inputs[0].astype("float32")
    larger = kp.models.add_classes(model, inputs, split.new.labels, seed=seed)
    head = larger.layers[-1]
    if "random" in way:
        proxies = keras.ops.convert_to_numpy(head.proxies).copy()
        drawn = head.proxies_initializer(proxies.shape, "float32")
        proxies[split.num_old :] = keras.ops.convert_to_numpy(drawn)[split.num_old :]
        head.proxies.assign(proxies)
    if "frozen" in way:
        kp.embedder_of(larger).trainable = False
        larger.compile(larger.optimizer, larger.loss)
    return larger


def run(images, name, seed):
    """All ways of one set and seed, from one model of the old classes."""
    split, epochs = Split(images.train, seed), EPOCHS[name]
    model = new_model(images, split.num_old, seed)
    fit(model, split.old, epochs, seed)
    for way in WAYS:
        trained, found = 0, {}
        if way == "before":
            found["0"] = measured(model, split, images.test)
        else:
            if way == "all":
                larger = new_model(images, split.num_classes, seed)
                fit(larger, split.both, epochs, seed)
            else:
                larger = larger_model(model, split, way, seed)
            for more in MORE:
                fit(larger, split.both, more - trained, seed + 1 + trained)
                trained = more
                found[str(more)] = measured(larger, split, images.test)
        append(NAME, name, f"{way}-{seed}", {"seed": seed, "epochs": epochs, "measured": found})
        print(name, way, seed, found, flush=True)


def report():
    """The tables of all sets, as Markdown lines."""
    lines = []
    for name in SETS:
        rows = []
        for way, title in WAYS.items():
            runs = [r["measured"] for r in read(NAME, name, f"{way}-[0-9]").values()]
            for more in runs[0] if runs else ():
                cells = [np.mean([r[more][x] for r in runs]) for x in ("old", "new", "all")]
                cells.append(np.mean([r[more]["recall@1"] for r in runs]))
                rows.append((title, more, *(f"{x:.3f}" for x in cells)))
        seeds = len(read(NAME, name, "before-[0-9]"))
        if rows:
            titles = ("model", "more epochs", "old classes", "new classes", "all", "Recall@1")
            of = "one seed" if seeds == 1 else f"means of {seeds} seeds"
            text = f"{name.capitalize()}, {EPOCHS[name]} epochs at first, {of}:"
            lines += [text, "", *markdown(titles, rows), ""]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with icons64.npz")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="only write the table")
    args = parser.parse_args()
    made = {}
    for seed, name in itertools.product(range(args.seeds), args.sets):
        if not args.report and len(read(NAME, name, f"*-{seed}")) < len(WAYS):
            made[name] = made.get(name) or SETS[name](args.data)
            run(made[name], name, seed)
    insert(DOCS / "measurements.md", NAME, "\n".join(report()))


if __name__ == "__main__":
    main()
