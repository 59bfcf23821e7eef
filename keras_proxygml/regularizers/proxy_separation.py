"""The regularizer that keeps the proxies of different classes apart."""

import keras
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
        return _mean_cross_entropy(widen(proxies))


@by_xla
@ops.custom_gradient
def _mean_cross_entropy(proxies):
    """The mean cross-entropy of proxies `[C, N, D]` classified by the sums of each class.

    The loss is a scalar, so its gradient can be made on the way forward, from scores that are
    then forgotten. With unit proxies u, the class sums s, the scores l = u · s of a proxy, and
    their softmax q, the loss of all is Σ log Σ exp l - Σ s · s, as the scores of a class's proxies
    for their own class add up to s · s. Its derivative by u is q s, and by s it is Σ q u - 2 s.
    Along u these are q · l and u · (Σ q u - 2 s), which spares products of whole proxies.
    """
    num_classes, num_proxies, size = proxies.shape
    per_length = reciprocal_length(proxies)  # [C, N, 1]
    sums = ops.matmul(ops.transpose(per_length, (0, 2, 1)), proxies)[:, 0]  # [C, D]

    def classify(of_sums, some):
        """Adds what R proxies, `[R, D]` and `[R, 1]`, give the gradient of s; and three results."""
        vectors, per_length = some
        scores = ops.matmul(vectors, ops.transpose(sums)) * per_length  # [R, C]
        log_sums = ops.logsumexp(scores, axis=-1, keepdims=True)
        shares = ops.exp(scores - log_sums)
        of_sums = of_sums + ops.matmul(ops.transpose(shares), vectors * per_length)
        along = ops.sum(shares * scores, axis=-1, keepdims=True)
        return of_sums, (log_sums, along, ops.matmul(shares, sums))

    flat = ops.reshape(proxies, (-1, size)), ops.reshape(per_length, (-1, 1))
    of_sums, found = _in_blocks(classify, -2 * sums, flat, num_classes)
    log_sums, along, of_units = (ops.reshape(x, (num_classes, num_proxies, -1)) for x in found)
    of_units = of_units + of_sums[:, None]
    along = along + ops.matmul(proxies, of_sums[..., None]) * per_length
    # By class first: the difference is small where classes are apart.
    of_classes = ops.sum(log_sums[..., 0], axis=1) - ops.sum(ops.square(sums), axis=-1)

    def gradient(*arguments, upstream=None):
        upstream = arguments[0] if upstream is None else upstream
        of_each = upstream * per_length / (num_classes * num_proxies)  # [C, N, 1]
        # What lies along u falls away, as units keep their length.
        return of_units * of_each - proxies * (along * per_length * of_each)

    return ops.sum(of_classes) / (num_classes * num_proxies), gradient


def _in_blocks(classify, of_sums, flat, num_classes):
    """What `classify` gives for all proxies, given as many at a time as are allowed."""
    total = flat[0].shape[0]
    rows = max(1, _SCORES_AT_ONCE // num_classes)
    if rows >= total:
        return classify(of_sums, flat)
    # A proxy of zeros adds nothing to the gradient of the sums; what else it gets is cut off.
    padding = ((0, -total % rows), (0, 0))
    vectors, per_length = (ops.reshape(ops.pad(x, padding), (-1, rows, x.shape[1])) for x in flat)

    def next_block(i, done):
        of_sums, *found = done
        of_sums, more = classify(of_sums, (ops.take(vectors, i, 0), ops.take(per_length, i, 0)))
        pairs = zip(found, more, strict=True)
        return of_sums, *(ops.slice_update(x, (i, 0, 0), y[None]) for x, y in pairs)

    empty = (of_sums, *(ops.zeros_like(x) for x in (per_length, per_length, vectors)))
    of_sums, *found = ops.fori_loop(0, vectors.shape[0], next_block, empty)
    return of_sums, [ops.reshape(x, (-1, x.shape[-1]))[:total] for x in found]
