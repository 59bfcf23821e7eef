"""Regularizers of proxies: weights `[C, N, D]` of a proxy layer."""

import math

import keras
import numpy as np
from keras import ops

from keras_proxygml.checks import check_number, refuse
from keras_proxygml.numerics import by_xla, custom_gradient, reciprocal_length, unit, widen
from keras_proxygml.types import Tensor

# How many scores are made at once. They take 16 MiB in float32, and two copies as much again.
_SCORES_AT_ONCE = 2**22


class ProxyRegularizer(keras.regularizers.Regularizer):
    """A weighted penalty on the proxies of a layer. A subclass defines `penalty`.

    Args:
        weight: Factor of the penalty. 0 or more.

    Raises:
        ValueError: If `weight` is negative or infinite, or if the weights of the layer are not
            `[C, N, D]`.
    """

    def __init__(self, weight: float) -> None:
        check_number("weight", weight, "[0, inf)")
        self._weight = weight

    @property
    def weight(self) -> float:
        """Factor of the penalty. It cannot be set, because layers may share a regularizer."""
        return self._weight

    def __call__(self, proxies: Tensor) -> Tensor:
        proxies = ops.convert_to_tensor(proxies)
        if len(proxies.shape) != 3:
            refuse(
                "proxies",
                "be [C, N, D]",
                f"weights of shape {tuple(proxies.shape)}",
                f"Give {type(self).__name__} to a proxy layer as proxies_regularizer.",
            )
        penalty = self.weight * self.penalty(proxies) if self.weight else ops.zeros(())
        # Keras adds this to losses in `floatx`, and TensorFlow adds no two dtypes.
        return ops.cast(penalty, keras.config.floatx())

    def penalty(self, proxies: Tensor) -> Tensor:
        """The penalty before it is weighted.

        Args:
            proxies: Vectors of any length. `[C, N, D]`, floats.

        Returns:
            A scalar, float32 or float64.
        """
        raise NotImplementedError

    def get_config(self):
        return {"weight": self.weight}


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxySeparation(ProxyRegularizer):
    """Makes the proxies classify each other, so that those of different classes stay apart.

    The score of a proxy for a class is the sum of its cosines to that class's proxies. The penalty
    is the cross-entropy of a softmax over all classes. The sum of cosines is one product with the
    sum of the class's unit proxies. So C classes of N proxies need C·N × C products instead of
    (C·N)². At most 2²² scores are held at once. So memory grows with the number of proxies, and
    time grows with C².

    Args:
        weight: The factor λ of the mean cross-entropy. 0 or more. The paper has 0.3 for Cars196
            and CUB-200-2011, and 0 for Stanford Online Products.

    Raises:
        ValueError: If `weight` is negative or infinite, or if the weights of the layer are not
            `[C, N, D]`.

    Reference:
        Zhu et al., 2020, section 3.4, "regularization on proxies".

    Example:

    >>> import numpy as np
    >>> far_apart = np.array([[[1.0, 0.0]], [[-1.0, 0.0]]], dtype="float32")  # [C=2, N=1, D=2]
    >>> round(float(ProxySeparation(1.0)(far_apart)), 4)  # log(1 + exp(-2))
    0.1269
    """

    def __init__(self, weight: float = 0.3) -> None:
        super().__init__(weight)

    def penalty(self, proxies: Tensor) -> Tensor:
        return _mean_cross_entropy(math.prod(proxies.shape[:2]), widen(proxies))


@by_xla
@custom_gradient
def _mean_cross_entropy(proxies):
    """The mean cross-entropy of proxies `[C, N, D]` classified by the sums of each class.

    The loss is a scalar, so its gradient can be computed in the forward pass, and the scores need
    not be kept. The sum of a class is that of its unit proxies, so each of them receives the
    gradient of the sum.
    """
    num_classes, num_proxies, size = proxies.shape
    total = num_classes * num_proxies
    per_length = reciprocal_length(proxies)  # [C, N, 1]
    sums = ops.matmul(ops.transpose(per_length, (0, 2, 1)), proxies)[:, 0]  # [C, D]
    flat = ops.reshape(proxies, (total, size)), ops.reshape(per_length, (total, 1))
    classes = np.repeat(np.arange(num_classes, dtype="int32"), num_proxies)[:, None]
    losses, along, of_units, of_sums = _in_blocks(sums, *flat, classes)
    of_units = ops.reshape(of_units, proxies.shape) + of_sums[:, None]
    along = ops.reshape(along, per_length.shape)
    along = along + ops.matmul(proxies, of_sums[..., None]) * per_length

    def gradient(upstream):
        factors = upstream * per_length / total  # [C, N, 1]
        # d(p / |p|) = (dp - u · (u · dp)) / |p| with u = p / |p|: the part along p vanishes.
        return of_units * factors - proxies * (along * per_length * factors)

    return ops.mean(losses), gradient


