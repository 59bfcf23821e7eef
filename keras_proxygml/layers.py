"""Layers that own proxies."""

from typing import Any

import keras

from keras_proxygml.checks import check_integer, refuse
from keras_proxygml.graph import similarity_graph
from keras_proxygml.regularizers import ProxySeparation


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxySimilarity(keras.layers.Layer):
    """Cosine similarities of embeddings to trainable proxies: the head of every proxy loss.

    Args:
        num_classes: C, how many classes there are to learn. At least 2.
        num_proxies: N, how many proxies stand for each class. At least 1.
        proxies_initializer: Initializer of the proxies. Only their directions matter to the
            similarities, but a step of the optimizer turns long proxies less than short ones.
        proxies_regularizer: Regularizer of the proxies, for instance `ProxySeparation`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        Embeddings of any length. They need no normalization. `[B, D]`.

    Output shape:
        Cosines, in the layer's compute dtype. `[B, C, N]`.

    Weights:
        proxies: `[C, N, D]`, in the layer's variable dtype.

    Raises:
        ValueError: If `num_classes` or `num_proxies` is too small or no integer, or if the input
            is not `[B, D]` with a known D.
    """

    def __init__(
        self,
        num_classes: int,
        num_proxies: int = 1,
        *,
        proxies_initializer: Any = "random_normal",
        proxies_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_integer("num_classes", num_classes, minimum=2)
        check_integer("num_proxies", num_proxies, minimum=1)
        self.num_classes = int(num_classes)  # NumPy's can't be saved
        self.num_proxies = int(num_proxies)
        self.proxies_initializer = keras.initializers.get(proxies_initializer)
        self.proxies_regularizer = keras.regularizers.get(proxies_regularizer)

    def build(self, input_shape):
        if len(input_shape) != 2 or input_shape[-1] is None:
            refuse(
                "embeddings",
                "be [B, D] with a known size D",
                f"shape {tuple(input_shape)} for the layer {self.name}",
                "Pool or flatten feature maps before this layer, and end the embedder in a layer "
                "of fixed size such as keras.layers.Dense(512).",
            )
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: input_shape[-1]})
        self.proxies = self.add_weight(
            name="proxies",
            shape=(self.num_classes, self.num_proxies, input_shape[-1]),
            initializer=self.proxies_initializer,
            regularizer=self.proxies_regularizer,
            # In half precision, short proxies would become 0 before they are normalized.
            autocast=False,
        )

    def call(self, embeddings):
        return similarity_graph(embeddings, self.proxies)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_classes, self.num_proxies)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "num_proxies": self.num_proxies,
            "proxies_initializer": keras.initializers.serialize(self.proxies_initializer),
            "proxies_regularizer": keras.regularizers.serialize(self.proxies_regularizer),
        }


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxyGML(ProxySimilarity):
    """`ProxySimilarity` with the paper's defaults, to train with `ProxyGMLLoss`.

    Args:
        num_classes: C, how many classes there are to learn. At least 2.
        num_proxies: N, how many proxies stand for each class. The paper has 12 for Cars196 and
            CUB-200-2011, and 1 for Stanford Online Products.
        proxies_initializer: Initializer of the proxies. `None` is that of the official code,
            uniform within ±1/√(C·N).
        proxies_regularizer: Regularizer of the proxies. `None` turns it off, which the paper does
            for Stanford Online Products.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Reference:
        Zhu et al., 2020, sections 3.2 and 4.1; `loss/ProxyGML.py` and `run.sh` of the official
        code.

    Example:

    >>> import keras
    >>> inputs = keras.Input((64,))
    >>> embeddings = keras.layers.Dense(32)(inputs)
    >>> similarities = ProxyGML(num_classes=98, num_proxies=12)(embeddings)
    >>> similarities.shape
    (None, 98, 12)
    """

    def __init__(
        self,
        num_classes: int,
        num_proxies: int = 12,
        *,
        proxies_initializer: Any = None,
        proxies_regularizer: Any = ProxySeparation(0.3),
        **kwargs: Any,
    ) -> None:
        if proxies_initializer is None:
            # Keras counts C·N inputs for a weight [C, N, D], so this is uniform ±1/√(C·N).
            proxies_initializer = keras.initializers.VarianceScaling(
                scale=1 / 3, mode="fan_in", distribution="uniform"
            )
        super().__init__(
            num_classes,
            num_proxies,
            proxies_initializer=proxies_initializer,
            proxies_regularizer=proxies_regularizer,
            **kwargs,
        )
