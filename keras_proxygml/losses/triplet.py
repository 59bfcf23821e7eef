"""Triplet losses that mine their triplets in the batch."""

import keras
import numpy as np
from keras import ops

from keras_proxygml.arguments import check_not_negative
from keras_proxygml.losses.distances import check_distance, pairwise_distances
from keras_proxygml.losses.embedding_loss import EmbeddingLoss, checked, pairs


@keras.saving.register_keras_serializable(package="keras_proxygml")
def triplet_semi_hard(labels, embeddings, margin=1.0, distance="L2"):
    """Triplet loss of every positive pair with its semi-hard negative.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers.
        embeddings: Vectors. `[B, D]`, floats.
        margin: How much farther than the positive the negative should be. 0 or more.
        distance: "L2", "squared-L2", or "angular": 1 minus the cosine.

    Returns:
        B times the anchor's share of the mean over all positive pairs, so that the mean is that
        mean. `[B]`, float32, or float64 where `embeddings` are. 0 where there is none.

    Raises:
        ValueError: If labels are not integers, embeddings are not `[B, D]`, or `distance` is no
            such name.

    Reference:
        Schroff et al., 2015, arXiv 1503.03832, section 3.2.
    """
    labels, embeddings = checked(labels, embeddings)
    distances = pairwise_distances(embeddings, distance)
    positive, negative = pairs(labels)
    to_negatives = distances[:, None, :]  # [anchor, any, negative]
    is_farther = ops.logical_and(negative[:, None, :], to_negatives > distances[:, :, None])
    nearest_farther = ops.min(ops.where(is_farther, to_negatives, np.inf), axis=-1)  # [B, B]
    farthest = ops.max(ops.where(negative, distances, 0.0), axis=-1, keepdims=True)  # [B, 1]
    to_negative = ops.where(ops.any(is_farther, axis=-1), nearest_farther, farthest)
    is_triplet = ops.logical_and(positive, ops.any(negative, axis=-1, keepdims=True))
    losses = ops.where(is_triplet, ops.relu(margin + distances - to_negative), 0.0)
    num_pairs = ops.sum(ops.cast(positive, losses.dtype))
    batch = ops.cast(ops.shape(losses)[0], losses.dtype)
    return ops.sum(losses, axis=-1) * (batch / ops.maximum(num_pairs, 1.0))


