"""The regularizer that keeps the proxies of different classes apart."""

import math

import keras
import numpy as np
from keras import ops

from keras_proxygml.graph import reciprocal_length, widen
from keras_proxygml.regularizers.proxy_regularizer import ProxyRegularizer
from keras_proxygml.tensorflow_graph import by_xla

# How many scores are made at once: 16 MiB of float32, and as much again twice.
_SCORES_AT_ONCE = 2**22


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxySeparation(ProxyRegularizer):
    """Makes the proxies classify themselves, so that those of different classes stay apart.

    Each proxy is scored against each class by the sum of its cosines to that class's proxies, and
    pays the cross-entropy of a softmax over all classes. That sum is one product with the sum of
    the class's unit proxies, so C classes of N proxies cost C·N × C, never (C·N)². Of these scores
    no more than 2²² are held at once, so memory grows with the proxies alone; time grows with C².

    Args:
        weight: The factor λ of the mean cross-entropy. 0 or more; the paper has 0.3 for Cars196
            and CUB-200-2011, 0 for Stanford Online Products.

    Raises:
        ValueError: If `weight` is negative or infinite, or the weights it is applied to are not
            `[C, N, D]`.

    Reference:
        Zhu et al., 2020, section 3.4, "regularization on proxies".

    Example:

    >>> import numpy as np
    >>> far_apart = np.array([[[1.0, 0.0]], [[-1.0, 0.0]]], dtype="float32")  # [C=2, N=1, D=2]
    >>> round(float(ProxySeparation(1.0)(far_apart)), 4)  # log(1 + exp(-2))
    0.1269
    """

    def __init__(self, weight=0.3):
        super().__init__(weight)

    def penalty(self, proxies):
        return _mean_cross_entropy(math.prod(proxies.shape[:2]), widen(proxies))


@by_xla
@ops.custom_gradient
def _mean_cross_entropy(proxies):
    """The mean cross-entropy of proxies `[C, N, D]` classified by the sums of each class.

    The loss is a scalar, so its gradient can be made on the way forward, from scores that are
    then forgotten. Class sums s are sums of unit proxies u, so what their gradient is, that of each
    of their proxies is too.
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

    def gradient(*arguments, upstream=None):
        upstream = arguments[0] if upstream is None else upstream
        factors = upstream * per_length / total  # [C, N, 1]
        # d(p / |p|) = (dp - u · (u · dp)) / |p| with u = p / |p|: what lies along p falls away.
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
        Losses `[R, 1]`, what lies along each unit proxy of its gradient `[R, 1]`, this gradient
        `[R, D]`, and the gradient of the sums `[C, D]`.
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
    """What `_classified` gives for all proxies, given as many at a time as are allowed."""
    total = proxies.shape[0]
    rows = max(1, _SCORES_AT_ONCE // sums.shape[0])
    if rows >= total:
        return _classified(sums, proxies, per_length, classes)
    # A proxy of zeros adds nothing to the gradient of the sums; what else it gets is cut off.
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
