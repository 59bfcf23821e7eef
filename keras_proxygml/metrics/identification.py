"""Identification metrics: who is it, or nobody of the gallery? With unknown queries."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import refuse
from keras_proxygml.metrics.best_matches import best_matches
from keras_proxygml.metrics.verification import allowed_accepts, check_rates


def identification_metrics(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    gallery: ArrayLike,
    gallery_labels: ArrayLike,
    itself: ArrayLike | None = None,
    false_positive_rates: Sequence[float] = (0.01, 0.1),
) -> dict[str, float]:
    """How well known queries are named and unknown ones refused, by exact cosine search.

    A query is known if its class has an item in the gallery. Its answer is the class of the most
    similar item, which is accepted at a threshold or above. If an item of another class is as
    similar as the best of its own, the answer is wrong.

    Args:
        embeddings: The queries, known and unknown. `[Q, D]`, finite.
        labels: Class of each query. `[Q]` or `[Q, 1]`, integers or strings.
        gallery: Items to search. `[M, D]`.
        gallery_labels: Class of each gallery item. `[M]` or `[M, 1]`, as `labels` are.
        itself: Row of each query in the gallery, which it does not find; -1 for none. `[Q]`.
        false_positive_rates: Shares of the unknown queries that may be accepted. Each in (0, 1).

    Returns:
        A dict of floats; `IdentificationResults.metrics` says what they mean.

    Raises:
        ValueError: If shapes, dtypes or values do not allow a search, or there are no known
            queries.
    """
    check_rates("false_positive_rates", false_positive_rates)
    return identification_results(
        embeddings, labels, gallery=gallery, gallery_labels=gallery_labels, itself=itself
    ).metrics(false_positive_rates)


def identification_results(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    gallery: ArrayLike,
    gallery_labels: ArrayLike,
    itself: ArrayLike | None = None,
) -> "IdentificationResults":
    """Finds what `identification_metrics` summarizes: the answer to each query.

    Args:
        embeddings, labels, gallery, gallery_labels, itself: As in `identification_metrics`.

    Returns:
        An `IdentificationResults`.

    Raises:
        ValueError: As `identification_metrics`.
    """
    found = best_matches(
        embeddings, labels, gallery=gallery, gallery_labels=gallery_labels, itself=itself
    )
    known = found.own > -np.inf
    if not known.any():
        hint = "Label both sets the same way."
        received = "none of the classes of `labels`"
        refuse("gallery_labels", "have classes of `labels`", received, hint)
    score = np.maximum(found.own, found.other)
    return IdentificationResults(found.labels, known, found.own > found.other, score)


@dataclasses.dataclass(frozen=True)
class IdentificationResults:
    """The answer to each query. All arrays are `[Q]`, in the order of the queries.

    Attributes:
        labels: Class of the query, as it was given: integers or strings.
        known: Whether the gallery has an item of its class. bool.
        right: Whether the most similar item has its class. bool.
        score: Cosine of the most similar item. float64.
    """

    labels: np.ndarray
    known: np.ndarray
    right: np.ndarray
    score: np.ndarray

    def metrics(self, false_positive_rates: Sequence[float] = (0.01, 0.1)) -> dict[str, float]:
        """The metrics of all queries.

        Args:
            false_positive_rates: Shares of the unknown queries that may be accepted.

        Returns:
            A dict of floats. For each rate, such as 0.01: `threshold@fpir=0.01`, the smallest
            score at which no greater share of the unknown queries is accepted, or a number just
            above all scores; `tpir@fpir=0.01`, the share of the known queries that are right and
            accepted at it; and `tpir_spread@fpir=0.01`, the standard deviation of that share over
            the known classes. All three are NaN for a rate below 1 / unknown queries. Then `auroc`,
            how well the score tells known queries from unknown ones, whatever the answer, where a
            tie counts half; `fpr95`, the share of unknown queries accepted where 95 % of the known
            ones are; `oscr`, the area under right and accepted known queries over accepted unknown
            ones, where a tie counts as wrong; all NaN without unknown queries. And `gap`, the
            average precision of all answers sorted by score, in which ties put wrong ones first.
        """
        found = {}
        for rate in check_rates("false_positive_rates", false_positive_rates):
            threshold = self.threshold(rate)
            accepted = self.right & (self.score >= threshold)
            hits = accepted[self.known].mean() if threshold == threshold else math.nan
            found[f"tpir@fpir={rate:g}"] = float(hits)
            found[f"threshold@fpir={rate:g}"] = threshold
            found[f"tpir_spread@fpir={rate:g}"] = self._spread(threshold)
        return found | self._areas() | {"gap": self._average_precision()}

    def threshold(self, false_positive_rate: float) -> float:
        """The smallest score at which no greater share of the unknown queries is accepted.

        Args:
            false_positive_rate: This share. In (0, 1).

        Returns:
            The threshold; NaN if there are too few unknown queries to measure the rate.
        """
        unknown = np.sort(self.score[~self.known])[::-1]
        allowed = allowed_accepts(false_positive_rate, len(unknown)) if len(unknown) else 0
        if not allowed:
            return math.nan
        limit = unknown[allowed]  # the most similar query that must be refused
        above = self.score[self.score > limit]
        return float(above.min() if len(above) else np.nextafter(limit, np.inf))

    def by_class(self, threshold: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The rates of each class at one threshold.

        Args:
            threshold: Scores of at least this are accepted.

        Returns:
            The classes of the queries, rising, `[C]`; and a dict: `tpir`, the share of a known
            class's queries that are right and accepted, and `fpir`, the share of an unknown class's
            queries that are accepted, `[C]` each, NaN for the other classes.
        """
        classes, index = np.unique(self.labels, return_inverse=True)
        accepted = self.score >= threshold
        chosen = {"tpir": self.known, "fpir": ~self.known}
        hits = {"tpir": accepted & self.right, "fpir": accepted & ~self.known}
        shares = {}
        for name, rows in chosen.items():
            counts, hit = np.bincount(index, rows), np.bincount(index, hits[name])
            nan = np.full(len(classes), np.nan)
            shares[name] = np.divide(hit, counts, out=nan, where=counts > 0)
        return classes, shares

    def _spread(self, threshold):
        if math.isnan(threshold):
            return math.nan
        return float(np.nanstd(self.by_class(threshold)[1]["tpir"]))

    def _areas(self):
        """AUROC, FPR95 and OSCR."""
        unknown, known = np.sort(self.score[~self.known]), self.score[self.known]
        if not len(unknown):
            return dict.fromkeys(("auroc", "fpr95", "oscr"), math.nan)
        below, up_to = (np.searchsorted(unknown, known, side) for side in ("left", "right"))
        pairs = len(unknown) * len(known)
        # The greatest threshold that accepts 95 % of the known queries.
        least = np.sort(known)[::-1][-(-95 * len(known) // 100) - 1]
        return {
            "auroc": int((below + up_to).sum()) / (2 * pairs),
            "fpr95": float((unknown >= least).mean()),
            "oscr": int(below[self.right[self.known]].sum()) / pairs,
        }

    def _average_precision(self):
        order = np.lexsort((self.right, -self.score))
        right = self.right[order]
        precision = np.cumsum(right) / np.arange(1, len(right) + 1)
        return math.fsum(precision[right]) / np.count_nonzero(self.known)
