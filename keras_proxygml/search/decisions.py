"""From the nearest items of a query to an answer: a label, or "unknown"."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Decisions:
    """The answer to each query. All have Q entries, in the order of the queries.

    Attributes:
        labels: Label of the answer; None where the query is unknown. A list.
        similarities: Similarity of the best labeled item, whether it is accepted or not; NaN
            without one. `[Q]`, float64.
        runners_up: The best of the other labels; None where the hits have no other. A list.
        runner_up_similarities: Similarity of its best item; NaN without one. `[Q]`, float64.
    """

    labels: list[Any]
    similarities: np.ndarray
    runners_up: list[Any]
    runner_up_similarities: np.ndarray


def decide(
    labels: Sequence[Sequence[Any]], similarities: np.ndarray, threshold: float
) -> Decisions:
    """Decides by the best item of each query.

    Args:
        labels: Labels of the hits of each query, the most similar first; None for an item without
            a label, which has no say. `[Q, k]`.
        similarities: Their similarities; NaN where there is no hit. `[Q, k]`.
        threshold: The answer counts if its similarity is at least this.

    Returns:
        `Decisions`.
    """
    best = [_best_two(*row) for row in zip(labels, np.asarray(similarities), strict=True)]
    (first, first_value), (second, second_value) = (
        zip(*(pair[i] for pair in best), strict=True) if best else ((), ()) for i in (0, 1)
    )
    accepted = np.array(first_value, "float64") >= threshold
    answers = [label if yes else None for label, yes in zip(first, accepted, strict=True)]
    values = np.array(first_value, "float64"), np.array(second_value, "float64")
    return Decisions(answers, values[0], list(second), values[1])


def _best_two(labels, similarities):
    """The best label and the best other one, each with its similarity."""
    found = []
    for label, similarity in zip(labels, similarities.tolist(), strict=True):
        if label is None or np.isnan(similarity) or (found and label == found[0][0]):
            continue
        found.append((label, similarity))
        if len(found) == 2:
            break
    return [*found, *[(None, np.nan)] * (2 - len(found))]
