"""Retrieval metrics: Recall@K, R-precision, MAP@R and MRR by exact cosine search."""

from keras_proxygml.metrics.inputs import check_cutoffs, check_pair, count_matches
from keras_proxygml.metrics.ranking import rank_matches
from keras_proxygml.metrics.results import QueryResults
from keras_proxygml.metrics.too_good import warn_of_copies, warn_of_one_class


def retrieval_metrics(
    embeddings,
    labels,
    *,
    k=(1, 2, 4, 8),
    gallery=None,
    gallery_labels=None,
    itself=None,
    memory_budget=2**29,
    progress=False,
):
    """Recall@K, MAP@R, R-precision and MRR by exact cosine search.

    Without a gallery, each item queries all others. A tie never counts in favour: an item of
    another class that is as similar as one of the own class comes before it, so vectors that are
    all equal score 0. Vectors are rounded to the grid of 2**-24 once they have unit length, which
    makes their products exact: no order of rows, block size or thread count changes a digit.

    A query whose class has no other member in the gallery is a miss for Recall@K and 0 for MRR,
    and is left out of MAP@R and R-precision. (pytorch-metric-learning leaves it out of all.)

    Args:
        embeddings: The queries. `[Q, D]`, finite; a zero vector has similarity 0 to everything.
        labels: Class of each query. `[Q]` or `[Q, 1]`, integers or strings.
        k: The K of Recall@K, one or more positive integers.
        gallery: What is searched. `[M, D]`; by default the queries, each without itself.
        gallery_labels: Class of each gallery item. `[M]` or `[M, 1]`, integers or strings as
            `labels` are.
        itself: Row of each query in the gallery, -1 for none: this item is left out of the query's
            results. `[Q]`, integers. By default the gallery holds no query.
        memory_budget: Bytes to use at most, besides the arguments and a few numbers per item.
        progress: Whether to say on stderr how far the search is and when it will end.

    Returns:
        A dict of floats: `recall@K` for each K, `map@r`, `r_precision`, `mrr`; and the integer
        `queries_without_match`.

    Raises:
        ValueError: If shapes, dtypes or values do not allow a search, or nothing can be found.

    Warns:
        UserWarning: If the gallery has one class, or every query finds a vector identical to its
            own first.

    Reference:
        Musgrave et al., "A Metric Learning Reality Check", ECCV 2020 (MAP@R, R-precision).
    """
    check_cutoffs(k)
    results = _search(embeddings, labels, gallery, gallery_labels, itself, memory_budget, progress)
    return results.metrics(k)


def query_results(
    embeddings,
    labels,
    *,
    gallery=None,
    gallery_labels=None,
    itself=None,
    memory_budget=2**29,
    progress=False,
):
    """What each query finds by exact cosine search: `retrieval_metrics` before the mean.

    Args:
        embeddings, labels, gallery, gallery_labels, itself, memory_budget, progress: As in
            `retrieval_metrics`.

    Returns:
        A `QueryResults`.

    Raises:
        ValueError: As `retrieval_metrics`.

    Warns:
        UserWarning: As `retrieval_metrics`.
    """
    return _search(embeddings, labels, gallery, gallery_labels, itself, memory_budget, progress)


def _search(embeddings, labels, gallery, gallery_labels, itself, memory_budget, progress):
    may_find_itself = gallery is not None and itself is None
    queries, items, itself, labels = check_pair(embeddings, labels, gallery, gallery_labels, itself)
    matches = count_matches(queries[1], items[1], itself)
    first_rank, r_precision, average_precision, similarity = rank_matches(
        queries, items, itself, matches, memory_budget=memory_budget, progress=progress
    )
    warn_of_one_class(items[1], stacklevel=3)
    warn_of_copies(first_rank, similarity, may_find_itself, stacklevel=3)
    first_rank = first_rank.astype("int64")
    return QueryResults(labels, matches, first_rank, r_precision, average_precision)
