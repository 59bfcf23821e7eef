"""The method against a float64 oracle, and what must hold whatever the numbers are."""

import keras
import numpy as np
import oracle
import pytest
from gradients import MODES, value_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_proxygml import ProxyGMLLoss, ProxySeparation, proxy_gml, regularizers
from keras_proxygml.graph import knn_subgraph, masked_softmax_loss, similarity_graph
from keras_proxygml.numerics import unit

# JAX compiles every operation again for each random shape.
EXAMPLES = 5 if keras.backend.backend() == "jax" else 30
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)


@st.composite
def problems(draw):
    """Embeddings [B, D], proxies [C, N, D], labels [B] and k of random shapes."""
    batch, num_classes = draw(st.integers(1, 6)), draw(st.integers(2, 9))
    num_proxies, size = draw(st.integers(1, 4)), draw(st.integers(2, 7))
    k = draw(st.integers(num_proxies + 1, num_classes * num_proxies))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    embeddings = rng.normal(size=(batch, size)).astype("float32")
    proxies = rng.normal(size=(num_classes, num_proxies, size)).astype("float32")
    labels = rng.integers(0, num_classes, batch).astype("int32")
    return embeddings, proxies, labels, k


def losses_of(embeddings, proxies, labels, k, scale=1.0, masked=True):
    similarities = similarity_graph(
        ops.convert_to_tensor(embeddings), ops.convert_to_tensor(proxies)
    )
    return ops.convert_to_numpy(proxy_gml(labels, similarities, k, scale, masked))


@given(problems(), st.sampled_from([0.5, 1.0, 20.0]), st.booleans())
@SETTINGS
def test_agrees_with_the_oracle(problem, scale, masked):
    embeddings, proxies, labels, k = problem
    expected, _ = oracle.proxy_gml(
        embeddings.astype("float64"), proxies.astype("float64"), labels, k, scale, masked=masked
    )
    # The losses are differences of scores of up to scale · N: their rounding is the tolerance.
    tolerance = 1e-6 * scale * proxies.shape[1] + 1e-6
    np.testing.assert_allclose(
        losses_of(*problem, scale, masked), expected, rtol=1e-5, atol=tolerance
    )


@given(problems(), st.integers(0, 3))
@SETTINGS
def test_subgraph_has_k_proxies_the_own_class_and_the_nearest(problem, decimals):
    embeddings, proxies, labels, k = problem
    # Rounded cosines tie often, up to all of them.
    cosines = np.round(
        ops.convert_to_numpy(similarity_graph(embeddings, ops.convert_to_tensor(proxies))), decimals
    )
    subgraph = ops.convert_to_numpy(knn_subgraph(ops.convert_to_tensor(cosines), labels, k))
    assert subgraph.dtype == bool
    assert (subgraph.sum(axis=(1, 2)) == k).all()
    for row, similarities, label in zip(subgraph, cosines, labels, strict=True):
        assert row[label].all()
        others = np.arange(len(row)) != label
        kept, left = similarities[others][row[others]], similarities[others][~row[others]]
        assert not left.size or kept.min() >= left.max()


@given(problems())
@SETTINGS
def test_ties_give_the_oracles_loss_on_the_subgraph_chosen(problem):
    embeddings, proxies, labels, k = problem
    proxies[:] = proxies[:1, :1]  # all cosines of a sample are equal
    cosines = similarity_graph(embeddings, ops.convert_to_tensor(proxies))
    chosen = ops.convert_to_numpy(knn_subgraph(cosines, labels, k))
    expected, _ = oracle.proxy_gml(embeddings, proxies, labels, k, prefer=chosen)
    np.testing.assert_allclose(losses_of(*problem), expected, rtol=1e-4, atol=1e-5)


@given(problems())
@SETTINGS
def test_all_proxies_kept_is_the_full_softmax_over_class_sums(problem):
    embeddings, proxies, labels, _ = problem
    cosines = similarity_graph(embeddings, ops.convert_to_tensor(proxies))
    logits = ops.sum(cosines, axis=-1)
    full = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    ours = ProxyGMLLoss(ratio=1.0, reduction=None)(labels, cosines)
    np.testing.assert_allclose(
        ops.convert_to_numpy(ours), ops.convert_to_numpy(full), rtol=1e-5, atol=1e-6
    )


@given(problems(), st.randoms(use_true_random=False))
@SETTINGS
def test_order_of_classes_and_of_proxies_does_not_matter(problem, random):
    embeddings, proxies, labels, k = problem
    classes, members = list(range(proxies.shape[0])), list(range(proxies.shape[1]))
    random.shuffle(classes)
    random.shuffle(members)
    permuted = proxies[classes][:, members]
    relabelled = np.argsort(classes)[labels].astype("int32")
    np.testing.assert_allclose(
        losses_of(embeddings, permuted, relabelled, k),
        losses_of(embeddings, proxies, labels, k),
        rtol=1e-4,
        atol=1e-5,
    )


@given(problems())
@SETTINGS
def test_separation_agrees_with_the_oracle(problem):
    proxies = problem[1]
    expected = oracle.separation(proxies.astype("float64"))
    assert float(ProxySeparation(1.0)(proxies)) == pytest.approx(expected, rel=1e-5, abs=1e-5)


