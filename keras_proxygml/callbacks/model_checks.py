"""Checks of a model that would not do what its user expects."""

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_proxygml.checks import refuse

_ACCURACIES = (
    keras.metrics.Accuracy,
    keras.metrics.BinaryAccuracy,
    keras.metrics.CategoricalAccuracy,
    keras.metrics.SparseCategoricalAccuracy,
    keras.metrics.SparseTopKCategoricalAccuracy,
    keras.metrics.TopKCategoricalAccuracy,
)
# Layers that do not change the range of the pixels.
_KEEPS_RANGE = (
    keras.layers.InputLayer,
    keras.layers.CenterCrop,
    keras.layers.RandomCrop,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.Resizing,
)


def check_embeddings(outputs: Any) -> None:
    """Raises unless an embedder returns embeddings.

    Args:
        outputs: What it returns. Arrays or symbolic tensors, in any structure.

    Raises:
        ValueError: If it is more than one array, or not `[B, D]`.
    """
    is_one = hasattr(outputs, "shape")
    if not is_one or len(outputs.shape) != 2:
        shapes = ", ".join(str(tuple(output.shape)) for output in keras.tree.flatten(outputs))
        found = "shape" if is_one else f"a {type(outputs).__name__} of shapes"
        refuse(
            "embedder",
            "return one array of embeddings [B, D]",
            f"{found} {shapes}",
            "Give the model that ends in the embeddings: keras.Model(model.input, embeddings).",
        )


def check_metrics(model: keras.Model) -> None:
    """Raises if a model that ends in proxies was compiled with one of Keras's accuracies.

    An accuracy takes scores `[B, C]`. Given cosines `[B, C, N]`, it compares the wrong axes. It
    raises an error about shapes, or for N = 1 returns a number that means nothing.

    Args:
        model: A compiled model.

    Raises:
        ValueError: If the model was compiled with an accuracy.
    """
    user_metrics = getattr(getattr(model, "_compile_metrics", None), "_user_metrics", None)
    if len(getattr(model, "outputs", None) or [model]) != 1:  # the others may be scores
        return
    for metric in keras.tree.flatten(user_metrics):
        name = metric if isinstance(metric, str) else getattr(metric, "name", "")
        if type(metric) in _ACCURACIES or (isinstance(metric, str) and "acc" in name):
            refuse(
                "metrics",
                "take cosines [B, C, N]",
                f"{name!r}, which takes scores [B, C]",
                "Leave it out, because it says little about classes that are not trained on. Or "
                "give it each class's nearest proxy: metrics=[lambda labels, cosines: "
                "keras.metrics.sparse_categorical_accuracy(labels, "
                "keras.ops.max(cosines, axis=-1))].",
            )


def warn_of_no_loss(logs: Mapping[str, float]) -> None:
    """Warns if the loss is 0, which trains nothing.

    Args:
        logs: The values that Keras gives to callbacks at the end of the first epoch.
    """
    if logs.get("loss") == 0:
        warnings.warn(
            "The loss must be above 0 for a model to learn. Received: loss=0 in the first epoch. "
            "A loss on pairs or triplets needs several images of several classes in each batch: "
            "keras_proxygml.datasets.training_batches(files, images_per_class=4) makes them.",
            stacklevel=2,
        )


def warn_of_range(embedder: keras.Model, inputs: Any) -> None:
    """Warns of images from 0 to 1 for a network that divides by 255 itself.

    Args:
        embedder: A functional or sequential model. The layers of other models are unknown.
        inputs: A batch of its inputs.
    """
    layer = _first_layer(embedder)
    if not hasattr(inputs, "shape") or not _takes_bytes(layer):
        return
    images = keras.ops.convert_to_numpy(inputs)
    if "float" not in str(images.dtype) or not 0 < abs(images).max(initial=0) <= 1:
        return
    warnings.warn(
        f"Images must be from 0 to 255 for {embedder.name}: its layer {layer.name} scales them "
        f"itself. Received: values from {images.min():.2g} to {images.max():.2g}. Leave out the "
        f"division by 255, in training too.",
        stacklevel=2,
    )


def _first_layer(model):
    """The first layer that uses the values of the inputs, or None if it is unknown."""
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        return model
    readers = [layer for layer in model.layers if not isinstance(layer, _KEEPS_RANGE)]
    return _first_layer(readers[0]) if readers else None


def _takes_bytes(layer):
    if isinstance(layer, keras.layers.Rescaling):
        return 0 < np.max(np.abs(layer.scale)) <= 1 / 64  # 1/255 and 1/127.5 are usual
    if isinstance(layer, keras.layers.Normalization) and layer.variance is not None:
        return np.max(keras.ops.convert_to_numpy(layer.variance)) > 64
    return False
