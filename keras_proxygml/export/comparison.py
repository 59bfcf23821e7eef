"""Compares the vectors of an exported file with those of its embedder."""

import dataclasses
import itertools
import warnings
from pathlib import Path

import numpy as np

from keras_proxygml.metrics import retrieval_metrics

FAITHFUL = 0.9999  # least cosine of a file that computes what the embedder computes


@dataclasses.dataclass(frozen=True)
class Exported:
    """An exported file, and how its vectors differ from those of the embedder.

    The numbers are None where nothing was given to check them with.

    Attributes:
        path: The file, or the folder of a SavedModel.
        format: Name of the format.
        quantize: `"int8"` or None.
        size: Bytes of all files.
        endpoints: Endpoints of a SavedModel. Other formats have none.
        images: How many images it was checked with.
        largest_difference: Largest absolute difference of two numbers of the vectors.
        least_cosine: Least cosine of a vector and that of the embedder.
        recall_before: Recall@1 of the embedder.
        recall_after: Recall@1 of the file.
        least_cosine_of_bytes: Least cosine of a vector of the endpoint `serve_bytes` and that of
            the embedder.
    """

    path: Path
    format: str
    quantize: str | None = None
    size: int = 0
    endpoints: tuple[str, ...] = ()
    images: int = 0
    largest_difference: float | None = None
    least_cosine: float | None = None
    recall_before: float | None = None
    recall_after: float | None = None
    least_cosine_of_bytes: float | None = None

    @property
    def recall_change(self) -> float | None:
        """Recall@1 of the file, less that of the embedder."""
        if self.recall_before is None or self.recall_after is None:
            return None
        return self.recall_after - self.recall_before


def compare(embedder, run, batches, labels):
    """Runs a file on images, in batches of 1 and 3 by turns.

    Args:
        embedder: The `keras.Model`.
        run: From images to vectors.
        batches: Iterator of images `[B, ...]`.
        labels: Class of each image, `[N]`, or None.

    Returns:
        A dict of what `Exported` says of the file.
    """
    pairs = [(embed(embedder, x), np.concatenate([*map(run, by_1_and_3(x))])) for x in batches]
    expected, found = (np.concatenate(vectors) for vectors in zip(*pairs, strict=True))
    result = {
        "images": len(found),
        "largest_difference": float(np.abs(found - expected).max()),
        "least_cosine": least_cosine(expected, found),
    }
    if labels is not None:
        result["recall_before"], result["recall_after"] = (
            retrieval_metrics(vectors, labels, k=1)["recall@1"] for vectors in (expected, found)
        )
    return result


def embed(embedder, images):
    """Vectors of the embedder. `[B, D]`, float32."""
    return np.asarray(embedder.predict_on_batch(images), "float32")


def by_1_and_3(items):
    """Splits items into parts of 1 and 3 by turns. The last part may have 2."""
    start = 0
    for size in itertools.cycle((1, 3)):
        if start >= len(items):
            return
        yield items[start : start + size]
        start += size


def least_cosine(expected, found):
    """Least cosine of two vectors of the same row, a float."""
    expected, found = expected.astype("float64"), found.astype("float64")
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    return float(((expected * found).sum(1) / np.maximum(lengths, 1e-30)).min())


def warn_unless_faithful(exported: Exported) -> None:
    """Warns if a file in the embedder's precision does not compute what the embedder computes.

    Args:
        exported: What was found.

    Warns:
        UserWarning: If a cosine is below 0.9999 or NaN. Files of 8 bits are not judged.
    """
    for name in ("least_cosine", "least_cosine_of_bytes"):
        cosine = getattr(exported, name)
        if cosine is not None and not cosine >= FAITHFUL and exported.quantize is None:
            warnings.warn(
                f"{exported.path} does not compute what the embedder computes: `{name}` is "
                f"{cosine:.6f}, and should be {FAITHFUL} or more. Do not use it.",
                stacklevel=3,
            )