# All 50 scores, or blocks of 3 proxies, the last of 1.
@pytest.mark.parametrize("at_once", [50, 15])
@pytest.mark.parametrize("mode", MODES)
def test_separation_and_its_gradient_whole_and_in_blocks(monkeypatch, mode, at_once):
    monkeypatch.setattr(regularizers, "_SCORES_AT_ONCE", at_once)
    proxies = np.random.default_rng(0).normal(size=(5, 2, 3))
    [value], [gradient] = value_and_gradients(
        lambda p: (ProxySeparation(0.3)(p),), [proxies.astype("float32")], mode
    )
    assert value == pytest.approx(0.3 * oracle.separation(proxies), rel=1e-5)
    steps = 1e-5 * np.eye(proxies.size).reshape(-1, *proxies.shape)
    slopes = [(oracle.separation(proxies + d) - oracle.separation(proxies - d)) for d in steps]
    expected = 0.3 * np.reshape(slopes, proxies.shape) / 2e-5
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


@pytest.mark.parametrize("k", [0, 2, 11])
def test_k_out_of_range(k):
    with pytest.raises(ValueError, match=rf"`k` must be in \(2, 10\]. Received: k={k} of 10 "):
        knn_subgraph(ops.zeros((1, 5, 2)), np.array([0], "int32"), k)


@pytest.mark.parametrize("k", [5.0, np.float64(5), 5.5, True, "5"])
def test_k_that_is_no_integer(k):
    with pytest.raises(ValueError, match=r"`k` must be an integer of 0 or more. Received: k="):
        knn_subgraph(ops.zeros((1, 5, 2)), np.array([0], "int32"), k)


def test_labels_in_few_bits_name_classes_beyond_their_range():
    similarities = np.random.default_rng(0).uniform(-1, 1, (2, 300, 1)).astype("float32")
    narrow, wide = (ops.convert_to_tensor(np.array([0, 100], x)) for x in ("int8", "int32"))
    subgraphs = [ops.convert_to_numpy(knn_subgraph(similarities, y, 20)) for y in (narrow, wide)]
    np.testing.assert_array_equal(*subgraphs)
    scores, reached = ops.convert_to_tensor(similarities[..., 0]), ops.ones((2, 300), "bool")
    losses = [masked_softmax_loss(scores, reached, labels) for labels in (narrow, wide)]
    np.testing.assert_array_equal(*map(ops.convert_to_numpy, losses))


def test_nan_is_chosen_only_where_all_are():
    row = np.array([[[0.2], [np.nan], [0.9], [0.1], [np.nan]]], "float32")
    subgraph = {
        k: ops.convert_to_numpy(knn_subgraph(row, np.array([0]), np.int64(k)))[0, :, 0].tolist()
        for k in (2, 4, 5)
    }
    assert subgraph[2] == [True, False, True, False, False]
    assert subgraph[4] == [True, False, True, True, False]
    assert all(subgraph[5])


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch counts references")
def test_a_step_leaves_no_similarities_behind():
    import gc
    import weakref

    import torch

    gc.disable()
    try:
        proxies = torch.ones((3, 2, 4), requires_grad=True)
        similarities = similarity_graph(torch.ones((5, 4)), proxies)
        base = weakref.ref(similarities._base)
        similarities.sum().backward()
        del similarities
        assert base() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("length", [0.0, 1e-38, 1e-20, 1e20, 1e38])
def test_any_length_has_finite_loss_and_gradient(length):
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(3, 8))
    direction /= np.abs(direction).max()
    proxies = rng.normal(size=(5, 2, 8)).astype("float32")
    labels = np.array([0, 1, 4], "int32")

    def loss(embeddings, proxies):
        return (ops.mean(proxy_gml(labels, similarity_graph(embeddings, proxies), 4)),)

    embeddings = (direction * length).astype("float32")
    (value,), gradients = value_and_gradients(loss, [embeddings, proxies])
    assert all(np.isfinite(g).all() for g in gradients)
    if length in (1e-20, 1e20):
        (expected,), _ = value_and_gradients(loss, [direction.astype("float32"), proxies])
        assert value == pytest.approx(expected, rel=1e-5)
    # All cosines 0: the true class is one of two or three reached.
    assert np.isfinite(value)
    if length == 0.0:
        assert np.log(2) - 1e-6 <= value <= np.log(3) + 1e-6


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_half_precision_vectors_keep_their_direction(dtype):
    vector = ops.cast(np.array([[3e-5, 4e-5], [0.0, 0.0], [3e4, 4e4]], "float32"), dtype)
    units = ops.convert_to_numpy(unit(vector))
    np.testing.assert_allclose(units, [[0.6, 0.8], [0, 0], [0.6, 0.8]], atol=5e-3)
    cosines = similarity_graph(vector, ops.convert_to_tensor([[[3e-4, 4e-4]], [[4.0, -3.0]]]))
    assert keras.backend.standardize_dtype(cosines.dtype) == dtype
    cosines = ops.convert_to_numpy(ops.cast(cosines, "float32"))[..., 0]
    np.testing.assert_allclose(cosines, [[1, 0], [0, 0], [1, 0]], atol=1e-2)


def test_large_scales_stay_finite():
    cosines = np.array([[[1.0], [-1.0], [0.5]]], "float32")
    losses = ops.convert_to_numpy(proxy_gml(np.array([1], "int32"), cosines, 3, scale=1e4))
    np.testing.assert_allclose(losses, [2e4], rtol=1e-6)
