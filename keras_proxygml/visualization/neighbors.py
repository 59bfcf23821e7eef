"""A picture of queries and of their nearest neighbors."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_integer, check_same_length, refuse
from keras_proxygml.datasets import read_pixels
from keras_proxygml.metrics import nearest
from keras_proxygml.visualization.fonts import families_for
from keras_proxygml.visualization.names import names_of, wrapped
from keras_proxygml.visualization.palette import RIGHT, WRONG

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 256  # an image file is scaled down to this many pixels, which the picture can show


def plot_neighbors(
    images: Any,
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    class_names: Sequence[str] | Mapping[int | str, str] | None = None,
    queries: int | Sequence[int] = 8,
    neighbors: int = 8,
    seed: int = 0,
) -> "Figure":
    """Draws queries and their nearest neighbors, framed green (same class) or red (another).

    The cosine similarity to the query is below each neighbor, with ✓ or ✗. The name of its class
    is there too, if `class_names` are given or labels are strings.

    Args:
        images: Arrays `[M, height, width, channels]`, or M paths of image files. Arrays are uint8,
            or floats from 0 to 1 or from 0 to 255 (if any that is drawn is above 2). One channel
            is gray, three are RGB. A list may hold images of different sizes.
        embeddings: Vectors of the images, compared by cosine. `[M, D]`.
        labels: Class of each image. `[M]`, integers or strings.
        class_names: Name of each class, `class_names[label]`, or `None`.
        queries: How many random images to query, or their indices.
        neighbors: How many neighbors to show for each query.
        seed: Seed of the random queries.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("neighbors.png")`.

    Raises:
        ValueError: If the numbers of images, embeddings and labels differ, or are too small for
            the queries or neighbors, or if a label has no name.
    """
    labels, embeddings = np.asarray(labels).reshape(-1), np.asarray(embeddings, "float32")
    images = images.to_numpy() if hasattr(images, "to_numpy") else images  # a pandas column
    _check_counts(images, embeddings, labels, neighbors)
    chosen = _chosen(queries, len(images), seed)
    places, similarities = _found(chosen, embeddings, neighbors)
    names = names_of(labels[places.ravel()], class_names)
    captions = _captions(names, places, similarities, labels)
    pixels = {place: _pixels(images[place]) for place in np.unique(places).tolist()}
    brightest = 255 if any(x.dtype == np.uint8 or x.max() > 2 for x in pixels.values()) else 1

    figure, grid = _grid(captions, side=1.0 if names is None else 1.3)  # names need more width
    families = families_for(captions.ravel())
    for (row, column), place in np.ndenumerate(places):
        color = RIGHT if labels[place] == labels[chosen[row]] else WRONG
        axes = grid[row, column]
        _draw(axes, pixels[place].astype("float32") / brightest, color if column else "black")
        axes.set_xlabel(captions[row, column], fontfamily=families, fontsize=7.5, parse_math=False)
    grid[0, 0].set_title("query", fontsize=9)
    grid[0, 1].set_title("nearest →", fontsize=9)
    return figure


def _check_counts(images, embeddings, labels, neighbors):
    count = len(images)
    check_same_length("embeddings", embeddings, "images", images, "Give one per image.")
    check_same_length("labels", labels, "images", images, "Give one per image.")
    check_integer("neighbors", neighbors, minimum=1)
    if neighbors >= count:
        received = f"neighbors={neighbors} and {count} images"
        hint = "Show fewer neighbors, or give more images."
        refuse("neighbors", "be less than the number of images", received, hint)


def _chosen(queries, count, seed):
    """Indices of the queries, `[Q]`, from 0 on."""
    if np.ndim(queries) == 0:
        check_integer("queries", queries, minimum=1)
        if queries <= count:
            return np.random.default_rng(seed).choice(count, queries, replace=False)
    elif len(queries) and -count <= np.min(queries) <= np.max(queries) < count:
        return np.arange(count)[np.asarray(queries)]
    return refuse(
        "queries",
        "be a number of images or some indices",
        f"queries={queries} of {count} images",
        f"Give a number up to {count}, or indices from 0 to {count - 1}.",
    )


def _found(queries, embeddings, neighbors):
    """Finds the nearest others.

    Returns:
        Places of each query and its neighbors, `[Q, 1 + neighbors]`, and the similarities of the
        neighbors, `[Q, neighbors]`.
    """
    places, similarities = nearest(embeddings[queries], neighbors + 1, gallery=embeddings)
    # Drop the query. If many equal images hide it, drop the last neighbor.
    order = np.argsort(places == queries[:, None], axis=1, kind="stable")[:, :neighbors]
    places, similarities = (np.take_along_axis(x, order, axis=1) for x in (places, similarities))
    return np.hstack([queries[:, None], places]), similarities


def _captions(names, places, similarities, labels):
    """The text below each image, `[Q, 1 + neighbors]`: its name, similarity and mark."""
    captions = np.full(places.shape, "", object)
    if names is not None:
        captions.flat = [wrapped(name, columns=20) + "\n" for name in names]
    for (row, i), similarity in np.ndenumerate(similarities):
        is_right = labels[places[row, i + 1]] == labels[places[row, 0]]
        captions[row, i + 1] += f"{similarity:.2f} {'✓' if is_right else '✗'}"
    return captions


def _pixels(image):
    """Pixels of an array or of an image file: `[height, width]` or `[height, width, 3]`."""
    from PIL import Image

    if isinstance(image, (str, os.PathLike)):
        image = Image.fromarray(read_pixels(image))
        image.thumbnail((SIDE, SIDE))  # a picture of many photographs would fill the memory
    pixels = np.asarray(image)
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def _grid(captions, side):
    """A figure of squares for the images, in inches, with room for the captions below each."""
    from matplotlib.figure import Figure

    rows, columns = captions.shape
    lines = sum(1 + max(caption.count("\n") for caption in row) for row in captions)
    size = side * columns, (side + 0.05) * rows + 0.13 * lines + 0.25
    figure = Figure(figsize=size, layout="compressed")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _draw(axes, pixels, color):
    axes.imshow(pixels.clip(0, 1), cmap="gray", vmin=0, vmax=1)  # RGB needs no map
    axes.set(xticks=[], yticks=[], box_aspect=1, adjustable="datalim")  # all frames are squares
    for spine in axes.spines.values():
        spine.set(color=color, linewidth=3)
