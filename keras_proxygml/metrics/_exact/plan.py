"""How to split a search so that it is fast and stays within a budget of memory."""

import dataclasses

import numpy as np

from keras_proxygml.checks import refuse
from keras_proxygml.metrics._exact.threads import cores
from keras_proxygml.metrics._exact.tiles import LISTED, STRIP
from keras_proxygml.metrics._exact.whole_rows import COLUMNS

# Queries with more matches than this, or than this share of the gallery, are ranked by whole rows:
# for them, sorting a row costs less than looking up every candidate among the matches.
MOST_MATCHES = 256
MOST_SHARE = 1 / 32
MOST_DIMS = 2**16  # with more, the slack is so large that float32 decides little
EDGES = (2048, 1024, 512, 256, 128, 64)
BYTES_PER_MATCH = 12  # kept by tiles


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a search is split.

    Attributes:
        keep: Whether unit vectors are kept, not computed again for every block.
        most: Queries with more matches than this are ranked by whole rows, the others by tiles.
        edge: Rows and columns of a tile.
        height: How many whole rows to compute at a time.
        threads: How many threads to work with.
    """

    keep: bool
    most: int
    edge: int
    height: int
    threads: int


def make_plan(counts, items, dims, one_set, budget):
    """Chooses a split that stays within the budget.

    Args:
        counts: How many matches each query has. `[Q]`.
        items: Size of the gallery.
        dims: Size of an embedding.
        one_set: Whether the gallery is the queries.
        budget: Bytes.

    Returns:
        A `Plan`.

    Raises:
        ValueError: If the budget is too small.
    """
    vectors = 4 * dims * (items + (0 if one_set else len(counts)))
    keep = vectors <= budget / 2
    most = _most_matches(counts, items, dims, budget / 4)
    left = budget - keep * vectors - BYTES_PER_MATCH * counts[counts <= most].sum()
    enough = max(items, 512) / 6  # a small gallery needs small tiles to occupy several threads
    available = cores()
    for threads in sorted({available, -(-available // 4), 1}, reverse=True):
        height = min(256, int(left / threads - _row_bytes(0, items, dims)) // (24 * items))
        for edge in EDGES:
            fits = threads * _tile_bytes(edge, dims, most, keep) <= left
            if fits and height > 0 and edge <= max(enough, EDGES[-1]):
                return Plan(keep, most, edge, height, threads)
    _refuse_budget(budget, items, dims)


def _refuse_budget(budget, items, dims):
    # Kept vectors and matches leave at least a quarter of the budget.
    need = 4 * max(_tile_bytes(EDGES[-1], dims, MOST_MATCHES, False), _row_bytes(1, items, dims))
    allowed = f"be enough bytes to search {items} items of {dims} numbers"
    hint = f"Give {need} or more; the default is {2**29}."
    refuse("memory_budget", allowed, f"memory_budget={budget}", hint)


def _most_matches(counts, items, dims, room):
    if dims > MOST_DIMS:
        return 0
    most = min(MOST_MATCHES, int(items * MOST_SHARE))
    sizes, number = np.unique(counts[counts <= most], return_counts=True)
    return max([0, *sizes[BYTES_PER_MATCH * np.cumsum(sizes * number) <= room].tolist()])


def _tile_bytes(edge, dims, most, keep):
    """Bytes that one thread needs for a tile, its candidates, both block counts, and vectors."""
    candidates = min(edge**2, LISTED + STRIP)
    vectors = edge * dims * (8 if keep else 40)
    return 4 * edge**2 + 64 * candidates + 2 * 64 * edge * most + vectors


def _row_bytes(height, items, dims):
    """Bytes that one thread needs for similarities, the copies it sorts, and vectors."""
    return 24 * height * items + 20 * COLUMNS * dims
