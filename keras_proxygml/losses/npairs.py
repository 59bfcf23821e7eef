"""The N-pairs loss."""

import keras
from keras import ops

from keras_proxygml.losses.embedding_loss import EmbeddingLoss, checked


@keras.saving.register_keras_serializable(package="keras_proxygml")
def npairs(labels, embeddings):
    """Cross-entropy of each sample's products with the batch against the samples of its class.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers.
        embeddings: Vectors. `[B, D]`, floats.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `embeddings` are.

    Raises:
        ValueError: If labels are not integers, or embeddings are not `[B, D]`.

    Reference:
        Sohn, 2016, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective".
    """
    labels, embeddings = checked(labels, embeddings)
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
    the paper does. Under `tf.distribute` each replica sees its own share of the batch.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers.
        embeddings: Vectors. `[B, D]`.

    Returns:
        The mean over the batch, or with `reduction=None` the loss of each sample, `[B]`.

    Raises:
        ValueError: If labels are not integers `[B]` or `[B, 1]`, or embeddings are not `[B, D]`.

    Reference:
        Sohn, 2016, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective".

    Example:

    >>> import numpy as np
    >>> embeddings = np.array([[1.0], [-1.0]], dtype="float32")  # [B=2, D=1]
    >>> round(float(NPairsLoss()(np.array([0, 1]), embeddings)), 4)  # log(1 + exp(-2))
    0.1269
    """

    def __init__(self, *, reduction="sum_over_batch_size", name="npairs", dtype=None):
        super().__init__(reduction=reduction, name=name, dtype=dtype)

    def per_sample(self, labels, embeddings):
        return npairs(labels, embeddings)
