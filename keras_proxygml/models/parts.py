"""Parts of a model: the embedder, the proxy layer, and the batch normalizations."""

import keras

from keras_proxygml.checks import refuse
from keras_proxygml.layers import ProxySimilarity


def embedder_of(model: keras.Model) -> keras.Model:
    """Returns the part of a model that ends where the proxies begin.

    It shares the model's layers and weights: training one trains the other. Its vectors may have
    any length. Compare them by cosine.

    Args:
        model: A built functional or sequential model with one proxy layer.

    Returns:
        A `keras.Model` from the model's inputs to embeddings `[B, D]`. Save it with `save`, and
        export it with `export`.

    Raises:
        ValueError: If the model has no proxy layer or several, if it shares its proxy layer with
            another model, or if it is not built or not functional.
    """
    head = proxy_layer_of(model)
    if not getattr(model, "inputs", None):
        advice = "Give RetrievalEvaluation the part of it that embeds: embedder=model.backbone."
        if isinstance(model, keras.Sequential):
            advice = "Start it with keras.Input(shape), or train it first: fit builds it."
        refuse(
            "model",
            "be a functional or sequential model with known inputs",
            f"{model.name}, a {type(model).__name__} without inputs",
            advice,
        )
    # A sequential model has one input. A functional one may have a dict of them, which is kept.
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    # A proxy layer that several models share knows only its first input. That may come from
    # another model, and then nothing connects it to these inputs.
    try:
        embedder = keras.Model(inputs, head.input, name=f"{model.name}_embedder")
        owns = [
            isinstance(x, keras.layers.InputLayer) or x in model.layers for x in embedder.layers
        ]
    except ValueError:
        owns = [False]
    if not all(owns):
        refuse(
            "model",
            "be the first model in which its proxy layer was called",
            f"{model.name}, whose {head.name} was called in another model before",
            "Make the embedder yourself: keras.Model(model.input, embeddings).",
        )
    embedder(inputs)  # Keras exports a model to ONNX only after a call, which may be symbolic
    return embedder


def proxy_layer_of(model: keras.Model) -> ProxySimilarity:
    """Returns the one proxy layer of a model.

    Args:
        model: A `keras.Model`, built or not.

    Returns:
        A `ProxySimilarity`.

    Raises:
        ValueError: If the model has no proxy layer among its own layers, or several.
    """
    heads = [layer for layer in model.layers if isinstance(layer, ProxySimilarity)]
    if len(heads) != 1:
        found = ", ".join(head.name for head in heads) or "none among its own layers"
        refuse(
            "model",
            "have one proxy layer",
            f"{model.name}, which has {len(heads)} ({found})",
            "Give the inner model that has one, or make the embedder yourself: "
            "keras.Model(model.input, embeddings). A model that ends in embeddings is an embedder "
            "already: RetrievalEvaluation(data, embedder=model).",
        )
    return heads[0]


def freeze_batch_norm(model: keras.Model) -> int:
    """Freezes every batch normalization of a model, so that it keeps its statistics.

    Its statistics, scale and offset no longer change, not even in training. All other layers train
    as before. The paper does this for Cars196 and CUB-200-2011. The paper's code freezes only the
    statistics and still trains scale and offset.

    Call it before `compile`. Setting `trainable` of the model undoes it, so call it after that.

    Args:
        model: A `keras.Model`, for instance of `keras.applications`. Models and layers nested in
            it are included.

    Returns:
        How many batch normalizations there are, an int. 0 if the model has none.

    Reference:
        `--freeze_BN` in `run.sh` and `train.py` of the official ProxyGML code.
    """
    # model.layers does not list the layers inside of other layers.
    layers = model._flatten_layers()
    frozen = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in frozen:
        layer.trainable = False  # makes Keras use the moving statistics, too
    return len(frozen)
