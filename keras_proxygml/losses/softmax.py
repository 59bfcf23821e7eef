"""The losses that are one softmax over a score for each class."""

import math
from typing import Any

import keras
from keras import ops

from keras_proxygml.graph import masked_softmax_loss
from keras_proxygml.losses.base import ProxyLoss
from keras_proxygml.losses.inputs import check_similarities
from keras_proxygml.types import Tensor


def nearest_proxies(similarities: Tensor) -> Tensor:
    """Scores each class by its proxy nearest to the sample.

    Args:
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats.

    Returns:
        `[B, C]`, in the dtype of `similarities`.
    """
    return ops.max(similarities, axis=-1)


def own_class(labels: Tensor, num_classes: int) -> Tensor:
    """Tells each sample's own class from the others.

    Args:
        labels: Class of each sample. `[B]`, integers.
        num_classes: C, how many classes there are.

    Returns:
        `[B, C]`, bool, one true per row, and none for a label outside `[0, C)`.
    """
    return ops.equal(labels[:, None], ops.arange(num_classes, dtype="int32"))


def _softmax_loss(logits, labels):
    return masked_softmax_loss(logits, ops.ones_like(logits, dtype="bool"), labels)


@keras.saving.register_keras_serializable(package="keras_proxygml")
def normalized_softmax(labels: Tensor, similarities: Tensor, temperature: float = 0.05) -> Tensor:
    """Cross-entropy of a softmax over cosines divided by a temperature.

    Args:
        labels, similarities: As in `ProxyLoss`.
        temperature: As in `NormalizedSoftmaxLoss`.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `similarities` are.

    Raises:
        ValueError: As `ProxyLoss` does.

    Reference:
        Zhai and Wu, 2019, arXiv 1811.12649.
    """
    labels, similarities = check_similarities(labels, similarities)
    return _softmax_loss(nearest_proxies(similarities) / temperature, labels)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class NormalizedSoftmaxLoss(ProxyLoss):
    """The softmax loss on cosines, for a model that ends in `ProxySimilarity`.

    The definition has one proxy per class. With N > 1, the nearest proxy of each class counts.

    Args:
        temperature: Divisor of the cosines. Above 0. The default 0.05 is the paper's and
            pytorch-metric-learning's.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `ProxyLoss`.

    Raises:
        ValueError: If `temperature` is not above 0. Also as `ProxyLoss` does.

    Reference:
        Zhai and Wu, 2019, arXiv 1811.12649.

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.9], [0.8]]], dtype="float32")  # [B=1, C=2, N=1]
    >>> round(float(NormalizedSoftmaxLoss()(np.array([0]), similarities)), 4)  # log(1 + exp(-2))
    0.1269
    """

    function = staticmethod(normalized_softmax)
    intervals = {"temperature": "(0, inf)"}

    def __init__(
        self, temperature: float = 0.05, *, name: str = "normalized_softmax", **kwargs: Any
    ) -> None:
        super().__init__(name=name, temperature=temperature, **kwargs)


@keras.saving.register_keras_serializable(package="keras_proxygml")
def proxy_nca(labels: Tensor, similarities: Tensor, scale: float = 9.0) -> Tensor:
    """Cross-entropy of a softmax over the squared distances to the proxies.

    Args:
        labels, similarities: As in `ProxyLoss`.
        scale: As in `ProxyNCALoss`.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `similarities` are.

    Raises:
        ValueError: As `ProxyLoss` does.

    Reference:
        Teh et al., 2020, arXiv 2004.01113.
    """
    labels, similarities = check_similarities(labels, similarities)
    # For unit vectors, ‖x - p‖² = 2 - 2 cos. The constant does not change a softmax.
    return _softmax_loss(2 * scale * nearest_proxies(similarities), labels)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxyNCALoss(ProxyLoss):
    """The Proxy-NCA loss, for a model that ends in `ProxySimilarity`.

    A softmax runs over -scale · ‖x - p‖² of unit vectors. That is the normalized softmax loss at
    temperature 1 / (2 · scale). The true class is in the denominator, as in Proxy-NCA++ and
    pytorch-metric-learning. The first paper (Movshovitz-Attias et al., 2017) left it out. The
    definition has one proxy per class. With N > 1, the nearest proxy of each class counts.

    Args:
        scale: Factor of the squared distances. Above 0. The default 9 is that of Proxy-NCA++
            (its temperature is 1/9). pytorch-metric-learning has 1, which is nearly flat.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `ProxyLoss`.

    Raises:
        ValueError: If `scale` is not above 0. Also as `ProxyLoss` does.

    Reference:
        Teh et al., 2020, arXiv 2004.01113.

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.9], [0.8]]], dtype="float32")  # [B=1, C=2, N=1]
    >>> round(float(ProxyNCALoss(10)(np.array([0]), similarities)), 4)  # log(1 + exp(-2))
    0.1269
    """

    function = staticmethod(proxy_nca)
    intervals = {"scale": "(0, inf)"}

    def __init__(self, scale: float = 9.0, *, name: str = "proxy_nca", **kwargs: Any) -> None:
        super().__init__(name=name, scale=scale, **kwargs)


