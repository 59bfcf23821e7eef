"""The loss of ProxyGML."""

import math

import keras
from keras import ops

from keras_proxygml.arguments import check_positive
from keras_proxygml.graph import knn_subgraph, masked_softmax_loss, reverse_label_propagation
from keras_proxygml.losses.inputs import checked
from keras_proxygml.losses.proxy_loss import ProxyLoss
from keras_proxygml.tensorflow_graph import by_xla


def proxy_gml(labels, similarities, k, scale=1.0):
    """Cross-entropy of each sample on the subgraph of its k nearest proxies.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats.
        k: How many proxies each sample keeps. N < k ≤ C·N.
        scale: Factor of the class scores before the softmax.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `similarities` are. In a graph, where
        a label's value can't be read beforehand, one outside `[0, C)` gives NaN, or an error as the
        graph runs where that is TensorFlow's and not compiled by XLA.

    Raises:
        ValueError: If k is no integer or out of its range, labels are not integers in `[0, C)`, or
            similarities are not `[B, C, N]`.

    Reference:
        Zhu et al., 2020, sections 3.2 and 3.3; `loss/ProxyGML.py` of the official code.
    """
    labels, similarities = checked(labels, similarities)
    # As a tensor: a search over scales would have XLA compile each number of them.
    scale = ops.convert_to_tensor(scale, similarities.dtype)
    num_proxies = math.prod(similarities.shape[1:])
    return _on_subgraph(num_proxies, labels, similarities, k, scale)


@by_xla
def _on_subgraph(labels, similarities, k, scale):
    subgraph = knn_subgraph(similarities, labels, k)
    scores, reached = reverse_label_propagation(similarities, subgraph)
    return masked_softmax_loss(scale * scores, reached, labels)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxyGMLLoss(ProxyLoss):
    """The classification loss of ProxyGML, for a model that ends in a proxy layer.

    Each sample keeps the k = ⌈ratio · C · N⌉ proxies most similar to it, those of its own class
    always among them, and is classified by the sum of the similarities kept of each class. (The
    paper's other term, the proxies' own, is `ProxySeparation`, a regularizer of the layer.)

    Args:
        ratio: Share of all proxies that a sample keeps, in (0, 1]. Must be more than 1/C, so that
            a negative is left. The paper has 0.05.
        scale: Factor of the class scores before the softmax, above 0. A score sums N cosines,
            which acts like a temperature of 1/N: N · scale of 4 to 10 is a good start. (The
            official code has 20 for N = 1, in a line commented out.)
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`.

    Returns:
        The mean over the batch, or with `reduction=None` the loss of each sample, `[B]`. Under
        `tf.distribute` each replica's mean counts alike, as with every loss of Keras: where the
        last batch does not divide evenly, a sample of a smaller share weighs a little more.

    With 4,096 proxies or more, a TensorFlow graph on CPUs has it compiled by XLA, whatever the
    model's `jit_compile` says. Train with `run_eagerly=True` to look into it.

    Raises:
        ValueError: If `ratio` is outside (0, 1] or keeps no negative, labels are not integers in
            `[0, C)`, or similarities are not `[B, C, N]`.

    Reference:
        Zhu et al., 2020, sections 3.2 and 3.3.

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.9], [0.1], [-0.3]]], dtype="float32")  # [B=1, C=3, N=1]
    >>> round(float(ProxyGMLLoss(ratio=0.6)(np.array([0]), similarities)), 4)  # keeps 0.9 and 0.1
    0.3711
    """

    def __init__(
        self,
        ratio=0.05,
        scale=1.0,
        *,
        reduction="sum_over_batch_size",
        name="proxy_gml",
        dtype=None,
    ):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        if not 0 < ratio <= 1:
            raise ValueError(
                f"ratio={ratio!r} is not allowed. It is the share of all proxies that a sample "
                f"keeps: give a number above 0 and up to 1, such as the paper's 0.05."
            )
        check_positive("scale", scale, usual=1)
        self.ratio = ratio
        self.scale = scale

    def per_sample(self, labels, similarities):
        _, num_classes, num_proxies = similarities.shape
        return proxy_gml(labels, similarities, self._k(num_classes, num_proxies), self.scale)

    def _k(self, num_classes, num_proxies):
        # In the order of the official code, whose rounding decides where the product is whole.
        k = math.ceil(self.ratio * num_classes * num_proxies)
        if k <= num_proxies:
            raise ValueError(
                f"ratio={self.ratio} keeps k={k} of {num_classes * num_proxies} proxies, not more "
                f"than the {num_proxies} of one class, so no negative is left and nothing is "
                f"learned. Raise ratio above {1 / num_classes} (one part in the {num_classes} "
                f"classes); a share of 1 keeps all proxies."
            )
        return k

    def get_config(self):
        return {**super().get_config(), "ratio": self.ratio, "scale": self.scale}
