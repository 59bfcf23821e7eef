"""The loss of ProxyGML."""

import math
from typing import Any

import keras
from keras import ops

from keras_proxygml.checks import refuse
from keras_proxygml.graph import knn_subgraph, masked_softmax_loss, reverse_label_propagation
from keras_proxygml.losses.base import ProxyLoss
from keras_proxygml.losses.inputs import check_similarities
from keras_proxygml.numerics import by_xla
from keras_proxygml.types import Tensor


@keras.saving.register_keras_serializable(package="keras_proxygml")
def proxy_gml(
    labels: Tensor, similarities: Tensor, k: int, scale: float = 1.0, masked: bool = True
) -> Tensor:
    """Cross-entropy of each sample on the subgraph of its k nearest proxies.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats.
        k: How many proxies each sample keeps. N < k ≤ C·N.
        scale: Factor of the class scores before the softmax.
        masked: As in `ProxyGMLLoss`.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `similarities` are.

    Raises:
        ValueError: If k is not an integer or is out of range. Also as `ProxyLoss` does.

    Reference:
        Zhu et al., 2020, sections 3.2 and 3.3; `loss/ProxyGML.py` of the official code.
    """
    labels, similarities = check_similarities(labels, similarities)
    # XLA would compile the loss again for each number, but not for each tensor.
    scale = ops.convert_to_tensor(scale, similarities.dtype)
    total = math.prod(similarities.shape[1:])  # C · N, by which `by_xla` decides
    return _on_subgraph(total, labels, similarities, k, scale, bool(masked))


@by_xla
def _on_subgraph(labels, similarities, k, scale, masked):
    subgraph = knn_subgraph(similarities, labels, k)
    scores, reached = reverse_label_propagation(similarities, subgraph)
    if not masked:  # the score of a class that was not reached is an empty sum
        reached = ops.ones_like(reached)
    # TensorFlow would sum the scale's own gradient over all scores.
    return masked_softmax_loss(ops.stop_gradient(scale) * scores, reached, labels)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxyGMLLoss(ProxyLoss):
    """The classification loss of ProxyGML, for a model that ends in a proxy layer.

    Each sample keeps the k = ⌈ratio · C · N⌉ proxies most similar to it. These always include the
    proxies of its own class. The score of a class is the sum of the similarities to its proxies
    that are kept. The paper's other term is `ProxySeparation`, a regularizer of the layer.

    With 4,096 proxies or more, XLA compiles the loss in a TensorFlow graph on CPUs, even if the
    model's `jit_compile` is False. Train with `run_eagerly=True` to debug it.

    Args:
        ratio: Share of all proxies that a sample keeps, in (0, 1]. It must be more than 1/C, so
            that a negative is left. The paper has 0.05.
        scale: Factor of the class scores before the softmax, above 0. A score sums N cosines,
            which acts like a temperature of 1/N. N · scale of 10 is a good start for a pretrained
            network, and of 3 for one that starts at random. (The official code has 20 for N = 1,
            in a line that is commented out.)
        masked: Whether the softmax leaves out the classes of which a sample keeps no proxy, as in
            the paper. Otherwise, they take part with a score of 0. That pulls a sample to its own
            proxies as before, and pushes it away from the nearest others less. `docs/results.md`
            has the measurements.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `ProxyLoss`.

    Raises:
        ValueError: If `ratio` or `scale` is out of range, or if `ratio` keeps no negative. Also as
            `ProxyLoss` does.

    Reference:
        Zhu et al., 2020, sections 3.2 and 3.3.

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.9], [0.1], [-0.3]]], dtype="float32")  # [B=1, C=3, N=1]
    >>> round(float(ProxyGMLLoss(ratio=0.6)(np.array([0]), similarities)), 4)  # keeps 0.9 and 0.1
    0.3711
    """

    intervals = {"ratio": "(0, 1]", "scale": "(0, inf)"}

    def __init__(
        self,
        ratio: float = 0.05,
        scale: float = 1.0,
        masked: bool = True,
        *,
        name: str = "proxy_gml",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, ratio=ratio, scale=scale, masked=bool(masked), **kwargs)

    def per_sample(self, labels, similarities):
        _, num_classes, num_proxies = similarities.shape
        k = self._k(num_classes, num_proxies)
        return proxy_gml(labels, similarities, k, self.scale, self.masked)

    def _k(self, num_classes, num_proxies):
        # The order of the official code: its rounding decides if the product is near an integer.
        k = math.ceil(self.ratio * num_classes * num_proxies)
        if k <= num_proxies:
            refuse(
                "ratio",
                f"keep more than the {num_proxies} proxies of one class",
                f"ratio={self.ratio}, which keeps k={k} of {num_classes * num_proxies}",
                f"No negative would be left, so nothing would be learned: raise ratio above "
                f"{1 / num_classes:.4g}, one part in the {num_classes} classes.",
            )
        return k
