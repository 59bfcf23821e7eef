"""The recipe `fine_tune` on the products: its ingredients one by one, and its result.

    python -m benchmarks.comparison.fine_tuning --data FOLDER                 # goes on where it was
    python -m benchmarks.comparison.fine_tuning --data FOLDER --stages test   # cut off
    python -m benchmarks.comparison.fine_tuning --report    # only the tables, from the results

`FOLDER` holds `products/` and `efficientnet_lite0_imagenet.keras`, the whole of which learns. Each
run leaves a line in `results/fine_tuning.jsonl`.

ingredients  The recipe with 6 epochs at 128 px and one change, trained on three quarters of the
             training classes and judged on the others.
test         The recipe at 224 px, judged on the test half, with 3 seeds. `--runs` keeps the
             folders of the runs, in which an interrupted training goes on.

Each embedder is judged on whole images and on the library's central crop, each time as it is and by
`models.with_mirror`. The tests after each epoch, and the table of ingredients, take whole images.
"""

import argparse
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

from benchmarks.comparison.store import append, read
from benchmarks.comparison.tasks import existing
from benchmarks.reporting import insert, markdown
from keras_proxygml import datasets, retrieval_metrics
from keras_proxygml.datasets import ImageFiles
from keras_proxygml.models import with_mirror
from keras_proxygml.training import RECIPES, fine_tune

DOCS = Path(__file__).parents[2] / "docs"
NAME, BACKBONE = "fine_tuning", "efficientnet_lite0_imagenet.keras"
STAGES = ("ingredients", "test")
SHORT = RECIPES["fine_tune"].replace(image_size=128, epochs=6)
LONG = RECIPES["fine_tune"].replace(image_size=224)
METRICS = {"recall@1": "Recall@1", "map@r": "MAP@R"}
COLUMNS = [f"{name}{of}" for of in ("", ", mirrored") for name in METRICS.values()]
# How an embedder is judged. The pictures are square.
VIEWS = {
    "images": "whole",
    "mirrored": "whole, mirrored",
    "cropped": "central crop",
    "cropped, mirrored": "central crop, mirrored",
}
WHOLE, CROPPED = list(VIEWS)[:2], list(VIEWS)[2:]
SPLIT = "that of train/ and test/"


def with_pooling(backbone):
    """The backbone with the sum of average and maximum pooling in place of the average."""
    feature_map = backbone.layers[-1].input
    pools = layers.GlobalAveragePooling2D(), layers.GlobalMaxPooling2D()
    return keras.Model(backbone.input, layers.Add()([pool(feature_map) for pool in pools]))


def with_normalization(backbone):
    """The backbone with a layer normalization at its end."""
    return keras.Model(backbone.input, layers.LayerNormalization()(backbone.output))


def behind(augmentation):
    """A function that puts a layer in front of a backbone. It acts in training only."""

    def change(backbone):
        images = keras.Input((SHORT.image_size, SHORT.image_size, 3))
        return keras.Model(images, backbone(augmentation(images)))

    return change


JITTER = layers.RandomColorJitter(
    brightness_factor=0.3, contrast_factor=0.3, saturation_factor=(0.3, 0.7)
)
ERASING = layers.RandomErasing(0.5, scale=(0.02, 0.2), fill_value=127.0)
OF_DRAWINGS = {"num_proxies": 4, "ratio": 0.1, "scale": 0.75}
# Changes of the recipe, and of the backbone.
INGREDIENTS = {
    "as it is": ({}, None),
    "160 px": ({"image_size": 160}, None),
    "12 epochs": ({"epochs": 12}, None),
    "average and maximum pooling": ({}, with_pooling),
    "layer normalization before the embedding": ({}, with_normalization),
    "embedding of 128": ({"embedding_size": 128}, None),
    "batches of 64": ({"batch_size": 64}, None),
    "crops from 0.15 of the area": ({"crop_area": 0.15}, None),
    "crops from 0.6 of the area": ({"crop_area": 0.6}, None),
    "color jitter": ({}, behind(JITTER)),
    "erased rectangles": ({}, behind(ERASING)),
    "batch normalization trained": ({"freeze_batch_norm": False}, None),
    "no warm-up": ({"warm_up": 0}, None),
    "scale 2.5": ({"scale": 2.5}, None),
    "without the mask": ({"masked": False}, None),
    "the paper's ratio 0.05": ({"ratio": 0.05}, None),
    "N 4, ratio 0.1, scale 0.75": (OF_DRAWINGS, None),
    "N 4, ratio 0.1, scale 0.75, without the mask": (OF_DRAWINGS | {"masked": False}, None),
}


