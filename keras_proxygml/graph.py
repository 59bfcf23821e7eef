"""The ProxyGML method: four pure functions, in pipeline order.

    similarity_graph → knn_subgraph → reverse_label_propagation → masked_softmax_loss

Axes: B samples of a batch, C classes, N proxies per class, D embedding size. A proxy's class is
its place on the axis C, so no label matrix is ever built.

Source: Zhu, Yang, Deng, Liu, "Fewer is More: A Deep Graph Metric Learning Perspective Using Fewer
Proxies", NeurIPS 2020, arXiv 2010.13636; `loss/ProxyGML.py` of its official code.
"""

import keras
import numpy as np
from keras import ops

from keras_proxygml.arguments import check_integer
from keras_proxygml.selection import greatest
from keras_proxygml.tensorflow_graph import by_xla

# A score that weighs nothing in a softmax, yet is finite: 0 · -inf would be NaN in a gradient.
_UNREACHED = -1e30


def widen(tensor):
    """Casts half-precision floats to float32 and leaves wider ones as they are.

    Args:
        tensor: Any shape, floats.

    Returns:
        The same, float32, or float64 where `tensor` is.
    """
    is_double = keras.backend.standardize_dtype(tensor.dtype) == "float64"
    return ops.cast(tensor, "float64" if is_double else "float32")


def widen_integers(tensor):
    """Casts 8- and 16-bit integers to int32, whose range holds any number of classes.

    Args:
        tensor: Any shape, integers or floats.

    Returns:
        The same, int32, or as it was.
    """
    narrow = ("int8", "uint8", "int16", "uint16")
    is_narrow = keras.backend.standardize_dtype(tensor.dtype) in narrow
    return ops.cast(tensor, "int32") if is_narrow else tensor


def unit(vectors):
    """Scales vectors to length 1 over their last axis, in float32 or wider.

    Vectors shorter than 1e-12 are left as they are: zero stays zero, with a finite gradient.

    Args:
        vectors: Any floats. `[..., D]`.

    Returns:
        `[..., D]`, float32, or float64 where `vectors` are.
    """
    vectors = widen(vectors)
    return vectors * reciprocal_length(vectors)


def reciprocal_length(vectors):
    """One over the length of each vector, or 1 for those shorter than 1e-12.

    Args:
        vectors: Floats, float32 or float64. `[..., D]`.

    Returns:
        `[..., 1]`, in the dtype of `vectors`.
    """
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return ops.rsqrt(ops.where(squares > 1e-24, squares, 1.0))


def similarity_graph(embeddings, proxies):
    """Connects every sample to every proxy by their cosine.

    Args:
        embeddings: Vectors of any length. `[B, D]`, floats.
        proxies: Vectors of any length. `[C, N, D]`, floats.

    Returns:
        Cosines. `[B, C, N]`, in the dtype of `embeddings`: lengths are taken in float32 or wider,
        only the product runs in half precision where the embeddings do.

    Raises:
        ValueError: If `embeddings` are not floats `[B, D]`.

    Reference:
        Zhu et al., 2020, section 3.2, "constructing directed similarity graph".
    """
    if len(embeddings.shape) != 2 or "float" not in keras.backend.standardize_dtype(
        embeddings.dtype
    ):
        raise ValueError(
            f"Embeddings of shape {tuple(embeddings.shape)} and dtype {embeddings.dtype} came, "
            f"allowed are floats [B, D]. Pool or flatten feature maps, and cast integers."
        )
    # A sample's cosines do not depend on its length, so dividing by its largest component, held
    # constant, changes neither them nor their gradient. It only keeps the squares of very long and
    # very short embeddings in range.
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
    return ops.matmul(samples, ops.transpose(ops.reshape(proxies, (-1, proxies.shape[-1]))))


