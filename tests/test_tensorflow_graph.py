"""Parts of a TensorFlow graph that XLA compiles, and that raise."""

import keras
import numpy as np
import pytest

from keras_proxygml import ProxyGMLLoss, ProxySeparation
from keras_proxygml.graph import similarity_graph
from keras_proxygml.losses.inputs import check_range
from keras_proxygml.tensorflow_graph import by_xla

pytestmark = pytest.mark.tensorflow


def _compiled_by_xla(function, *signature):
    import tensorflow as tf

    graph = tf.function(function).get_concrete_function(*signature).graph
    attributes = [node.attr for node in graph.as_graph_def().node]
    library = graph.as_graph_def().library.function
    names = {x["f"].func.name for x in attributes if "f" in x}
    compiled = {x.signature.name for x in library if x.attr["_XlaMustCompile"].b}
    return bool(names & compiled)


def test_the_loss_is_compiled_in_a_graph_that_is_not():
    import tensorflow as tf

    signature = tf.TensorSpec([None], "int32"), tf.TensorSpec([None, 6, 2], "float32")
    assert _compiled_by_xla(ProxyGMLLoss(0.5), *signature)
    assert not _compiled_by_xla(lambda labels, similarities: similarities + 1, *signature)


def test_the_proxies_own_loss_and_their_gradient_are_compiled_too():
    import tensorflow as tf

    proxies = tf.TensorSpec([6, 2, 8], "float32")
    assert _compiled_by_xla(ProxySeparation(0.3), proxies)

    def gradient(embeddings, proxies):
        with tf.GradientTape() as tape:
            tape.watch(proxies)
            cosines = similarity_graph(embeddings, proxies)
        return tape.gradient(cosines, proxies)

    assert _compiled_by_xla(gradient, tf.TensorSpec([None, 8], "float32"), proxies)


def test_eager_calls_stay_eager():
    seen = []
    by_xla(seen.append)(keras.ops.ones(()))
    assert float(seen[0]) == 1.0  # a tensor that has a value


@pytest.mark.parametrize(("dtype", "batches"), [("float32", (8, 8, 3, 0)), ("float64", (8,))])
def test_values_and_gradients_are_the_eager_ones(dtype, batches):
    import tensorflow as tf

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
