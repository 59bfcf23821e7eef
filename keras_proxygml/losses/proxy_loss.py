"""What every loss on proxy similarities shares."""

import keras
from keras import ops

from keras_proxygml.losses.inputs import as_integers, check_labels, check_similarities


class ProxyLoss(keras.losses.Loss):
    """A loss of labels `[B]` or `[B, 1]` and similarities `[B, C, N]`.

    A subclass defines `per_sample`. It holds no weights: those are the proxy layer's. Labels are
    integers, or whole numbers in float32 or float64, as Keras's own data generators give them.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: float32 (the default) or float64, whatever the dtype policy: labels pass through
            this dtype, and half precision would round them.

    Raises:
        ValueError: If `dtype` is a half-precision one, labels are not integers `[B]` or `[B, 1]`,
            or similarities are not `[B, C, N]`, or of more than 2²⁴ classes in float32.
    """

    def __init__(self, *, reduction="sum_over_batch_size", name=None, dtype=None):
        if dtype is None:
            dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if self.dtype not in ("float32", "float64"):
            raise ValueError(
                f"dtype={self.dtype!r} would round labels (bfloat16 turns 257 into 256). Allowed "
                f"are 'float32' and 'float64'. Leave dtype out: a mixed-precision model needs no "
                f"other."
            )

    def __call__(self, y_true, y_pred, sample_weight=None):
        return super().__call__(check_labels(y_true), y_pred, sample_weight)

    def call(self, y_true, y_pred):
        check_similarities(y_pred)
        if self.dtype == "float32" and y_pred.shape[1] > 2**24:
            raise ValueError(
                f"{y_pred.shape[1]} classes came, allowed are {2**24}: Keras turns labels into "
                f"float32, which rounds those beyond. Give the loss dtype='float64'."
            )
        labels = ops.reshape(as_integers(y_true), (ops.shape(y_pred)[0],))
        return self.per_sample(labels, y_pred)

    def per_sample(self, labels, similarities):
        """The loss of each sample.

        Args:
            labels: Class of each sample. `[B]`, int32.
            similarities: Cosines of samples and proxies. `[B, C, N]`, in the loss's dtype.

        Returns:
            `[B]`, in the loss's dtype.
        """
        raise NotImplementedError

    def get_config(self):
        return {**super().get_config(), "dtype": self.dtype}
