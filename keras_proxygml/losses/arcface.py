"""The ArcFace loss, and with several proxies per class sub-centre ArcFace."""

import math

import keras
from keras import ops

from keras_proxygml.arguments import check_positive
from keras_proxygml.losses.class_scores import nearest_proxies, own_class, softmax_loss
from keras_proxygml.losses.inputs import checked
from keras_proxygml.losses.proxy_loss import ProxyLoss


@keras.saving.register_keras_serializable(package="keras_proxygml")
def arcface(labels, similarities, margin=28.6, scale=64.0):
    """Cross-entropy of a softmax over cosines, the angle to the true class widened by a margin.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats; with N > 1 the nearest
            proxy of each class counts.
        margin: What is added to the angle to the true class, in degrees. From 0 to below 180.
        scale: Factor of the cosines before the softmax. Above 0.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `similarities` are. Its gradient is
        finite also where a cosine is 1 or -1.

    Raises:
        ValueError: If labels are not integers in `[0, C)`, or similarities are not `[B, C, N]`.

    Reference:
        Deng et al., 2019, arXiv 1801.07698; for N > 1 Deng et al., 2020, "Sub-center ArcFace".
    """
    labels, similarities = checked(labels, similarities)
    cosines = nearest_proxies(similarities)
    own = own_class(labels, cosines.shape[-1])
    widened = _cosine_of_wider_angle(cosines, math.radians(margin))
    return softmax_loss(scale * ops.where(own, widened, cosines), labels)


def _cosine_of_wider_angle(cosines, margin):
    # cos(θ + m) = cos θ cos m - sin θ sin m needs no arccosine, whose slope at ±1 is infinite;
    # that of the root is too, so there the sine is a constant 0.
    squared_sines = (1 - cosines) * (1 + cosines)
    is_inside = squared_sines > 0
    sines = ops.where(is_inside, ops.sqrt(ops.where(is_inside, squared_sines, 1.0)), 0.0)
    wider = cosines * math.cos(margin) - sines * math.sin(margin)
    # Past θ = π - m, cos(θ + m) would rise again; there the authors' code and
    # pytorch-metric-learning take m sin m off cos θ, so that a wider angle always costs more.
    return ops.where(cosines >= -math.cos(margin), wider, cosines - margin * math.sin(margin))


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ArcFaceLoss(ProxyLoss):
    """The additive angular margin loss, for a model that ends in `ProxySimilarity`.

    With N > 1 the nearest proxy of each class counts, which makes it sub-centre ArcFace.

    Args:
        margin: What is added to the angle to the true class, **in degrees**. From 0 to below 180.
            The default 28.6 is the 0.5 radians of the paper, and pytorch-metric-learning 2.9's.
        scale: Factor of the cosines before the softmax. Above 0. The default 64 is the paper's
            and pytorch-metric-learning's.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`.

    Returns:
        The mean over the batch, or with `reduction=None` the loss of each sample, `[B]`.

    Raises:
        ValueError: If `margin` is outside [0, 180) or `scale` not above 0, labels are not
            integers in `[0, C)`, or similarities are not `[B, C, N]`.

    Reference:
        Deng et al., 2019, arXiv 1801.07698; for N > 1 Deng et al., 2020, "Sub-center ArcFace".

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.5], [-0.3]]], dtype="float32")  # 60 degrees, [B=1, C=2, N=1]
    >>> loss = ArcFaceLoss(margin=30, scale=10)  # cos(90 degrees) = 0
    >>> round(float(loss(np.array([0]), similarities)), 4)  # log(1 + exp(-3))
    0.0486
    """

    def __init__(
        self,
        margin=28.6,
        scale=64.0,
        *,
        reduction="sum_over_batch_size",
        name="arcface",
        dtype=None,
    ):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        if not 0 <= margin < 180:
            raise ValueError(
                f"margin={margin!r} is not allowed. Give degrees from 0 to below 180, such as 28.6."
            )
        check_positive("scale", scale, usual=64)
        self.margin = margin
        self.scale = scale

    def per_sample(self, labels, similarities):
        return arcface(labels, similarities, self.margin, self.scale)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "scale": self.scale}
