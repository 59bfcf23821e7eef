"""The ProxyGML method: four pure functions, in pipeline order.

    similarity_graph → knn_subgraph → reverse_label_propagation → masked_softmax_loss

Axes: B samples of a batch, C classes, N proxies per class, D embedding size. A proxy's class is
its position on the axis C, so no label matrix is built.

Source: Zhu, Yang, Deng, Liu, "Fewer is More: A Deep Graph Metric Learning Perspective Using Fewer
Proxies", NeurIPS 2020, arXiv 2010.13636; `loss/ProxyGML.py` of its official code.
"""

import keras
import numpy as np
from keras import ops

from keras_proxygml.checks import check_integer, refuse
from keras_proxygml.numerics import (
    ABSENT,
    by_xla,
    custom_gradient,
    reciprocal_length,
    unit,
    widen,
    widen_integers,
)
from keras_proxygml.selection import greatest
from keras_proxygml.types import Tensor


def similarity_graph(embeddings: Tensor, proxies: Tensor) -> Tensor:
    """Connects every sample to every proxy by their cosine.

    Args:
        embeddings: Vectors of any length. `[B, D]`, floats.
        proxies: Vectors of any length. `[C, N, D]`, floats.

    Returns:
        Cosines. `[B, C, N]`, in the dtype of `embeddings`. Lengths are computed in float32 or
        wider. Only the product runs in half precision, if the embeddings do.

    Raises:
        ValueError: If `embeddings` are not floats `[B, D]`.

    Reference:
        Zhu et al., 2020, section 3.2, "constructing directed similarity graph".
    """
    if len(embeddings.shape) != 2 or "float" not in keras.backend.standardize_dtype(
        embeddings.dtype
    ):
        refuse(
            "embeddings",
            "be floats [B, D]",
            f"shape {tuple(embeddings.shape)} and dtype {embeddings.dtype}",
            "Pool or flatten feature maps, and cast integers.",
        )
    # A sample's cosines do not depend on its length. So we may divide it by its largest component,
    # held constant: neither the cosines nor their gradient change. This keeps the squares of very
    # long and very short embeddings in range.
    largest = ops.stop_gradient(ops.max(ops.abs(widen(embeddings)), axis=-1, keepdims=True))
    rescaled = widen(embeddings) / ops.where(largest > 1e-30, largest, 1.0)
    samples = unit(rescaled)  # [B, D]
    dtype = keras.backend.standardize_dtype(embeddings.dtype)
    if dtype in ("float16", "bfloat16"):
        cosines = _products(ops.cast(samples, dtype), ops.cast(unit(proxies), dtype))
    else:
        cosines = _cosines(samples, widen(proxies))
    return ops.reshape(cosines, (-1, *proxies.shape[:2]))


def _products(samples, proxies):
    """Products `[B, C·N]` of samples `[B, D]` and proxies `[C, N, D]`."""
    flat = ops.reshape(proxies, (-1, proxies.shape[-1]))
    # On CPUs, TensorFlow is slower if the many proxies are the transposed factor.
    return ops.transpose(ops.matmul(flat, ops.transpose(samples)))


@custom_gradient
def _cosines(samples, proxies):
    """Cosines `[B, C·N]` of samples of length 1, `[B, D]`, and proxies of any length, `[C, N, D]`.

    There are far more proxies than samples. So the products are divided by the proxies' lengths,
    and the gradient is written out. That makes fewer tensors of the proxies' size than normalizing
    the proxies first and differentiating.
    """
    num_classes, num_proxies, size = proxies.shape
    per_length = ops.reshape(reciprocal_length(proxies), (-1,))  # [C·N]
    products = _products(samples, proxies)
    cosines = products * per_length
    # The backward pass needs either the cosines or the products. TensorFlow keeps the cosines
    # anyway, and XLA keeps the products. On PyTorch, keeping the result would make a reference
    # cycle, which delays freeing it.
    is_tensorflow = keras.backend.backend() == "tensorflow"
    held, factor = (cosines, per_length) if is_tensorflow else (products, ops.square(per_length))

    def gradient(upstream):
        of_products = upstream * per_length
        # d(p / |p|) = (dp - u · (u · dp)) / |p| with u = p / |p|: the part along p vanishes.
        along = ops.sum(of_products * held, axis=0) * factor  # [C·N]
        of_samples = ops.matmul(of_products, ops.reshape(proxies, (-1, size)))
        of_proxies = ops.matmul(ops.transpose(of_products), samples)
        # Reshape before the difference: after it, XLA would copy the proxies' gradient once more.
        of_proxies = ops.reshape(of_proxies, proxies.shape)
        along = ops.reshape(along, (num_classes, num_proxies, 1))
        return of_samples, _without(num_classes * num_proxies, of_proxies, along, proxies)

    return cosines, gradient


