"""How sure the verification metrics are."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_integer, check_number, refuse
from keras_proxygml.metrics.confidence import Interval
from keras_proxygml.metrics.inputs import check_pair
from keras_proxygml.metrics.verification import verification_metrics


def verification_intervals(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    false_accept_rates: Sequence[float] = (1e-2, 1e-3, 1e-4),
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    itself: ArrayLike | None = None,
    confidence: float = 0.95,
    groups: int = 20,
    seed: int = 0,
    memory_budget: int = 2**29,
) -> dict[str, Interval]:
    """Intervals of the verification metrics, by a jackknife over groups of classes.

    The metrics are computed again without each group. A pair depends on two classes, and leaving
    out a class leaves out all its pairs. A bootstrap would have to weigh all pairs in each draw.
    This takes up to `groups` times as long as `verification_metrics`.

    Args:
        embeddings, labels, false_accept_rates, gallery, gallery_labels, itself: As in
            `verification_metrics`.
        confidence: How often such an interval should hold the true value. In (0, 1).
        groups: Into how many groups the classes are cut at random.
        seed: Seed of the cut.
        memory_budget: As in `verification_metrics`.

    Returns:
        A dict: name of the metric → `Interval`. Its ends are NaN where a rate can't be measured
        without some group.

    Raises:
        ValueError: As `verification_metrics`, also for what is left without a group; and if an
            argument is out of range or there are fewer classes than groups.

    Reference:
        Kott, "The delete-a-group jackknife", Journal of Official Statistics 2001.
    """
    check_number("confidence", confidence, "(0, 1)", "Give for instance 0.95.")
    check_integer("groups", groups, 2, hint="20 is usual.")
    queries, items, own, _ = check_pair(embeddings, labels, gallery, gallery_labels, itself)
    classes = int(max(queries.classes.max(), items.classes.max())) + 1
    if classes < max(3, groups):
        allowed = f"have at least {max(3, groups)} classes"
        refuse("labels", allowed, f"{classes} classes", "Give fewer groups.")
    group = np.random.default_rng(seed).permutation(np.arange(classes) % groups)

    def metrics(without):
        kept, kept_items = group[queries.classes] != without, group[items.classes] != without
        options = {"false_accept_rates": false_accept_rates, "memory_budget": memory_budget}
        if items is not queries:
            options["gallery"] = items.vectors[kept_items]
            options["gallery_labels"] = items.classes[kept_items]
            if own is not None:
                place = np.cumsum(kept_items) - 1
                options["itself"] = np.where(own < 0, -1, place[own])[kept]
        return verification_metrics(queries.vectors[kept], queries.classes[kept], **options)

    value = metrics(without=-1)
    parts = np.array([list(metrics(i).values()) for i in range(groups)])
    return _intervals(value, parts, confidence)


def _intervals(value, parts, confidence):
    """`Interval` of each metric from its values without each group, `[groups, metrics]`."""
    from scipy.stats import t

    groups = len(parts)
    variance = (groups - 1) / groups * ((parts - parts.mean(axis=0)) ** 2).sum(axis=0)
    half = t.ppf((1 + confidence) / 2, groups - 1) * np.sqrt(variance)
    found = {}
    for (name, x), width in zip(value.items(), half.tolist(), strict=True):
        low, high = x - width, x + width
        if not name.startswith("threshold") and not math.isnan(width):
            low, high = max(low, 0.0), min(high, 1.0)  # shares
        found[name] = Interval(x, low, high)
    return found
