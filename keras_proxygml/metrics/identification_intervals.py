"""How sure the identification metrics are."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from keras_proxygml.checks import check_integer, check_number, refuse
from keras_proxygml.metrics.confidence import Interval
from keras_proxygml.metrics.identification import IdentificationResults


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
        # A class that is drawn twice counts as two classes.
        draw = dataclasses.replace(draw, labels=np.repeat(range(len(drawn)), [*map(len, drawn)]))
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