def held_out(files):
    """Three quarters of the classes of image files, and the others."""
    order = np.random.default_rng(0).permutation(len(files.class_names))
    parts = np.split(order, [len(order) * 3 // 4])
    return [of_classes(files, np.sort(part)) for part in parts]


def of_classes(files, classes):
    """The image files of some classes."""
    kept = np.flatnonzero(np.isin(files.labels, classes))
    labels = np.searchsorted(classes, files.labels[kept]).astype("int32")
    return ImageFiles(
        [files.paths[i] for i in kept], labels, [files.class_names[c] for c in classes]
    )


def judge(embedder, files, size):
    """Recall@1 and MAP@R of whole images and of central crops, alone and with mirror images."""
    found = {}
    for keys, shorter_side in ((WHOLE, size), (CROPPED, None)):
        images = datasets.evaluation_batches(files, 64, image_size=size, shorter_side=shorter_side)
        for key, model in zip(keys, (embedder, with_mirror(embedder)), strict=True):
            metrics = retrieval_metrics(model.predict(images, verbose=0), files.labels)
            found[key] = {metric: round(metrics[metric], 6) for metric in METRICS}
    return found


def run(files, recipe, backbone, folder=None, seed=0):
    """One training. Its tests take whole images."""
    train, test = files
    size = recipe.image_size
    options = {"backbone": backbone, "output": folder, "split": SPLIT, "seed": seed, "verbose": 2}
    result = fine_tune(train, test, recipe=recipe, shorter_side=size, **options)
    history = {f"val_{key}": result.history[f"val_{key}"] for key in METRICS}
    return {
        "before": {key: round(result.before[key], 6) for key in METRICS},
        "history": {key: [round(value, 6) for value in x] for key, x in history.items()},
        "seconds": round(result.seconds),
        **judge(result.embedder, test, size),
    }


def run_ingredients(path, train_half):
    """Runs what is not there yet."""
    files = held_out(train_half)
    for label, (change, change_backbone) in INGREDIENTS.items():
        if label in read(NAME, "ingredients"):
            continue
        backbone = keras.models.load_model(path, compile=False)
        backbone = change_backbone(backbone) if change_backbone else backbone
        append(NAME, "ingredients", label, run(files, SHORT.replace(**change), backbone))
        print("ingredients", label, read(NAME, "ingredients")[label], flush=True)


def run_test(path, files, folder, seeds):
    """Runs what is not there yet."""
    for seed in range(seeds):
        if f"seed {seed}" not in read(NAME, "test"):
            result = run(files, LONG, str(path), folder / f"seed-{seed}", seed)
            append(NAME, "test", f"seed {seed}", result)


def cells(result, views):
    """Recall@1 and MAP@R of each of the views."""
    return [result[view][metric] for view in views for metric in METRICS]


def ingredients():
    """The changes, and the differences that they make."""
    found = read(NAME, "ingredients")
    base = cells(found["as it is"], WHOLE)
    rows = []
    for label in filter(found.get, INGREDIENTS):
        values = zip(cells(found[label], WHOLE), base, strict=True)
        rows.append((label, *(f"{x:.3f} ({x - b:+.3f})" for x, b in values)))
    return markdown(("recipe", *COLUMNS), rows)


def tests(found):
    """The test half after each training."""
    rows = [
        (label, *(f"{x:.3f}" for x in cells(result, CROPPED)), f"{result['seconds'] / 60:.0f}")
        for label, result in found.items()
    ]
    means = np.mean([cells(result, CROPPED) for result in found.values()], axis=0)
    rows += [("mean", *(f"{x:.4f}" for x in means), "")]
    return markdown(("run", *COLUMNS, "minutes"), rows)


def crops(held_out, found):
    """What the central crop changes: on held-out classes, and on the test half."""
    rows = []
    for view, title in VIEWS.items():
        means = np.mean([cells(result, [view]) for result in found.values()], axis=0)
        rows.append((title, *(f"{x:.3f}" for x in (*cells(held_out, [view]), *means))))
    of = ("held-out classes", "test half")
    titles = [f"{metric}, {classes}" for classes in of for metric in METRICS.values()]
    return markdown(("images", *titles), rows)


def epochs(found):
    """Whole images of the test half before the training and after each epoch."""
    rows = []
    for metric, title in METRICS.items():
        series = [[x["before"][metric], *x["history"][f"val_{metric}"]] for x in found.values()]
        rows.append((title, *(f"{x:.3f}" for x in np.mean(series, axis=0))))
    return markdown(("epoch", *range(LONG.epochs + 1)), rows)


def report():
    """All tables, as Markdown lines."""
    found, changes = read(NAME, "test"), read(NAME, "ingredients")
    lines = []
    if found:
        lines += ["Central crops of the test half:", "", *tests(found), ""]
        lines += ["Whole images of the test half, the mean of these runs:", "", *epochs(found), ""]
    if found and "as it is" in changes:
        title = "The crop, on held-out classes (one run with 6 epochs at 128 px) and in these runs:"
        lines += [title, "", *crops(changes["as it is"], found), ""]
    if changes:
        title = "One run each, with 6 epochs at 128 px, on whole images of held-out classes:"
        lines += [title, "", *ingredients(), ""]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with the pictures and the backbone")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--runs", type=Path, help="where the runs of `test` are kept")
    parser.add_argument("--seeds", type=int, default=3, help="how many runs of `test`")
    parser.add_argument("--report", action="store_true", help="only write the tables")
    args = parser.parse_args()
    if not args.report:
        path = existing(args.data, BACKBONE)
        files = datasets.image_folder(existing(args.data, "products"))
        if "ingredients" in args.stages:
            run_ingredients(path, files[0])
        if "test" in args.stages:
            with tempfile.TemporaryDirectory() as folder:
                run_test(path, files, args.runs or Path(folder), args.seeds)
    insert(DOCS / "measurements.md", NAME, "\n".join(report()))


if __name__ == "__main__":
    main()
