"""The Proxy-Anchor loss."""

import keras
import numpy as np
from keras import ops

from keras_proxygml.arguments import check_not_negative, check_positive
from keras_proxygml.losses.class_scores import nearest_proxies, own_class
from keras_proxygml.losses.inputs import checked
from keras_proxygml.losses.proxy_loss import ProxyLoss

# Weighs nothing in a sum of exponentials, and being finite can make no NaN in a gradient.
_ABSENT = -1e30


@keras.saving.register_keras_serializable(package="keras_proxygml")
def proxy_anchor(labels, similarities, margin=0.1, alpha=32.0):
    """Pulls each class's samples to its proxy and pushes the others away, hard ones the most.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats; with N > 1 the nearest
            proxy of each class counts.
        margin: Cosines of positives should exceed it, those of negatives stay below its negative.
        alpha: Factor of the cosines: the larger, the more the hardest samples count. Above 0.

    Returns:
        The one value of the whole batch, given to every sample. `[B]`, float32, or float64 where
        `similarities` are. NaN for a sample whose label is outside `[0, C)` where its value can't
        be read beforehand (inside a compiled graph).

    Raises:
        ValueError: If labels are not integers in `[0, C)`, or similarities are not `[B, C, N]`.

    Reference:
        Kim et al., 2020, arXiv 2003.13911, equation 4.
    """
    labels, similarities = checked(labels, similarities)
    cosines = nearest_proxies(similarities)
    own = own_class(labels, cosines.shape[-1])
    pulls = _log_one_plus_sum(-alpha * (cosines - margin), own)  # [C], 0 without positives
    pushes = _log_one_plus_sum(alpha * (cosines + margin), ops.logical_not(own))  # [C]
    num_present = ops.sum(ops.cast(ops.any(own, axis=0), cosines.dtype))
    value = ops.sum(pulls) / ops.maximum(num_present, 1.0) + ops.mean(pushes)
    return ops.where(ops.any(own, axis=-1), value, np.nan)


def _log_one_plus_sum(exponents, takes_part):
    # log(1 + Σ e^x) = softplus(log Σ e^x), over the batch; log(1 + 0) = 0 where none takes part.
    return ops.softplus(ops.logsumexp(ops.where(takes_part, exponents, _ABSENT), axis=0))


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxyAnchorLoss(ProxyLoss):
    """The Proxy-Anchor loss, for a model that ends in `ProxySimilarity`.

    It is a value of a whole batch: the mean of log(1 + Σ e^(-alpha · (cos - margin))) over the
    classes in the batch, its sum over their samples, plus the mean of
    log(1 + Σ e^(alpha · (cos + margin))) over all classes, its sum over the samples of others. A
    class without a sample pulls at nothing and adds 0. The definition has one proxy per class;
    with N > 1 the nearest proxy of each class counts.

    Every sample is given the batch's value, so that the mean is that value. It follows that
    `sample_weight` and `class_weight` scale the value and leave no sample out, and that under
    `tf.distribute` each replica computes the value of its own share of the batch and the mean of
    these counts: it trains like one device with that smaller batch, not with the whole one.

    Args:
        margin: Cosines of positives should exceed it, those of negatives stay below its negative.
            0 or more. The default 0.1 is the paper's and pytorch-metric-learning's.
        alpha: Factor of the cosines: the larger, the more the hardest samples count. Above 0. The
            default 32 is the paper's and pytorch-metric-learning's.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`.

    Returns:
        The value of the batch, or with `reduction=None` that value for each sample, `[B]`.

    Raises:
        ValueError: If `margin` is negative or `alpha` not above 0, labels are not integers in
            `[0, C)`, or similarities are not `[B, C, N]`.

    Reference:
        Kim et al., 2020, arXiv 2003.13911, equation 4.

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.6], [-0.6]]], dtype="float32")  # [B=1, C=2, N=1]
    >>> loss = ProxyAnchorLoss(margin=0.2, alpha=5)  # 1 class to pull to, 1 of 2 to push from
    >>> round(float(loss(np.array([0]), similarities)), 4)  # 1.5 · log(1 + exp(-2))
    0.1904
    """

    def __init__(
        self,
        margin=0.1,
        alpha=32.0,
        *,
        reduction="sum_over_batch_size",
        name="proxy_anchor",
        dtype=None,
    ):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        check_not_negative("margin", margin, usual=0.1)
        check_positive("alpha", alpha, usual=32)
        self.margin = margin
        self.alpha = alpha

    def per_sample(self, labels, similarities):
        return proxy_anchor(labels, similarities, self.margin, self.alpha)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "alpha": self.alpha}
