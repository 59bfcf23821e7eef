"""The Proxy-Anchor loss."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_proxygml.losses.base import ProxyLoss
from keras_proxygml.losses.inputs import check_similarities
from keras_proxygml.losses.softmax import nearest_proxies, own_class
from keras_proxygml.numerics import ABSENT
from keras_proxygml.types import Tensor


@keras.saving.register_keras_serializable(package="keras_proxygml")
def proxy_anchor(
    labels: Tensor, similarities: Tensor, margin: float = 0.1, alpha: float = 32.0
) -> Tensor:
    """Pulls each class's samples to its proxy and pushes the others away, hard ones the most.

    Args:
        labels, similarities: As in `ProxyLoss`.
        margin, alpha: As in `ProxyAnchorLoss`.

    Returns:
        The one value of the whole batch, given to every sample. `[B]`, float32, or float64 where
        `similarities` are. In a compiled graph, where labels can't be checked, NaN for a sample
        whose label is outside `[0, C)`.

    Raises:
        ValueError: As `ProxyLoss` does.

    Reference:
        Kim et al., 2020, arXiv 2003.13911, equation 4.
    """
    labels, similarities = check_similarities(labels, similarities)
    cosines = nearest_proxies(similarities)
    own = own_class(labels, cosines.shape[-1])
    pulls = _log_one_plus_sum(-alpha * (cosines - margin), own)  # [C], 0 without positives
    pushes = _log_one_plus_sum(alpha * (cosines + margin), ops.logical_not(own))  # [C]
    num_present = ops.sum(ops.cast(ops.any(own, axis=0), cosines.dtype))
    value = ops.sum(pulls) / ops.maximum(num_present, 1.0) + ops.mean(pushes)
    return ops.where(ops.any(own, axis=-1), value, np.nan)


def _log_one_plus_sum(exponents, takes_part):
    # log(1 + Σ e^x) = softplus(log Σ e^x), over the batch; log(1 + 0) = 0 where none takes part.
    return ops.softplus(ops.logsumexp(ops.where(takes_part, exponents, ABSENT), axis=0))


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxyAnchorLoss(ProxyLoss):
    """The Proxy-Anchor loss, for a model that ends in `ProxySimilarity`.

    The loss is one value for the whole batch, the sum of two terms. The first is the mean of
    log(1 + Σ e^(-alpha · (cos - margin))) over the classes in the batch. Its sum runs over the
    samples of the class. The second is the mean of log(1 + Σ e^(alpha · (cos + margin))) over all
    classes. Its sum runs over the samples of other classes. The definition has one proxy per
    class. With N > 1, the nearest proxy of each class counts.

    Every sample gets the batch's value, so that the mean is that value. So `sample_weight` and
    `class_weight` scale the value, and leave no sample out. Under `tf.distribute`, each replica
    computes the value of its own share of the batch, and the mean of these values counts. It
    trains like one device with that smaller batch.

    Args:
        margin: Cosines of positives should be above `margin`, and those of negatives below
            `-margin`. 0 or more. The default 0.1 is the paper's and pytorch-metric-learning's.
        alpha: Factor of the cosines. The larger it is, the more the hardest samples count. Above
            0. The default 32 is the paper's and pytorch-metric-learning's.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `ProxyLoss`.

    Raises:
        ValueError: If `margin` or `alpha` is out of range. Also as `ProxyLoss` does.

    Reference:
        Kim et al., 2020, arXiv 2003.13911, equation 4.

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.6], [-0.6]]], dtype="float32")  # [B=1, C=2, N=1]
    >>> loss = ProxyAnchorLoss(margin=0.2, alpha=5)  # 1 class to pull to, 1 of 2 to push from
    >>> round(float(loss(np.array([0]), similarities)), 4)  # 1.5 · log(1 + exp(-2))
    0.1904
    """

    function = staticmethod(proxy_anchor)
    intervals = {"margin": "[0, inf)", "alpha": "(0, inf)"}

    def __init__(
        self, margin: float = 0.1, alpha: float = 32.0, *, name: str = "proxy_anchor", **kwargs: Any
    ) -> None:
        super().__init__(name=name, margin=margin, alpha=alpha, **kwargs)
