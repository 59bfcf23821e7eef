"""What a search finds, and what is decided from it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Hits:
    """The items that a search found, the most similar first.

    If a query found fewer than k items, its row ends in None and NaN.

    Attributes:
        ids: `[Q, k]`, objects: strings or integers.
        labels: `[Q, k]`, objects; None for an item without a label.
        similarities: Cosines. `[Q, k]`, float64.
        read_metadata: What `metadata` calls.
    """

    ids: np.ndarray
    labels: np.ndarray
    similarities: np.ndarray
    read_metadata: Callable[[], list[list[dict[str, Any] | None]]]

    def __len__(self) -> int:
        return len(self.ids)

    def metadata(self) -> list[list[dict[str, Any] | None]]:
        """Reads the metadata of the items, as the gallery holds them now.

        Returns:
            A list of Q lists of k dicts; None where there is no item, or none any more.
        """
        return self.read_metadata()

    def __repr__(self) -> str:
        queries, k = self.ids.shape
        return f"Hits of {queries:,} queries, k={k}"


@dataclasses.dataclass(frozen=True, eq=False)
class Identified:
    """The class of each query, or that it is unknown.

    Attributes:
        labels: `[Q]`, objects; None where the query is unknown, which means that no item reaches
            the threshold.
        similarities: Cosine of the most similar item. `[Q]`, float64.
        ids: Id of this item. `[Q]`, objects.
        nearest_labels: Label of this item, also where the query is unknown. `[Q]`, objects.
        runner_up_labels: Label of the most similar item of any other class; None if the gallery
            has one class. `[Q]`, objects.
        runner_up_similarities: Cosine of that item, or NaN. `[Q]`, float64.
        threshold: The lowest similarity at which a query counts as known.
    """

    labels: np.ndarray
    similarities: np.ndarray
    ids: np.ndarray
    nearest_labels: np.ndarray
    runner_up_labels: np.ndarray
    runner_up_similarities: np.ndarray
    threshold: float

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        known = sum(label is not None for label in self.labels)
        return f"{known:,} of {len(self.labels):,} queries identified at {self.threshold:.4f}"
