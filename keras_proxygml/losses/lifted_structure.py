"""The lifted structure loss."""

import keras
from keras import ops

from keras_proxygml.arguments import check_not_negative
from keras_proxygml.losses.distances import pairwise_distances
from keras_proxygml.losses.embedding_loss import EmbeddingLoss, checked, pairs

# Weighs nothing in a sum of exponentials, and being finite can make no NaN in a gradient.
_ABSENT = -1e30


@keras.saving.register_keras_serializable(package="keras_proxygml")
def lifted_structure(labels, embeddings, margin=1.0):
    """Squared hinge of every positive pair against all negatives of both its samples.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers.
        embeddings: Vectors, compared by L2. `[B, D]`, floats.
        margin: How far away negatives should be. 0 or more.

    Returns:
        B times the sample's share of the loss, each pair shared by both, so that the mean is the
        loss. `[B]`, float32, or float64 where `embeddings` are. 0 where there is no
        positive pair, or no negative.

    Raises:
        ValueError: If labels are not integers, or embeddings are not `[B, D]`.

    Reference:
        Song et al., 2016, arXiv 1511.06452, equation 4.
    """
    labels, embeddings = checked(labels, embeddings)
    distances = pairwise_distances(embeddings)
    positive, negative = pairs(labels)
    # log Σ e^(margin - d) over each sample's negatives, then over those of both samples of a pair.
    nearness = ops.logsumexp(ops.where(negative, margin - distances, _ABSENT), axis=-1)  # [B]
    of_pairs = ops.logaddexp(nearness[:, None], nearness[None, :]) + distances  # [B, B]
    losses = ops.where(positive, ops.square(ops.relu(of_pairs)), 0.0)
    # Both (i, j) and (j, i) are counted, above and below; the half is the definition's.
    num_pairs = ops.sum(ops.cast(positive, losses.dtype))
    batch = ops.cast(ops.shape(losses)[0], losses.dtype)
    return ops.sum(losses, axis=-1) * (batch / (2 * ops.maximum(num_pairs, 1.0)))


@keras.saving.register_keras_serializable(package="keras_proxygml")
class LiftedStructureLoss(EmbeddingLoss):
    """The lifted structure loss, for a model that ends in embeddings.

    Half the mean, over all positive pairs of the batch, of the squared hinge of
    d + log Σ e^(margin - dₙ), the sum over the distances dₙ of both samples to their negatives. It
    is 0 where the batch has no positive pair or is of one class. Under `tf.distribute` each
    replica sees its own share of the batch.

    Args:
        margin: How far away negatives should be. 0 or more. The default 1 is the paper's and that
            of tensorflow-addons.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers.
        embeddings: Vectors, compared by L2. `[B, D]`.

    Returns:
        The loss of the batch, or with `reduction=None` B times each sample's share of it, `[B]`.

    Raises:
        ValueError: If `margin` is negative, labels are not integers `[B]` or `[B, 1]`, or
            embeddings are not `[B, D]`.

    Reference:
        Song et al., 2016, arXiv 1511.06452, equation 4.

    Example:

    >>> import numpy as np
    >>> embeddings = np.array([[0.0], [1.0], [3.0]], dtype="float32")  # [B=3, D=1]
    >>> loss = LiftedStructureLoss(margin=3.0)  # (1 + log(exp(3 - 3) + exp(3 - 2)))² / 2
    >>> round(float(loss(np.array([0, 0, 1]), embeddings)), 4)
    2.6756
    """

    def __init__(
        self,
        margin=1.0,
        *,
        reduction="sum_over_batch_size",
        name="lifted_structure",
        dtype=None,
    ):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        check_not_negative("margin", margin, usual=1)
        self.margin = margin

    def per_sample(self, labels, embeddings):
        return lifted_structure(labels, embeddings, self.margin)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}
