"""The SoftTriple loss."""

import keras
from keras import ops

from keras_proxygml.arguments import check_not_negative, check_positive
from keras_proxygml.losses.class_scores import own_class, softmax_loss
from keras_proxygml.losses.inputs import checked
from keras_proxygml.losses.proxy_loss import ProxyLoss


@keras.saving.register_keras_serializable(package="keras_proxygml")
def soft_triple(labels, similarities, scale=20.0, gamma=0.1, margin=0.01):
    """Cross-entropy of a softmax over the relaxed similarity to each class, less a margin.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats.
        scale: Factor of the class scores before the softmax. Above 0.
        gamma: How far proxies of a class beside the nearest count: the temperature of the softmax
            that weighs them. Above 0.
        margin: What is taken off the score of the true class. 0 or more.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `similarities` are.

    Raises:
        ValueError: If labels are not integers in `[0, C)`, or similarities are not `[B, C, N]`.

    Reference:
        Qian et al., 2019, arXiv 1909.05235.
    """
    labels, similarities = checked(labels, similarities)
    # A softmax over N, written out as Keras warns of its own where N = 1.
    sharpened = similarities / gamma  # [B, C, N]
    weights = ops.exp(sharpened - ops.logsumexp(sharpened, axis=-1, keepdims=True))
    relaxed = ops.sum(weights * similarities, axis=-1)  # [B, C]
    own = own_class(labels, relaxed.shape[-1])
    return softmax_loss(scale * ops.where(own, relaxed - margin, relaxed), labels)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class SoftTripleLoss(ProxyLoss):
    """The SoftTriple loss, for a model that ends in `ProxySimilarity` with several proxies.

    The paper has 10 proxies per class, merged where they are not needed by a regularizer: give
    the layer `proxies_regularizer=ProxyMerging(0.2)`.

    Args:
        scale: Factor of the class scores before the softmax, λ in the paper. Above 0.
        gamma: How far proxies of a class beside the nearest count: the temperature of the softmax
            that weighs them. Above 0.
        margin: What is taken off the score of the true class, δ in the paper. 0 or more. The
            defaults 20, 0.1 and 0.01 are the paper's and pytorch-metric-learning's.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`.

    Returns:
        The mean over the batch, or with `reduction=None` the loss of each sample, `[B]`.

    Raises:
        ValueError: If `scale` or `gamma` is not above 0 or `margin` negative, labels are not
            integers in `[0, C)`, or similarities are not `[B, C, N]`.

    Reference:
        Qian et al., 2019, arXiv 1909.05235.

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.9, 0.9], [0.3, 0.3]]], dtype="float32")  # [B=1, C=2, N=2]
    >>> loss = SoftTripleLoss(scale=5, margin=0.2)
    >>> round(float(loss(np.array([0]), similarities)), 4)  # log(1 + exp(-2))
    0.1269
    """

    def __init__(
        self,
        scale=20.0,
        gamma=0.1,
        margin=0.01,
        *,
        reduction="sum_over_batch_size",
        name="soft_triple",
        dtype=None,
    ):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        check_positive("scale", scale, usual=20)
        check_positive("gamma", gamma, usual=0.1)
        check_not_negative("margin", margin, usual=0.01)
        self.scale = scale
        self.gamma = gamma
        self.margin = margin

    def per_sample(self, labels, similarities):
        return soft_triple(labels, similarities, self.scale, self.gamma, self.margin)

    def get_config(self):
        numbers = {"scale": self.scale, "gamma": self.gamma, "margin": self.margin}
        return {**super().get_config(), **numbers}
