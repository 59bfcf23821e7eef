"""Verification metrics: are two items of the same class? Over all pairs, exactly."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_number, refuse
from keras_proxygml.metrics._exact.grid import UnitVectors
from keras_proxygml.metrics._exact.pairs import Pairs
from keras_proxygml.metrics._exact.roc import roc
from keras_proxygml.metrics._exact.threads import cores, single_blas
from keras_proxygml.metrics.inputs import check_pair, count_matches

EDGES = (1024, 512, 256, 128, 64)
BYTES_PER_GENUINE = 136  # similarity, counts and buckets, and copies while they are sorted


def verification_metrics(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    false_accept_rates: Sequence[float] = (1e-2, 1e-3, 1e-4),
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    itself: ArrayLike | None = None,
    memory_budget: int = 2**29,
) -> dict[str, float]:
    """True accepts at given false accept rates, the equal error rate and the ROC AUC.

    A pair is genuine if both items have one class, and an impostor if not. It is accepted if its
    cosine is at least the threshold. Without a gallery, all pairs of two items count. As in
    `retrieval_metrics`, products are exact, so no order of rows, budget or number of threads
    changes a digit.

    Args:
        embeddings: `[N, D]`, finite.
        labels: Class of each item. `[N]` or `[N, 1]`, integers or strings.
        false_accept_rates: Shares of the impostors that may be accepted. Each in (0, 1).
        gallery: Items to pair the embeddings with, `[M, D]`; by default the embeddings themselves.
        gallery_labels: Class of each gallery item. `[M]` or `[M, 1]`, as `labels` are.
        itself: Row of each embedding in the gallery, with which it makes no pair; -1 for none.
            `[N]`, integers.
        memory_budget: Bytes to use at most, besides the arguments and a few numbers per item.

    Returns:
        A dict of floats. For each rate, such as 0.01: `threshold@far=0.01`, the smallest
        similarity of any pair at which no greater share of the impostors is accepted, or a number
        just above all similarities; and `tar@far=0.01`, the share of genuine pairs accepted at it.
        Both are NaN for a rate below 1 / impostors, which can't be measured. Then `eer`, where as
        many impostors are accepted as genuine pairs are rejected, interpolated between thresholds;
        and `roc_auc`, in which a tie counts half.

    Raises:
        ValueError: If shapes, dtypes or values are not allowed, or there are no genuine pairs or no
            impostors.
    """
    rates = check_rates("false_accept_rates", false_accept_rates)
    queries, items, itself, _ = check_pair(embeddings, labels, gallery, gallery_labels, itself)
    count_matches(queries.classes, items.classes, itself)
    if len(np.unique(np.concatenate([queries.classes, items.classes]))) == 1:
        hint = "Pairs of two classes are needed too."
        refuse("labels", "have items of at least two classes", "items of one class", hint)
    with single_blas():
        pairs, most = _pairs(queries, items, itself, memory_budget)
        ranks = [allowed_accepts(rate, pairs.impostors) for rate in rates]
        curve, thresholds = roc(pairs, ranks, most)
    found = {}
    for i, (rate, rank) in enumerate(zip(rates, ranks, strict=True)):
        accepted = int(curve.accepted[i]) / pairs.genuine
        found[f"tar@far={rate:g}"] = accepted if rank else math.nan
        found[f"threshold@far={rate:g}"] = float(thresholds[i]) if rank else math.nan
    return found | {"eer": curve.equal_error_rate, "roc_auc": curve.area}


def check_rates(name, rates):
    """Rates as a tuple, or an error that calls them by their name."""
    rates = tuple(rates) if np.ndim(rates) else (rates,)
    for rate in rates:
        check_number(name, rate, "(0, 1)", "Give for instance (0.01, 0.001).")
    return rates


def allowed_accepts(rate, total):
    """How many of so many may be accepted, so that their share is not above a rate."""
    number = max(0, int(rate * total) - 1)
    while (number + 1) / total <= rate:  # rate * total is rounded
        number += 1
    return number


def _pairs(queries, items, itself, budget):
    """`Pairs`, and how many genuine similarities they may hold at a time."""
    one_set = items is queries
    dims = queries.vectors.shape[1]
    vectors = 4 * dims * (len(items.classes) + (0 if one_set else len(queries.classes)))
    keep = vectors <= budget / 2
    left = budget - keep * vectors
    threads = cores()
    # Of a tile: its similarities and their buckets, and both sides as they are made.
    need = {edge: threads * (40 * edge**2 + 40 * edge * dims) for edge in EDGES}
    edge = next((edge for edge in EDGES if need[edge] <= left / 2), None)
    if edge is None:
        received = f"memory_budget={budget}"
        hint = f"Give {2 * need[EDGES[-1]]} or more; the default is {2**29}."
        refuse("memory_budget", f"be enough bytes for vectors of {dims} numbers", received, hint)
    rows = UnitVectors(*queries, keep, threads)
    columns = rows if one_set else UnitVectors(*items, keep, threads)
    if itself is not None and not one_set:
        itself = columns.places(itself[rows.order])
    most = int((left - need[edge]) / BYTES_PER_GENUINE)
    return Pairs(rows, columns, itself, edge, threads), most