def _classified(sums, proxies, per_length, classes):
    """Losses of R proxies and their gradients.

    Args:
        sums: Sums s of the unit proxies of each class. `[C, D]`.
        proxies: `[R, D]`.
        per_length: One over their lengths. `[R, 1]`.
        classes: Their classes. `[R, 1]`, integers.

    Returns:
        Losses `[R, 1]`, the part of each unit proxy's gradient along the proxy `[R, 1]`, this
        gradient `[R, D]`, and the gradient of the sums `[C, D]`.
    """
    scores = ops.matmul(proxies, ops.transpose(sums)) * per_length  # [R, C]
    log_sums = ops.logsumexp(scores, axis=-1, keepdims=True)
    is_own = ops.equal(classes, ops.arange(sums.shape[0], dtype="int32"))
    losses = log_sums - ops.sum(ops.where(is_own, scores, 0), axis=-1, keepdims=True)
    of_scores = ops.exp(scores - log_sums) - ops.cast(is_own, scores.dtype)
    along = ops.sum(of_scores * scores, axis=-1, keepdims=True)
    of_sums = ops.matmul(ops.transpose(of_scores), proxies * per_length)
    return losses, along, ops.matmul(of_scores, sums), of_sums


def _in_blocks(sums, proxies, per_length, classes):
    """Runs `_classified` on all proxies, in blocks that fit the allowed number of scores."""
    total = proxies.shape[0]
    rows = max(1, _SCORES_AT_ONCE // sums.shape[0])
    if rows >= total:
        return _classified(sums, proxies, per_length, classes)
    # A proxy of zeros adds nothing to the gradient of the sums. Its other results are cut off.
    padding = ((0, -total % rows), (0, 0))
    columns = proxies, per_length, classes
    blocks = [ops.reshape(ops.pad(x, padding), (-1, rows, x.shape[1])) for x in columns]

    def next_block(i, done):
        *results, of_sums = done
        *found, of_sums_here = _classified(sums, *(ops.take(x, i, axis=0) for x in blocks))
        pairs = zip(results, found, strict=True)
        results = [ops.slice_update(x, (i, 0, 0), y[None]) for x, y in pairs]
        return *results, of_sums + of_sums_here

    of_each, of_proxies = ops.zeros_like(blocks[1]), ops.zeros_like(blocks[0])
    empty = of_each, of_each, of_proxies, ops.zeros_like(sums)
    *results, of_sums = ops.fori_loop(0, blocks[0].shape[0], next_block, empty)
    return *(ops.reshape(x, (-1, x.shape[-1]))[:total] for x in results), of_sums


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxyMerging(ProxyRegularizer):
    """Draws the proxies of each class together, so that a class keeps only those that it needs.

    The penalty is the sum of the distances ‖w - v‖ between the unit proxies of each class, divided
    by C · N · (N - 1). Each pair counts once. Distances are not squared, so proxies that need not
    differ become equal. It is made for `SoftTripleLoss`.

    Args:
        weight: The factor τ. 0 or more. The paper has 0.2 for 10 proxies per class.

    Raises:
        ValueError: If `weight` is negative or infinite, or if the weights of the layer are not
            `[C, N, D]`.

    Reference:
        Qian et al., 2019, arXiv 1909.05235, "adaptive number of centers".

    Example:

    >>> import numpy as np
    >>> proxies = np.array([[[1.0, 0.0], [-1.0, 0.0]]], dtype="float32")  # [C=1, N=2, D=2]
    >>> round(float(ProxyMerging(1.0)(proxies)), 4)  # one distance of 2, over 1 · 2 · 1
    1.0
    """

    def __init__(self, weight: float = 0.2) -> None:
        super().__init__(weight)

    def penalty(self, proxies: Tensor) -> Tensor:
        num_classes, num_proxies, _ = proxies.shape
        if num_proxies == 1:
            return ops.zeros((), dtype=proxies.dtype)
        units = unit(proxies)
        squares = 2 - 2 * ops.matmul(units, ops.transpose(units, (0, 2, 1)))  # [C, N, N]
        each_pair_once = np.triu(np.ones((num_proxies, num_proxies), "bool"), 1)
        # The slope of the root at 0 is infinite. Merged proxies have distance 0 and gradient 0.
        is_apart = ops.logical_and(each_pair_once, squares > 0)
        distances = ops.where(is_apart, ops.sqrt(ops.where(is_apart, squares, 1.0)), 0.0)
        num_ordered_pairs = num_classes * num_proxies * (num_proxies - 1)
        return ops.sum(distances) / num_ordered_pairs