@keras.saving.register_keras_serializable(package="keras_proxygml")
def cosface(
    labels: Tensor, similarities: Tensor, margin: float = 0.35, scale: float = 64.0
) -> Tensor:
    """Cross-entropy of a softmax over cosines, with a margin subtracted from the true class's.

    Args:
        labels, similarities: As in `ProxyLoss`.
        margin, scale: As in `CosFaceLoss`.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `similarities` are.

    Raises:
        ValueError: As `ProxyLoss` does.

    Reference:
        Wang et al., 2018, arXiv 1801.09414.
    """
    labels, similarities = check_similarities(labels, similarities)
    cosines = nearest_proxies(similarities)
    own = own_class(labels, cosines.shape[-1])
    return _softmax_loss(scale * ops.where(own, cosines - margin, cosines), labels)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class CosFaceLoss(ProxyLoss):
    """The large-margin cosine loss, for a model that ends in `ProxySimilarity`.

    The definition has one proxy per class. With N > 1, the nearest proxy of each class counts.

    Args:
        margin: Subtracted from the cosine to the true class. 0 or more. The default 0.35 is the
            paper's and pytorch-metric-learning's.
        scale: Factor of the cosines before the softmax. Above 0. The default 64 is the paper's
            and pytorch-metric-learning's.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `ProxyLoss`.

    Raises:
        ValueError: If `margin` or `scale` is out of range. Also as `ProxyLoss` does.

    Reference:
        Wang et al., 2018, arXiv 1801.09414.

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.9], [0.2]]], dtype="float32")  # [B=1, C=2, N=1]
    >>> loss = CosFaceLoss(margin=0.5, scale=10)
    >>> round(float(loss(np.array([0]), similarities)), 4)  # log(1 + exp(-2))
    0.1269
    """

    function = staticmethod(cosface)
    intervals = {"margin": "[0, inf)", "scale": "(0, inf)"}

    def __init__(
        self, margin: float = 0.35, scale: float = 64.0, *, name: str = "cosface", **kwargs: Any
    ) -> None:
        super().__init__(name=name, margin=margin, scale=scale, **kwargs)


@keras.saving.register_keras_serializable(package="keras_proxygml")
def arcface(
    labels: Tensor, similarities: Tensor, margin: float = 28.6, scale: float = 64.0
) -> Tensor:
    """Cross-entropy of a softmax over cosines, with a margin added to the true class's angle.

    Args:
        labels, similarities: As in `ProxyLoss`.
        margin, scale: As in `ArcFaceLoss`.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `similarities` are. Its gradient is
        finite even if a cosine is 1 or -1.

    Raises:
        ValueError: As `ProxyLoss` does.

    Reference:
        Deng et al., 2019, arXiv 1801.07698; for N > 1 Deng et al., 2020, "Sub-center ArcFace".
    """
    labels, similarities = check_similarities(labels, similarities)
    cosines = nearest_proxies(similarities)
    own = own_class(labels, cosines.shape[-1])
    widened = _cosine_of_wider_angle(cosines, math.radians(margin))
    return _softmax_loss(scale * ops.where(own, widened, cosines), labels)


