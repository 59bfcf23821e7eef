"""Retrieval metrics by approximate search, with the measured recall of the approximation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_cutoffs, check_integer
from keras_proxygml.metrics._exact.grid import LEVEL, UnitVectors, exact_levels
from keras_proxygml.metrics._exact.nearest import nearest_rows
from keras_proxygml.metrics._exact.threads import faiss_after_fork
from keras_proxygml.metrics._faiss import trained_index
from keras_proxygml.metrics.inputs import check_pair, count_matches, warn_of_one_class
from keras_proxygml.metrics.retrieval import QueryResults, warn_of_copies

BLOCK = 1024  # queries searched at a time
DEEPEST = 1024  # the longest list that MAP@R and R-precision may ask for
NOTHING = np.int64(-(2**60))  # below every level


def approximate_retrieval_metrics(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    index: str,
    k: int | Sequence[int] = (1, 2, 4, 8),
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    itself: ArrayLike | None = None,
    search: str = "",
    checked: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """Retrieval metrics of a gallery too large for exact search, and how far to trust them.

    A faiss index lists the nearest items of each query; their exact similarities rank them, and
    ties count against. A match that is as similar as the last item listed counts as not found,
    because items that are not listed may tie with it. The index may miss a match, which makes a
    metric too low, or an item of another class, which makes it too high: `index_recall@K` says how
    much it misses. Queries, gallery and index are kept in memory.

    Args:
        embeddings, labels: As in `retrieval_metrics`.
        index: The index as faiss's `index_factory` names it, such as `"IVF4096,Flat"` or
            `"HNSW32"`.
        k, gallery, gallery_labels, itself: As in `retrieval_metrics`.
        search: Settings of the search, such as `"nprobe=32"` or `"efSearch=64"`.
        checked: How many queries to search exactly as well.
        seed: Seed that chooses them.

    Returns:
        A dict of floats: `recall@K` for each K; `map@r` and `r_precision`, unless some query has
        over 1024 matches; `queries_without_match`; and for each K, `index_recall@K`: which share
        of the true K nearest items the index found for the queries that were checked.

    Raises:
        ValueError: As `retrieval_metrics`, or if faiss refuses the index or the settings.

    Warns:
        UserWarning: As `retrieval_metrics`.
    """
    cutoffs = check_cutoffs(k)
    check_integer("checked", checked, 1, hint="Its exact search shows what the index misses.")
    may_find_itself = gallery is not None and itself is None
    queries, items, own, given = check_pair(embeddings, labels, gallery, gallery_labels, itself)
    matches = count_matches(queries.classes, items.classes, own)
    rows = columns = UnitVectors(queries.vectors, queries.classes, keep=True)
    if gallery is not None:
        columns = UnitVectors(items.vectors, items.classes, keep=True)
    own = None if own is None else columns.places(own[rows.order])
    has_all_ranks = matches.max() <= DEEPEST
    depth = max(*cutoffs, int(matches.max()) if has_all_ranks else 0)
    depth = min(depth, len(columns) - 1)
    lists = _Lists(rows, columns, own, _index(columns, index, search), depth)
    first_rank, r_precision, average_precision, similarity = lists.results(matches)
    warn_of_one_class(items.classes, stacklevel=2)
    warn_of_copies(first_rank, similarity, may_find_itself, stacklevel=2)
    first_rank = first_rank.astype("int64")
    found = QueryResults(given, matches, first_rank, r_precision, average_precision)
    result = found.metrics(cutoffs)
    for name in ("mrr", *(() if has_all_ranks else ("map@r", "r_precision"))):
        del result[name]  # they need ranks beyond the lists
    places = np.random.default_rng(seed).permutation(len(rows))[:checked]
    return result | lists.recall(np.sort(places), cutoffs)


@faiss_after_fork()
def _index(items, factory, search):
    index = trained_index(factory, search, lambda _: items[:], len(items))
    for first in range(0, len(items), BLOCK):
        index.add(items[first : first + BLOCK])
    return index


class _Lists:
    """The items an index finds for each query, ranked by exact similarity.

    Args:
        queries, items: `UnitVectors`.
        itself: Place of each query among the items, -1 for none. `[Q]`, or None if all are.
        index: The faiss index of the items.
        depth: How many items besides the query itself to list at least.
    """

    def __init__(self, queries, items, itself, index, depth):
        self.queries, self.items, self.itself = queries, items, itself
        self.index = index
        # One more for the query itself, and one more to see which matches may tie beyond the end.
        self.listed = min(depth + 2, len(items))

    @faiss_after_fork()
    def ranked(self, places):
        """Levels of the items found, falling, and whether each is a match: `[P, listed]`.

        Among equal levels, matches are last. A short list ends in levels of NOTHING. A match that
        ties with the last item of a full list is no match: items that are not listed may tie too.
        """
        vectors = self.queries[places]
        found = self.index.search(vectors, self.listed)[1]
        goes_on = (found >= 0).all(axis=1) & (self.listed < len(self.items))
        if self.itself is not None:
            found[found == self.itself[places, None]] = -1
        row, _ = some = np.nonzero(found >= 0)
        levels = np.full(found.shape, NOTHING)
        levels[some] = exact_levels(vectors, self.items, row, found[some])
        matches = self.items.classes[found] == self.queries.classes[places, None]
        last = levels.min(axis=1, where=found >= 0, initial=-NOTHING)
        matches &= levels > np.where(goes_on, last, NOTHING)[:, None]
        order = np.lexsort((matches, -levels))
        return (np.take_along_axis(x, order, axis=1) for x in (levels, matches))

    def results(self, counts):
        """`[4, Q]` as `rank_matches` returns it, as far as the lists go."""
        counts = counts[self.queries.order]
        found = np.zeros((4, len(counts)))
        for first in range(0, len(counts), BLOCK):
            places = np.arange(first, min(first + BLOCK, len(counts)))
            levels, matches = self.ranked(places)
            found[:3, places] = _per_query(matches, counts[places])
            found[3, places] = levels[:, 0] / LEVEL  # of the first match where its rank is 1
        found[1:, counts == 0] = np.nan
        result = np.empty_like(found)
        result[:, self.queries.order] = found
        return result

    def recall(self, places, cutoffs):
        """Share of the true K nearest that the lists of some queries hold, for each K."""
        own = None if self.itself is None else self.itself[places]
        most = min(max(cutoffs), len(self.items) - (own is not None))
        _, true = nearest_rows(self.queries[places], [self.items[:]], most, own=own)
        true = (true * LEVEL).astype("int64")
        hits = dict.fromkeys(cutoffs, 0.0)
        for first in range(0, len(places), BLOCK):
            some = slice(first, first + BLOCK)
            levels, _ = self.ranked(places[some])
            for k in cutoffs:
                held = (levels >= true[some, min(k, most) - 1, None]).sum(axis=1)
                hits[k] += np.minimum(held / min(k, most), 1).sum()
        return {f"index_recall@{k}": float(hits[k] / len(places)) for k in cutoffs}


def _per_query(matches, counts):
    """`[3, P]` as `per_query` of the exact search, from which items of a ranked list match."""
    rank = np.arange(1, matches.shape[1] + 1)
    first = np.where(matches.any(axis=1), matches.argmax(axis=1) + 1, 0)
    within = matches & (rank <= counts[:, None])
    precision = np.cumsum(matches, axis=1) / rank
    scores = np.stack([within.sum(axis=1), (within * precision).sum(axis=1)])
    return np.stack([first, *scores / np.maximum(counts, 1)])
