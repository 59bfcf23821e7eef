"""Copies of a model whose proxy layer has more classes, and of the state of its training."""

import contextlib
import tempfile

import keras
import numpy as np

from keras_proxygml.checks import refuse


def copy_with_classes(model, head, proxies):
    """Copies a model with other proxies.

    Args:
        model: A functional or sequential model that ends in a proxy layer.
        head: Its proxy layer, of C classes.
        proxies: The proxies of the copy. `[C + m, N, D]`, the old ones first.

    Returns:
        A model of the type of `model`, not compiled. It shares no weight with `model`.

    Raises:
        ValueError: If the model's class is not made as `(inputs, outputs)`.
    """

    def copied(layer):
        if layer is head:
            config = {**head.get_config(), "num_classes": len(proxies)}
            return type(head).from_config(config)
        if isinstance(layer, keras.layers.Lambda):
            return _copied_lambda(layer)
        return type(layer).from_config(layer.get_config())

    with _strategy_scope(model):
        if isinstance(model, keras.Sequential):
            (first,) = model.inputs
            start = _copied_input(first)
            copy = keras.Sequential([start, *map(copied, model.layers)], name=model.name)
        else:
            copy = _copied_functional(model, copied)
    _copy_state(model, copy, head, proxies)
    return copy


def _strategy_scope(model):
    """The scope of `tf.distribute` that the model was made in."""
    strategy = getattr(model, "distribute_strategy", None)
    return strategy.scope() if strategy is not None else contextlib.nullcontext()


def _copied_input(tensor):
    config = tensor._keras_history.operation.get_config()
    # A sequential model that `fit` built has the size of its first batch.
    return keras.Input(**{**config, "batch_shape": (None, *config["batch_shape"][1:])})


def _copied_functional(model, copied):
    # Without this, clone_model would compile the copy, from a configuration, and rename the inputs.
    plain = keras.Model(model.input, model.output, name=model.name)
    inputs = keras.tree.map_structure(_copied_input, model.input)
    copy = keras.models.clone_model(plain, inputs, clone_function=copied)
    if type(model) is type(plain):
        return copy
    try:
        return type(model)(copy.input, copy.output, name=model.name)
    except TypeError:
        refuse(
            "model",
            "be a keras.Model, a keras.Sequential, or of a class that is made as (inputs, outputs)",
            f"{model.name}, a {type(model).__name__}",
            "Give keras.Model(model.inputs, model.outputs).",
        )


def _copied_lambda(layer):
    # Its config holds code, which Keras refuses to load, and which would lose its global names.
    return type(layer)(
        layer.function,
        output_shape=layer._output_shape,
        mask=layer.mask,
        arguments=layer.arguments,
        **keras.layers.Layer.get_config(layer),
    )


def copied_values(variable):
    """The values of a variable as an array of its own, because JAX frees arrays that it trains."""
    return np.array(keras.ops.convert_to_numpy(variable))


def _layers(model):
    """The model and all layers inside it, in an order that its copy has too."""
    layers = model._flatten_layers()
    return [layer for layer in layers if not isinstance(layer, keras.layers.InputLayer)]


def random_states(model):
    """The states of a model's random layers, such as dropout, in an order that its copy has too.

    They are no weights: Keras saves and loads a model without them.
    """
    return [seed.state for layer in _layers(model) for seed in layer._seed_generators]


def _copy_state(model, copy, head, proxies):
    """Copies weights, random states, vocabularies, and which layers train."""
    for old, new in zip(_layers(model), _layers(copy), strict=True):
        new.trainable = old.trainable
        if old is head:
            new.proxies.assign(proxies)
            continue
        store = {}
        old.save_own_variables(store)
        if store:
            new.load_own_variables({name: copied_values(value) for name, value in store.items()})
        if hasattr(old, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                old.save_assets(folder)
                new.load_assets(folder)
    for old, new in zip(random_states(model), random_states(copy), strict=True):
        new.assign(copied_values(old))
