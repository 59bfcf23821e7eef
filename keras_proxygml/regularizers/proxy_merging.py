"""The regularizer that lets proxies of a class become one."""

import keras
import numpy as np
from keras import ops

from keras_proxygml.graph import unit
from keras_proxygml.regularizers.proxy_regularizer import ProxyRegularizer


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxyMerging(ProxyRegularizer):
    """Draws the proxies of each class together, so that it keeps no more of them than it needs.

    It is the sum of the distances ‖w - v‖ between the unit proxies of each class, every pair once,
    over C · N · (N - 1). As lengths and not squares are summed, pairs of proxies that do not need
    to differ become equal. Made for `SoftTripleLoss`.

    Args:
        weight: The factor τ. 0 or more; the paper has 0.2 (for 10 proxies per class).

    Raises:
        ValueError: If `weight` is negative or infinite, or the weights it is applied to are not
            `[C, N, D]`.

    Reference:
        Qian et al., 2019, arXiv 1909.05235, "adaptive number of centers".

    Example:

    >>> import numpy as np
    >>> proxies = np.array([[[1.0, 0.0], [-1.0, 0.0]]], dtype="float32")  # [C=1, N=2, D=2]
    >>> round(float(ProxyMerging(1.0)(proxies)), 4)  # one distance of 2, over 1 · 2 · 1
    1.0
    """

    def __init__(self, weight=0.2):
        super().__init__(weight)

    def penalty(self, proxies):
        num_classes, num_proxies, _ = proxies.shape
        if num_proxies == 1:
            return ops.zeros((), dtype=proxies.dtype)
        units = unit(proxies)
        squares = 2 - 2 * ops.matmul(units, ops.transpose(units, (0, 2, 1)))  # [C, N, N]
        each_pair_once = np.triu(np.ones((num_proxies, num_proxies), "bool"), 1)
        # The root's slope at 0 is infinite: merged proxies have distance 0 and gradient 0.
        is_apart = ops.logical_and(each_pair_once, squares > 0)
        distances = ops.where(is_apart, ops.sqrt(ops.where(is_apart, squares, 1.0)), 0.0)
        num_ordered_pairs = num_classes * num_proxies * (num_proxies - 1)
        return ops.sum(distances) / num_ordered_pairs
