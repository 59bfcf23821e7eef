"""What `head_speed` and `gpu` compare: heads on top of an embedder, forward and backward.

A contender takes a case and its arrays and returns a step: a function without arguments that
computes the loss and its gradients to embeddings and proxies, dense, and waits for them. The
first line of each docstring says what it computes, in the table too.
"""

import functools
import math
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

RATIO = 0.05


class Case(NamedTuple):
    """Sizes of a problem, and the weight λ of the proxies' regularizer."""

    num_classes: int
    num_proxies: int
    size: int
    separation: float = 0.0

    @property
    def k(self):
        """How many proxies a sample keeps."""
        return math.ceil(RATIO * self.num_classes * self.num_proxies)

    @property
    def scale(self):
        """Factor of the class scores: a sum of N cosines needs none, a single one does."""
        return 1.0 if self.num_proxies > 1 else 20.0


CASES = {
    "cars": Case(98, 12, 512, separation=0.3),
    "cars_alone": Case(98, 12, 512),
    "cub": Case(100, 12, 512, separation=0.3),
    "11k": Case(11_318, 1, 512),
    "100k": Case(100_000, 1, 512),
    "1M": Case(1_000_000, 1, 128),
}
SMALL = Case(2_100, 2, 8)  # as many proxies as XLA is used for


def fits_literally(case):
    """Whether the one-hot labels of the literal formulation, `[C·N, C]`, fit into memory."""
    return case.num_classes < 20_000


def make_arrays(case, batch, seed=0):
    """Embeddings [B, D], proxies [C, N, D] and labels [B] at random."""
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((batch, case.size), dtype="float32")
    proxies = rng.standard_normal((case.num_classes, case.num_proxies, case.size), dtype="float32")
    return embeddings, proxies, rng.integers(0, case.num_classes, batch, dtype="int32")


def compiled(function, *arguments, xla=False):
    """A step that runs a function of tensors, compiled on TensorFlow and JAX."""
    arguments = [ops.convert_to_tensor(x) for x in arguments]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            run = tf.function(function, jit_compile=xla)
            return lambda: run(*arguments)
        run = tf.function(function, jit_compile=True)  # as Keras compiles on a GPU
        return lambda: (run(*arguments), tf.test.experimental.sync_devices())
    if keras.backend.backend() == "jax":
        import jax

        run = jax.jit(function)
        return lambda: jax.block_until_ready(run(*arguments))
    return lambda: wait(function(*arguments))


def wait(results):
    """Waits for what PyTorch computes on a GPU."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return results


def with_gradients(loss):
    """Turns a loss of embeddings, proxies and labels into (loss, two gradients)."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.value_and_grad(loss, argnums=(0, 1))

    def in_tensorflow(embeddings, proxies, labels):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch((embeddings, proxies))
            value = loss(embeddings, proxies, labels)
        return value, tape.gradient(value, (embeddings, proxies))

    def in_torch(embeddings, proxies, labels):
        import torch

        leaves = [x.detach().requires_grad_() for x in (embeddings, proxies)]
        value = loss(*leaves, labels)
        return value, torch.autograd.grad(value, leaves)

    return in_tensorflow if keras.backend.backend() == "tensorflow" else in_torch


def ours(case, arrays, xla=False):
    """`ProxyGML` and `ProxyGMLLoss`, with `ProxySeparation` where λ is not 0."""
    from keras_proxygml import ProxyGML, ProxyGMLLoss, ProxySeparation

    embeddings, proxies, labels = arrays
    separation = ProxySeparation(case.separation) if case.separation else None
    head = ProxyGML(case.num_classes, case.num_proxies, proxies_regularizer=separation)
    head.build(embeddings.shape)
    head.proxies.assign(proxies)
    criterion = ProxyGMLLoss(RATIO, case.scale)

    def loss(embeddings, proxies, labels):
        similarities, _, penalties = head.stateless_call(
            [proxies], [], embeddings, return_losses=True
        )
        return criterion(labels, similarities) + sum(penalties)

    # Its value: TensorFlow would copy a Keras variable at each call, but not in `fit`.
    return compiled(with_gradients(loss), embeddings, head.proxies.value, labels, xla=xla)


