"""Regularizers of proxies."""

import keras
import numpy as np
from keras import ops

from keras_proxygml.graph import unit


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxySeparation(keras.regularizers.Regularizer):
    """Makes the proxies classify themselves, so that those of different classes stay apart.

    Each proxy is scored against each class by the sum of its cosines to that class's proxies, and
    pays the cross-entropy of a softmax over all classes. That sum is one product with the sum of
    the class's unit proxies, so C classes of N proxies cost C·N × C, never (C·N)².

    Args:
        weight: The factor λ of the mean cross-entropy. 0 or more; the paper has 0.3 for Cars196
            and CUB-200-2011, 0 for Stanford Online Products.

    Raises:
        ValueError: If `weight` is negative, or the weights it is applied to are not `[C, N, D]`.

    Reference:
        Zhu et al., 2020, section 3.4, "regularization on proxies".

    Example:

    >>> import numpy as np
    >>> far_apart = np.array([[[1.0, 0.0]], [[-1.0, 0.0]]], dtype="float32")  # [C=2, N=1, D=2]
    >>> round(float(ProxySeparation(1.0)(far_apart)), 4)  # log(1 + exp(-2))
    0.1269
    """

    def __init__(self, weight=0.3):
        if not weight >= 0:
            raise ValueError(f"weight={weight!r} is not allowed. Give a number of 0 or more.")
        self._weight = weight

    @property
    def weight(self):
        """The factor λ. It cannot be set, as layers may share a regularizer."""
        return self._weight

    def __call__(self, proxies):
        proxies = ops.convert_to_tensor(proxies)
        if len(proxies.shape) != 3:
            raise ValueError(
                f"Weights of shape {tuple(proxies.shape)} came, allowed are proxies of shape "
                f"[C, N, D]. Give ProxySeparation to a proxy layer as proxies_regularizer."
            )
        if self.weight == 0:
            return ops.zeros((), dtype=proxies.dtype)
        num_classes, num_proxies, _ = proxies.shape
        units = unit(proxies)
        class_sums = ops.sum(units, axis=1)  # [C, D]
        logits = ops.matmul(units, ops.transpose(class_sums))  # [C, N, C]
        labels = ops.repeat(ops.arange(num_classes), num_proxies)  # [C·N]
        losses = ops.sparse_categorical_crossentropy(
            labels, ops.reshape(logits, (-1, num_classes)), from_logits=True
        )
        return self.weight * ops.mean(losses)

    def get_config(self):
        return {"weight": self.weight}


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxyMerging(keras.regularizers.Regularizer):
    """Draws the proxies of each class together, so that it keeps no more of them than it needs.

    It is the sum of the distances ‖w - v‖ between the unit proxies of each class, every pair once,
    over C · N · (N - 1). As lengths and not squares are summed, pairs of proxies that do not need
    to differ become equal. Made for `SoftTripleLoss`.

    Args:
        weight: The factor τ. 0 or more; the paper has 0.2 (for 10 proxies per class).

    Raises:
        ValueError: If `weight` is negative, or the weights it is applied to are not `[C, N, D]`.

    Reference:
        Qian et al., 2019, arXiv 1909.05235, "adaptive number of centers".

    Example:

    >>> import numpy as np
    >>> proxies = np.array([[[1.0, 0.0], [-1.0, 0.0]]], dtype="float32")  # [C=1, N=2, D=2]
    >>> round(float(ProxyMerging(1.0)(proxies)), 4)  # one distance of 2, over 1 · 2 · 1
    1.0
    """

    def __init__(self, weight=0.2):
        if not weight >= 0:
            raise ValueError(f"weight={weight!r} is not allowed. Give a number of 0 or more.")
        self._weight = weight

    @property
    def weight(self):
        """The factor τ. It cannot be set, as layers may share a regularizer."""
        return self._weight

    def __call__(self, proxies):
        proxies = ops.convert_to_tensor(proxies)
        if len(proxies.shape) != 3:
            raise ValueError(
                f"Weights of shape {tuple(proxies.shape)} came, allowed are proxies of shape "
                f"[C, N, D]. Give ProxyMerging to a proxy layer as proxies_regularizer."
            )
        num_classes, num_proxies, _ = proxies.shape
        if self.weight == 0 or num_proxies == 1:
            return ops.zeros((), dtype=proxies.dtype)
        units = unit(proxies)
        squares = 2 - 2 * ops.matmul(units, ops.transpose(units, (0, 2, 1)))  # [C, N, N]
        each_pair_once = np.triu(np.ones((num_proxies, num_proxies), "bool"), 1)
        # The root's slope at 0 is infinite: merged proxies have distance 0 and gradient 0.
        is_apart = ops.logical_and(each_pair_once, squares > 0)
        distances = ops.where(is_apart, ops.sqrt(ops.where(is_apart, squares, 1.0)), 0.0)
        num_ordered_pairs = num_classes * num_proxies * (num_proxies - 1)
        return self.weight * ops.sum(distances) / num_ordered_pairs

    def get_config(self):
        return {"weight": self.weight}
