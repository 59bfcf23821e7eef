"""Labels that contradict the embeddings."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import (
    as_array,
    check_integer,
    check_same_dims,
    check_vectors,
    refuse,
)
from keras_proxygml.inspection.tables import Table, table
from keras_proxygml.metrics._exact.grid import unit_vectors
from keras_proxygml.metrics._exact.threads import cores, in_threads, single_blas
from keras_proxygml.metrics.inputs import check_set, number_classes

HEIGHT, WIDTH = 256, 4096  # items compared at a time


@table
class LabelSuspects(Table):
    """All items, the most suspicious label first.

    Attributes:
        rows: Row of the item. `[N]`, int64.
        scores: How suspicious its label is, from -2 to 2. Above 0, another class is nearer than the
            own one. `[N]`, float64.
        labels: The label that was given. `[N]`.
        suggested: The other class that is nearest. `[N]`.
    """

    rows: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    suggested: np.ndarray


def label_suspects(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    k: int = 3,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    proxies: Any = None,
) -> LabelSuspects:
    """Ranks items by how much their neighbors, or the proxies, contradict their labels.

    By neighbors, the score is the mean cosine to the k nearest items of other classes minus that to
    the k nearest other items of the own class. By proxies, it is the cosine to the nearest proxy of
    another class, minus that to the nearest proxy of the own class.

    No item supports itself. But a long training on a wrong label moves the item toward that class,
    and hides the error. Prefer an embedder of other classes, one trained for few epochs, or one
    of another fold of the data.

    Args:
        embeddings: The items. `[N, D]`, finite.
        labels: Class of each item. `[N]` or `[N, 1]`, integers or strings. Integers below C if
            `proxies` are given.
        k: How many neighbors of the own class count, and how many of other classes. If the own
            class has fewer, these count. If it has none, its cosine counts as 0.
        gallery: Items to compare with instead, such as those whose labels are known to be right.
            `[M, D]`.
        gallery_labels: Class of each gallery item. `[M]` or `[M, 1]`.
        proxies: Proxies that judge instead of neighbors. `[C, N, D]`: an array, or the `proxies` of
            a proxy layer.

    Returns:
        A `LabelSuspects` of all items, the most suspicious first.

    Raises:
        ValueError: If shapes, dtypes or values do not allow it, if there is no other class, if k is
            larger than the number of neighbors, or if both gallery and proxies are given.

    Example:

    >>> embeddings = np.array([[9, 0], [9, 1], [9, 2], [9, 3], [0, 9], [1, 9], [2, 9], [3, 9]])
    >>> suspects = label_suspects(embeddings, list("aaabbbbb"))
    >>> print(suspects[suspects.scores > 0])
    rows  scores  labels  suggested
       3   0.463       b          a
    """
    if proxies is not None:
        if gallery is not None or gallery_labels is not None:
            hint = "Give either neighbors or proxies as judges."
            refuse("proxies", "be None if a gallery is given", "both", hint)
        return _by_proxies(embeddings, labels, proxies)
    vectors, names = check_set(embeddings, labels)
    others, item_names = None, names
    if gallery is not None or gallery_labels is not None:
        others, item_names = _check_gallery(gallery, gallery_labels, vectors, names)
    available = len(item_names) - (others is None)
    check_integer("k", k, 1, available, f"An item has {available} neighbors.")
    classes, item_classes = number_classes(names, item_names)
    if item_classes.min() == item_classes.max():
        hint = "A label is suspicious only beside another class."
        name = "labels" if others is None else "gallery_labels"
        refuse(name, "be of at least two classes", "one class", hint)
    units = _units(vectors)
    items = units if others is None else _units(others)
    scores, places = _by_neighbors(units, classes, items, item_classes, k)
    return _ranked(scores, names, item_names[places])


def _check_gallery(gallery, gallery_labels, embeddings, labels):
    if gallery is None or gallery_labels is None:
        given, missing = "gallery", "gallery_labels"
        if gallery is None:
            given, missing = missing, given
        refuse(missing, f"be given if `{given}` is", f"{missing}=None", "Give both, or neither.")
    gallery, gallery_labels = check_set(gallery, gallery_labels, "gallery", "gallery_labels")
    check_same_dims("gallery", gallery, "embeddings", embeddings)
    if (gallery_labels.dtype.kind == "U") != (labels.dtype.kind == "U"):
        received = f"dtypes {gallery_labels.dtype} and {labels.dtype}"
        hint = "Label both sets the same way."
        refuse("gallery_labels", "be integers or strings, as `labels` are", received, hint)
    return gallery, gallery_labels


def _units(vectors):
    starts = range(0, len(vectors), HEIGHT)
    return np.concatenate([unit_vectors(vectors[i : i + HEIGHT]) for i in starts])


def _by_neighbors(units, classes, items, item_classes, k):
    """Scores `[N]`, and the place of an item of the suggested class, `[N]`.

    Args:
        units, classes: Unit vectors `[N, D]` and class numbers `[N]`.
        items, item_classes: Those of the neighbors. `units` itself if there is no gallery.
        k: How many neighbors of each kind count.
    """
    scores, suggested = np.empty(len(units)), np.empty(len(units), "int64")
    # In the order of classes, few blocks hold items of the own class.
    order, item_order = (np.argsort(x, kind="stable") for x in (classes, item_classes))
    items_in_order, item_classes_in_order = items[item_order], item_classes[item_order]

    def compare(first):
        rows = order[first : first + HEIGHT]
        own, other = _Nearest(len(rows), k), _Nearest(len(rows), k)
        for i in range(0, len(items), WIDTH):
            products = units[rows] @ items_in_order[i : i + WIDTH].T
            is_own = classes[rows, None] == item_classes_in_order[i : i + WIDTH]
            if is_own.any():
                supports = is_own
                if items is units:
                    supports = is_own & (rows[:, None] != item_order[i : i + WIDTH])
                own.add(np.where(supports, products, -np.inf), i)
                products[is_own] = -np.inf
            other.add(products, i)
        scores[rows] = other.means() - own.means()
        suggested[rows] = item_order[other.strongest(item_classes_in_order)]

    with single_blas():
        in_threads(compare, range(0, len(units), HEIGHT), cores())
    return scores, suggested


class _Nearest:
    """The k nearest items of one kind, for n rows, collected block by block."""

    def __init__(self, rows, k):
        self.cosines = np.full((rows, k), -np.inf, "float32")
        self.places = np.zeros((rows, k), "int64")

    def add(self, cosines, first):
        """Adds the items of a block: cosines `[n, WIDTH]`, -inf for those of another kind."""
        k = self.cosines.shape[1]
        best = np.broadcast_to(np.arange(cosines.shape[1]), cosines.shape)
        if k < cosines.shape[1]:
            best = np.argpartition(cosines, -k, axis=1)[:, -k:]
        joined = np.hstack([self.cosines, np.take_along_axis(cosines, best, axis=1)])
        places = np.hstack([self.places, best + first])
        order = np.argsort(-joined, axis=1, kind="stable")[:, :k]
        self.cosines = np.take_along_axis(joined, order, axis=1)
        self.places = np.take_along_axis(places, order, axis=1)

    def means(self):
        """The mean cosine of each row. `[n]`, 0 where nothing was found."""
        found = np.isfinite(self.cosines)
        sums = np.where(found, self.cosines, 0).sum(axis=1, dtype="float64")
        return sums / np.maximum(found.sum(axis=1), 1)

    def strongest(self, classes):
        """The place of an item of the class that has the most of the k, by cosine. `[n]`."""
        found = classes[self.places]
        weights = np.where(np.isfinite(self.cosines), 1 + self.cosines, 0)
        votes = np.zeros_like(weights)
        for j in range(votes.shape[1]):
            votes += weights[:, j : j + 1] * (found == found[:, j : j + 1])
        best = np.where(weights > 0, votes, -1).argmax(axis=1)
        return self.places[np.arange(len(best)), best]


def _by_proxies(embeddings, labels, proxies):
    embeddings, labels = check_set(embeddings, labels)
    proxies = as_array(proxies)
    if proxies.ndim != 3 or len(proxies) < 2:
        hint = "They are the weight `proxies` of a proxy layer."
        allowed = "be [C, N, D], of at least two classes"
        refuse("proxies", allowed, f"shape {proxies.shape}", hint)
    num_classes, num_proxies, dims = proxies.shape
    flat = check_vectors("proxies", proxies.reshape(-1, dims))
    check_same_dims("proxies", flat, "embeddings", embeddings)
    if labels.dtype.kind == "U" or labels.min() < 0 or labels.max() >= num_classes:
        found = "names" if labels.dtype.kind == "U" else f"{labels.min()} to {labels.max()}"
        hint = "The class of a proxy is its row."
        refuse("labels", f"be integers from 0 to {num_classes - 1}", found, hint)
    units, scores, suggested = unit_vectors(flat), [], []
    for i in range(0, len(labels), HEIGHT):
        own = labels[i : i + HEIGHT].astype("int64")
        cosines = unit_vectors(embeddings[i : i + HEIGHT]) @ units.T
        nearby = cosines.reshape(-1, num_classes, num_proxies).max(axis=2)  # [n, C]
        rows = np.arange(len(own))
        cosine = nearby[rows, own].astype("float64")
        nearby[rows, own] = -np.inf
        suggested.append(nearby.argmax(axis=1))
        scores.append(nearby.max(axis=1) - cosine)
    return _ranked(np.concatenate(scores), labels, np.concatenate(suggested))


def _ranked(scores, labels, suggested):
    order = np.argsort(-scores, kind="stable")
    return LabelSuspects(order, scores[order], labels[order], suggested[order])
