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
from keras_proxygml.metrics import nearest
from keras_proxygml.metrics._exact.grid import unit_vectors
from keras_proxygml.metrics.inputs import check_set, number_classes


@table
class LabelSuspects(Table):
    """All items, the most suspicious label first.

    Attributes:
        rows: Row of the item. `[N]`, int64.
        scores: How suspicious its label is. `[N]`, float64, from -1 (sure) to 1 (sure to be wrong)
            by neighbors, and from -2 to 2 by proxies. Above 0, another class fits better.
        labels: The label that was given. `[N]`.
        suggested: The other class that fits best, or the own one if no neighbor has another. `[N]`.
    """

    rows: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    suggested: np.ndarray


def label_suspects(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    k: int = 10,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    proxies: Any = None,
) -> LabelSuspects:
    """Ranks items by how much their neighbors, or the proxies, contradict their labels.

    By neighbors, the k nearest other items vote for their labels, each with its cosine. The score
    is the share of the votes that the strongest other class has, minus the share that the own class
    has. By proxies, it is the cosine of the nearest proxy of another class, minus that of the
    nearest proxy of the own class.

    No item votes for itself. But an embedder that was trained on a wrong label has moved the item
    toward that class, and hides the error. So embed items with an embedder that was not trained on
    them: one of other classes, or one of another fold of the data.

    Args:
        embeddings: The items. `[N, D]`, finite.
        labels: Class of each item. `[N]` or `[N, 1]`, integers or strings. Integers below C if
            `proxies` are given.
        k: How many neighbors vote. A class of few items can't win many votes, so choose k no larger
            than the usual class.
        gallery: Items to vote instead, for instance of labels that are known to be right. `[M, D]`.
        gallery_labels: Class of each gallery item. `[M]` or `[M, 1]`.
        proxies: Proxies that judge instead of neighbors. `[C, N, D]`: an array, or the `proxies` of
            a proxy layer.

    Returns:
        A `LabelSuspects` of all items, the most suspicious first.

    Raises:
        ValueError: If shapes, dtypes or values do not allow it, if there is no other class, if k is
            larger than the number of items that can vote, or if both gallery and proxies are given.

    Example:

    >>> embeddings = np.array([[9, 0], [9, 1], [9, 2], [9, 3], [0, 9], [1, 9], [2, 9], [3, 9]])
    >>> suspects = label_suspects(embeddings, list("aaabbbbb"), k=3)
    >>> print(suspects[suspects.scores > 0])
    rows  scores  labels  suggested
       3   1.000       b          a
    """
    if proxies is not None:
        if gallery is not None or gallery_labels is not None:
            hint = "Give either neighbors or proxies as judges."
            refuse("proxies", "be None if a gallery is given", "both", hint)
        return _by_proxies(embeddings, labels, proxies)
    vectors, names = check_set(embeddings, labels)
    others, voters = None, names
    if gallery is not None or gallery_labels is not None:
        others, voters = _check_gallery(gallery, gallery_labels, vectors, names)
    available = len(voters) - (others is None)
    check_integer("k", k, 1, available, f"{available} items can vote.")
    classes, voter_classes = number_classes(names, voters)
    if voter_classes.min() == voter_classes.max():
        hint = "A label is suspicious only beside another class."
        name = "labels" if others is None else "gallery_labels"
        refuse(name, "be of at least two classes", "one class", hint)
    found, cosines = nearest(vectors, k, gallery=others)
    scores, places = _contradiction(classes, voter_classes[found], np.maximum(cosines, 0))
    return _ranked(scores, names, voters[np.take_along_axis(found, places, axis=1)[:, 0]])


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


def _contradiction(classes, voted, weights):
    """Scores `[N]`, and the place of a neighbor of the strongest other class, `[N, 1]`.

    Args:
        classes: Class number of each item. `[N]`.
        voted: Class number of each neighbor. `[N, k]`.
        weights: How much each vote counts. `[N, k]`.
    """
    votes = np.zeros_like(weights)  # those for the class of each neighbor
    for j in range(weights.shape[1]):
        votes += weights[:, j : j + 1] * (voted == voted[:, j : j + 1])
    is_own = voted == classes[:, None]
    total = np.maximum(weights.sum(axis=1), 1e-12)
    own = np.where(is_own, weights, 0).sum(axis=1) / total
    others = np.where(is_own, -1.0, votes)
    places = others.argmax(axis=1)[:, None]
    other = np.maximum(np.take_along_axis(others, places, axis=1)[:, 0], 0) / total
    return other - own, places


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
    for i in range(0, len(labels), 1024):
        own = labels[i : i + 1024].astype("int64")
        cosines = unit_vectors(embeddings[i : i + 1024]) @ units.T
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