@ops.custom_gradient
def _cosines(samples, proxies):
    """Cosines `[B, C·N]` of samples of length 1, `[B, D]`, and proxies of any length, `[C, N, D]`.

    There are far more proxies than samples. So it is the products that are divided by the
    proxies' lengths, and the gradient is written out, which makes fewer tensors of the proxies'
    size than normalising the proxies first and differentiating that.
    """
    num_classes, num_proxies, size = proxies.shape
    per_length = ops.reshape(reciprocal_length(proxies), (-1,))  # [C·N]
    products = _products(samples, proxies)
    cosines = products * per_length
    # One of the two is held for the gradient. TensorFlow holds the cosines for the loss anyway; XLA
    # alone makes cosines anew wherever they are needed, and holds the products anyway. On PyTorch
    # a result that holds its own gradient would hold itself, until Python looks for cycles.
    is_tensorflow = keras.backend.backend() == "tensorflow"
    held, factor = (cosines, per_length) if is_tensorflow else (products, ops.square(per_length))

    def gradient(*arguments, upstream=None):
        # PyTorch gives the arguments too, the others upstream alone.
        upstream = arguments[0] if upstream is None else upstream
        of_products = upstream * per_length
        # d(p / |p|) = (dp - u · (u · dp)) / |p| with u = p / |p|: what lies along p falls away.
        along = ops.sum(of_products * held, axis=0) * factor  # [C·N]
        of_samples = ops.matmul(of_products, ops.reshape(proxies, (-1, size)))
        of_proxies = ops.matmul(ops.transpose(of_products), samples)
        # Before the difference, not after: XLA would copy the proxies' gradient once more.
        of_proxies = ops.reshape(of_proxies, proxies.shape)
        along = ops.reshape(along, (num_classes, num_proxies, 1))
        return of_samples, _without(num_classes * num_proxies, of_proxies, along, proxies)

    return cosines, gradient


@by_xla
def _without(of_proxies, along, proxies):
    """The proxies' gradient without what lies along them; XLA needs one pass for it."""
    return of_proxies - along * proxies


def knn_subgraph(similarities, labels, k):
    """Selects each sample's k most similar proxies, its own class's always among them.

    Exactly k are selected, ties included: of equals the first, but on PyTorch its own choice.

    Args:
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats.
        labels: Class of each sample. `[B]`, integers in `[0, C)`.
        k: How many proxies each sample keeps. Must exceed N.

    Returns:
        Whether a proxy belongs to the sample's subgraph. `[B, C, N]`, bool, k true a row; fewer
        where NaN leaves fewer, which of other classes is never chosen unless all are.

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
        raise ValueError(
            f"k={k} of {total} proxies ({num_classes} classes of {num_proxies}) is not possible. "
            f"Allowed is {num_proxies} < k ≤ {total}: at k ≤ {num_proxies} a sample keeps the "
            f"proxies of its own class alone and nothing is learned. Choose another k."
        )
    if k == total:
        return ops.ones_like(similarities, dtype="bool")
    k = int(k)
    numbers = ops.reshape(ops.stop_gradient(widen(similarities)), (-1, total))
    # PyTorch's own ranking is fast, and its compiler can't see through a search of unknown length.
    select = _ranked_first if keras.backend.backend() == "torch" else greatest
    start = num_proxies * ops.cast(ops.clip(labels, 0, num_classes - 1), "int32")
    subgraph = select(numbers, k - num_proxies, start[:, None], num_proxies)
    return ops.reshape(subgraph, (-1, num_classes, num_proxies))


def _ranked_first(numbers, k, start, width):
    """What `greatest` marks, by ranking. `[B, M]`, bool."""
    columns = ops.arange(numbers.shape[1], dtype="int32")
    always = ops.logical_and(columns >= start, columns < start + width)
    usable = ops.logical_or(always, ops.logical_not(ops.isnan(numbers)))
    # The paper adds 1 to the own class's similarities, its code 1000: infinity ranks the same and
    # rounds nothing.
    ranked = ops.where(always, np.inf, ops.where(usable, numbers, -np.inf))
    places = ops.top_k(ranked, k + width, sorted=False)[1]  # [B, k]
    rows = ops.broadcast_to(ops.arange(places.shape[0], dtype=places.dtype)[:, None], places.shape)
    chosen = ops.reshape(ops.stack([rows, places], axis=-1), (-1, 2))  # [B·k, 2]
    none = ops.zeros_like(numbers, dtype="bool")
    marked = ops.scatter_update(none, chosen, ops.ones_like(chosen[:, 0], dtype="bool"))
    return ops.logical_and(marked, usable)


def reverse_label_propagation(similarities, subgraph):
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


def masked_softmax_loss(scores, reached, labels):
    """Cross-entropy of a softmax over the reached classes against the true class.

    Args:
        scores: Score of each class. `[B, C]`, float32 or float64.
        reached: Whether a class takes part. `[B, C]`, bool; the true class must.
        labels: Class of each sample. `[B]`, integers in `[0, C)`.

    Returns:
        Loss of each sample. `[B]`, in the dtype of `scores`; NaN for a label outside `[0, C)`.

    Reference:
        Zhu et al., 2020, section 3.3, "masked softmax".
    """
    logits = ops.where(reached, scores, _UNREACHED)
    labels = widen_integers(labels)
    in_range = ops.logical_and(labels >= 0, labels < scores.shape[-1])
    labels = ops.where(in_range, labels, 0)
    losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return ops.where(in_range, losses, np.nan)
