"""How sure a retrieval metric is: intervals, and whether one embedding beats another.

The queries of one class succeed or fail together, so the bootstrap draws whole classes, not
queries. The classes in the data count as a sample of all classes; the interval is for the mean
over all classes.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_proxygml.checks import check_integer, check_number, refuse
from keras_proxygml.metrics.retrieval import QueryResults


@dataclasses.dataclass(frozen=True)
class Interval:
    """A metric, and the interval that should hold its true value.

    Attributes:
        value: The metric on the data.
        low: Lower end of the interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """By how much a second embedding is better in a metric.

    Attributes:
        difference: The difference on the data.
        low: Lower end of the interval for the true difference.
        high: Upper end.
        p_value: How often chance alone would make a difference this large, in either direction.
    """

    difference: float
    low: float
    high: float
    p_value: float


def confidence_intervals(
    results: QueryResults,
    *,
    k: int | Sequence[int] = (1, 2, 4, 8),
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Bootstrap intervals of every metric over classes, by percentiles.

    Args:
        results: A `QueryResults`.
        k: The K of Recall@K.
        confidence: How often such an interval should hold the true value. In (0, 1).
        resamples: How many times to draw as many classes as there are, with replacement.
        seed: Seed of the draws.

    Returns:
        A dict: name of the metric → `Interval`.

    Raises:
        ValueError: If an argument is out of range, or there are fewer than two classes.

    Reference:
        Field and Welsh, "Bootstrapping clustered data", JRSS B 2007.
    """
    names, sums, counts = _class_sums(results, k)
    _check("results", len(sums), confidence, resamples)
    draws = _bootstrap(sums, counts, resamples, seed)
    low, high = _percentiles(draws, confidence)
    value = sums.sum(axis=0) / counts.sum(axis=0)
    ends = zip(value.tolist(), low.tolist(), high.tolist(), strict=True)
    return {name: Interval(*interval) for name, interval in zip(names, ends, strict=True)}


def compare_results(
    first: QueryResults,
    second: QueryResults,
    *,
    k: int | Sequence[int] = (1, 2, 4, 8),
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Comparison]:
    """How much better a second embedding of the same data is, for every metric.

    Both are compared on the same queries, so the difficulty of a class cancels out. The interval
    comes from a bootstrap over classes. The p-value comes from a randomization test: if the
    embeddings were equally good, they could be exchanged in any class.

    Args:
        first: `QueryResults` of one embedding.
        second: `QueryResults` of another one, of the same queries and gallery in the same order.
        k, confidence, resamples, seed: As in `confidence_intervals`.

    Returns:
        A dict: name of the metric → `Comparison`, of the second minus the first.

    Raises:
        ValueError: If the queries differ, an argument is out of range, or there are fewer than two
            classes.
    """
    if not (
        np.array_equal(first.labels, second.labels)
        and np.array_equal(first.matches, second.matches)
    ):
        refuse(
            "second",
            "have the same queries and gallery as `first`",
            f"{len(second.labels)} queries, and {len(first.labels)} in `first`, whose labels or "
            "numbers of matches differ",
            "Compare embeddings of the same data in the same order.",
        )
    names, sums, counts = _class_sums(first, k)
    sums = _class_sums(second, k)[1] - sums
    _check("first", len(sums), confidence, resamples)
    low, high = _percentiles(_bootstrap(sums, counts, resamples, seed), confidence)
    value = sums.sum(axis=0) / counts.sum(axis=0)
    p_value = _exchange(sums, resamples, seed)
    rows = zip(*(x.tolist() for x in (value, low, high, p_value)), strict=True)
    return {name: Comparison(*row) for name, row in zip(names, rows, strict=True)}


def _class_sums(results, k):
    """Names of the metrics, their sums per class and the counts of queries: `[C, metrics]`."""
    sums = results.class_sums(k)
    return list(sums), *(np.stack([pair[i] for pair in sums.values()], axis=1) for i in (0, 1))


def _bootstrap(sums, counts, resamples, seed, numbers=2**22):
    """The metrics on classes drawn with replacement. `[resamples, metrics]`."""
    rng = np.random.default_rng(seed)
    classes = len(sums)
    draws = []
    for times in _portions(resamples, max(1, numbers // classes)):
        drawn = rng.multinomial(classes, np.full(classes, 1 / classes), size=times) * 1.0
        with np.errstate(invalid="ignore"):  # a draw may hold no query of a metric
            draws.append((drawn @ sums) / (drawn @ counts))
    return np.concatenate(draws)


def _exchange(sums, resamples, seed, numbers=2**22):
    """How often exchanging the embeddings in random classes makes a difference as large."""
    rng = np.random.default_rng(seed)
    # Sums in another order round differently, which must not hide a tie.
    seen = np.abs(sums.sum(axis=0)) * (1 - 1e-12)
    larger = np.zeros(sums.shape[1])
    for times in _portions(resamples, max(1, numbers // len(sums))):
        signs = rng.choice([-1.0, 1.0], size=(times, len(sums)))
        larger += (np.abs(signs @ sums) >= seen).sum(axis=0)
    return (larger + 1) / (resamples + 1)  # the data as they are count as one exchange


def _portions(total, step):
    return [min(step, total - i) for i in range(0, total, step)]


def _percentiles(draws, confidence):
    tail = 50 * (1 - confidence)
    return np.nanpercentile(draws, [tail, 100 - tail], axis=0)


def _check(name, classes, confidence, resamples):
    if classes < 2:
        hint = "The bootstrap draws classes, so add queries of another one."
        refuse(name, "have queries of at least two classes", "queries of one class", hint)
    check_number("confidence", confidence, "(0, 1)", "Give for instance 0.95.")
    check_integer("resamples", resamples, 1, hint="2000 is usual.")