def _cosine_of_wider_angle(cosines, margin):
    # cos(θ + m) = cos θ cos m - sin θ sin m needs no arccosine, whose slope at ±1 is infinite. The
    # slope of the root is infinite there too, so the sine is a constant 0 at ±1.
    squared_sines = (1 - cosines) * (1 + cosines)
    is_inside = squared_sines > 0
    sines = ops.where(is_inside, ops.sqrt(ops.where(is_inside, squared_sines, 1.0)), 0.0)
    wider = cosines * math.cos(margin) - sines * math.sin(margin)
    # Past θ = π - m, cos(θ + m) would rise again. There, the authors' code and
    # pytorch-metric-learning subtract m sin m from cos θ, so that a wider angle always costs more.
    return ops.where(cosines >= -math.cos(margin), wider, cosines - margin * math.sin(margin))


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ArcFaceLoss(ProxyLoss):
    """The additive angular margin loss, for a model that ends in `ProxySimilarity`.

    With N > 1, the nearest proxy of each class counts. That is sub-center ArcFace.

    Args:
        margin: Added to the angle to the true class, **in degrees**. From 0 to below 180. The
            default 28.6 is the 0.5 radians of the paper and of pytorch-metric-learning 2.9.
        scale: Factor of the cosines before the softmax. Above 0. The default 64 is the paper's
            and pytorch-metric-learning's.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `ProxyLoss`.

    Raises:
        ValueError: If `margin` or `scale` is out of range. Also as `ProxyLoss` does.

    Reference:
        Deng et al., 2019, arXiv 1801.07698; for N > 1 Deng et al., 2020, "Sub-center ArcFace".

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.5], [-0.3]]], dtype="float32")  # 60 degrees, [B=1, C=2, N=1]
    >>> loss = ArcFaceLoss(margin=30, scale=10)  # cos(90 degrees) = 0
    >>> round(float(loss(np.array([0]), similarities)), 4)  # log(1 + exp(-3))
    0.0486
    """

    function = staticmethod(arcface)
    intervals = {"margin": "[0, 180)", "scale": "(0, inf)"}

    def __init__(
        self, margin: float = 28.6, scale: float = 64.0, *, name: str = "arcface", **kwargs: Any
    ) -> None:
        super().__init__(name=name, margin=margin, scale=scale, **kwargs)


@keras.saving.register_keras_serializable(package="keras_proxygml")
def soft_triple(
    labels: Tensor,
    similarities: Tensor,
    scale: float = 20.0,
    gamma: float = 0.1,
    margin: float = 0.01,
) -> Tensor:
    """Cross-entropy of a softmax over relaxed similarities, with a margin for the true class.

    Args:
        labels, similarities: As in `ProxyLoss`.
        scale, gamma, margin: As in `SoftTripleLoss`.

    Returns:
        Loss of each sample. `[B]`, float32, or float64 where `similarities` are.

    Raises:
        ValueError: As `ProxyLoss` does.

    Reference:
        Qian et al., 2019, arXiv 1909.05235.
    """
    labels, similarities = check_similarities(labels, similarities)
    # A softmax over N. Keras's own warns if N = 1.
    sharpened = similarities / gamma  # [B, C, N]
    weights = ops.exp(sharpened - ops.logsumexp(sharpened, axis=-1, keepdims=True))
    relaxed = ops.sum(weights * similarities, axis=-1)  # [B, C]
    own = own_class(labels, relaxed.shape[-1])
    return _softmax_loss(scale * ops.where(own, relaxed - margin, relaxed), labels)


@keras.saving.register_keras_serializable(package="keras_proxygml")
class SoftTripleLoss(ProxyLoss):
    """The SoftTriple loss, for a model that ends in `ProxySimilarity` with several proxies.

    The paper has 10 proxies per class. Its regularizer merges those that are not needed. To use it,
    give the layer `proxies_regularizer=ProxyMerging(0.2)`.

    Args:
        scale: Factor of the class scores before the softmax, λ in the paper. Above 0.
        gamma: Temperature of the softmax that weighs the proxies of a class. Above 0. The smaller
            it is, the more the nearest proxy counts.
        margin: Subtracted from the score of the true class, δ in the paper. 0 or more. The defaults
            20, 0.1 and 0.01 are the paper's and pytorch-metric-learning's.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `ProxyLoss`.

    Raises:
        ValueError: If `scale`, `gamma` or `margin` is out of range. Also as `ProxyLoss` does.

    Reference:
        Qian et al., 2019, arXiv 1909.05235.

    Example:

    >>> import numpy as np
    >>> similarities = np.array([[[0.9, 0.9], [0.3, 0.3]]], dtype="float32")  # [B=1, C=2, N=2]
    >>> loss = SoftTripleLoss(scale=5, margin=0.2)
    >>> round(float(loss(np.array([0]), similarities)), 4)  # log(1 + exp(-2))
    0.1269
    """

    function = staticmethod(soft_triple)
    intervals = {"scale": "(0, inf)", "gamma": "(0, inf)", "margin": "[0, inf)"}

    def __init__(
        self,
        scale: float = 20.0,
        gamma: float = 0.1,
        margin: float = 0.01,
        *,
        name: str = "soft_triple",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, scale=scale, gamma=gamma, margin=margin, **kwargs)
