"""Identification metrics: who is it, or nobody of the gallery? With unknown queries."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_integer, check_number, refuse
from keras_proxygml.metrics.best_matches import best_matches
from keras_proxygml.metrics.confidence import Interval
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


def identification_intervals(
    results: IdentificationResults,
    *,
    false_positive_rates: Sequence[float] = (0.01, 0.1),
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Bootstrap intervals of the identification metrics over classes, by percentiles.

    The gallery stays as it is. Classes with known queries and classes with unknown ones are drawn
    separately, as many as there are.

    Args:
        results: An `IdentificationResults`.
        false_positive_rates: As in `identification_metrics`.
        confidence: How often such an interval should hold the true value. In (0, 1).
        resamples: How many times to draw classes, with replacement.
        seed: Seed of the draws.

    Returns:
        A dict: name of the metric → `Interval`; its ends are NaN where the value is.

    Raises:
        ValueError: If an argument is out of range, or there are fewer than two classes of known
            queries, or one class of unknown ones.

    Reference:
        Field and Welsh, "Bootstrapping clustered data", JRSS B 2007.
    """
    check_number("confidence", confidence, "(0, 1)", "Give for instance 0.95.")
    check_integer("resamples", resamples, 1, hint="1000 is usual.")
    value = results.metrics(false_positive_rates)
    strata = [_rows_by_class(results, known) for known in (True, False)]
    if any(len(rows) == 1 for rows in strata) or not strata[0]:
        allowed = "have at least two classes of known queries, and two or none of unknown ones"
        received = f"{len(strata[0])} and {len(strata[1])}"
        refuse("results", allowed, received, "The bootstrap draws classes.")
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(resamples):
        drawn = [rows[i] for rows in strata for i in rng.integers(len(rows), size=len(rows))]
        draw = _rows(results, np.concatenate(drawn))
        draws.append(list(draw.metrics(false_positive_rates).values()))
    tail = 50 * (1 - confidence)
    table = np.array(draws)
    # A draw of few queries may not measure a rate that the data measure.
    measured = np.where(np.isnan(table).all(axis=0), 0.0, table)
    ends = np.nanpercentile(measured, [tail, 100 - tail], axis=0).T.tolist()
    return {
        name: Interval(x, *(end if x == x else (math.nan, math.nan)))
        for (name, x), end in zip(value.items(), ends, strict=True)
    }


def _rows(results, rows):
    fields = dataclasses.fields(results)
    return IdentificationResults(*(getattr(results, field.name)[rows] for field in fields))


def _rows_by_class(results, known):
    """The rows of each class of known or unknown queries. A list."""
    rows = np.flatnonzero(results.known == known)
    order = rows[np.argsort(results.labels[rows], kind="stable")]
    labels = results.labels[order]
    cuts = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    return np.split(order, cuts) if len(order) else []
