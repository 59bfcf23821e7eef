"""Classes that are added to a trained model."""

from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_integer, check_vectors, refuse
from keras_proxygml.labeled_data import batches, check_data
from keras_proxygml.models.centers import spherical_centers
from keras_proxygml.models.copies import copied_values, copy_with_classes
from keras_proxygml.models.parts import embedder_of, proxy_layer_of
from keras_proxygml.models.training_state import compile_alike


def add_classes(
    model: keras.Model,
    inputs: Any,
    labels: ArrayLike | None = None,
    *,
    batch_size: int = 128,
    seed: int = 0,
) -> keras.Model:
    """Makes a model for C + m classes from a model for C classes and items of m new ones.

    The given model does not change, and the new one shares no weight with it. All weights are
    copied, and so are the proxies of the C classes. The N proxies of a new class are the centers
    of a spherical k-means of its items' embeddings. A class with fewer than N different embeddings
    gets each of them as a proxy, and copies of them with a little noise. New proxies are as long
    as the median of the old ones, because a step of the optimizer turns long proxies less.

    The new model predicts, saves and embeds at once, and `fit` trains it further. If `model` is
    compiled, the new one is compiled alike. Its optimizer goes on where the old one stopped: it
    has the same iterations, and copies of the slots (such as Adam's moments) of all old weights
    and proxies. The slots of the new proxies are as in a new optimizer, which is 0 for Adam. Train
    on old and new classes together. Otherwise, the old ones are forgotten.

    Args:
        model: A functional or sequential model that ends in a proxy layer.
        inputs: Items of the new classes: arrays as the model takes them. Or both inputs and
            labels, in batches that can be read again: a `tf.data.Dataset`, a
            `keras.utils.PyDataset` or a PyTorch `DataLoader` of pairs (inputs, labels).
        labels: New class of each item, from C to C + m - 1. `[n]` or `[n, 1]`, integers or whole
            floats. `None` if `inputs` are batches.
        batch_size: Batch size for arrays.
        seed: Seed of the k-means and of the noise.

    Returns:
        A model of the type of `model`. Its proxy layer has `num_classes=C + m`.

    Raises:
        ValueError: If the model does not end in one proxy layer, or as `embedder_of` does. If
            labels are not all integers from C to C + m - 1, each at least once. If embeddings are
            not finite, or those of a class are all 0.

    Reference:
        Qi et al., "Low-Shot Learning with Imprinted Weights", CVPR 2018, for N = 1.

    Example:

    >>> from keras_proxygml import ProxySimilarity
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), ProxySimilarity(5)])
    >>> items, labels = np.eye(4), np.array([5, 5, 6, 6])  # two items of each of two new classes
    >>> add_classes(model, items, labels).output_shape
    (None, 7, 1)
    """
    check_integer("batch_size", batch_size, 1)
    check_integer("seed", seed, 0, 2**32 - 1)
    head = _last_proxy_layer(model)
    embeddings, labels = _embed(embedder_of(model), inputs, labels, batch_size)
    embeddings = check_vectors("embeddings", embeddings)
    num_new = _count_new(labels, head.num_classes)
    old = copied_values(head.proxies)
    length = np.median(np.linalg.norm(old.astype("float64"), axis=-1)) or 1.0
    centers = [
        spherical_centers(embeddings[labels == label], head.num_proxies, label, seed)
        for label in range(head.num_classes, head.num_classes + num_new)
    ]
    proxies = np.concatenate([old, (length * np.stack(centers)).astype(old.dtype)])
    larger = copy_with_classes(model, head, proxies)
    if model.compiled:
        compile_alike(larger, model, (head.num_classes, len(proxies)))
    return larger


def _last_proxy_layer(model):
    """The proxy layer of a model that has no layer after it."""
    head = proxy_layer_of(model)
    followers = [node.operation for node in head._outbound_nodes if node.operation in model.layers]
    if followers:
        refuse(
            "model",
            "end in its proxy layer",
            f"{model.name}, in which {followers[0].name} follows {head.name}",
            "Layers after the proxies depend on the number of classes. Give the part of the model "
            "that ends in the proxies, and add these layers again.",
        )
    return head


def _embed(embedder, inputs, labels, batch_size):
    """Embeddings `[n, D]`, float32, and labels `[n]` of the new items."""
    if labels is not None:
        inputs = inputs, labels
    elif hasattr(inputs, "shape") or isinstance(inputs, dict):
        hint = "Only batches of pairs (inputs, labels) have their labels with them."
        refuse("labels", "be given if `inputs` are arrays", "labels=None", hint)
    data = check_data("inputs", inputs)
    if isinstance(data, tuple):
        vectors = embedder.predict(data[0], int(batch_size), verbose=0)
        return np.asarray(vectors, "float32"), data[1]
    pairs = [
        (np.asarray(keras.ops.convert_to_numpy(embedder.predict_on_batch(x)), "float32"), y)
        for x, y in batches("inputs", data)
    ]
    if not pairs:
        hint = "Check the dataset's filter, take and drop_remainder."
        refuse("inputs", "have batches", "none", hint)
    return tuple(np.concatenate(parts) for parts in zip(*pairs, strict=True))


def _count_new(labels, num_classes):
    """m, how many new classes there are."""
    allowed = f"be integers from {num_classes} on, because the model has classes 0 to "
    allowed += f"{num_classes - 1}, without a gap"
    if labels.dtype.kind == "U":
        hint = "Number the new names: names, numbers = np.unique(labels, return_inverse=True), and "
        refuse("labels", allowed, "names", f"{hint}give numbers + {num_classes}.")
    found = np.unique(labels)
    if found[0] < num_classes:
        hint = "Leave out the items of old classes. If the labels count the new classes from 0 on, "
        refuse("labels", allowed, f"the label {found[0]}", f"{hint}give labels + {num_classes}.")
    missing = np.flatnonzero(found != np.arange(num_classes, num_classes + len(found)))
    if len(missing):
        hint = "Each class needs at least one item. Number the new classes one after the other."
        received = f"no item of class {num_classes + missing[0]}, but some of class {found[-1]}"
        refuse("labels", allowed, received, hint)
    return len(found)
