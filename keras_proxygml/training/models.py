"""The model of `fine_tune`, its phases, and its learning rate: each step of plain Keras."""

import difflib
from typing import Any

import keras

from keras_proxygml.checks import check_choice, check_integer, refuse
from keras_proxygml.datasets.pipeline import Preprocess
from keras_proxygml.layers import ProxyGML
from keras_proxygml.losses import ProxyGMLLoss
from keras_proxygml.models import freeze_batch_norm
from keras_proxygml.optimizers import ProxyAdam
from keras_proxygml.regularizers import ProxySeparation
from keras_proxygml.training.backbones import name_of
from keras_proxygml.training.recipes import Recipe

PHASES = ("warm_up", "training")


def make_model(
    backbone: keras.Model, num_classes: int, recipe: Recipe, *, image_size: int | None = None
) -> keras.Model:
    """Makes a model from images to embeddings, and from these to similarities with the proxies.

    Args:
        backbone: A model from images `[B, S, S, 3]` to vectors, such as `make_backbone(...).model`.
        num_classes: Number of classes to train on, C.
        recipe: A `Recipe`.
        image_size: Height and width S of the images. By default, the backbone's or the recipe's.

    Returns:
        A `keras.Model` from images `[B, S, S, 3]` to cosines `[B, C, N]`, not compiled.

    Raises:
        ValueError: If the backbone does not take such images.
    """
    size = image_size or recipe.image_size or backbone.input_shape[1]
    images = keras.Input((size, size, 3))
    initializer: Any = recipe.embedding_initializer
    if initializer == "pytorch":
        # The official layer starts as in PyTorch, with values half as large as in Keras.
        initializer = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    embedding = keras.layers.Dense(
        recipe.embedding_size, kernel_initializer=initializer, name="embedding"
    )
    embeddings = embedding(backbone(images))
    separation = ProxySeparation(recipe.separation)
    proxies = ProxyGML(num_classes, recipe.num_proxies, proxies_regularizer=separation)
    return keras.Model(images, proxies(embeddings), name="proxy_gml")


def set_trainable(
    network: keras.Model,
    recipe: Recipe,
    *,
    phase: str = "training",
    frozen_until: str | None = None,
) -> None:
    """Says which layers of a backbone learn in a phase. Call it before `compile`.

    It overwrites `trainable` of all layers, also of those that were frozen before.

    Args:
        network: The backbone, or the network in it that has the layers.
        recipe: A `Recipe`.
        phase: `"warm_up"`, in which no layer of it learns, or `"training"`.
        frozen_until: The layers before the one of this name do not learn.

    Raises:
        ValueError: If there is no such phase or layer.
    """
    check_choice("phase", phase, PHASES)
    network.trainable = False
    if phase == "warm_up":
        return
    network.trainable = True  # Keras passes this on to the layers only where it changes
    if frozen_until:
        names = [layer.name for layer in network.layers]
        if frozen_until not in names:
            near = difflib.get_close_matches(frozen_until, names) or names[-3:]
            allowed = f"name a layer of {network.name}, such as {', '.join(near)}"
            refuse("frozen_until", allowed, frozen_until)
        for layer in network.layers[: names.index(frozen_until)]:
            layer.trainable = False
    if recipe.freeze_batch_norm:
        freeze_batch_norm(network)


def learning_rate(recipe: Recipe, steps: int) -> Any:
    """Returns the learning rate after the warm-up, or its schedule.

    Args:
        recipe: A `Recipe`.
        steps: Batches in an epoch.

    Returns:
        A float, or a schedule of `keras.optimizers`.

    Raises:
        ValueError: If `steps` is no positive integer.
    """
    check_integer("steps", steps, minimum=1)
    schedules = keras.optimizers.schedules
    if recipe.schedule == "step":
        decays = sorted(epoch - 1 - recipe.warm_up for epoch in recipe.decay_epochs)
        rates = [recipe.learning_rate * 0.1**n for n in range(len(decays) + 1)]
        num_past = sum(epoch <= 0 for epoch in decays)
        # Keras changes the rate after a boundary, so the last step before the epoch is one.
        boundaries = [epoch * steps - 1 for epoch in decays[num_past:]]
        if not boundaries:
            return rates[-1]
        return schedules.PiecewiseConstantDecay(boundaries, rates[num_past:])
    if recipe.schedule == "cosine":
        epochs = max(recipe.epochs - recipe.warm_up, 1)  # all epochs may warm up
        return schedules.CosineDecay(recipe.learning_rate, epochs * steps)
    return recipe.learning_rate


def compile_for(
    phase: str,
    model: keras.Model,
    network: keras.Model,
    recipe: Recipe,
    *,
    steps: int,
    frozen_until: str | None = None,
) -> None:
    """Compiles the model for the warm-up or for the training after it.

    Args:
        phase: `"warm_up"`, in which only the embedding and the proxies learn, or `"training"`.
        model: What `make_model` returned.
        network: Its backbone, see `set_trainable`.
        recipe: A `Recipe`.
        steps: Batches in an epoch.
        frozen_until: See `set_trainable`.

    Raises:
        ValueError: As `set_trainable` and `learning_rate` do.
    """
    set_trainable(network, recipe, phase=phase, frozen_until=frozen_until)
    rate = recipe.learning_rate if phase == "warm_up" else learning_rate(recipe, steps)
    optimizer = ProxyAdam(rate, recipe.proxy_multiplier, recipe.l2, epsilon=recipe.epsilon)
    model.compile(optimizer, ProxyGMLLoss(recipe.ratio, recipe.scale, recipe.masked))


def with_preprocessing(embedder: keras.Model, preprocess: Preprocess | None) -> keras.Model:
    """Makes a model from images as files hold them, RGB from 0 to 255, to embeddings.

    Args:
        embedder: A model from preprocessed images `[B, S, S, 3]`.
        preprocess: The function or layer that preprocesses images, or `None`.

    Returns:
        A `keras.Model` that shares the weights of `embedder`.

    Raises:
        ValueError: If `preprocess` can't be a part of a Keras model.
    """
    images = keras.Input(embedder.input_shape[1:])
    try:
        preprocessed = images if preprocess is None else preprocess(images)
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        allowed = "be a layer, or a function that can be a part of a Keras model"
        refuse("preprocess", allowed, f"{name_of(preprocess)} ({error})", "Use keras.ops in it.")
    return keras.Model(images, embedder(preprocessed), name=embedder.name)
