"""The Proxy-NCA loss."""

import keras

from keras_proxygml.arguments import check_positive
from keras_proxygml.losses.class_scores import nearest_proxies, softmax_loss
from keras_proxygml.losses.inputs import checked
from keras_proxygml.losses.proxy_loss import ProxyLoss


@keras.saving.register_keras_serializable(package="keras_proxygml")
def proxy_nca(labels, similarities, scale=9.0):
    """Cross-entropy of a softmax over the squared distances to the proxies.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats; with N > 1 the nearest
            proxy of each class counts.
        scale: Factor of the squared distances. Above 0.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `similarities` are.

    Raises:
        ValueError: If labels are not integers in `[0, C)`, or similarities are not `[B, C, N]`.

    Reference:
        Teh et al., 2020, arXiv 2004.01113.
    """
    labels, similarities = checked(labels, similarities)
    # Unit vectors are ‖x - p‖² = 2 - 2 cos apart, and a softmax does not see the constant.
    return softmax_loss(2 * scale * nearest_proxies(similarities), labels)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxyNCALoss(ProxyLoss):
    """The Proxy-NCA loss, for a model that ends in `ProxySimilarity`.

    A softmax over -scale · ‖x - p‖² of unit vectors, which is the normalized softmax loss at
    temperature 1 / (2 · scale). The true class is in the denominator, as in Proxy-NCA++ and
    pytorch-metric-learning; the first paper (Movshovitz-Attias et al., 2017) left it out. The
    definition has one proxy per class; with N > 1 the nearest proxy of each class counts.

    Args:
        scale: Factor of the squared distances. Above 0. The default 9 is that of Proxy-NCA++
            (its temperature is 1/9); pytorch-metric-learning has 1, nearly flat.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`.

    Returns:
        The mean over the batch, or with `reduction=None` the loss of each sample, `[B]`.

    Raises:
        ValueError: If `scale` is not above 0, labels are not integers in `[0, C)`, or
            similarities are not `[B, C, N]`.

    Reference:
        Teh et al., 2020, arXiv 2004.01113.

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.9], [0.8]]], dtype="float32")  # [B=1, C=2, N=1]
    >>> round(float(ProxyNCALoss(10)(np.array([0]), similarities)), 4)  # log(1 + exp(-2))
    0.1269
    """

    def __init__(self, scale=9.0, *, reduction="sum_over_batch_size", name="proxy_nca", dtype=None):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        check_positive("scale", scale, usual=9)
        self.scale = scale

    def per_sample(self, labels, similarities):
        return proxy_nca(labels, similarities, self.scale)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}
