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
        it as a SavedModel by `export`.

    Raises:
        ValueError: If the model has no proxy layer or several, or is not functional.
    """
    heads = [layer for layer in model.layers if isinstance(layer, ProxySimilarity)]
    if len(heads) != 1:
        found = ", ".join(head.name for head in heads) or "none"
        raise ValueError(
            f"{model.name} has {len(heads)} proxy layers ({found}), allowed is one. Make the "
            f"embedder yourself: keras.Model(model.input, embeddings)."
        )
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"{model.name} is a {type(model).__name__} without known inputs, allowed is a built "
            f"functional or sequential model. Call the model on data, or keep the embedder as a "
            f"model of its own inside of yours."
        )
    # A sequential model has one input; a functional one may have a dict of them, which is kept.
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.Model(inputs, heads[0].input, name=f"{model.name}_embedder")
