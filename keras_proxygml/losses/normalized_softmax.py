"""The normalized softmax loss."""

import keras

from keras_proxygml.arguments import check_positive
from keras_proxygml.losses.class_scores import nearest_proxies, softmax_loss
from keras_proxygml.losses.inputs import checked
from keras_proxygml.losses.proxy_loss import ProxyLoss


@keras.saving.register_keras_serializable(package="keras_proxygml")
def normalized_softmax(labels, similarities, temperature=0.05):
    """Cross-entropy of a softmax over cosines divided by a temperature.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats; with N > 1 the nearest
            proxy of each class counts.
        temperature: What cosines are divided by. Above 0.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `similarities` are.

    Raises:
        ValueError: If labels are not integers in `[0, C)`, or similarities are not `[B, C, N]`.

    Reference:
        Zhai and Wu, 2019, arXiv 1811.12649.
    """
    labels, similarities = checked(labels, similarities)
    return softmax_loss(nearest_proxies(similarities) / temperature, labels)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class NormalizedSoftmaxLoss(ProxyLoss):
    """The softmax loss on cosines, for a model that ends in `ProxySimilarity`.

    The definition has one proxy per class; with N > 1 the nearest proxy of each class counts.

    Args:
        temperature: What cosines are divided by. Above 0. The default 0.05 is the paper's and
            pytorch-metric-learning's.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`.

    Returns:
        The mean over the batch, or with `reduction=None` the loss of each sample, `[B]`.

    Raises:
        ValueError: If `temperature` is not above 0, labels are not integers in `[0, C)`, or
            similarities are not `[B, C, N]`.

    Reference:
        Zhai and Wu, 2019, arXiv 1811.12649.

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.9], [0.8]]], dtype="float32")  # [B=1, C=2, N=1]
    >>> round(float(NormalizedSoftmaxLoss()(np.array([0]), similarities)), 4)  # log(1 + exp(-2))
    0.1269
    """

    def __init__(
        self,
        temperature=0.05,
        *,
        reduction="sum_over_batch_size",
        name="normalized_softmax",
        dtype=None,
    ):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        check_positive("temperature", temperature, usual=0.05)
        self.temperature = temperature

    def per_sample(self, labels, similarities):
        return normalized_softmax(labels, similarities, self.temperature)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}