def ours_by_top_k(case, arrays, xla=False):
    """`ours`, its subgraph found by `keras.ops.top_k`."""
    from benchmarks.speed.selection_contenders import by_top_k, select_by

    select_by(by_top_k)
    return ours(case, arrays, xla)


def ours_by_bisection(case, arrays, xla=False):
    """`ours`, its subgraph found by bisection alone."""
    from benchmarks.speed.selection_contenders import by_bisection, select_by

    select_by(by_bisection)
    return ours(case, arrays, xla)


def unit(vectors):
    """What `tf.math.l2_normalize` computes."""
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squares, 1e-12))


def normalized_softmax(case, arrays, xla=False):
    """Both normalised, one product, scaled softmax cross-entropy over all C·N, plain Keras."""
    embeddings, proxies, labels = arrays

    def loss(embeddings, proxies, labels):
        flat = ops.reshape(unit(proxies), (-1, case.size))
        logits = 20.0 * ops.matmul(unit(embeddings), ops.transpose(flat))
        return ops.mean(
            ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)  # a class each
        )

    return compiled(with_gradients(loss), embeddings, proxies, labels, xla=xla)


def bare_products(case, arrays, xla=False):
    """The three products of embeddings and proxies alone: one forward, two backward."""
    embeddings, proxies, _ = arrays

    def products(embeddings, proxies):
        flat = ops.reshape(proxies, (-1, case.size))
        logits = ops.matmul(embeddings, ops.transpose(flat))
        return ops.matmul(logits, flat), ops.matmul(ops.transpose(logits), embeddings)

    return compiled(products, embeddings, proxies, xla=xla)


def literal(case, arrays, xla=False):
    """The paper's formulation: dense one-hot labels, +1000, mask, 0 as a sentinel, (C·N)²."""
    embeddings, proxies, labels = arrays
    classes = np.repeat(np.arange(case.num_classes), case.num_proxies)
    class_matrix = ops.one_hot(classes, case.num_classes)  # [C·N, C]

    def cross_entropy(scores, one_hot, taking_part):
        weights = ops.exp(scores) * taking_part
        shares = weights / (1e-8 + ops.sum(weights, axis=-1, keepdims=True))
        return ops.mean(-ops.sum(one_hot * ops.log(shares + 1e-20), axis=-1))

    def loss(embeddings, proxies, labels):
        flat = unit(ops.reshape(proxies, (-1, case.size)))
        similarities = ops.matmul(unit(embeddings), ops.transpose(flat))  # [B, C·N]
        one_hot = ops.one_hot(labels, case.num_classes)
        positives = ops.matmul(one_hot, ops.transpose(class_matrix))  # [B, C·N]
        columns = ops.top_k(similarities + 1000.0 * positives, case.k)[1]
        rows = ops.repeat(ops.arange(len(arrays[0]), dtype=columns.dtype), case.k)
        chosen = ops.stack([rows, ops.reshape(columns, (-1,))], axis=-1)
        mask = ops.scatter_update(
            ops.zeros_like(similarities), chosen, ops.ones_like(rows, dtype="float32")
        )
        scores = ops.matmul(similarities * mask, class_matrix)  # [B, C]
        reached = ops.cast(scores != 0, "float32")
        total = cross_entropy(case.scale * scores, one_hot, reached)
        if case.separation:
            logits = ops.matmul(ops.matmul(flat, ops.transpose(flat)), class_matrix)
            total += case.separation * cross_entropy(logits, class_matrix, 1.0)
        return total

    return compiled(with_gradients(loss), embeddings, proxies, labels, xla=xla)


def with_xla(contender):
    """The same contender, compiled by XLA."""

    @functools.wraps(contender)
    def function(case, arrays):
        return contender(case, arrays, xla=True)

    return function


ours_xla, normalized_softmax_xla = with_xla(ours), with_xla(normalized_softmax)
ours_by_top_k_xla = with_xla(ours_by_top_k)
ours_by_bisection_xla = with_xla(ours_by_bisection)
literal_xla, bare_products_xla = with_xla(literal), with_xla(bare_products)
