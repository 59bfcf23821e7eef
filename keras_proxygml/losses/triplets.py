"""The losses on triplets, which are mined in the batch."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_proxygml.checks import check_choice
from keras_proxygml.losses.base import EmbeddingLoss
from keras_proxygml.losses.inputs import check_embeddings
from keras_proxygml.losses.pairs import DISTANCES, pairs, pairwise_distances, share_of_mean
from keras_proxygml.types import Tensor


@keras.saving.register_keras_serializable(package="keras_proxygml")
def triplet_semi_hard(
    labels: Tensor, embeddings: Tensor, margin: float = 1.0, distance: str = "L2"
) -> Tensor:
    """Triplet loss of every positive pair with its semi-hard negative.

    Args:
        labels, embeddings: As in `EmbeddingLoss`.
        margin, distance: As in `TripletSemiHardLoss`.

    Returns:
        Loss of each anchor, scaled so that the batch's mean is the mean over all positive pairs.
        `[B]`, float32, or float64 where `embeddings` are. 0 where there is no positive pair.

    Raises:
        ValueError: If `distance` is another name. Also as `EmbeddingLoss` does.

    Reference:
        Schroff et al., 2015, arXiv 1503.03832, section 3.2.
    """
    labels, embeddings = check_embeddings(labels, embeddings)
    distances = pairwise_distances(embeddings, distance)
    positive, negative = pairs(labels)
    to_negatives = distances[:, None, :]  # [anchor, any, negative]
    is_farther = ops.logical_and(negative[:, None, :], to_negatives > distances[:, :, None])
    nearest_farther = ops.min(ops.where(is_farther, to_negatives, np.inf), axis=-1)  # [B, B]
    farthest = ops.max(ops.where(negative, distances, 0.0), axis=-1, keepdims=True)  # [B, 1]
    to_negative = ops.where(ops.any(is_farther, axis=-1), nearest_farther, farthest)
    is_triplet = ops.logical_and(positive, ops.any(negative, axis=-1, keepdims=True))
    losses = ops.where(is_triplet, ops.relu(margin + distances - to_negative), 0.0)
    return share_of_mean(ops.sum(losses, axis=-1), ops.sum(ops.cast(positive, losses.dtype)))


@keras.saving.register_keras_serializable(package="keras_proxygml")
class TripletSemiHardLoss(EmbeddingLoss):
    """The triplet loss with semi-hard negatives, for a model that ends in embeddings.

    Each positive pair (anchor, positive) takes the nearest negative that is farther from the
    anchor than the positive. If there is none, it takes the farthest negative. The loss is the mean
    over all positive pairs of the batch. It is 0 if there are none or the batch has one class. It
    needs memory for B³ numbers.

    Args:
        margin: How much farther than the positive the negative should be. 0 or more. The default
            1 is that of tensorflow-addons. The paper has 0.2 for squared L2 of unit vectors.
        distance: "L2" (the default, as in tensorflow-addons), "squared-L2", or "angular": 1 minus
            the cosine. The first two do not normalize. For the usual unit vectors, end the embedder
            in `keras.layers.UnitNormalization()`.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `EmbeddingLoss`.

    Raises:
        ValueError: If `margin` is negative or `distance` is another name. Also as `EmbeddingLoss`
            does.

    Reference:
        Schroff et al., 2015, arXiv 1503.03832, section 3.2.

    Example:

    >>> import numpy as np
    >>> embeddings = np.array([[0.0], [1.0], [1.5]], dtype="float32")  # [B=3, D=1]
    >>> loss = TripletSemiHardLoss(reduction=None)
    >>> losses = loss(np.array([0, 0, 1]), embeddings)  # 1 + 1 - 1.5, then 1 + 1 - 0.5
    >>> [round(float(one), 4) for one in losses]  # times B / 2 pairs
    [0.75, 2.25, 0.0]
    """

    function = staticmethod(triplet_semi_hard)
    intervals = {"margin": "[0, inf)"}

    def __init__(
        self,
        margin: float = 1.0,
        distance: str = "L2",
        *,
        name: str = "triplet_semi_hard",
        **kwargs: Any,
    ) -> None:
        check_choice("distance", distance, DISTANCES)
        super().__init__(name=name, margin=margin, distance=distance, **kwargs)


@keras.saving.register_keras_serializable(package="keras_proxygml")
def triplet_hard(
    labels: Tensor,
    embeddings: Tensor,
    margin: float = 1.0,
    soft: bool = False,
    distance: str = "L2",
) -> Tensor:
    """Triplet loss of every sample with its farthest positive and its nearest negative.

    Args:
        labels, embeddings: As in `EmbeddingLoss`.
        margin, soft, distance: As in `TripletHardLoss`.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `embeddings` are. 0 for a sample
        without a positive or a negative.

    Raises:
        ValueError: If `distance` is another name. Also as `EmbeddingLoss` does.

    Reference:
        Hermans et al., 2017, arXiv 1703.07737, equation 5.
    """
    labels, embeddings = check_embeddings(labels, embeddings)
    distances = pairwise_distances(embeddings, distance)
    positive, negative = pairs(labels)
    is_triplet = ops.logical_and(ops.any(positive, axis=-1), ops.any(negative, axis=-1))
    farthest = ops.max(ops.where(positive, distances, 0.0), axis=-1)
    nearest = ops.min(ops.where(negative, distances, np.inf), axis=-1)
    difference = farthest - ops.where(is_triplet, nearest, 0.0)
    losses = ops.softplus(difference) if soft else ops.relu(margin + difference)
    return ops.where(is_triplet, losses, 0.0)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class TripletHardLoss(EmbeddingLoss):
    """The triplet loss with the hardest positives and negatives, for a model of embeddings.

    Each sample takes its farthest positive and its nearest negative in the batch. A sample without
    a positive or a negative makes no triplet and costs 0. (In tensorflow-addons, such a sample is
    its own positive, at distance 0.)

    Args:
        margin: How much farther than the positive the negative should be. 0 or more. The default
            1 is that of tensorflow-addons.
        soft: Whether to replace the hinge with log(1 + e^difference), which has no margin.
        distance: As in `TripletSemiHardLoss`.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `EmbeddingLoss`.

    Raises:
        ValueError: If `margin` is negative or `distance` is another name. Also as `EmbeddingLoss`
            does.

    Reference:
        Hermans et al., 2017, arXiv 1703.07737, equation 5.

    Example:

    >>> import numpy as np
    >>> embeddings = np.array([[0.0], [1.0], [1.5]], dtype="float32")  # [B=3, D=1]
    >>> losses = TripletHardLoss(reduction=None)(np.array([0, 0, 1]), embeddings)
    >>> [round(float(one), 4) for one in losses]  # 1 + 1 - 1.5, 1 + 1 - 0.5, no triplet
    [0.5, 1.5, 0.0]
    """

    function = staticmethod(triplet_hard)
    intervals = {"margin": "[0, inf)"}

    def __init__(
        self,
        margin: float = 1.0,
        soft: bool = False,
        distance: str = "L2",
        *,
        name: str = "triplet_hard",
        **kwargs: Any,
    ) -> None:
        check_choice("distance", distance, DISTANCES)
        super().__init__(name=name, margin=margin, soft=bool(soft), distance=distance, **kwargs)
