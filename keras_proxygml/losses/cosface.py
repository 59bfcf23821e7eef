"""The CosFace loss."""

import keras
from keras import ops

from keras_proxygml.arguments import check_not_negative, check_positive
from keras_proxygml.losses.class_scores import nearest_proxies, own_class, softmax_loss
from keras_proxygml.losses.inputs import checked
from keras_proxygml.losses.proxy_loss import ProxyLoss


@keras.saving.register_keras_serializable(package="keras_proxygml")
def cosface(labels, similarities, margin=0.35, scale=64.0):
    """Cross-entropy of a softmax over cosines, a margin taken off the true class's.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats; with N > 1 the nearest
            proxy of each class counts.
        margin: What is taken off the cosine to the true class. 0 or more.
        scale: Factor of the cosines before the softmax. Above 0.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `similarities` are.

    Raises:
        ValueError: If labels are not integers in `[0, C)`, or similarities are not `[B, C, N]`.

    Reference:
        Wang et al., 2018, arXiv 1801.09414.
    """
    labels, similarities = checked(labels, similarities)
    cosines = nearest_proxies(similarities)
    own = own_class(labels, cosines.shape[-1])
    return softmax_loss(scale * ops.where(own, cosines - margin, cosines), labels)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class CosFaceLoss(ProxyLoss):
    """The large-margin cosine loss, for a model that ends in `ProxySimilarity`.

    The definition has one proxy per class; with N > 1 the nearest proxy of each class counts.

    Args:
        margin: What is taken off the cosine to the true class. 0 or more. The default 0.35 is the
            paper's and pytorch-metric-learning's.
        scale: Factor of the cosines before the softmax. Above 0. The default 64 is the paper's
            and pytorch-metric-learning's.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`.

    Returns:
        The mean over the batch, or with `reduction=None` the loss of each sample, `[B]`.

    Raises:
        ValueError: If `margin` is negative or `scale` not above 0, labels are not integers in
            `[0, C)`, or similarities are not `[B, C, N]`.

    Reference:
        Wang et al., 2018, arXiv 1801.09414.

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.9], [0.2]]], dtype="float32")  # [B=1, C=2, N=1]
    >>> loss = CosFaceLoss(margin=0.5, scale=10)
    >>> round(float(loss(np.array([0]), similarities)), 4)  # log(1 + exp(-2))
    0.1269
    """

    def __init__(
        self,
        margin=0.35,
        scale=64.0,
        *,
        reduction="sum_over_batch_size",
        name="cosface",
        dtype=None,
    ):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        check_not_negative("margin", margin, usual=0.35)
        check_positive("scale", scale, usual=64)
        self.margin = margin
        self.scale = scale

    def per_sample(self, labels, similarities):
        return cosface(labels, similarities, self.margin, self.scale)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "scale": self.scale}
