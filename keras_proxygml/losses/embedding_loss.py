"""What every loss on the embeddings of a batch shares."""

import numpy as np
from keras import ops

from keras_proxygml.graph import widen
from keras_proxygml.losses.inputs import check_labels
from keras_proxygml.losses.proxy_loss import ProxyLoss


def check_embeddings(embeddings):
    """Raises if embeddings are not `[B, D]`.

    Args:
        embeddings: Vectors.

    Raises:
        ValueError: If their rank is not 2.
    """
    if len(embeddings.shape) != 2:
        raise ValueError(
            f"`embeddings` must be [B, D]. Received: shape {tuple(embeddings.shape)}. End the "
            f"model in its embeddings, without a proxy layer, and flatten or pool feature maps."
        )


def checked(labels, embeddings):
    """Checks labels and embeddings, flattens the ones and widens the others.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, any integers.
        embeddings: Vectors. `[B, D]`, floats.

    Returns:
        Labels `[B]`, and embeddings `[B, D]`, float32 or float64.

    Raises:
        ValueError: If labels are not integers `[B]` or `[B, 1]`, or embeddings are not `[B, D]`.
    """
    embeddings = widen(ops.convert_to_tensor(embeddings))
    check_embeddings(embeddings)
    labels = ops.convert_to_tensor(_numbered(check_labels(labels)))
    return ops.reshape(labels, (ops.shape(embeddings)[0],)), embeddings


def _numbered(labels):
    """Labels as small numbers, unless they are tensors: JAX would cut int64 to 32 bits."""
    if ops.is_tensor(labels):
        return labels
    numbers = np.unique(np.reshape(labels, -1), return_inverse=True)[1]
    return numbers.astype("int32")


def pairs(labels):
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


class EmbeddingLoss(ProxyLoss):
    """A loss of labels `[B]` or `[B, 1]` and embeddings `[B, D]`, for a model without proxies.

    A subclass defines `per_sample`. The checks of labels and dtype are those of `ProxyLoss`, but
    labels may be any integers: only whether they are equal matters. On JAX, `fit` cuts integers to
    32 bits before any loss sees them: renumber wider labels there.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy.

    Raises:
        ValueError: If `dtype` is a half-precision one, labels are not integers `[B]` or `[B, 1]`,
            or embeddings are not `[B, D]`.
    """

    def __call__(self, y_true, y_pred, sample_weight=None):
        # Keras casts labels to the loss's dtype, in which 16777217 is 16777216. A class is known
        # as well by the first of its samples in the batch, a small number.
        labels = ops.convert_to_tensor(_numbered(check_labels(y_true)))
        labels = ops.reshape(labels, (ops.shape(y_pred)[0],))
        same_class = ops.equal(labels[:, None], labels[None, :])
        batch = ops.shape(labels)[0]
        # Not argmax, which TensorFlow refuses where a replica gets no sample.
        first = ops.min(ops.where(same_class, ops.arange(batch, dtype="int32"), batch), axis=1)
        return super().__call__(first, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        check_embeddings(y_pred)
        return self.per_sample(ops.cast(ops.reshape(y_true, (-1,)), "int32"), y_pred)

    def per_sample(self, labels, embeddings):
        """The loss of each sample.

        Args:
            labels: A number that samples of one class share. `[B]`, int32.
            embeddings: Vectors. `[B, D]`, in the loss's dtype.

        Returns:
            `[B]`, in the loss's dtype.
        """
        raise NotImplementedError
