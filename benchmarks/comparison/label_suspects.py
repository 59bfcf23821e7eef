"""Wrong labels found by `label_suspects`, beside cleanlab on the same embeddings.

    python -m benchmarks.comparison.label_suspects --data FOLDER --cleanlab VENV/bin/python
    python -m benchmarks.comparison.label_suspects --sets glyphs --rates 0.05
    python -m benchmarks.comparison.label_suspects --report    # only the table, from the results

`FOLDER` holds `icons64.npz`. The glyphs need no folder. A share of the labels is replaced by
another class at random. The result is the area under the precision-recall curve (average
precision) of finding them. There are three kinds of embeddings:

same    The training half, by an embedder that was trained on these images and wrong labels.
folds   The training half, in two folds. Each is embedded by a model that was trained on the other
        fold and its wrong labels. Neighbors are those of the same fold.
other   The test half, by an embedder that was trained on other classes, with right labels.

cleanlab gets probabilities of a classifier on the embeddings, by five-fold cross-validation. It
needs a Python that has cleanlab. Without one, it is left out. Each run leaves a line in
`results/label_suspects.jsonl`. The command goes on where it was cut off.
"""

import argparse
import itertools
import os
import subprocess
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from sklearn.metrics import average_precision_score

from benchmarks.comparison.sets import Icons, MoreGlyphs, embed, fit, new_model
from benchmarks.comparison.store import append, read
from benchmarks.comparison.tasks import Half
from benchmarks.reporting import insert, markdown
from keras_proxygml.inspection import label_suspects

DOCS = Path(__file__).parents[2] / "docs"
ROOT = Path(__file__).parents[2]
NAME = "label_suspects"
EPOCHS = {"glyphs": 12, "icons": 14}
RATES = (0.02, 0.05, 0.1)
KINDS = ("same", "folds", "other")
JUDGES = ("neighbors", "proxies", "cleanlab, 10 neighbors", "cleanlab, logistic regression")


class FewerGlyphs(MoreGlyphs):
    """300 characters of each half."""

    num_classes = 300


SETS = {"glyphs": FewerGlyphs, "icons": Icons}


def with_wrong_labels(labels, rate, seed):
    """Labels of which a share is wrong, and which."""
    rng = np.random.default_rng([seed, int(1000 * rate)])
    is_wrong = np.zeros(len(labels), bool)
    is_wrong[rng.choice(len(labels), round(rate * len(labels)), replace=False)] = True
    num_classes = int(labels.max()) + 1
    shifts = rng.integers(1, num_classes, len(labels))
    return np.where(is_wrong, (labels + shifts) % num_classes, labels), is_wrong


def scores_of(judge, embeddings, labels, proxies):
    """Suspicion of each item."""
    suspects = label_suspects(embeddings, labels, proxies=proxies if judge == "proxies" else None)
    scores = np.empty(len(labels))
    scores[suspects.rows] = suspects.scores
    return scores


def cleanlab_scores(python, embeddings, labels):
    """Suspicion of each item by cleanlab, for each of its ways."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.npz"), Path(folder, "target.npz")
        np.savez(source, embeddings=embeddings, labels=labels)
        code = "import sys; from benchmarks.comparison.cleanlab_scores import main; "
        code += "main(*sys.argv[1:])"
        subprocess.run([python, "-c", code, source, target], cwd=ROOT, check=True)
        with np.load(target) as arrays:
            return dict(arrays)


def judged(python, embeddings, labels, proxies):
    """Suspicion of each item by every judge."""
    judges = ["neighbors"] if proxies is None else ["neighbors", "proxies"]
    found = {judge: scores_of(judge, embeddings, labels, proxies) for judge in judges}
    return found | (cleanlab_scores(python, embeddings, labels) if python else {})


def proxies_of(model):
    return keras.ops.convert_to_numpy(model.layers[-1].proxies)


def embedded(images, name, kind, labels, seed):
    """Embeddings, labels, proxies and rows: once, or for each fold."""
    half, num_classes = images.train, int(images.train.labels.max()) + 1
    if kind == "other":
        model = new_model(images, num_classes, seed)
        fit(model, half, EPOCHS[name], seed)
        yield embed(model, images.test.inputs), None, np.arange(len(labels))
    elif kind == "same":
        model = new_model(images, num_classes, seed)
        fit(model, Half(half.inputs, labels), EPOCHS[name], seed)
        yield embed(model, half.inputs), proxies_of(model), np.arange(len(labels))
    else:
        order = np.random.default_rng(seed).permutation(len(labels))
        order = order[np.argsort(labels[order], kind="stable")]
        for fold in range(2):
            rows, others = order[fold::2], order[1 - fold :: 2]
            model = new_model(images, num_classes, seed)
            # As many steps as on the whole half.
            fit(model, Half(half.inputs[:, others], labels[others]), 2 * EPOCHS[name], seed)
            yield embed(model, half.inputs[:, rows]), proxies_of(model), rows


def run(images, name, kind, rates, python, seed):
    """One kind of embeddings. Those of other classes are the same for all rates."""
    half = images.test if kind == "other" else images.train
    cached = None
    for rate in rates:
        labels, is_wrong = with_wrong_labels(half.labels, rate, seed)
        if cached is None or kind != "other":
            cached = list(embedded(images, name, kind, labels, seed))
        found = {}
        for embeddings, proxies, rows in cached:
            for judge, scores in judged(python, embeddings, labels[rows], proxies).items():
                found.setdefault(judge, np.empty(len(labels)))[rows] = scores
        areas = {judge: float(average_precision_score(is_wrong, x)) for judge, x in found.items()}
        append(NAME, name, f"{kind}-{rate}-{seed}", {"items": len(labels), "areas": areas})
        print(name, kind, rate, areas, flush=True)


def report():
    """The tables of all sets, as Markdown lines."""
    lines = []
    for name in SETS:
        rows = []
        for kind, rate in itertools.product(KINDS, RATES):
            runs = read(NAME, name, f"{kind}-{rate}-[0-9]").values()
            if runs:
                areas = [[r["areas"].get(judge, np.nan) for r in runs] for judge in JUDGES]
                means = [np.mean(x) for x in areas]
                cells = ["" if np.isnan(x) else f"{x:.3f}" for x in means]
                rows.append((kind, f"{100 * rate:g} %", *cells))
        if rows:
            lines += [f"{name.capitalize()}:", ""]
            lines += [*markdown(("embeddings", "wrong labels", *JUDGES), rows), ""]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with icons64.npz")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cleanlab", help="a Python that has cleanlab")
    parser.add_argument("--report", action="store_true", help="only write the table")
    args = parser.parse_args()
    if not (args.cleanlab or args.report):
        print("cleanlab is left out. Give --cleanlab with a Python that has it.")
    made = {}
    for name, kind in itertools.product(args.sets, args.kinds):
        done = read(NAME, name, f"{kind}-*-{args.seed}")
        rates = [rate for rate in args.rates if f"{kind}-{rate}-{args.seed}" not in done]
        if rates and not args.report:
            made[name] = made.get(name) or SETS[name](args.data)
            run(made[name], name, kind, rates, args.cleanlab, args.seed)
    insert(DOCS / "measurements.md", NAME, "\n".join(report()))


if __name__ == "__main__":
    main()
