"""Parts of a TensorFlow graph that XLA compiles, and that raise."""

import keras
import numpy as np
import pytest

from keras_proxygml import ProxyGMLLoss, ProxySeparation, numerics
from keras_proxygml.graph import similarity_graph
from keras_proxygml.losses.inputs import check_range
from keras_proxygml.numerics import by_xla

pytestmark = pytest.mark.tensorflow


def _compiled_by_xla(function, *signature):
    import tensorflow as tf

    graph = tf.function(function).get_concrete_function(*signature).graph
    library = graph.as_graph_def().library.function
    nodes = [*graph.as_graph_def().node, *(node for x in library for node in x.node_def)]
    attributes = [node.attr for node in nodes]
    names = {x["f"].func.name for x in attributes if "f" in x}
    compiled = {x.signature.name for x in library if x.attr["_XlaMustCompile"].b}
    return bool(names & compiled)


def test_the_loss_is_compiled_in_a_graph_that_is_not():
    import tensorflow as tf

    labels = tf.TensorSpec([None], "int32")
    many, few = (tf.TensorSpec([None, classes, 2], "float32") for classes in (2048, 2047))
    assert _compiled_by_xla(ProxyGMLLoss(0.5), labels, many)
    assert not _compiled_by_xla(ProxyGMLLoss(0.5), labels, few)
    assert not _compiled_by_xla(lambda labels, similarities: similarities + 1, labels, many)


def test_the_proxies_own_loss_and_their_gradient_are_compiled_too():
    import tensorflow as tf

    proxies = tf.TensorSpec([4096, 1, 8], "float32")
    assert _compiled_by_xla(ProxySeparation(0.3), proxies)

    def gradient(embeddings, proxies):
        with tf.GradientTape() as tape:
            tape.watch(proxies)
            cosines = similarity_graph(embeddings, proxies)
        return tape.gradient(cosines, proxies)

    assert _compiled_by_xla(gradient, tf.TensorSpec([None, 8], "float32"), proxies)


def test_eager_calls_stay_eager():
    seen = []
    by_xla(seen.append)(10**6, keras.ops.ones(()))
    assert float(seen[0]) == 1.0  # a tensor that has a value


def test_many_models_share_what_is_compiled_for_a_shape():
    """TensorFlow keeps compiled code for the life of the process."""
    import tensorflow as tf

    traced = []
    shared = by_xla(lambda x: traced.append(x.shape) or x + 1)
    for size in (3, 3, 5, 3):  # a graph each
        in_graph = tf.function(lambda x: shared(10**6, x) ** 2)
        np.testing.assert_array_equal(in_graph(tf.ones(size)), np.full(size, 4.0))
    assert traced == [(3,), (5,)]


def test_losses_that_differ_in_scale_share_what_is_compiled(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(numerics, "_WORTH_COMPILING", 1)
    names = set()
    for scale in (1.0, np.float64(2), 3):
        loss = ProxyGMLLoss(0.5, scale=scale)
        specs = tf.TensorSpec([7], "int32"), tf.TensorSpec([7, 6, 2], "float32")
        graph = tf.function(loss).get_concrete_function(*specs).graph
        names |= {f.signature.name for f in graph.as_graph_def().library.function}
    assert sum("on_subgraph" in name for name in names) == 1


@pytest.mark.parametrize(("dtype", "batches"), [("float32", (8, 8, 3, 0)), ("float64", (8,))])
def test_values_and_gradients_are_the_eager_ones(dtype, batches, monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(numerics, "_WORTH_COMPILING", 1)
    # A NumPy number, as a search over numpy.geomspace gives it, stays a constant.
    loss = ProxyGMLLoss(0.5, scale=np.float64(2), reduction=None, dtype=dtype)

    def with_gradient(labels, similarities):
        with tf.GradientTape() as tape:
            tape.watch(similarities)
            values = loss(labels, similarities)
        return values, tape.gradient(values, similarities)

    in_graph = tf.function(with_gradient, reduce_retracing=True)
    rng = np.random.default_rng(0)
    for batch in batches:
        similarities = tf.constant(rng.uniform(-1, 1, (batch, 6, 2)), dtype)
        labels = tf.constant(rng.integers(0, 6, batch), "int32")
        expected = with_gradient(labels, similarities)
        for ours, eager in zip(in_graph(labels, similarities), expected, strict=True):
            np.testing.assert_allclose(ours, eager, rtol=1e-6, atol=1e-7)


def test_keras_symbolic_labels_pass():
    check_range(keras.Input((), dtype="int32"), 6)  # raises nothing: there is no value yet
