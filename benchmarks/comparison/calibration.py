"""Does a calibrated threshold keep its promise on classes that it has not seen?

    python -m benchmarks.comparison.calibration --data FOLDER
    python -m benchmarks.comparison.calibration --data FOLDER --tasks glyphs icons
    python -m benchmarks.comparison.calibration --table        # only write the table again

The classes of the test half are split in two at random, 20 times. A threshold is calibrated on one
half, as its own gallery, for a false accept rate of 1 %. On the other half, again as its own
gallery, false accepts are counted. They should be inside the promised interval in 95 of 100 splits.

`FOLDER` holds `icons64.npz`, `products/` and `efficientnet_lite0_imagenet.keras`. The glyphs need
no folder. With `--embeddings FOLDER`, embeddings are kept there, and taken from there if they are
there. Writes `results/calibration.json`, and the table between the markers in `README.md`.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

import keras_proxygml as kp
from benchmarks.comparison.tasks import Batches, Glyphs, Half, existing
from benchmarks.reporting import described, environment, markdown, publish, read
from keras_proxygml import datasets
from keras_proxygml.metrics import best_matches, retrieval_metrics
from keras_proxygml.search.calibration import calibrate

NAME = "benchmarks.comparison.calibration"
RATE, SPLITS = 0.01, 20
BATCH_SIZE, EPOCHS, LEARNING_RATE = 64, 8, 2e-3


class Icons(Glyphs):
    """Icons of 64 × 64 pixels on the network of the glyphs."""

    def __init__(self, folder):
        with np.load(existing(folder, "icons64.npz")) as file:
            images, labels, half = file["images"], file["labels"], int(file["half"])
        images = images.reshape(-1, 64, 64, 1)
        train = labels < half
        self.train = Half(images[None, train], labels[train])
        self.test = Half(images[None, ~train], labels[~train] - half)


def trained(task):
    """A CNN from scratch, trained on the classes of the training half with ProxyGML."""
    keras.utils.set_random_seed(0)
    embedder, half = task.embedder(), task.train
    head = kp.ProxyGML(int(half.labels.max()) + 1, num_proxies=1)
    model = keras.Model(embedder.input, head(embedder.output))
    batches = Batches(half, BATCH_SIZE, 0)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, len(batches) * EPOCHS)
    model.compile(kp.ProxyAdam(rate), kp.ProxyGMLLoss(ratio=1.0))
    model.fit(batches, epochs=EPOCHS, verbose=0)
    return embedder.predict(task.test.inputs[0].astype("float32"), verbose=0), task.test.labels


def pretrained(folder):
    """The 1280 features of an EfficientNet-Lite0 that knows ImageNet, not trained further."""
    path = existing(folder, "efficientnet_lite0_imagenet.keras")
    embedder = keras.models.load_model(path, compile=False)
    _, files = datasets.image_folder(existing(folder, "products"))
    batches = datasets.evaluation_batches(files, 64, image_size=128, shorter_side=128)
    return embedder.predict(batches, verbose=0), np.asarray(files.labels)


TASKS = {
    "glyphs": ("a CNN trained on the training half", lambda folder: trained(Glyphs())),
    "icons": ("a CNN trained on the training half", lambda folder: trained(Icons(folder))),
    "products": ("EfficientNet-Lite0 with ImageNet weights", pretrained),
}


def embeddings_of(task, folder, kept):
    """Embeddings and labels of the test half, kept in a folder if one is given."""
    path = kept and kept / f"{task}.npz"
    if path and path.exists():
        with np.load(path) as file:
            return file["embeddings"], file["labels"]
    embeddings, labels = TASKS[task][1](folder)
    if path:
        kept.mkdir(parents=True, exist_ok=True)
        np.savez(path, embeddings=embeddings, labels=labels)
    return embeddings, labels


def split(embeddings, labels, seed):
    """Calibrates on half of the classes; what that promises, and what the other half shows."""
    classes = np.random.default_rng(seed).permutation(np.unique(labels))
    seen = np.isin(labels, classes[: len(classes) // 2])
    calibration = calibrate(best_matches(embeddings[seen], labels[seen]), false_accept_rate=RATE)
    others = best_matches(embeddings[~seen], labels[~seen])
    accepted = others.other >= calibration.threshold
    right = (others.own > others.other) & (others.own >= calibration.threshold)
    return {
        "promised": list(calibration.false_accept_interval),
        "threshold": calibration.threshold,
        "found": float(accepted.mean()),
        "identified": calibration.true_identification_rate,
        "identified_on_others": float(right.mean()),
    }


def run(task, folder, kept):
    """All splits of a task."""
    embeddings, labels = embeddings_of(task, folder, kept)
    runs = [split(embeddings, labels, seed) for seed in range(SPLITS)]
    recall = retrieval_metrics(embeddings, labels, k=1)["recall@1"]
    sizes = {"items": len(labels), "classes": len(np.unique(labels)), "recall@1": recall}
    return sizes | {"splits": runs}


def table(result):
    """The results as Markdown."""
    titles = (
        "classes of",
        "embedder",
        "items, classes",
        "Recall@1",
        "inside the promise",
        "promised, median",
        "found, median",
        "found, least and most",
        "identified, median",
    )
    rows = []
    for task, found in result["tasks"].items():
        runs = found["splits"]
        inside = sum(x["promised"][0] <= x["found"] <= x["promised"][1] for x in runs)
        ends = [np.median([x["promised"][i] for x in runs]) for i in (0, 1)]
        rates = [x["found"] for x in runs]
        cells = (
            task,
            TASKS[task][0],
            f"{found['items']:,}, {found['classes']}",
            f"{found['recall@1']:.3f}",
            f"{inside} of {len(runs)}",
            f"{ends[0]:.2%} to {ends[1]:.2%}",
            f"{np.median(rates):.2%}",
            f"{min(rates):.2%} to {max(rates):.2%}",
            f"{np.median([x['identified_on_others'] for x in runs]):.1%}",
        )
        rows.append(cells)
    above = described(result["environment"], SPLITS).replace(
        f"Medians of {SPLITS} interleaved rounds", f"{SPLITS} random splits"
    )
    return "\n".join([above, "", *markdown(titles, rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with the icons and the products")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--embeddings", type=Path, help="folder to keep embeddings in")
    parser.add_argument("--table", action="store_true", help="only write the table again")
    arguments = parser.parse_args()
    if arguments.table:
        result = read(NAME)
    else:
        tasks = {x: run(x, arguments.data, arguments.embeddings) for x in arguments.tasks}
        result = {"environment": environment(NAME, "numpy", "keras"), "tasks": tasks}
    publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
