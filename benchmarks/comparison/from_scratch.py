"""The recipe `from_scratch` on products: with and without the mask, with two sizes of crops.

    python -m benchmarks.comparison.from_scratch --data FOLDER    # goes on where it was cut off
    python -m benchmarks.comparison.from_scratch --report         # only the table, from the results

`FOLDER` holds `products/`. The backbone is `"small"`, as in `keras-proxygml train`, at 64 px. All
images are of the training half: some classes are trained on, and others are judged. Each run leaves
a line in `results/from_scratch.jsonl`.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np

from benchmarks.comparison.fine_tuning import held_out, of_classes
from benchmarks.comparison.store import append, read
from benchmarks.comparison.tasks import existing
from benchmarks.reporting import insert, markdown
from keras_proxygml import datasets
from keras_proxygml.training import RECIPES, fine_tune

DOCS = Path(__file__).parents[2] / "docs"
NAME, STAGE, SIZE = "from_scratch", "recipes", 64
METRICS = {"recall@1": "Recall@1", "map@r": "MAP@R"}
MASKS = {
    "with the mask, ratio 0.1": {"masked": True, "ratio": 0.1},
    "without the mask, ratio 0.3": {"masked": False, "ratio": 0.3},
}
CROPS = (0.5, 0.8)  # the smallest share of the area


def few_products(folder):
    """40 products to train on, and 40 to judge, with 12 pictures of each."""
    train, _ = datasets.image_folder(existing(folder, "products"))
    order = np.random.default_rng(0).permutation(len(train.class_names))
    return [of_classes(train, np.sort(part)) for part in (order[:40], order[40:80])]


def many_products(folder):
    """Three quarters of the products to train on."""
    train, _ = datasets.image_folder(existing(folder, "products"))
    return held_out(train)


SETS = {"40 products": few_products, "290 products": many_products}
LENGTHS = [("40 products", 12), ("40 products", 64), ("290 products", 12), ("290 products", 32)]


def run(files, recipe):
    """One training: the metrics on other classes."""
    result = fine_tune(*files, backbone="small", recipe=recipe, shorter_side=SIZE, verbose=0)
    found = {key: round(result.metrics[key], 6) for key in METRICS}
    return {"metrics": found, "seconds": round(result.seconds)}


def label_of(name, mask, crop, epochs):
    return f"{name}, {mask}, crops from {crop}, {epochs} epochs"


def table():
    """The runs on file: Recall@1 and MAP@R, a column for each of the masks and crops."""
    found = read(NAME, STAGE)
    columns = list(itertools.product(MASKS, CROPS))
    rows = []
    for name, epochs in LENGTHS:
        runs = [found.get(label_of(name, *column, epochs)) for column in columns]
        if any(runs):
            cells = [
                " / ".join(f"{run['metrics'][key]:.3f}" for key in METRICS) if run else ""
                for run in runs
            ]
            rows.append((name, epochs, *cells))
    titles = [f"{mask}, crops from {crop} of the area" for mask, crop in columns]
    return "\n".join(markdown(("trained on", "epochs", *titles), rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with the products")
    parser.add_argument("--report", action="store_true", help="only write the table")
    args = parser.parse_args()
    if not args.report:
        for (name, epochs), mask, crop in itertools.product(LENGTHS, MASKS, CROPS):
            label = label_of(name, mask, crop, epochs)
            if label not in read(NAME, STAGE):
                changes = MASKS[mask] | {"crop_area": crop, "epochs": epochs, "image_size": SIZE}
                recipe = RECIPES["from_scratch"].replace(**changes)
                append(NAME, STAGE, label, run(SETS[name](args.data), recipe))
                print(label, read(NAME, STAGE)[label], flush=True)
    insert(DOCS / "settings.md", NAME, table())


if __name__ == "__main__":
    main()
