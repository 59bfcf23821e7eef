"""int8 codes of vectors: a quarter of the memory, with exact similarities of the first candidates.

faiss has such codes too (`"SQ8"`), but searches them one query at a time. For a batch of queries,
that takes many times as long as the exact search of float32 vectors. Here the codes of a piece are
widened and multiplied with all queries at once, as the exact search does with its vectors.
"""

from collections.abc import Sequence

import numpy as np

from keras_proxygml.metrics._exact.items import Items
from keras_proxygml.metrics._exact.nearest import in_blocks, rank
from keras_proxygml.metrics._exact.scan import scan
from keras_proxygml.metrics._exact.threads import cores, in_threads

BLOCK = 4096  # vectors that a thread encodes at a time
LARGEST = 127  # the largest code


class Quantized:
    """Finds candidates by int8 codes and ranks them by exact similarity.

    Only the codes are in memory. The vectors may stay in memory maps, of which a search reads the
    candidates' rows. The similarities are exact. A neighbor may be missed: the function `recall`
    measures how many are.

    Make it with `Quantized.build`.

    Attributes:
        scale: What a code of 1 is worth in each dimension. `[D]`, float32.
        codes: Codes of each segment, a list of `[n, D]`, int8.
    """

    def __init__(self, scale: np.ndarray, codes: list[np.ndarray]):
        self.scale, self.codes = scale, codes

    @classmethod
    def build(cls, segments: Sequence[np.ndarray]) -> "Quantized":
        """Encodes vectors.

        Args:
            segments: Unit vectors, as in `nearest_rows`. `[n, D]` each, at least one vector.

        Returns:
            The codes, on a scale of each dimension's largest number.
        """
        items = Items(segments)
        largest = np.zeros(items.dims, "float32")
        for first in range(0, len(items), BLOCK):
            block = items.piece(first, min(first + BLOCK, len(items))).vectors
            np.maximum(largest, np.abs(block).max(axis=0), out=largest)
        quantized = cls(np.where(largest > 0, largest, 1).astype("float32") / LARGEST, [])
        for segment in segments:
            quantized.add(segment)
        return quantized

    def add(self, vectors: np.ndarray) -> None:
        """Encodes a further segment on the same scale.

        Numbers beyond the scale are clipped. If there are many, build the codes again.

        Args:
            vectors: Unit vectors. `[n, D]`.
        """
        codes = np.empty(vectors.shape, "int8")

        def fill(first):
            some = slice(first, first + BLOCK)
            block = np.asarray(vectors[some]) / self.scale
            codes[some] = np.clip(np.rint(block), -LARGEST, LARGEST)

        in_threads(fill, range(0, len(codes), BLOCK), cores())
        self.codes.append(codes)

    def search(
        self,
        queries: np.ndarray,
        segments: Sequence[np.ndarray],
        k: int,
        *,
        allowed: np.ndarray | None = None,
        own: np.ndarray | None = None,
        candidates: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest k of the first candidates of each query.

        Args:
            queries, segments, k, allowed, own: As in `nearest_rows`. The segments are those of the
                codes.
            candidates: How many items to rank by exact similarity. By default 2 k + 20.

        Returns:
            As `nearest_rows`.
        """
        codes, items = Items(self.codes, allowed), Items(segments)
        kept = min(2 * k + 20 if candidates is None else max(candidates, k + 1), codes.available)

        def search(block, own, threads):
            if not kept:
                return np.zeros((len(block), 0), "int64"), np.zeros((len(block), 0))
            rows, _ = scan(block * self.scale, codes, kept, "float32", threads)
            return rank(block, items, rows, k, own, threads)

        return in_blocks(search, queries, k, own)
