"""The regularizer that keeps the proxies of different classes apart."""

import math

import keras
from keras import ops

from keras_proxygml.graph import reciprocal_length, widen
from keras_proxygml.regularizers.proxy_regularizer import ProxyRegularizer

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
        return _mean_cross_entropy(widen(proxies))


@ops.custom_gradient
def _mean_cross_entropy(proxies):
    """The mean cross-entropy of proxies `[C, N, D]` classified by the sums of each class.

    The loss is a scalar, so its gradient can be made on the way forward, from scores that are
    then forgotten. With unit proxies u, the class sums s, the scores l = u · s of a proxy, and
    their softmax q, the loss of all is Σ log Σ exp l - Σ s · s, as the scores of a class's proxies
    for their own class add up to s · s. Its derivative by u is q s, and by s it is Σ q u - 2 s.
    """
    num_classes, num_proxies, size = proxies.shape
    per_length = reciprocal_length(proxies)  # [C, N, 1]
    units = proxies * per_length
    sums = ops.sum(units, axis=1)  # [C, D]

    def classify(some):
        """The log-sums of R proxies `[R, D]`, and what they give the gradients of u and of s."""
        scores = ops.matmul(some, ops.transpose(sums))  # [R, C]
        log_sums = ops.logsumexp(scores, axis=-1, keepdims=True)
        shares = ops.exp(scores - log_sums)
        of_units = ops.matmul(shares, sums)
        return log_sums[:, 0], of_units, ops.matmul(ops.transpose(shares), some)

    log_sums, of_units, of_sums = _in_blocks(classify, ops.reshape(units, (-1, size)), num_classes)
    # By class first: the difference is small where classes are apart.
    of_classes = ops.sum(ops.reshape(log_sums, (num_classes, num_proxies)), axis=1)
    of_classes -= ops.sum(ops.square(sums), axis=-1)
    of_units = ops.reshape(of_units, units.shape) + (of_sums - 2 * sums)[:, None]
    along = ops.sum(of_units * units, axis=-1, keepdims=True)  # falls away: units keep their length
    factors = per_length / (num_classes * num_proxies)

    def gradient(*arguments, upstream=None):
        upstream = arguments[0] if upstream is None else upstream
        of_each = upstream * factors  # [C, N, 1]
        return of_units * of_each - units * (along * of_each)

    return ops.sum(of_classes) / (num_classes * num_proxies), gradient


def _in_blocks(classify, units, num_classes):
    """What `classify` gives for all proxies, given as many at a time as are allowed."""
    total, size = units.shape
    rows = max(1, _SCORES_AT_ONCE // num_classes)
    if rows >= total:
        return classify(units)
    blocks = math.ceil(total / rows)
    # A proxy of zeros adds nothing to the gradient of the sums; what else it gets is cut off.
    padded = ops.pad(units, ((0, blocks * rows - total), (0, 0)))
    padded = ops.reshape(padded, (blocks, rows, size))

    def next_block(i, done):
        log_sums, of_units, of_sums = done
        more = classify(ops.take(padded, i, axis=0))
        log_sums = ops.slice_update(log_sums, (i, 0), more[0][None])
        of_units = ops.slice_update(of_units, (i, 0, 0), more[1][None])
        return log_sums, of_units, of_sums + more[2]

    empty = (
        ops.zeros_like(padded[..., 0]),
        ops.zeros_like(padded),
        ops.zeros_like(units[:num_classes]),
    )
    log_sums, of_units, of_sums = ops.fori_loop(0, blocks, next_block, empty)
    return ops.reshape(log_sums, (-1,))[:total], ops.reshape(of_units, (-1, size))[:total], of_sums
