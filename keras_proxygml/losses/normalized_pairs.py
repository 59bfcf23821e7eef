"""The losses on pairs of normalized embeddings, which pytorch-metric-learning has too."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_proxygml.checks import check_number
from keras_proxygml.losses.base import EmbeddingLoss
from keras_proxygml.losses.inputs import check_embeddings
from keras_proxygml.losses.pairs import pairs, pairwise_distances, share_of_mean
from keras_proxygml.numerics import ABSENT, unit
from keras_proxygml.types import Tensor


@keras.saving.register_keras_serializable(package="keras_proxygml")
def contrastive(
    labels: Tensor, embeddings: Tensor, pos_margin: float = 0.0, neg_margin: float = 1.0
) -> Tensor:
    """Hinges of the distances of positive and of negative pairs of unit vectors.

    Args:
        labels, embeddings: As in `EmbeddingLoss`.
        pos_margin, neg_margin: As in `ContrastiveLoss`.

    Returns:
        Loss of each sample, scaled so that the batch's mean is the loss. `[B]`, float32, or float64
        where `embeddings` are.

    Raises:
        ValueError: As `EmbeddingLoss` does.

    Reference:
        Hadsell et al., 2006, "Dimensionality Reduction by Learning an Invariant Mapping".
    """
    labels, embeddings = check_embeddings(labels, embeddings)
    distances = pairwise_distances(unit(embeddings))
    positive, negative = pairs(labels)
    too_far = ops.where(positive, ops.relu(distances - pos_margin), 0.0)
    too_near = ops.where(negative, ops.relu(neg_margin - distances), 0.0)
    return _mean_of_active(too_far) + _mean_of_active(too_near)


def _mean_of_active(losses):
    """Scales the losses of pairs `[B, B]` to `[B]`, whose mean is that of the losses above 0."""
    num_active = ops.sum(ops.cast(losses > 0, losses.dtype))
    return share_of_mean(ops.sum(losses, axis=-1), num_active)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ContrastiveLoss(EmbeddingLoss):
    """The contrastive loss, for a model that ends in embeddings.

    A positive pair at distance d costs d - `pos_margin`, a negative pair `neg_margin` - d, and a
    pair costs nothing if this is below 0. The loss is the mean over the positive pairs that cost
    something, plus the mean over such negative pairs. Vectors are normalized, so distances are from
    0 to 2. It equals pytorch-metric-learning's loss with its defaults. The paper squares both.

    Args:
        pos_margin: The distance that positive pairs may have. 0 or more.
        neg_margin: The distance that negative pairs should have. 0 or more.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `EmbeddingLoss`.

    Raises:
        ValueError: If a margin is negative. Also as `EmbeddingLoss` does.

    Reference:
        Hadsell et al., 2006, "Dimensionality Reduction by Learning an Invariant Mapping".

    Example:

    >>> import numpy as np
    >>> embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]], dtype="float32")  # [B=3, D=2]
    >>> loss = ContrastiveLoss()  # √2, plus the mean of 1 - √0.4 and 1 - √0.8
    >>> round(float(loss(np.array([0, 0, 1]), embeddings)), 4)
    1.6508
    """

    function = staticmethod(contrastive)
    intervals = {"pos_margin": "[0, inf)", "neg_margin": "[0, inf)"}

    def __init__(
        self,
        pos_margin: float = 0.0,
        neg_margin: float = 1.0,
        *,
        name: str = "contrastive",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, pos_margin=pos_margin, neg_margin=neg_margin, **kwargs)


@keras.saving.register_keras_serializable(package="keras_proxygml")
def multi_similarity(
    labels: Tensor,
    embeddings: Tensor,
    alpha: float = 2.0,
    beta: float = 50.0,
    base: float = 0.5,
    epsilon: float | None = 0.1,
) -> Tensor:
    """Soft hinges of the cosines of a sample's positives and negatives, of those that are hard.

    Args:
        labels, embeddings: As in `EmbeddingLoss`.
        alpha, beta, base, epsilon: As in `MultiSimilarityLoss`.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `embeddings` are.

    Raises:
        ValueError: As `EmbeddingLoss` does.

    Reference:
        Wang et al., 2019, arXiv 1904.06627, equations 10 to 12.
    """
    labels, embeddings = check_embeddings(labels, embeddings)
    units = unit(embeddings)
    cosines = ops.matmul(units, ops.transpose(units))  # [B, B]
    positive, negative = pairs(labels)
    if epsilon is not None:
        positive, negative = _hard(ops.stop_gradient(cosines), positive, negative, epsilon)
    return (
        _log_one_plus_sum(alpha * (base - cosines), positive) / alpha
        + _log_one_plus_sum(beta * (cosines - base), negative) / beta
    )


def _hard(cosines, positive, negative, epsilon):
    """The pairs that are hard for the first sample. Both `[B, B]`, bool.

    A positive is hard if some negative is as similar, up to epsilon. A negative is hard if some
    positive is as dissimilar, up to epsilon.
    """
    best_negative = ops.max(ops.where(negative, cosines, -np.inf), axis=-1, keepdims=True)
    worst_positive = ops.min(ops.where(positive, cosines, np.inf), axis=-1, keepdims=True)
    is_low, is_high = cosines - epsilon < best_negative, cosines + epsilon > worst_positive
    return ops.logical_and(positive, is_low), ops.logical_and(negative, is_high)


def _log_one_plus_sum(exponents, mask):
    """log(1 + Σ e^x) over the pairs of the mask. `[B, B]` → `[B]`."""
    return ops.logaddexp(ops.logsumexp(ops.where(mask, exponents, ABSENT), axis=-1), 0.0)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class MultiSimilarityLoss(EmbeddingLoss):
    """The multi-similarity loss with its mining, for a model that ends in embeddings.

    For cosines s⁺ of a sample's positives and s⁻ of its negatives, its loss is
    log(1 + Σ e^(α(base - s⁺))) / α + log(1 + Σ e^(β(s⁻ - base))) / β. The sums run over hard pairs
    only: positives with s⁺ < max s⁻ + ε, and negatives with s⁻ > min s⁺ - ε. A sample without a
    positive or without a negative has no hard pair. It equals pytorch-metric-learning's loss with
    its `MultiSimilarityMiner`. Batches must hold several samples of a class.

    Args:
        alpha: How steep the loss of positives is. Above 0.
        beta: How steep the loss of negatives is. Above 0.
        base: The cosine that positives should exceed and negatives should not reach.
        epsilon: How far the cosines may be apart for a pair to be hard. None uses all pairs.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `EmbeddingLoss`.

    Raises:
        ValueError: If an argument is outside its interval. Also as `EmbeddingLoss` does.

    Reference:
        Wang et al., 2019, arXiv 1904.06627, equations 10 to 12.

    Example:

    >>> import numpy as np
    >>> embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype="float32")  # [B=3, D=2]
    >>> loss = MultiSimilarityLoss(reduction=None)
    >>> losses = loss(np.array([0, 0, 1]), embeddings)  # 0.6 and 0.8 are above 0: all are hard
    >>> [round(float(one), 4) for one in losses]  # log(1 + e) / 2 + log(1 + e^5) / 50, …
    [0.7568, 0.9566, 0.0]
    """

    function = staticmethod(multi_similarity)
    intervals = {"alpha": "(0, inf)", "beta": "(0, inf)", "base": "[-1, 1]"}

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 50.0,
        base: float = 0.5,
        epsilon: float | None = 0.1,
        *,
        name: str = "multi_similarity",
        **kwargs: Any,
    ) -> None:
        if epsilon is not None:
            check_number("epsilon", epsilon, "[0, inf)")
        super().__init__(name=name, alpha=alpha, beta=beta, base=base, epsilon=epsilon, **kwargs)


@keras.saving.register_keras_serializable(package="keras_proxygml")
def sup_con(labels: Tensor, embeddings: Tensor, temperature: float = 0.1) -> Tensor:
    """Cross-entropy of each positive against all other samples, averaged over a sample's positives.

    Args:
        labels, embeddings: As in `EmbeddingLoss`.
        temperature: As in `SupConLoss`.

    Returns:
        Loss of each sample, scaled so that the batch's mean is the mean over the samples that have
        a positive. `[B]`, float32, or float64 where `embeddings` are.

    Raises:
        ValueError: As `EmbeddingLoss` does.

    Reference:
        Khosla et al., 2020, arXiv 2004.11362, equation 2.
    """
    labels, embeddings = check_embeddings(labels, embeddings)
    units = unit(embeddings)
    logits = ops.matmul(units, ops.transpose(units)) / temperature  # [B, B]
    positive, negative = pairs(labels)
    others = ops.where(ops.logical_or(positive, negative), logits, ABSENT)
    total = ops.logsumexp(others, axis=-1)  # [B]
    num_positives = ops.sum(ops.cast(positive, logits.dtype), axis=-1)
    sum_of_logits = ops.sum(ops.where(positive, logits, 0.0), axis=-1)
    losses = total - sum_of_logits / ops.maximum(num_positives, 1.0)
    has_positive = num_positives > 0
    num_anchors = ops.sum(ops.cast(has_positive, logits.dtype))
    return share_of_mean(ops.where(has_positive, losses, 0.0), num_anchors)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class SupConLoss(EmbeddingLoss):
    """The supervised contrastive loss, for a model that ends in embeddings.

    A softmax runs over the cosines of a sample to all others, divided by the temperature. The loss
    of a sample is the mean cross-entropy of its positives. The loss is the mean over the samples
    that have a positive, and 0 if none has. It equals pytorch-metric-learning's loss. Batches must
    hold several samples of a class.

    Args:
        temperature: Divides the cosines. Above 0. The default 0.1 is the paper's.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `EmbeddingLoss`.

    Raises:
        ValueError: If `temperature` is not above 0. Also as `EmbeddingLoss` does.

    Reference:
        Khosla et al., 2020, arXiv 2004.11362, equation 2.

    Example:

    >>> import numpy as np
    >>> embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype="float32")  # [B=3, D=2]
    >>> loss = SupConLoss(temperature=1.0, reduction=None)
    >>> losses = loss(np.array([0, 0, 1]), embeddings)  # 3 / 2 · log(1 + e^0.6), …
    >>> [round(float(one), 4) for one in losses]
    [1.5562, 1.7567, 0.0]
    """

    function = staticmethod(sup_con)
    intervals = {"temperature": "(0, inf)"}

    def __init__(self, temperature: float = 0.1, *, name: str = "sup_con", **kwargs: Any) -> None:
        super().__init__(name=name, temperature=temperature, **kwargs)
