"""Arrays, paths, `ImageFiles` and embedders in one form."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_proxygml.checks import as_array, check_labels, check_same_length, check_vectors, refuse
from keras_proxygml.datasets import ImageFiles
from keras_proxygml.datasets.decoding import why_unreadable
from keras_proxygml.metrics.inputs import number_classes
from keras_proxygml.search.embedding import read_batches
from keras_proxygml.visualization.names import names_of


class Examples(NamedTuple):
    """Images and what is known of them.

    Attributes:
        images: Arrays or paths, N of them.
        titles: What to call each image: its file and folder, or its number. N strings.
        vectors: `[N, D]`.
        labels: Number of each image's class, `[N]`, int64, or None.
        given: The labels as they were given, `[N]`, or None.
        names: Name of each of the C classes.
        left_out: Path and reason of each image that could not be read and has no vector.
        places: Place of each image among those that were given, `[N]`.
        given_count: How many were given.
    """

    images: Any
    titles: list[str]
    vectors: np.ndarray
    labels: np.ndarray | None
    given: np.ndarray | None
    names: list[str]
    left_out: list[tuple[str, str]]
    places: np.ndarray
    given_count: int


def examples(
    name: str,
    embeddings: Any,
    images: Any,
    labels: Any,
    class_names: Any,
    reading: Mapping[str, Any],
    labeled: bool = True,
) -> Examples:
    """Brings images, labels and vectors into one form.

    Args:
        name: Name of the argument that holds the images.
        embeddings: A Keras model, or vectors `[N, D]`.
        images: `ImageFiles`, paths or arrays.
        labels: Class of each image; None takes those of `ImageFiles`.
        class_names: Names with `class_names[label]`, or None.
        reading: Arguments of `evaluation_batches`.
        labeled: Whether labels are needed.

    Returns:
        `Examples`, without the images that an embedder could not read.
    """
    labels, class_names = _labels_of(images, labels, class_names)
    images = images_of(name, images)
    vectors, places = vectors_of(name, embeddings, images, reading)
    numbers, given, names = None, None, []
    if labeled or labels is not None:
        given = check_labels("labels", [] if labels is None else labels)
        check_same_length("labels", given, name, images, "Give one per image.")
        given = given[places]
        classes = np.unique(given)
        (numbers,) = number_classes(given)
        names = names_of(classes, class_names) or [str(label) for label in classes]
    missing = sorted(set(range(len(images))) - set(places.tolist()))
    left_out = [(str(images[i]), why_unreadable(images[i]) or "") for i in missing]
    kept = [images[i] for i in places] if missing else images
    titles = [_title(images[i], i) for i in places.tolist()]
    count = len(images)
    return Examples(kept, titles, vectors, numbers, given, names, left_out, places, count)


def _labels_of(images, labels, class_names):
    """Labels and names, of `ImageFiles` where they are not given."""
    if isinstance(images, ImageFiles) and labels is None:
        labels = images.labels
        class_names = images.class_names if class_names is None else class_names
    return labels, class_names


def images_of(name, images):
    """Images as an array `[N, …]` or a list of arrays or paths; not empty."""
    if isinstance(images, ImageFiles):
        images = images.paths
    images = images.to_numpy() if hasattr(images, "to_numpy") else images  # a pandas column
    images = as_array(images) if hasattr(images, "detach") or hasattr(images, "numpy") else images
    is_text = isinstance(images, (str, os.PathLike))
    if is_text or not hasattr(images, "__len__") or not len(images):
        received = f"{type(images).__name__}" if is_text else "no image"
        hint = "Give arrays, paths or ImageFiles."
        refuse(name, "be one or more images", received, hint)
    if isinstance(images, np.ndarray) and images.dtype.kind in "UO":
        return images.tolist()
    return images if isinstance(images, np.ndarray) else list(images)


def is_path(image):
    """Whether an image is a path, and not an array."""
    return isinstance(image, (str, os.PathLike))


def vectors_of(name, embeddings, images, reading):
    """Vectors `[n, D]` and their places among the images, `[n]`.

    Args:
        name: Name of the argument that holds the images.
        embeddings: A Keras model, or vectors.
        images: What `images_of` returns.
        reading: Arguments of `evaluation_batches`.
    """
    if not hasattr(embeddings, "predict"):
        vectors = check_vectors("embeddings", embeddings)
        check_same_length("embeddings", vectors, name, images, "Give one per image.")
        return vectors, np.arange(len(vectors))
    if is_path(images[0]):
        inputs = [os.fspath(image) for image in images]
    else:
        inputs = _stacked(name, images)
    read = list(read_batches(embeddings, inputs, 32, reading).batches)
    if not read:
        refuse(name, "have some images that can be read", f"{len(images)} images, none of them")
    places = np.concatenate([batch.places for batch in read])
    return check_vectors(name, np.concatenate([batch.vectors for batch in read])), places


def _stacked(name, images):
    """Images as one array, because Keras takes a list for several inputs of a model."""
    if isinstance(images, np.ndarray):
        return images
    arrays = [as_array(image) for image in images]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        received = f"arrays of {len(shapes)} shapes, such as {shapes[0]} and {shapes[-1]}"
        hint = "Resize the images, or give vectors of them or paths."
        refuse(name, "have one shape, because an embedder takes them in batches", received, hint)
    return np.stack(arrays)


def _title(image, place):
    return "/".join(Path(image).parts[-2:]) if is_path(image) else f"image {place}"
