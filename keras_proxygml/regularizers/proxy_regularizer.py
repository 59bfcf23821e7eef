"""What the regularizers of proxies share."""

import keras
from keras import ops

from keras_proxygml.arguments import check_not_negative


class ProxyRegularizer(keras.regularizers.Regularizer):
    """A weighted penalty on the proxies of a layer. A subclass defines `penalty`.

    Args:
        weight: Factor of the penalty. 0 or more.

    Raises:
        ValueError: If `weight` is negative or infinite, or the weights it is applied to are not
            `[C, N, D]`.
    """

    def __init__(self, weight):
        check_not_negative("weight", weight, usual=0.3)
        self._weight = weight

    @property
    def weight(self):
        """Factor of the penalty. It cannot be set, as layers may share a regularizer."""
        return self._weight

    def __call__(self, proxies):
        proxies = ops.convert_to_tensor(proxies)
        if len(proxies.shape) != 3:
            raise ValueError(
                f"Weights of shape {tuple(proxies.shape)} came, allowed are proxies of shape "
                f"[C, N, D]. Give {type(self).__name__} to a proxy layer as proxies_regularizer."
            )
        penalty = self.weight * self.penalty(proxies) if self.weight else ops.zeros(())
        # Keras adds this to losses in `floatx`, and TensorFlow adds no two dtypes.
        is_double = keras.backend.standardize_dtype(proxies.dtype) == "float64"
        return ops.cast(penalty, "float64" if is_double else keras.config.floatx())

    def penalty(self, proxies):
        """The penalty before it is weighted.

        Args:
            proxies: Vectors of any length. `[C, N, D]`, floats.

        Returns:
            A scalar, float32 or float64.
        """
        raise NotImplementedError

    def get_config(self):
        return {"weight": self.weight}
