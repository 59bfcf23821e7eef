"""Optimizers that treat proxies differently from other weights."""

from typing import Any

import keras
from keras import ops

from keras_proxygml.checks import check_number, refuse

# What Keras's Adam names its variables.
_MOMENTS = ("momentum", "velocity")


def _is_proxies(variable):
    # A gradient tape gives TensorFlow's own variables, which are named "layer/proxies:0".
    return variable.name.removesuffix(":0").rpartition("/")[2] == "proxies"


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxyAdam(keras.optimizers.Adam):
    """Adam whose proxies learn at their own rate, with L2 in the gradient.

    The proxies (every weight named `proxies`) learn at `learning_rate × proxy_multiplier`. A
    number, a schedule or a callback may set the rate. Everything else is `keras.optimizers.Adam`.
    It adds epsilon at the same point as PyTorch 1.2, which produced the paper's results.

    Args:
        learning_rate: Rate of all other weights: a float, a
            `keras.optimizers.schedules.LearningRateSchedule` or a callable.
        proxy_multiplier: Factor of the rate for the proxies. Above 0. The official
            code has rates of 1e-4 and 0.03, a multiplier of 300.
        l2: `l2 · w` is added to the gradient of every trainable weight w, after any clipping.
            0 or more. The official code has 1e-4. (Keras's `weight_decay` is different. It shrinks
            the weights without Adam's scaling, and shrinks the proxies at `learning_rate`.)
        lean_proxies: Whether each proxy has one number in place of Adam's two vectors of moments,
            for very many classes. Proxies and moments then take a third of the memory. The number
            is a moving average of the mean of the proxy's squared gradient. It needs a larger
            `proxy_multiplier`, and does not work with `amsgrad`.
        name: Name of the optimizer.
        **adam: Arguments of `keras.optimizers.Adam`. The official code has `epsilon=0.01`.

    Raises:
        ValueError: If `proxy_multiplier` or `l2` is out of range, if `proxy_multiplier` is not 1
            and no trainable weight is named `proxies`, or if both `lean_proxies` and `amsgrad` are
            True.

    Reference:
        `train.py` and `run.sh` of the official code of Zhu et al., 2020. One second moment for each
        row of a table, but with first moments: `EmbOptimType.PARTIAL_ROWWISE_ADAM` of FBGEMM.
    """

    # keras.optimizers.MultiOptimizer silently uses the default optimizer if its patterns match
    # nothing. It has no learning_rate for callbacks to set, and a schedule or a callback that sets
    # a rate loses the ratio. Here there is one rate, multiplied in the update.

    def __init__(
        self,
        learning_rate: Any = 0.001,
        proxy_multiplier: float = 1.0,
        l2: float = 0.0,
        *,
        lean_proxies: bool = False,
        name: str = "proxy_adam",
        **adam: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **adam)
        keep = "To keep the proxies as they are, set trainable=False on their layer."
        check_number("proxy_multiplier", proxy_multiplier, "(0, inf)", keep)
        check_number("l2", l2, "[0, inf)")
        if lean_proxies and self.amsgrad:
            refuse(
                "lean_proxies",
                "be False where amsgrad is True, which keeps another moment for each number",
                "lean_proxies=True and amsgrad=True",
            )
        self.proxy_multiplier = proxy_multiplier
        self.l2 = l2
        self.lean_proxies = lean_proxies

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        # By index, because update_step gets the backend's own variables, which have no Keras name.
        self._proxy_indices = {i for i, v in enumerate(variables) if _is_proxies(v)}

    def add_variable_from_reference(self, reference_variable, name=None, initializer="zeros"):
        if not (self.lean_proxies and name in _MOMENTS and _is_proxies(reference_variable)):
            return super().add_variable_from_reference(reference_variable, name, initializer)
        path = getattr(reference_variable, "path", reference_variable.name)
        path = path.replace("/", "_").replace(":", "_")
        return self.add_variable(
            (*reference_variable.shape[:-1], 1),  # [C, N, 1]
            initializer,
            dtype=reference_variable.dtype,
            layout=getattr(reference_variable, "_layout", None),
            name=f"{path}_{name}",
        )

    def update_step(self, gradient, variable, learning_rate):
        # Not in build, because Keras also calls that to load a model whose proxies were frozen.
        if self.proxy_multiplier != 1 and not self._proxy_indices:
            refuse(
                "proxy_multiplier",
                "be 1 where no weight to train is named 'proxies'",
                f"proxy_multiplier={self.proxy_multiplier}",
                "Add a proxy layer such as keras_proxygml.ProxyGML, or set trainable=True on it.",
            )
        if self.l2:
            gradient = ops.add(gradient, ops.multiply(self.l2, variable))
        if self._get_variable_index(variable) in self._proxy_indices:
            learning_rate = ops.multiply(learning_rate, self.proxy_multiplier)
            if self.lean_proxies:
                self._update_lean(gradient, variable, learning_rate)
                return
        super().update_step(gradient, variable, learning_rate)

    def _update_lean(self, gradient, variable, learning_rate):
        dtype = variable.dtype
        gradient, rate = ops.cast(gradient, dtype), ops.cast(learning_rate, dtype)
        velocity = self._velocities[self._get_variable_index(variable)]  # [C, N, 1]
        mean_square = ops.mean(ops.square(gradient), axis=-1, keepdims=True)
        self.assign_add(velocity, (mean_square - velocity) * (1 - self.beta_2))
        step = ops.cast(self.iterations + 1, dtype)
        # Keras's Adam too makes the correction of the bias part of the rate.
        rate = rate * ops.sqrt(1 - ops.power(ops.cast(self.beta_2, dtype), step))
        self.assign_sub(variable, rate * gradient / (ops.sqrt(velocity) + self.epsilon))

    def get_config(self):
        return {
            **super().get_config(),
            "proxy_multiplier": self.proxy_multiplier,
            "l2": self.l2,
            "lean_proxies": self.lean_proxies,
        }
