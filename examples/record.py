"""Describes how a run of `train_cars.py` was started: images, classes, split, preparation."""

import hashlib
import os
from pathlib import Path

import numpy as np

SHOWN = 3  # classes that a message names


def describe(args, train, test):
    """Describes the images of a run, and the files that its options name, to be written as JSON.

    Args:
        args: The options of `train_cars.py`, after `choose_split`.
        train: The training half, `ImageFiles`.
        test: The test half.

    Returns:
        A dict. `class_names` of a half are in the order of the labels.
    """
    split = "that of train/ and test/" if args.dataset == "folder" else "as published"
    if args.split_seed is not None:
        split = f"a random half of the classes, --split-seed {args.split_seed}"
    named = {"--backbone": args.backbone, "--weights": args.weights}
    return {
        "dataset": args.dataset,
        "data_dir": str(args.data_dir.resolve()),
        "split": split,
        "image_size": args.image_size,
        "shorter_side": args.shorter_side or round(args.image_size * 256 / 224),
        "train": describe_half(train),
        "test": describe_half(test),
        "files": {
            option: hashlib.sha256(Path(path).read_bytes()).hexdigest()
            for option, path in named.items()
            if path and Path(path).is_file()
        },
    }


def describe_half(files):
    """Names the classes of a half, and fingerprints the images of each by name and size."""
    lines = [[] for _ in files.class_names]
    for path, label in zip(files.paths, files.labels, strict=True):
        # Reading all images would take long. A missing file has size 0: evaluation skips it.
        size = os.path.getsize(path) if os.path.exists(path) else 0
        lines[label].append(f"{os.path.basename(path)} {size}")
    return {
        "class_names": list(files.class_names),
        "images": np.bincount(files.labels, minlength=len(lines)).tolist(),
        "fingerprints": [
            hashlib.sha256("\n".join(sorted(of_class)).encode()).hexdigest()[:16]
            for of_class in lines
        ],
    }


def changes(before, now):
    """Lists the changes from one description to another, as phrases."""
    files = [f"the file of {o}" for o in now["files"] if before["files"].get(o) != now["files"][o]]
    if all(before[half] == now[half] for half in ("train", "test")):
        return files
    old, new = classes_of(before), classes_of(now)
    found = {
        "new classes": [name for name in new if name not in old],
        "missing classes": [name for name in old if name not in new],
        "other images": [name for name in new if name in old and new[name][1:] != old[name][1:]],
    }
    if not any(found.values()):
        found["in the other half"] = [name for name in new if new[name] != old[name]]
    details = "; ".join(
        f"{what}: {listed(sorted(names))}" for what, names in found.items() if names
    )
    return [f"the images in {now['data_dir']} ({details})", *files]


def classes_of(description):
    """Returns the half, the number of images and their fingerprint for each class."""
    classes = {}
    for half in ("train", "test"):
        columns = (description[half][key] for key in ("class_names", "images", "fingerprints"))
        for name, images, fingerprint in zip(*columns, strict=True):
            classes[name] = (half, images, fingerprint)
    return classes


def listed(names):
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
