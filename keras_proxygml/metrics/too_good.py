"""Warnings of metrics that say more about the data than about the embeddings."""

import warnings

SAME = 1 - 1e-6  # from this cosine on, vectors differ by no more than the rounding of an embedder


def warn_of_one_class(classes, stacklevel):
    """Warns if all items have one class.

    Args:
        classes: Class number of each item. `[N]`.
        stacklevel: Of the caller, as `warnings.warn` counts.
    """
    if classes.min() == classes.max():
        warnings.warn(
            "All items have the same label, so the metrics are the same for all embeddings (as a "
            "rule 1.0). Evaluate on items of at least two classes.",
            stacklevel=stacklevel + 1,
        )


def warn_of_single_members(classes, stacklevel):
    """Warns if no two items share a class; arguments as in `warn_of_one_class`."""
    if len(classes) > 1 and classes.max() == len(classes) - 1:
        warnings.warn(
            "Each item has a label of its own, so NMI and AMI are 1.0 for all embeddings that "
            "differ. Cluster items of classes with several members.",
            stacklevel=stacklevel + 1,
        )


def warn_of_copies(first_rank, similarity, may_find_itself, stacklevel):
    """Warns if the first item that each query finds is identical to it, and of its class.

    Args:
        first_rank: Rank of each query's first match. `[Q]`.
        similarity: Cosine of that match. `[Q]`, NaN without one.
        may_find_itself: Whether the gallery may hold the queries themselves.
        stacklevel: As in `warn_of_one_class`.
    """
    if not ((first_rank == 1) & (similarity >= SAME)).all():
        return
    cause = "If the data hold each item several times, drop the copies."
    if may_find_itself:
        cause = (
            "If the gallery holds the queries, give the row of each query in `itself`, which "
            "leaves it out of its own results."
        )
    warnings.warn(
        f"Every query finds a vector identical to its own first, so Recall@1 is 1.0. {cause}",
        stacklevel=stacklevel + 1,
    )
