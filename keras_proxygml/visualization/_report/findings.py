"""What the vectors show, as numbers of items."""

import math
from typing import Any, NamedTuple

import numpy as np

from keras_proxygml.inspection import confused_classes, label_suspects, near_duplicates
from keras_proxygml.metrics import confidence_intervals, nearest, query_results
from keras_proxygml.metrics._exact.best import best_of_classes
from keras_proxygml.metrics._exact.nearest import unit_rows

METRICS = {
    "recall@1": "Recall@1",
    "recall@2": "Recall@2",
    "recall@4": "Recall@4",
    "recall@8": "Recall@8",
    "map@r": "MAP@R",
    "r_precision": "R-precision",
    "mrr": "MRR",
}
MOST_PAIRS = 200_000  # of near duplicates; the threshold rises until no more are left
THRESHOLDS = (0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 1.0)
COMPARED = 300  # pairs of each kind whose pixels are compared
PIXELS = 32  # side of the pictures that raw pixels are taken from


class Found(NamedTuple):
    """What each of the M queries found among the others.

    Attributes:
        places: The nearest items. `[M, k]`.
        similarities: Their cosines. `[M, k]`.
        best: Cosines of the best item of the own class and of any other; -inf without one.
            `[2, M]`.
        rows: These items, -1 without one. `[2, M]`.
    """

    places: np.ndarray
    similarities: np.ndarray
    best: np.ndarray
    rows: np.ndarray

    def worst_first(self) -> np.ndarray:
        """Queries that can find their class, the one that prefers a stranger the most first."""
        gaps = self.best[0] - self.best[1]
        order = np.argsort(gaps, kind="stable")
        return order[self.rows[0][order] >= 0]


def search(vectors: np.ndarray, classes: np.ndarray, neighbors: int) -> Found:
    """Finds the nearest others of each item, `[M, D]` with class numbers `[M]`."""
    places, similarities = nearest(vectors, min(neighbors, len(vectors) - 1))
    units = unit_rows(vectors)
    best, rows = best_of_classes(units, classes, [units], classes, np.arange(len(units)))
    return Found(places, similarities, best, rows)


def metrics_of(vectors: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, Any]:
    """Each metric's `Interval`, by its name."""
    intervals = confidence_intervals(query_results(vectors, labels), seed=seed)
    return {METRICS[name]: interval for name, interval in intervals.items()}


def confusions(found: Found, classes: np.ndarray, most: int) -> list[dict[str, Any]]:
    """The pairs of classes that are confused most often, with examples.

    Returns:
        For each pair: its classes, how often the first was taken for the second and back, the share
        of their queries, and up to 4 queries with what they found, pairs of items.
    """
    first = found.places[:, 0]
    table = confused_classes(classes[first], classes)[:most]
    rows = []
    for one, other, count, share, there, back in zip(*vars(table).values(), strict=True):
        pair = [one, other]
        wrong = np.isin(classes, pair) & np.isin(classes[first], pair) & (classes != classes[first])
        queries = np.flatnonzero(wrong)
        queries = queries[np.argsort(-found.similarities[queries, 0], kind="stable")][:4]
        examples = np.stack([queries, first[queries]], axis=1).tolist()
        numbers = {"count": int(count), "share": float(share), "examples": examples}
        directions = {"there": int(there), "back": int(back)}
        rows.append({"first": int(one), "second": int(other), **numbers, **directions})
    return rows


def suspects(
    vectors: np.ndarray, classes: np.ndarray, found: Found, most: int
) -> tuple[list[dict[str, Any]], int]:
    """Items whose labels contradict their neighbors, and how many there are in all."""
    table = label_suspects(vectors, classes, k=min(3, len(vectors) - 1))
    table = table[table.scores > 0]
    rows = []
    for item, score, label, suggested in zip(*vars(table[:most]).values(), strict=True):
        alike = found.places[item][classes[found.places[item]] == suggested][:3]
        numbers = {"item": int(item), "score": float(score), "alike": alike.tolist()}
        rows.append({**numbers, "label": int(label), "suggested": int(suggested)})
    return rows, len(table)


class Pairs(NamedTuple):
    """Near duplicates, by their vectors.

    Attributes:
        threshold: The least cosine of a pair; infinite if even the equal vectors are too many.
        first, second: Their items. `[P]`.
        similarities: Their cosines. `[P]`.
        across: Whether they are in different halves. `[P]`.
    """

    threshold: float
    first: np.ndarray
    second: np.ndarray
    similarities: np.ndarray
    across: np.ndarray

    def compared(self) -> np.ndarray:
        """Places of the pairs whose pixels are worth comparing."""
        sides = np.flatnonzero(self.across), np.flatnonzero(~self.across)
        return np.concatenate([side[:COMPARED] for side in sides])


def duplicates(vectors: np.ndarray, splits: np.ndarray) -> Pairs:
    """Finds pairs of nearly equal vectors, `[N, D]`, at the least threshold that leaves few.

    Args:
        vectors: Those of all items.
        splits: The half that each is in. `[N]`.
    """
    for threshold in THRESHOLDS:
        try:
            table = near_duplicates(vectors, threshold, splits=splits, max_pairs=MOST_PAIRS)
        except ValueError:
            continue  # there are more pairs
        return Pairs(threshold, table.first, table.second, table.similarities, table.across)
    none = np.zeros(0, int)
    return Pairs(math.inf, none, none, np.zeros(0), none.astype(bool))


def pixel_vectors(pixels: np.ndarray) -> np.ndarray:
    """Vectors of raw pixels, `[n, 3072]`, float32, of thumbnails `[n, S, S, 3]`."""
    from PIL import Image

    small = [
        np.asarray(Image.fromarray(x).resize((PIXELS, PIXELS), Image.Resampling.BOX))
        for x in pixels
    ]
    return np.stack(small).reshape(len(pixels), -1).astype("float32")


def correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation of the pixels of each pair, `[P]`, of raw pixels `[P, n]`; 0 for a blank one."""
    first, second = (x - x.mean(axis=1, keepdims=True) for x in (first, second))
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(axis=1) / np.maximum(norms, 1e-9)
