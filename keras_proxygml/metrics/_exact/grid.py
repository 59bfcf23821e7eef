"""Unit vectors on a grid, whose products are exact in float64."""

from typing import NamedTuple

import numpy as np

from keras_proxygml.metrics._exact.threads import in_threads

GRID = 2.0**24  # components are multiples of 1 / GRID
LEVEL = GRID**2  # a similarity times LEVEL is an integer, its level
OUTSIDE = -2.0  # below every similarity: stands for a pair that must not be found


class Labeled(NamedTuple):
    """Vectors `[N, D]`, and the number of each one's class, `[N]`."""

    vectors: np.ndarray
    classes: np.ndarray


def unit_vectors(embeddings):
    """Scales vectors to unit length and rounds them to the grid of 2**-24.

    Args:
        embeddings: `[N, D]`, any real dtype. A zero vector stays zero.

    Returns:
        `[N, D]`, float32, which can hold every point of the grid.
    """
    x = np.array(embeddings, "float64", order="C")
    with np.errstate(over="ignore", under="ignore"):
        squares = np.einsum("nd,nd->n", x, x)
        # Where squares overflow or vanish, the numbers are divided by the largest first.
        extreme = ~((squares > 1e-200) & (squares < 1e200))
        if extreme.any():
            rows = x[extreme]
            largest = np.abs(rows).max(axis=1, keepdims=True)
            x[extreme] = rows = rows / np.where(largest > 0, largest, 1.0)
            squares[extreme] = np.einsum("nd,nd->n", rows, rows)
        # What vanishes beside the largest number is 0 on the grid.
        x *= GRID / np.sqrt(np.where(squares > 0, squares, 1.0))[:, None]
    np.rint(x, out=x)
    units = x.astype("float32")
    units /= np.float32(GRID)  # a power of two, so nothing is rounded
    return units


def rounding_slack(dims):
    """How far a float32 product of two unit vectors can be from the exact one.

    A BLAS may add in any order: |fl(x·y) - x·y| <= γ Σ|x_i y_i| <= γ |x| |y| with u = 2**-24 and
    γ = D u / (1 - D u) (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
    Rounding to the grid makes |x| at most 1 + √D 2**-25.
    """
    unit = dims * 2.0**-24
    return unit / (1 - unit) * (1 + dims**0.5 * 2.0**-25) ** 2


def exact_levels(left, right, rows, columns, numbers=2**16):
    """Exact products of the pairs `left[rows[p]]`, `right[columns[p]]`, as levels.

    Args:
        left, right: Unit vectors. `[*, D]`.
        rows, columns: `[P]`.
        numbers: How many float64 numbers to hold at a time: they should fit a cache.

    Returns:
        `[P]`, int64.
    """
    levels = np.empty(len(rows), "int64")
    step = max(1, numbers // left.shape[1])
    for i in range(0, len(rows), step):
        some = slice(i, i + step)
        pairs = left[rows[some]].astype("float64"), right[columns[some]].astype("float64")
        levels[some] = np.einsum("pd,pd->p", *pairs) * LEVEL
    return levels


class UnitVectors:
    """The unit vectors of embeddings, sorted by class.

    Args:
        embeddings: `[N, D]`.
        classes: Class numbers. `[N]`, integers from 0 on.
        keep: Whether to compute them once and keep them, not each time they are read.
        threads: How many threads compute them.

    Attributes:
        order: Row of the embedding at each place. `[N]`.
        classes: Class at each place, rising. `[N]`.
        dims: D.
    """

    def __init__(self, embeddings, classes, keep, threads=1, block=1024):
        self._embeddings, self._kept = embeddings, None
        self.order = np.argsort(classes, kind="stable")
        self.classes = classes[self.order]
        self.dims = embeddings.shape[1]
        if keep:
            kept = np.empty(embeddings.shape, "float32")

            def fill(first):
                kept[first : first + block] = self[first : first + block]

            in_threads(fill, range(0, len(kept), block), threads)
            self._kept = kept

    def __len__(self):
        return len(self.order)

    def __getitem__(self, places):
        """Unit vectors at a slice or an array of places. `[n, D]`, float32."""
        if self._kept is not None:
            return self._kept[places]
        return unit_vectors(self._embeddings[self.order[places]])

    def places(self, rows):
        """The places of embeddings by their rows; -1 stays. `[n]`."""
        place = np.empty_like(self.order)
        place[self.order] = np.arange(len(self))
        return np.where(rows < 0, -1, place[rows])

    def members(self, classes):
        """First place of each class, and the place after its last."""
        return (np.searchsorted(self.classes, classes, side) for side in ("left", "right"))
