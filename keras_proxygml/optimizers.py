"""Optimizers that know proxies."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_proxygml")
class ProxyAdam(keras.optimizers.Adam):
    """Adam whose proxies learn at their own rate, with L2 in the gradient.

    The proxies (every weight named `proxies`) learn at `learning_rate × proxy_multiplier`,
    whatever sets the rate: a number, a schedule or a callback. Everything else is
    `keras.optimizers.Adam`, whose epsilon has the place it had in PyTorch 1.2, with which the
    paper's results were made.

    Args:
        learning_rate: Rate of all other weights: a float, a
            `keras.optimizers.schedules.LearningRateSchedule` or a callable.
        proxy_multiplier: What the rate of the proxies is multiplied by. Above 0. The official
            code has rates of 1e-4 and 0.03, a multiplier of 300.
        l2: `l2 · w` is added to the gradient of every trainable weight w, after any clipping.
            0 or more; the official code has 1e-4. (Keras's `weight_decay` is another thing: it
            shrinks the weights past Adam's scaling, and the proxies too at `learning_rate`.)
        name: Name of the optimizer.
        **adam: Arguments of `keras.optimizers.Adam`; the official code has `epsilon=0.01`.

    Raises:
        ValueError: If `proxy_multiplier` or `l2` is out of range, or if `proxy_multiplier` is not
            1 and no weight to train is named `proxies`.

    Reference:
        Zhu et al., 2020, section 4.1; `train.py` and `run.sh` of the official code.
    """

    # Why not keras.optimizers.MultiOptimizer: it takes the default optimizer silently where its
    # patterns match nothing, has no learning_rate for callbacks to set, and a schedule or callback
    # that sets a rate erases the ratio. Here there is one rate, multiplied at the last moment.

    def __init__(
        self, learning_rate=0.001, proxy_multiplier=1.0, l2=0.0, *, name="proxy_adam", **adam
    ):
        super().__init__(learning_rate=learning_rate, name=name, **adam)
        if not proxy_multiplier > 0:
            raise ValueError(
                f"proxy_multiplier={proxy_multiplier!r} is not allowed. Give a number above 0; to "
                f"keep the proxies as they are, set trainable=False on their layer."
            )
        if not l2 >= 0:
            raise ValueError(f"l2={l2!r} is not allowed. Give a number of 0 or more.")
        self.proxy_multiplier = proxy_multiplier
        self.l2 = l2

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        # By index, as update_step gets the platform's own variables, which have no Keras name.
        self._proxy_indices = {i for i, v in enumerate(variables) if v.name == "proxies"}

    def update_step(self, gradient, variable, learning_rate):
        # Not in build, which Keras also calls to load a model whose proxies were frozen.
        if self.proxy_multiplier != 1 and not self._proxy_indices:
            raise ValueError(
                f"proxy_multiplier={self.proxy_multiplier} came for a model in which no weight to "
                f"train is named 'proxies'. Add a proxy layer such as keras_proxygml.ProxyGML, "
                f"set trainable=True on it, or leave proxy_multiplier at 1."
            )
        if self.l2:
            gradient = ops.add(gradient, ops.multiply(self.l2, variable))
        if self._get_variable_index(variable) in self._proxy_indices:
            learning_rate = ops.multiply(learning_rate, self.proxy_multiplier)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {
            **super().get_config(),
            "proxy_multiplier": self.proxy_multiplier,
            "l2": self.l2,
        }
