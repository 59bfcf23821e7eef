"""What each query found, and the metrics that are means of it."""

import dataclasses
import math

import numpy as np

from keras_proxygml.metrics.inputs import check_cutoffs


@dataclasses.dataclass(frozen=True)
class QueryResults:
    """What each query found. All arrays are `[Q]`, in the order of the queries.

    Attributes:
        labels: Class of the query, as it was given: integers or strings.
        matches: R, how many gallery items have its class, itself not counted.
        first_rank: Rank of the first of them; 0 where none was found.
        r_precision: Share of them among the R nearest; NaN where R is 0.
        average_precision: Average precision at R; NaN where R is 0.
    """

    labels: np.ndarray
    matches: np.ndarray
    first_rank: np.ndarray
    r_precision: np.ndarray
    average_precision: np.ndarray

    def scores(self, k=(1, 2, 4, 8)):
        """Each metric's value per query.

        Args:
            k: The K of Recall@K, one or more positive integers.

        Returns:
            A dict: name → `[Q]`, NaN where a query is left out.
        """
        found = self.first_rank > 0
        scores = {f"recall@{n}": (found & (self.first_rank <= n)) * 1.0 for n in check_cutoffs(k)}
        scores["map@r"] = self.average_precision
        scores["r_precision"] = self.r_precision
        scores["mrr"] = found / np.maximum(self.first_rank, 1)
        return scores

    def by_class(self, k=(1, 2, 4, 8)):
        """Each metric's mean per class.

        Args:
            k: The K of Recall@K.

        Returns:
            The classes of the queries, rising, `[C]`; and name → `[C]`, NaN where all queries of a
            class are left out.
        """
        return np.unique(self.labels), {
            name: np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
            for name, (sums, counts) in self.class_sums(k).items()
        }

    def class_sums(self, k=(1, 2, 4, 8)):
        """The sums behind `by_class`.

        Args:
            k: The K of Recall@K.

        Returns:
            A dict: name → the sum of each class, `[C]`, and how many queries are in it, `[C]`.
        """
        _, index = np.unique(self.labels, return_inverse=True)
        return {
            name: tuple(np.bincount(index, weights) for weights in (np.nan_to_num(x), ~np.isnan(x)))
            for name, x in self.scores(k).items()
        }

    def metrics(self, k=(1, 2, 4, 8)):
        """The mean over the queries of every metric, as `retrieval_metrics` gives it.

        Args:
            k: The K of Recall@K.

        Returns:
            A dict: name → float, and the integer `queries_without_match`.
        """
        means = {name: _mean(values) for name, values in self.scores(k).items()}
        return means | {"queries_without_match": int((self.matches == 0).sum())}


def _mean(values):
    """Mean of what is not NaN; fsum rounds once, so that the order of queries changes nothing."""
    kept = values[~np.isnan(values)]
    return math.fsum(kept) / len(kept)
