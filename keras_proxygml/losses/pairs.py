"""The losses on pairs of a batch's embeddings."""

from typing import Any

import keras
from keras import ops

from keras_proxygml.checks import check_choice
from keras_proxygml.losses.base import EmbeddingLoss
from keras_proxygml.losses.inputs import check_embeddings
from keras_proxygml.numerics import ABSENT, unit, widen
from keras_proxygml.types import Tensor

DISTANCES = ("L2", "squared-L2", "angular")


def pairs(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Tells which samples share a class.

    Args:
        labels: Class of each sample. `[B]`, integers.

    Returns:
        Whether two samples are a positive pair, of the same class and not one sample, and whether
        they are a negative pair, of different classes. Both `[B, B]`, bool.
    """
    same_class = ops.equal(labels[:, None], labels[None, :])
    numbers = ops.arange(ops.shape(labels)[0], dtype="int32")
    same_sample = ops.equal(numbers[:, None], numbers[None, :])
    return ops.logical_and(same_class, ops.logical_not(same_sample)), ops.logical_not(same_class)


def pairwise_distances(embeddings: Tensor, distance: str = "L2") -> Tensor:
    """Measures how far each embedding is from each other.

    Args:
        embeddings: Vectors. `[B, D]`, floats.
        distance: "L2", "squared-L2", or "angular": 1 minus the cosine.

    Returns:
        `[B, B]`, float32, or float64 where `embeddings` are. 0 or more, but for rounding. The
        gradient at distance 0 is 0.

    Raises:
        ValueError: If `distance` is no such name.
    """
    check_choice("distance", distance, DISTANCES)
    if distance == "angular":
        units = unit(embeddings)
        return 1 - ops.matmul(units, ops.transpose(units))
    embeddings = widen(embeddings)
    lengths = ops.sum(ops.square(embeddings), axis=-1)  # [B], squared
    products = ops.matmul(embeddings, ops.transpose(embeddings))
    squares = lengths[:, None] + lengths[None, :] - 2 * products  # [B, B]
    is_apart = squares > 0
    if distance == "squared-L2":
        return ops.where(is_apart, squares, 0.0)
    return ops.where(is_apart, ops.sqrt(ops.where(is_apart, squares, 1.0)), 0.0)


def share_of_mean(sums: Tensor, num_pairs: Tensor) -> Tensor:
    """Scales the sums of each sample's pairs so that the batch's mean is the mean of all pairs.

    Args:
        sums: Sum over the pairs of each sample. `[B]`, floats.
        num_pairs: How many pairs there are in all. Scalar.

    Returns:
        `[B]`.
    """
    batch = ops.cast(ops.shape(sums)[0], sums.dtype)
    return sums * (batch / ops.maximum(num_pairs, 1.0))


@keras.saving.register_keras_serializable(package="keras_proxygml")
def npairs(labels: Tensor, embeddings: Tensor) -> Tensor:
    """Cross-entropy of each sample's products with the batch against the samples of its class.

    Args:
        labels, embeddings: As in `EmbeddingLoss`.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `embeddings` are.

    Raises:
        ValueError: As `EmbeddingLoss` does.

    Reference:
        Sohn, 2016, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective".
    """
    labels, embeddings = check_embeddings(labels, embeddings)
    products = ops.matmul(embeddings, ops.transpose(embeddings))  # [B, B]
    same_class = ops.equal(labels[:, None], labels[None, :])
    # The target is uniform over the samples of the class, the sample itself among them: at least
    # one. So their products are averaged.
    num_same = ops.sum(ops.cast(same_class, products.dtype), axis=-1)
    mean_product = ops.sum(ops.where(same_class, products, 0.0), axis=-1) / num_same
    return ops.logsumexp(products, axis=-1) - mean_product


@keras.saving.register_keras_serializable(package="keras_proxygml")
class NPairsLoss(EmbeddingLoss):
    """The N-pairs loss, for a model that ends in embeddings.

    A softmax over a sample's dot products with all samples of the batch, itself among them,
    against those of its class: tensorflow-addons' loss of the matrix `embeddings · embeddingsᵀ`.
    A sample without a positive has itself for the target. Vectors are taken at their length, as
    the paper does.

    Args:
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `EmbeddingLoss`.

    Raises:
        ValueError: As `EmbeddingLoss` does.

    Reference:
        Sohn, 2016, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective".

    Example:

    >>> import numpy as np
    >>> embeddings = np.array([[1.0], [-1.0]], dtype="float32")  # [B=2, D=1]
    >>> round(float(NPairsLoss()(np.array([0, 1]), embeddings)), 4)  # log(1 + exp(-2))
    0.1269
    """

    function = staticmethod(npairs)

    def __init__(self, *, name: str = "npairs", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)


@keras.saving.register_keras_serializable(package="keras_proxygml")
def lifted_structure(labels: Tensor, embeddings: Tensor, margin: float = 1.0) -> Tensor:
    """Squared hinge of every positive pair against all negatives of both its samples.

    Args:
        labels, embeddings: As in `EmbeddingLoss`. The vectors are compared by L2.
        margin: As in `LiftedStructureLoss`.

    Returns:
        Loss of each sample, each pair shared by both of its samples, scaled so that the batch's
        mean is the loss. `[B]`, float32, or float64 where `embeddings` are. 0 where there is no
        positive pair, or no negative.

    Raises:
        ValueError: As `EmbeddingLoss` does.

    Reference:
        Song et al., 2016, arXiv 1511.06452, equation 4.
    """
    labels, embeddings = check_embeddings(labels, embeddings)
    distances = pairwise_distances(embeddings)
    positive, negative = pairs(labels)
    # log Σ e^(margin - d) over each sample's negatives, then over those of both samples of a pair.
    nearness = ops.logsumexp(ops.where(negative, margin - distances, ABSENT), axis=-1)  # [B]
    of_pairs = ops.logaddexp(nearness[:, None], nearness[None, :]) + distances  # [B, B]
    losses = ops.where(positive, ops.square(ops.relu(of_pairs)), 0.0)
    # Both (i, j) and (j, i) are counted, above and below; the half is the definition's.
    num_pairs = ops.sum(ops.cast(positive, losses.dtype))
    return share_of_mean(ops.sum(losses, axis=-1) / 2, num_pairs)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class LiftedStructureLoss(EmbeddingLoss):
    """The lifted structure loss, for a model that ends in embeddings.

    Half the mean, over all positive pairs of the batch, of the squared hinge of
    d + log Σ e^(margin - dₙ), the sum over the distances dₙ of both samples to their negatives. It
    is 0 where the batch has no positive pair or is of one class.

    Args:
        margin: How far away negatives should be. 0 or more. The default 1 is the paper's and that
            of tensorflow-addons.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `EmbeddingLoss`.

    Raises:
        ValueError: If `margin` is negative; also as `EmbeddingLoss` does.

    Reference:
        Song et al., 2016, arXiv 1511.06452, equation 4.

    Example:

    >>> import numpy as np
    >>> embeddings = np.array([[0.0], [1.0], [3.0]], dtype="float32")  # [B=3, D=1]
    >>> loss = LiftedStructureLoss(margin=3.0)  # (1 + log(exp(3 - 3) + exp(3 - 2)))² / 2
    >>> round(float(loss(np.array([0, 0, 1]), embeddings)), 4)
    2.6756
    """

    function = staticmethod(lifted_structure)
    intervals = {"margin": "[0, inf)"}

    def __init__(
        self, margin: float = 1.0, *, name: str = "lifted_structure", **kwargs: Any
    ) -> None:
        super().__init__(name=name, margin=margin, **kwargs)
