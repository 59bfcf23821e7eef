"""Ranks of the own-class items of queries: exact, in threads, within a budget of memory."""

import numpy as np

from keras_proxygml.metrics.matches import Matches, set_keys
from keras_proxygml.metrics.panels import Panels
from keras_proxygml.metrics.plan import WIDTH, make_plan
from keras_proxygml.metrics.progress import Progress
from keras_proxygml.metrics.threads import in_threads, single_blas
from keras_proxygml.metrics.tiles import Tiles
from keras_proxygml.metrics.vectors import UnitVectors


def rank_matches(queries, items, itself, counts, *, memory_budget, progress=False):
    """Ranks each query's matches, the gallery items of its class.

    Args:
        queries: Embeddings `[Q, D]` and class numbers `[Q]`.
        items: The gallery's; the same object if the gallery is the queries.
        itself: Row of each query among the items, which it does not match; -1 for none. `[Q]`, or
            None if all are.
        counts: How many matches each query has. `[Q]`.
        memory_budget: Bytes to use at most, besides the arguments and a few numbers per item.
        progress: Whether to say on stderr how far the search is and when it will end.

    Returns:
        The `summary` of each query, and the cosine of its first match, NaN without. `[4, Q]`.
    """
    one_set = items is queries
    plan = make_plan(counts, len(items[1]), queries[0].shape[1], one_set, memory_budget)
    rows = UnitVectors(*queries, plan.keep, plan.threads)
    columns = rows if one_set else UnitVectors(*items, plan.keep, plan.threads)
    itself = None if itself is None else columns.places(itself[rows.order])
    counts = counts[rows.order]
    found = np.full((4, len(counts)), np.nan)
    found[0] = 0
    # One thread of ours per core, each with a BLAS of one thread: counting then overlaps with
    # multiplying, and no core waits.
    with single_blas():
        tiles = Tiles(rows, columns, Matches(counts * (counts <= plan.most), plan.edge))
        large = np.flatnonzero(counts > plan.most)
        panels = Panels(rows, columns, itself, large, plan.height, WIDTH)
        watch = Progress(tiles.work() + panels.work(), progress)
        if tiles.work():
            set_keys(tiles.matches, rows, columns, itself, plan.threads)
            in_threads(tiles.give_up_early, tiles.blocks(), plan.threads)
            in_threads(tiles.count, tiles.tasks(), plan.threads, watch)
            for first in tiles.blocks():
                tiles.summarize(first, found)
        in_threads(lambda task: panels.rank(task, found), panels.tasks(), plan.threads, watch)
    result = np.empty_like(found)
    result[:, rows.order] = found
    return result
