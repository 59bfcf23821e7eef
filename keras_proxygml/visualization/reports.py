"""A page about an embedder, for people: what it finds, and where it errs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_integer, check_number, refuse
from keras_proxygml.visualization._report.contents import contents
from keras_proxygml.visualization._report.inputs import examples, vectors_of
from keras_proxygml.visualization._report.page import check_installed, render

MAX_IMAGES = 10_000


def report(
    path: str | os.PathLike[str],
    embeddings: Any,
    images: Any,
    labels: ArrayLike | None = None,
    *,
    class_names: Sequence[str] | Mapping[int | str, str] | None = None,
    train: Any = None,
    train_embeddings: ArrayLike | None = None,
    baselines: Mapping[str, Any] | None = None,
    history: Any = None,
    metrics: Mapping[str, float] | None = None,
    threshold: float | None = None,
    title: str = "What the embedder finds",
    neighbors: int = 8,
    max_images: int = MAX_IMAGES,
    megabytes: float = 15,
    image_options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Path:
    """Writes a page about an embedder into one HTML file.

    It shows the metrics with intervals, learning curves, queries with their neighbors, the worst
    first, classes that are confused, labels that look wrong, near duplicates, a map of all
    embeddings, and what a threshold accepts. The file needs no network and no other file. Equal
    input makes equal files.

    Args:
        path: The file to write, such as "report.html".
        embeddings: Vectors of the images, `[M, D]`, or an embedder, a `keras.Model`, that makes
            them.
        images: The test images: `ImageFiles`, M paths, or arrays `[M, height, width, channels]` as
            in `plot_neighbors`. An embedder takes arrays of one shape.
        labels: Class of each image. `[M]`, integers or strings. None takes those of `ImageFiles`.
        class_names: Name of each class, `class_names[label]`.
        train: Training images, to look for test images among them. As `images`.
        train_embeddings: Their vectors, `[N, D]`. Only if `embeddings` are vectors.
        baselines: What to compare with: a name → vectors `[M, D]`, or another embedder, such as
            `{"untrained": model}`. Raw pixels are always compared, unless there are more than
            `max_images`.
        history: What `plot_history` takes, for learning curves.
        metrics: Other numbers to show, such as those of `clustering_metrics`: a name → float.
        threshold: The similarity from which an answer counts, as `Gallery.calibrate` chooses it. By
            default, 1% of the queries accept a stranger.
        title: Title of the page.
        neighbors: How many neighbors to show for each query.
        max_images: How many images to show at most. The metrics count all of them.
        megabytes: How large the file may become, in units of 1,000,000 bytes. The thumbnails are
            made as large as this allows.
        image_options: Arguments of `evaluation_batches` with which an embedder reads files, such as
            `{"shorter_side": 256}`.
        seed: Seed of the intervals, the map, and the choice of images if not all are shown.

    Returns:
        The path.

    Raises:
        ValueError: If there are no images, fewer than two classes, no class with two images, or
            arguments do not fit together.
        ImportError: If Jinja2 is missing, which the extra `report` installs.

    Warns:
        UserWarning: For image files that can't be read. The page names and counts them.
    """
    check_installed()
    _check_numbers(neighbors, max_images, megabytes, threshold)
    reading = image_options or {}
    tested = examples("images", embeddings, images, labels, class_names, reading)
    if len(tested.names) < 2:
        received = f"{len(tested.titles)} images of {tested.names[0]!r}"
        refuse("labels", "be of at least two classes", received, "Strangers are part of the test.")
    trained = _training(embeddings, train, train_embeddings, reading)
    others = {
        name: _baseline(name, given, tested, reading) for name, given in (baselines or {}).items()
    }
    found = contents(
        tested,
        trained,
        others,
        neighbors=neighbors,
        max_images=max_images,
        num_bytes=megabytes * 1e6,
        threshold=threshold,
        seed=seed,
    )
    page = render(found, title=title, history=history, metrics=metrics or {})
    Path(path).write_text(page, encoding="utf-8", newline="\n")
    return Path(path)


def _check_numbers(neighbors, max_images, megabytes, threshold):
    check_integer("neighbors", neighbors, 1)
    check_integer("max_images", max_images, 100)
    check_number("megabytes", megabytes, "[2, inf)", "The page itself takes about one.")
    if threshold is not None:
        check_number("threshold", threshold, "[-1, inf)", "It is a cosine.")


def _training(embeddings, train, train_embeddings, reading):
    """Training images and their vectors, or None."""
    is_model = hasattr(embeddings, "predict")
    if train is None:
        if train_embeddings is not None:
            refuse("train", "be given with `train_embeddings`", "train=None", "Give the images.")
        return None
    if is_model == (train_embeddings is not None):
        allowed = "be None if `embeddings` is an embedder, and be given if it is not"
        refuse("train_embeddings", allowed, "no vectors" if not is_model else "vectors")
    vectors = embeddings if is_model else train_embeddings
    return examples("train", vectors, train, None, None, reading, labeled=False)


def _baseline(name, embeddings, tested, reading):
    """Vectors of another embedder, `[n, D]`, and their places among the test images, `[n]`."""
    if not hasattr(embeddings, "predict"):
        embeddings = np.asarray(embeddings)
        if len(embeddings) == tested.given_count:
            return embeddings[tested.places], np.arange(len(tested.places))
        received = f"{len(embeddings)} vectors of {name!r}"
        refuse("baselines", f"have {tested.given_count} vectors each, one per image", received)
    return vectors_of("images", embeddings, tested.images, reading)
