"""How to split a search so that it is fast and stays within a budget of memory."""

import dataclasses

import numpy as np

from keras_proxygml.metrics.threads import cores
from keras_proxygml.metrics.tiles import LISTED, STRIP

# Queries with more matches than this, or than this share of the gallery, are ranked in panels:
# there, sorting a row costs less than looking up every candidate among the matches.
MOST_MATCHES = 256
MOST_SHARE = 1 / 32
MOST_DIMS = 2**16  # beyond, float32 is too far from exact to decide much
EDGES = (2048, 1024, 512, 256, 128, 64)
WIDTH = 256  # gallery items that a panel multiplies at a time
ENTRY = 12  # bytes kept per match ranked in tiles


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a search is split.

    Attributes:
        keep: Whether unit vectors are kept, not made anew for every block.
        most: Queries with more matches than this are ranked in panels, the others in tiles.
        edge: Rows and columns of a tile.
        height: Rows of a panel.
        threads: How many tiles or panels are worked on at once.
    """

    keep: bool
    most: int
    edge: int
    height: int
    threads: int


def make_plan(counts, items, dims, itself, budget):
    """Chooses a split that stays within the budget.

    Args:
        counts: How many matches each query has. `[Q]`.
        items: Size of the gallery.
        dims: Size of an embedding.
        itself: Whether the gallery is the queries.
        budget: Bytes.

    Returns:
        A `Plan`.

    Raises:
        ValueError: If the budget is too small for any.
    """
    vectors = 4 * dims * (items + (0 if itself else len(counts)))
    keep = vectors <= budget / 2
    most = _most_matches(counts, items, dims, budget / 4)
    left = budget - keep * vectors - ENTRY * counts[counts <= most].sum()
    enough = max(items, 512) / 6  # tiles for several threads even in a small gallery
    available = cores()
    for threads in sorted({available, -(-available // 4), 1}, reverse=True):
        height = min(256, int(left / threads - _panel_bytes(0, items, dims)) // (24 * items))
        for edge in EDGES:
            fits = threads * _tile_bytes(edge, dims, most, keep) <= left
            if fits and height > 0 and edge <= max(enough, EDGES[-1]):
                return Plan(keep, most, edge, height, threads)
    # Kept vectors and matches leave at least a quarter.
    need = 4 * max(_tile_bytes(EDGES[-1], dims, MOST_MATCHES, False), _panel_bytes(1, items, dims))
    raise ValueError(
        f"memory_budget={budget} bytes is too little to search {items} items of {dims} numbers. "
        f"Give {need} or more; the default is {2**29}."
    )


def _most_matches(counts, items, dims, room):
    if dims > MOST_DIMS:
        return 0
    most = min(MOST_MATCHES, int(items * MOST_SHARE))
    sizes, number = np.unique(counts[counts <= most], return_counts=True)
    return max([0, *sizes[ENTRY * np.cumsum(sizes * number) <= room].tolist()])


def _tile_bytes(edge, dims, most, keep):
    """What one thread holds: a tile, its candidates, counts of both sides, and vectors."""
    candidates = min(edge**2, LISTED + STRIP)
    vectors = edge * dims * (8 if keep else 40)
    return 4 * edge**2 + 64 * candidates + 2 * 64 * edge * most + vectors


def _panel_bytes(height, items, dims):
    """What one thread holds: similarities, their copies while they are sorted, and vectors."""
    return 24 * height * items + 20 * WIDTH * dims
