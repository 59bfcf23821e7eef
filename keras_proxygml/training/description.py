"""Describes how a run was started: images, classes, files. A later start is compared with it."""

import csv
import hashlib
import io
import os
from pathlib import Path

import keras
import numpy as np

from keras_proxygml.datasets import ImageFiles
from keras_proxygml.search.digests import embedder_digest

SHOWN = 3  # classes that a message names


def describe_images(train, test):
    """Describes both halves, to be written as JSON.

    Args:
        train: `ImageFiles` or `ImageArrays`.
        test: The same, or None.

    Returns:
        A dict of `train` and `test`, or None for a half. `class_names` are in the order of labels.
    """
    halves = {"train": train, "test": test}
    folder = common_folder([half for half in halves.values() if isinstance(half, ImageFiles)])
    return {name: half and {"folder": folder, **_half(half)} for name, half in halves.items()}


def describe_files(backbone, weights):
    """Returns a digest of the backbone and of its weights, as far as they are files or a model."""
    named = {"backbone": backbone, "weights": weights}
    files = {
        name: hashlib.sha256(Path(path).read_bytes()).hexdigest()
        for name, path in named.items()
        if isinstance(path, (str, os.PathLike)) and Path(path).is_file()
    }
    return files | ({"backbone": embedder_digest(backbone)} if _is_model(backbone) else {})


def _is_model(backbone):
    return isinstance(backbone, keras.Model)


def common_folder(halves):
    """Returns the folder that holds the images of all halves, or None."""
    folders = {os.path.dirname(os.path.abspath(path)) for half in halves for path in half.paths}
    return os.path.commonpath(folders) if folders else None


def _half(images):
    """Names the classes of a half, and fingerprints the images of each."""
    items = [[] for _ in images.class_names]
    for item, label in zip(_fingerprints(images), images.labels, strict=True):
        items[label].append(item)
    return {
        "class_names": list(images.class_names),
        "images": np.bincount(images.labels, minlength=len(items)).tolist(),
        "fingerprints": [
            hashlib.sha256("\n".join(sorted(of_class)).encode()).hexdigest()[:16]
            for of_class in items
        ],
    }


def _fingerprints(images):
    """Yields what tells each image from others: name and size of a file, pixels of an array."""
    if not isinstance(images, ImageFiles):
        for image in images.images:
            yield hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
        return
    for path in images.paths:
        # Reading all images would take long. A missing file has size 0: evaluation skips it.
        size = os.path.getsize(path) if os.path.exists(path) else 0
        yield f"{os.path.basename(path)} {size}"


def changes(before, now):
    """Lists the changes from one description to another, as phrases.

    Args:
        before, now: Dicts of `train`, `test` and `files`.
    """
    files = [
        f"the file of `{o}`" for o in now["files"] if before["files"].get(o) != now["files"][o]
    ]
    old, new = _classes(before), _classes(now)
    if old == new:
        return files
    found = {
        "new classes": [name for name in new if name not in old],
        "missing classes": [name for name in old if name not in new],
        "other images": [
            n for n in new if n in old and {x[1:] for x in new[n]} != {x[1:] for x in old[n]}
        ],
    }
    if not any(found.values()):
        found["in the other half"] = [name for name in new if new[name] != old[name]]
    details = "; ".join(
        f"{what}: {_listed(sorted(names))}" for what, names in found.items() if names
    )
    folder = now["train"]["folder"]
    return [f"the images{f' in {folder}' if folder else ''} ({details})", *files]


def _classes(description):
    """Returns a set of (half, number of images, fingerprint) for each class."""
    classes = {}
    for half in filter(description.get, ("train", "test")):
        columns = (description[half][key] for key in ("class_names", "images", "fingerprints"))
        for name, images, fingerprint in zip(*columns, strict=True):
            classes.setdefault(name, set()).add((half, images, fingerprint))
    return classes


def _listed(names):
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def paths_as_csv(train, test):
    """Writes the class and the path of each image file as CSV, paths relative to their folder."""
    halves = {"train": train, "test": test}
    folder = common_folder([half for half in halves.values() if isinstance(half, ImageFiles)])
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("half", "label", "class", "path"))
    for name, half in halves.items():
        if isinstance(half, ImageFiles):
            for path, label in zip(half.paths, half.labels, strict=True):
                relative = os.path.relpath(os.path.abspath(path), folder)
                rows.writerow((name, label, half.class_names[label], relative))
    return text.getvalue()
