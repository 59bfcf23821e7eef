"""Shorter vectors by a PCA that is part of the embedder."""

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_integer, check_vectors, refuse
from keras_proxygml.metrics._exact.nearest import unit_rows


def with_pca(
    embedder: keras.Model,
    embeddings: ArrayLike,
    dims: int,
    *,
    whiten: bool = False,
    seed: int = 0,
) -> keras.Model:
    """An embedder whose vectors are shortened by a PCA.

    The PCA is fitted on unit vectors and becomes a `Dense` layer behind the embedder and a layer
    that scales to unit length. So queries and items are always treated alike, and the new embedder
    is saved and exported as any other. `compare_results` measures what the shorter vectors cost.

    Args:
        embedder: A functional or sequential model from inputs to vectors `[B, D]`.
        embeddings: Vectors that the embedder made, of items like those to search. `[N, D]`.
        dims: How many numbers the new vectors have. At most N and D.
        whiten: Whether to scale the components to the same variance.
        seed: Seed of scikit-learn's solver for vectors of more than 1,000 numbers.

    Returns:
        A model from the embedder's inputs to vectors `[B, dims]`. It shares the embedder's layers.

    Raises:
        ValueError: If the embedder's output is not `[B, D]`, or the PCA cannot have so many dims.

    Reference:
        Jégou and Chum, 2012, "Negative evidences and co-occurrences in image retrieval: the
        benefit of PCA and whitening".
    """
    from sklearn.decomposition import PCA

    vectors = check_vectors("embeddings", embeddings)
    _check_output(embedder, vectors.shape[1])
    most = min(vectors.shape)
    hint = f"A PCA of {len(vectors)} vectors of {vectors.shape[1]} has {most} components."
    check_integer("dims", dims, 1, most, hint)
    pca = PCA(dims, whiten=whiten, random_state=seed).fit(unit_rows(vectors))
    kernel = pca.components_.T.astype("float64")  # [D, dims]
    if whiten:
        smallest = np.finfo("float32").eps * pca.explained_variance_[0]  # not to divide by zero
        kernel /= np.sqrt(np.maximum(pca.explained_variance_, smallest))
    bias = -pca.mean_ @ kernel
    units = keras.layers.UnitNormalization(dtype="float32")(embedder.outputs[0])
    dense = keras.layers.Dense(dims, dtype="float32", name="pca")
    inputs = embedder.inputs[0] if isinstance(embedder, keras.Sequential) else embedder.input
    model = keras.Model(inputs, dense(units), name=f"{embedder.name}_pca")
    dense.set_weights([kernel.astype("float32"), bias.astype("float32")])
    return model


def _check_output(embedder, dims):
    outputs = getattr(embedder, "outputs", None) or []
    if [tuple(x.shape)[1:] for x in outputs] != [(dims,)]:
        refuse(
            "embedder",
            f"be a built model with one output [B, {dims}], as `embeddings` are",
            f"outputs {[tuple(x.shape) for x in outputs]}",
            "Give the embedder that made the embeddings.",
        )
