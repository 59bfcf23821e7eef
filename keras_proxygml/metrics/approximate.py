"""Retrieval metrics by approximate search, with the measured recall of the approximation."""

import faiss
import numpy as np

from keras_proxygml.arguments import check_integer
from keras_proxygml.metrics.inputs import check_cutoffs, check_pair, count_matches
from keras_proxygml.metrics.neighbors import nearest_items
from keras_proxygml.metrics.results import QueryResults
from keras_proxygml.metrics.threads import faiss_after_fork
from keras_proxygml.metrics.vectors import LEVEL, UnitVectors, exact_levels

BLOCK = 1024  # queries searched at a time
DEEPEST = 1024  # the longest list made for the sake of MAP@R and R-precision
NOTHING = np.int64(-(2**60))  # below every level


@faiss_after_fork()
def approximate_retrieval_metrics(
    embeddings,
    labels,
    *,
    index,
    k=(1, 2, 4, 8),
    gallery=None,
    gallery_labels=None,
    search="",
    checked=1000,
    seed=0,
):
    """Retrieval metrics of a gallery too large for exact search, and how far to trust them.

    A faiss index finds the nearest items; those are ranked by exact similarity, ties against as
    far as the index lists them. An item it misses is a match lost or a rival less, so that a metric
    may come out too low or too high: `index_recall@K` says how much is missed. Queries, gallery and
    index are kept in memory.

    Args:
        embeddings, labels: As in `retrieval_metrics`.
        index: What faiss's `index_factory` makes of it, as `"IVF4096,Flat"` or `"HNSW32"`.
        k, gallery, gallery_labels: As in `retrieval_metrics`.
        search: Settings of the search, as `"nprobe=32"` or `"efSearch=64"`.
        checked: How many queries to search exactly as well.
        seed: Chooses them.

    Returns:
        A dict of floats: `recall@K` for each K; `map@r` and `r_precision`, unless some query has
        over 1024 matches; `queries_without_match`; and for each K, `index_recall@K`: which share
        of the true K nearest items the index found for the queries that were checked.

    Raises:
        ValueError: As `retrieval_metrics`, or if faiss refuses the index or the settings.
    """
    cutoffs = check_cutoffs(k)
    check_integer("checked", checked, minimum=1)
    queries, items = check_pair(embeddings, labels, gallery, gallery_labels)
    matches = count_matches(queries[1], items[1], itself=gallery is None)
    rows = columns = UnitVectors(*queries, keep=True)
    if gallery is not None:
        columns = UnitVectors(*items, keep=True)
    depth = max(cutoffs)
    ranked = matches.max() <= DEEPEST
    if ranked:
        depth = max(depth, int(matches.max()))
    lists = _Lists(rows, columns, _index(columns, index, search), min(depth, len(columns) - 1))
    result = lists.results(matches).metrics(cutoffs)
    for name in ("mrr", *(() if ranked else ("map@r", "r_precision"))):
        del result[name]  # they need ranks beyond the lists
    places = np.random.default_rng(seed).permutation(len(rows))[:checked]
    return result | lists.recall(np.sort(places), cutoffs)


def _index(items, factory, search):
    try:
        index = faiss.index_factory(items.dims, factory, faiss.METRIC_INNER_PRODUCT)
        index.train(items[:])
        if search:
            faiss.ParameterSpace().set_index_parameters(index, search)
    except RuntimeError as error:
        raise ValueError(
            f"faiss refuses index={factory!r} with search={search!r} for {len(items)} items of "
            f"{items.dims} numbers: {error}. See faiss's wiki, 'The index factory'."
        ) from error
    for first in range(0, len(items), BLOCK):
        index.add(items[first : first + BLOCK])
    return index


class _Lists:
    """The items an index finds for each query, ranked by exact similarity."""

    def __init__(self, queries, items, index, depth):
        self.queries, self.items, self.index, self.depth = queries, items, index, depth

    def ranked(self, places):
        """Levels of the items found, falling, and whether each is a match: `[P, depth + 1]`.

        Of equal ones, matches come last. Where fewer are found, levels end in NOTHING.
        """
        vectors = self.queries[places]
        found = self.index.search(vectors, self.depth + 1)[1]
        if self.queries is self.items:
            found[found == places[:, None]] = -1
        row, _ = some = np.nonzero(found >= 0)
        levels = np.full(found.shape, NOTHING)
        levels[some] = exact_levels(vectors, self.items, row, found[some])
        matches = self.items.classes[found] == self.queries.classes[places, None]
        matches &= found >= 0
        order = np.lexsort((matches, -levels))
        return (np.take_along_axis(x, order, axis=1) for x in (levels, matches))

    def results(self, counts):
        """The `QueryResults` of all queries, as far as the lists go."""
        counts = counts[self.queries.order]
        found = np.zeros((3, len(counts)))
        for first in range(0, len(counts), BLOCK):
            places = np.arange(first, min(first + BLOCK, len(counts)))
            _, matches = self.ranked(places)
            found[:, places] = _summary(matches, counts[places])
        found[1:, counts == 0] = np.nan
        back = np.empty_like(found)
        back[:, self.queries.order] = found
        number, labels = np.empty((2, len(counts)), "int64")
        number[self.queries.order], labels[self.queries.order] = counts, self.queries.classes
        return QueryResults(labels, number, back[0].astype("int64"), *back[1:])

    def recall(self, places, cutoffs):
        """Share of the true K nearest that the lists of some queries hold, for each K."""
        own = places if self.queries is self.items else None
        most = min(max(cutoffs), len(self.items) - (own is not None))
        _, true = nearest_items(self.queries, places, self.items, own, most)
        true = (true * LEVEL).astype("int64")
        hits = dict.fromkeys(cutoffs, 0.0)
        for first in range(0, len(places), BLOCK):
            some = slice(first, first + BLOCK)
            levels, _ = self.ranked(places[some])
            for k in cutoffs:
                held = (levels >= true[some, min(k, most) - 1, None]).sum(axis=1)
                hits[k] += np.minimum(held / min(k, most), 1).sum()
        return {f"index_recall@{k}": float(hits[k] / len(places)) for k in cutoffs}


def _summary(matches, counts):
    """`[3, P]` as `matches.summary` has it, from whether each item of a ranked list matches."""
    rank = np.arange(1, matches.shape[1] + 1)
    first = np.where(matches.any(axis=1), matches.argmax(axis=1) + 1, 0)
    within = matches & (rank <= counts[:, None])
    precision = np.cumsum(matches, axis=1) / rank
    scores = np.stack([within.sum(axis=1), (within * precision).sum(axis=1)])
    return np.stack([first, *scores / np.maximum(counts, 1)])