@keras.saving.register_keras_serializable(package="keras_proxygml")
def triplet_hard(labels, embeddings, margin=1.0, soft=False, distance="L2"):
    """Triplet loss of every sample with its farthest positive and its nearest negative.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers.
        embeddings: Vectors. `[B, D]`, floats.
        margin: How much farther than the positive the negative should be. 0 or more.
        soft: Whether to take log(1 + e^difference), which has no margin, for the hinge.
        distance: "L2", "squared-L2", or "angular": 1 minus the cosine.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `embeddings` are. 0 for a sample
        without a positive or a negative.

    Raises:
        ValueError: If labels are not integers, embeddings are not `[B, D]`, or `distance` is no
            such name.

    Reference:
        Hermans et al., 2017, arXiv 1703.07737, equation 5.
    """
    labels, embeddings = checked(labels, embeddings)
    distances = pairwise_distances(embeddings, distance)
    positive, negative = pairs(labels)
    is_triplet = ops.logical_and(ops.any(positive, axis=-1), ops.any(negative, axis=-1))
    farthest = ops.max(ops.where(positive, distances, 0.0), axis=-1)
    nearest = ops.min(ops.where(negative, distances, np.inf), axis=-1)
    difference = farthest - ops.where(is_triplet, nearest, 0.0)
    losses = ops.softplus(difference) if soft else ops.relu(margin + difference)
    return ops.where(is_triplet, losses, 0.0)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class TripletSemiHardLoss(EmbeddingLoss):
    """The triplet loss with semi-hard negatives, for a model that ends in embeddings.

    Each positive pair (anchor, positive) takes the nearest negative that is farther from the
    anchor than the positive, or where none is, the farthest negative. The loss is the mean over
    all positive pairs of the batch, 0 where there are none or the batch is of one class. It needs
    B³ numbers of memory. Under `tf.distribute` each replica mines its own share of the batch.

    Args:
        margin: How much farther than the positive the negative should be. 0 or more. The default
            1 is that of tensorflow-addons; the paper has 0.2 for squared L2 of unit vectors.
        distance: "L2" (the default, as in tensorflow-addons), "squared-L2", or "angular": 1 minus
            the cosine. The first two do not normalise: end the embedder in
            `keras.layers.UnitNormalization()` for the usual unit vectors.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers.
        embeddings: Vectors. `[B, D]`.

    Returns:
        The mean over the positive pairs, or with `reduction=None` B times each anchor's share of
        it, `[B]`.

    Raises:
        ValueError: If `margin` is negative, `distance` is no such name, labels are not integers
            `[B]` or `[B, 1]`, or embeddings are not `[B, D]`.

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

    def __init__(
        self,
        margin=1.0,
        distance="L2",
        *,
        reduction="sum_over_batch_size",
        name="triplet_semi_hard",
        dtype=None,
    ):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        check_not_negative("margin", margin, usual=1)
        check_distance(distance)
        self.margin = margin
        self.distance = distance

    def per_sample(self, labels, embeddings):
        return triplet_semi_hard(labels, embeddings, self.margin, self.distance)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "distance": self.distance}


@keras.saving.register_keras_serializable(package="keras_proxygml")
class TripletHardLoss(EmbeddingLoss):
    """The triplet loss with the hardest positives and negatives, for a model of embeddings.

    Each sample takes its farthest positive and its nearest negative in the batch. One without a
    positive or a negative makes no triplet and costs 0 (tensorflow-addons counts such a sample as
    a positive of its own, at distance 0). Under `tf.distribute` each replica mines its own share
    of the batch.

    Args:
        margin: How much farther than the positive the negative should be. 0 or more. The default
            1 is that of tensorflow-addons.
        soft: Whether to take log(1 + e^difference), which has no margin, for the hinge.
        distance: "L2" (the default, as in tensorflow-addons), "squared-L2", or "angular": 1 minus
            the cosine. The first two do not normalise: end the embedder in
            `keras.layers.UnitNormalization()` for the usual unit vectors.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers.
        embeddings: Vectors. `[B, D]`.

    Returns:
        The mean over the batch, or with `reduction=None` the loss of each sample, `[B]`.

    Raises:
        ValueError: If `margin` is negative, `distance` is no such name, labels are not integers
            `[B]` or `[B, 1]`, or embeddings are not `[B, D]`.

    Reference:
        Hermans et al., 2017, arXiv 1703.07737, equation 5.

    Example:

    >>> import numpy as np
    >>> embeddings = np.array([[0.0], [1.0], [1.5]], dtype="float32")  # [B=3, D=1]
    >>> losses = TripletHardLoss(reduction=None)(np.array([0, 0, 1]), embeddings)
    >>> [round(float(one), 4) for one in losses]  # 1 + 1 - 1.5, 1 + 1 - 0.5, no triplet
    [0.5, 1.5, 0.0]
    """

    def __init__(
        self,
        margin=1.0,
        soft=False,
        distance="L2",
        *,
        reduction="sum_over_batch_size",
        name="triplet_hard",
        dtype=None,
    ):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        check_not_negative("margin", margin, usual=1)
        check_distance(distance)
        self.margin = margin
        self.soft = bool(soft)
        self.distance = distance

    def per_sample(self, labels, embeddings):
        return triplet_hard(labels, embeddings, self.margin, self.soft, self.distance)

    def get_config(self):
        mining = {"margin": self.margin, "soft": self.soft, "distance": self.distance}
        return {**super().get_config(), **mining}
