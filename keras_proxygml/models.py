"""Models that embed."""

import keras

from keras_proxygml.layers import ProxySimilarity


def embedder_of(model):
    """Returns the part of a model that ends where the proxies begin.

    It shares the model's layers and weights: training one trains the other. Its vectors have any
    length; compare them by cosine.

    Args:
        model: A built functional or sequential model with one proxy layer.

    Returns:
        A `keras.Model` from the model's inputs to embeddings `[B, D]`. Save it by `save`, export
        it by `export`.

    Raises:
        ValueError: If the model has no proxy layer, several, or one shared with another model, or
            if it is not built, or not functional.
    """
    head = proxy_layer_of(model)
    if not getattr(model, "inputs", None):
        advice = "Give RetrievalEvaluation the part of it that embeds: embedder=model.backbone."
        if isinstance(model, keras.Sequential):
            advice = "Start it with keras.Input(shape), or train it first: fit builds it."
        raise ValueError(
            f"`model` must be a functional or sequential model with known inputs. Received: "
            f"{model.name}, a {type(model).__name__} without. {advice}"
        )
    # A sequential model has one input; a functional one may have a dict of them, which is kept.
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    # A proxy layer that several models share knows only what it was called on first: layers of
    # another model, or none that lead here from these inputs.
    try:
        embedder = keras.Model(inputs, head.input, name=f"{model.name}_embedder")
        owns = [
            isinstance(x, keras.layers.InputLayer) or x in model.layers for x in embedder.layers
        ]
    except ValueError:
        owns = [False]
    if not all(owns):
        raise ValueError(
            f"`model` must be the first model in which its proxy layer was called. Received: "
            f"{model.name}, whose {head.name} was called in another model before. Make the "
            f"embedder yourself: keras.Model(model.input, embeddings)."
        )
    embedder(inputs)  # Keras exports to ONNX only what was called, if symbolically
    return embedder


def proxy_layer_of(model):
    """Returns the one proxy layer of a model.

    Args:
        model: A `keras.Model`, built or not.

    Returns:
        A `ProxySimilarity`.

    Raises:
        ValueError: If it has none among its own layers, or several.
    """
    heads = [layer for layer in model.layers if isinstance(layer, ProxySimilarity)]
    if len(heads) != 1:
        found = ", ".join(head.name for head in heads) or "none among its own layers"
        raise ValueError(
            f"`model` must have one proxy layer. Received: {model.name}, which has {len(heads)} "
            f"({found}). Give the inner model that has one, or make the embedder yourself: "
            f"keras.Model(model.input, embeddings). A model that ends in embeddings is an embedder "
            f"already: RetrievalEvaluation(data, embedder=model)."
        )
    return heads[0]


def freeze_batch_norm(model):
    """Freezes every batch normalization of a model: it normalises by its statistics as they are.

    Neither its statistics nor its scale and offset change any more, in training either; all other
    layers train as before. The paper does so for Cars196 and CUB-200-2011. (Its code stops the
    statistics only, and goes on training scale and offset.)

    Call it before `compile`, and after anything that sets `trainable` of the model, which would
    undo it.

    Args:
        model: A `keras.Model`, for instance of `keras.applications`. Models and layers nested in
            it are included.

    Returns:
        How many batch normalizations there are, an int; 0 where the model has none.

    Reference:
        `--freeze_BN` in `run.sh` and `train.py` of the official ProxyGML code.
    """
    # model.layers would not look into layers that are made of layers.
    layers = model._flatten_layers()
    frozen = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in frozen:
        layer.trainable = False  # makes Keras use the moving statistics, too
    return len(frozen)