@by_xla
def _without(of_proxies, along, proxies):
    """The proxies' gradient without its part along them. XLA needs one pass for it."""
    return of_proxies - along * proxies


def knn_subgraph(similarities: Tensor, labels: Tensor, k: int) -> Tensor:
    """Selects each sample's k most similar proxies, which always include those of its own class.

    Exactly k are selected, even with ties. Of equal proxies, the first are selected. On PyTorch,
    `top_k` chooses among equals.

    Args:
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats.
        labels: Class of each sample. `[B]`, integers in `[0, C)`.
        k: How many proxies each sample keeps. Must exceed N.

    Returns:
        Whether a proxy belongs to the sample's subgraph. `[B, C, N]`, bool, k true per sample. NaN
        of another class is not selected, so fewer than k are true if too many are NaN. If k is
        C·N, all are true.

    Raises:
        ValueError: If k is no integer, does not exceed N, or is larger than C·N.

    Reference:
        Zhu et al., 2020, section 3.2, "relation-guided sub-graph construction".
    """
    labels = widen_integers(ops.convert_to_tensor(labels))
    _, num_classes, num_proxies = similarities.shape
    total = num_classes * num_proxies
    check_integer("k", k, minimum=0)
    if not num_proxies < k <= total:
        refuse(
            "k",
            f"be in ({num_proxies}, {total}]",
            f"k={k} of {total} proxies ({num_classes} classes of {num_proxies})",
            f"With {num_proxies} or fewer, a sample keeps the proxies of its own class alone and "
            f"nothing is learned.",
        )
    if k == total:
        return ops.ones_like(similarities, dtype="bool")
    k = int(k)
    numbers = ops.reshape(ops.stop_gradient(widen(similarities)), (-1, total))
    # PyTorch's own ranking is fast, and its compiler can't trace a loop of unknown length.
    select = _ranked_first if keras.backend.backend() == "torch" else greatest
    start = num_proxies * ops.cast(ops.clip(labels, 0, num_classes - 1), "int32")
    subgraph = select(numbers, k - num_proxies, start[:, None], num_proxies)
    return ops.reshape(subgraph, (-1, num_classes, num_proxies))


def _ranked_first(numbers, k, start, width):
    """Marks what `greatest` marks, by ranking. `[B, M]`, bool."""
    columns = ops.arange(numbers.shape[1], dtype="int32")
    always = ops.logical_and(columns >= start, columns < start + width)
    usable = ops.logical_or(always, ops.logical_not(ops.isnan(numbers)))
    # The paper adds 1 to the own class's similarities, and its code adds 1000. Infinity gives the
    # same ranking and rounds nothing.
    ranked = ops.where(always, np.inf, ops.where(usable, numbers, -np.inf))
    places = ops.top_k(ranked, k + width, sorted=False)[1]  # [B, k]
    rows = ops.broadcast_to(ops.arange(places.shape[0], dtype=places.dtype)[:, None], places.shape)
    chosen = ops.reshape(ops.stack([rows, places], axis=-1), (-1, 2))  # [B·k, 2]
    none = ops.zeros_like(numbers, dtype="bool")
    marked = ops.scatter_update(none, chosen, ops.ones_like(chosen[:, 0], dtype="bool"))
    return ops.logical_and(marked, usable)


def reverse_label_propagation(similarities: Tensor, subgraph: Tensor) -> tuple[Tensor, Tensor]:
    """Sums the similarities a sample keeps, class by class.

    Args:
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats.
        subgraph: Whether a proxy is kept. `[B, C, N]`, bool.

    Returns:
        Scores `[B, C]` in the dtype of `similarities`, and whether a class was reached by at
        least one kept proxy `[B, C]`, bool.

    Reference:
        Zhu et al., 2020, section 3.3, "reverse label propagation".
    """
    kept = ops.where(subgraph, similarities, ops.zeros((), dtype=similarities.dtype))
    return ops.sum(kept, axis=-1), ops.any(subgraph, axis=-1)


def masked_softmax_loss(scores: Tensor, reached: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of a softmax over the reached classes against the true class.

    Args:
        scores: Score of each class. `[B, C]`, float32 or float64.
        reached: Whether a class takes part. `[B, C]`, bool. The true class must take part.
        labels: Class of each sample. `[B]`, integers in `[0, C)`.

    Returns:
        Loss of each sample. `[B]`, in the dtype of `scores`. NaN for a label outside `[0, C)`.

    Reference:
        Zhu et al., 2020, section 3.3, "masked softmax".
    """
    logits = ops.where(reached, scores, ABSENT)
    labels = widen_integers(labels)
    in_range = ops.logical_and(labels >= 0, labels < scores.shape[-1])
    labels = ops.where(in_range, labels, 0)
    losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return ops.where(in_range, losses, np.nan)
