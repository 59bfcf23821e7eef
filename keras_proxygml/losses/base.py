"""What all losses share: their labels, their dtype, their arguments and their configuration.

A loss is a pure function `(labels, predictions, **arguments)` and a class that names the function,
its arguments and their intervals. Classes on similarities derive from `ProxyLoss`, those on
embeddings from `EmbeddingLoss`.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import keras
from keras import ops

from keras_proxygml.checks import check_number, refuse
from keras_proxygml.losses.inputs import as_integers, check_labels, check_rank, numbered
from keras_proxygml.types import Tensor


class Loss(keras.losses.Loss):
    """A loss whose values a pure function computes. It holds no weights.

    Args:
        name: Name of the loss.
        reduction: As in `keras.losses.Loss`. `None` gives the loss of each sample, `[B]`. Under
            `tf.distribute`, each replica's mean has the same weight, as with every loss of Keras.
            If the last batch does not divide evenly, a sample of a smaller share weighs more.
        dtype: "float32" (the default) or "float64", for any dtype policy. Keras casts labels to
            this dtype, and half precision would round them.
        **arguments: Arguments of the loss's function.

    Raises:
        ValueError: If an argument is outside its interval, or `dtype` is a half-precision one.
    """

    function: ClassVar[Callable[..., Tensor]]  # static: labels, predictions, **arguments → [B]
    intervals: ClassVar[dict[str, str]] = {}  # argument → the interval that it must be in

    def __init__(
        self,
        *,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: str | None = None,
        **arguments: Any,
    ) -> None:
        if dtype is None:
            dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if self.dtype not in ("float32", "float64"):
            refuse(
                "dtype",
                "be 'float32' or 'float64'",
                f"dtype={self.dtype!r}, which would round labels (bfloat16 turns 257 into 256)",
                "Leave dtype out: a mixed-precision model needs no other.",
            )
        for argument, interval in self.intervals.items():
            check_number(argument, arguments[argument], interval)
        self._arguments = tuple(arguments)
        for argument, value in arguments.items():
            setattr(self, argument, value)

    def per_sample(self, labels: Tensor, predictions: Tensor) -> Tensor:
        """The loss of each sample.

        Args:
            labels: Class of each sample. `[B]`, int32.
            predictions: Similarities `[B, C, N]` or embeddings `[B, D]`, in the loss's dtype.

        Returns:
            `[B]`, in the loss's dtype.
        """
        arguments = {argument: getattr(self, argument) for argument in self._arguments}
        return self.function(labels, predictions, **arguments)

    def get_config(self) -> dict[str, Any]:
        arguments = {argument: getattr(self, argument) for argument in self._arguments}
        return {**super().get_config(), "dtype": self.dtype, **arguments}


class ProxyLoss(Loss):
    """A loss of labels and of similarities to proxies, for a model that ends in a proxy layer.

    Args:
        name, reduction, dtype: As in `Loss`.
        **arguments: As in `Loss`.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`, or whole numbers in
            float32 or float64, which Keras's own data generators give.
        similarities: Cosines of samples and proxies. `[B, C, N]`.

    Returns:
        The mean over the batch, or as `reduction` says.

    Raises:
        ValueError: If labels are not integers in `[0, C)`, or similarities are not `[B, C, N]`, or
            have more than 2²⁴ classes in float32. A graph can't read the values of labels. There,
            a label outside `[0, C)` gives NaN. TensorFlow's graphs raise an error when they run,
            unless XLA compiles them.
    """

    def __call__(self, y_true, y_pred, sample_weight=None):
        return super().__call__(check_labels(y_true), y_pred, sample_weight)

    def call(self, y_true, y_pred):
        check_rank(y_pred)
        if self.dtype == "float32" and y_pred.shape[1] > 2**24:
            refuse(
                "similarities",
                "be of at most 16777216 classes",
                f"{y_pred.shape[1]} classes",
                "Keras turns labels into float32, which rounds those beyond: give the loss "
                "dtype='float64'.",
            )
        return self.per_sample(ops.reshape(as_integers(y_true), (ops.shape(y_pred)[0],)), y_pred)


class EmbeddingLoss(Loss):
    """A loss of labels and of the embeddings of a batch, for a model that ends in embeddings.

    Under `tf.distribute` each replica sees its own share of the batch.

    Args:
        name, reduction, dtype: As in `Loss`.
        **arguments: As in `Loss`.

    Call arguments:
        labels: Class of each sample. `[B]` or `[B, 1]`, any integers. The loss only asks whether
            two labels are equal. On JAX, `fit` cuts integers to 32 bits before any loss sees them,
            so renumber wider labels there.
        embeddings: Vectors. `[B, D]`.

    Returns:
        The mean over the batch, or as `reduction` says.

    Raises:
        ValueError: If labels are not integers `[B]` or `[B, 1]`, or embeddings are not `[B, D]`.
    """

    def __call__(self, y_true, y_pred, sample_weight=None):
        # Keras casts labels to the loss's dtype, and float32 rounds 16777217 to 16777216. The
        # index of its first sample in the batch identifies a class too, and is a small number.
        labels = ops.convert_to_tensor(numbered(check_labels(y_true)))
        labels = ops.reshape(labels, (ops.shape(y_pred)[0],))
        same_class = ops.equal(labels[:, None], labels[None, :])
        batch = ops.shape(labels)[0]
        # Not argmax, which TensorFlow refuses if a replica gets no sample.
        first = ops.min(ops.where(same_class, ops.arange(batch, dtype="int32"), batch), axis=1)
        return super().__call__(first, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        return self.per_sample(ops.cast(ops.reshape(y_true, (-1,)), "int32"), y_pred)
