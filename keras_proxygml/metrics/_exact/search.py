"""Ranks of the own-class items of queries: exact, in threads, within a budget of memory."""

import numpy as np

from keras_proxygml.metrics._exact.grid import UnitVectors
from keras_proxygml.metrics._exact.matches import Matches, set_keys
from keras_proxygml.metrics._exact.plan import make_plan
from keras_proxygml.metrics._exact.threads import Progress, in_threads, single_blas
from keras_proxygml.metrics._exact.tiles import Tiles
from keras_proxygml.metrics._exact.whole_rows import WholeRows


def rank_matches(queries, items, itself, counts, *, memory_budget, progress=False):
    """Ranks each query's matches, the gallery items of its class.

    Args:
        queries: `Labeled` embeddings `[Q, D]` with class numbers `[Q]`.
        items: The gallery's; the same object if the gallery is the queries.
        itself: Row of each query among the items, which it does not match; -1 for none. `[Q]`, or
            None if all are.
        counts: How many matches each query has. `[Q]`.
        memory_budget: Bytes to use at most, besides the arguments and a few numbers per item.
        progress: Whether to show on stderr how far the search is and when it will end.

    Returns:
        What `per_query` returns, and the cosine of each first match, NaN without. `[4, Q]`.
    """
    one_set = items is queries
    plan = make_plan(counts, len(items.classes), queries.vectors.shape[1], one_set, memory_budget)
    rows = UnitVectors(*queries, plan.keep, plan.threads)
    columns = rows if one_set else UnitVectors(*items, plan.keep, plan.threads)
    itself = None if itself is None else columns.places(itself[rows.order])
    result = np.empty((4, len(counts)))
    result[:, rows.order] = _in_order(rows, columns, itself, counts[rows.order], plan, progress)
    return result


def _in_order(rows, columns, itself, counts, plan, progress):
    """As `rank_matches`, with queries and items sorted by class."""
    found = np.full((4, len(counts)), np.nan)
    found[0] = 0
    # One thread of ours per core, each with a BLAS of one thread: counting then overlaps with
    # multiplying, and no core waits.
    with single_blas():
        tiles = Tiles(rows, columns, Matches(counts * (counts <= plan.most), plan.edge))
        large = np.flatnonzero(counts > plan.most)
        whole = WholeRows(rows, columns, itself, large, plan.height)
        watch = Progress(tiles.work() + whole.work(), progress)
        if tiles.work():
            set_keys(tiles.matches, rows, columns, itself, plan.threads)
            in_threads(tiles.prune_early, tiles.blocks(), plan.threads)
            in_threads(tiles.count, tiles.tasks(), plan.threads, watch)
            for first in tiles.blocks():
                tiles.write_results(first, found)
        in_threads(lambda task: whole.rank(task, found), whole.tasks(), plan.threads, watch)
    return found
