"""Parts of a TensorFlow graph that XLA compiles, and that raise."""

import keras
import numpy as np
import pytest

from keras_proxygml import ProxyGMLLoss
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


def test_eager_calls_stay_eager():
    seen = []
    by_xla(seen.append)(keras.ops.ones(()))
    assert float(seen[0]) == 1.0  # a tensor that has a value


def test_batches_of_different_size_in_one_graph():
    import tensorflow as tf

    loss = ProxyGMLLoss(0.5, reduction=None)
    compiled = tf.function(loss, reduce_retracing=True)
    rng = np.random.default_rng(0)
    for batch in (8, 8, 3):
        similarities = rng.uniform(-1, 1, (batch, 6, 2)).astype("float32")
        labels = rng.integers(0, 6, batch).astype("int32")
        np.testing.assert_allclose(
            compiled(tf.constant(labels), tf.constant(similarities)),
            loss(labels, similarities),
            rtol=1e-6,
        )
