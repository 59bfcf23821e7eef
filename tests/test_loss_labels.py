"""The labels that losses take, in every form in which Keras gives them, and those they refuse."""

import keras
import numpy as np
import pytest
import small
from keras import ops

from keras_proxygml import NPairsLoss, ProxyGMLLoss, TripletHardLoss, proxy_gml

LABELS = np.array([0, 3, 4, 1], "int32")
NAMES = np.array(["cat", "dog", "emu", "fox"])
QUICK = {"batch_size": 16, "verbose": 0, "shuffle": False}


@pytest.fixture
def similarities():
    return np.random.default_rng(0).uniform(-1, 1, (4, 5, 2)).astype("float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_whole_floats_are_class_numbers(similarities, dtype, shape):
    floats = LABELS.astype(dtype).reshape(shape)
    embeddings = similarities[:, 0]
    expected = float(ProxyGMLLoss(0.5)(LABELS, similarities))
    assert float(ProxyGMLLoss(0.5)(floats, similarities)) == expected
    assert float(ProxyGMLLoss(0.5)(floats.tolist(), similarities)) == expected
    found = ops.convert_to_numpy(proxy_gml(floats, similarities, 5))
    np.testing.assert_array_equal(found, ops.convert_to_numpy(proxy_gml(LABELS, similarities, 5)))
    pairs = LABELS % 2
    expected = float(NPairsLoss()(pairs, embeddings))
    assert float(NPairsLoss()(pairs.astype(dtype), embeddings)) == expected


def test_fit_on_whole_floats_equals_fit_on_integers():
    """ImageDataGenerator and label_mode="binary" give float32."""
    inputs, labels = small.data()
    expected = small.model().fit(inputs, labels, epochs=2, **QUICK).history["loss"]
    found = small.model().fit(inputs, labels.astype("float32"), epochs=2, **QUICK).history["loss"]
    assert found == expected


@pytest.mark.parametrize("shapes", [((-1,), (-1, 1)), ((-1, 1), (-1,))])
def test_labels_of_both_shapes_one_after_another(shapes):
    """TensorFlow then traces the training step for labels of any rank."""
    inputs, labels = small.data()
    expected = small.model().fit(inputs, labels, epochs=2, **QUICK).history["loss"]
    model = small.model()
    found = [model.fit(inputs, labels.reshape(s), **QUICK).history["loss"][0] for s in shapes]
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.tensorflow
def test_labels_of_unknown_shape():
    import tensorflow as tf

    similarities = tf.random.uniform([2, 3, 1])

    @tf.function
    def losses(labels):
        return proxy_gml(tf.numpy_function(lambda x: x, [labels], tf.int32), similarities, 2)

    labels = tf.constant([0, 1])
    np.testing.assert_allclose(losses(labels), proxy_gml(labels, similarities, 2), rtol=1e-6)
    with pytest.raises(Exception, match="6 values, but the requested shape has 2"):  # one-hot
        losses(tf.constant([[1, 0, 0], [0, 1, 0]]))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (NAMES, r"class numbers\. Received: dtype str.* labels = numpy\.unique\(names, return_inv"),
        (NAMES.tolist(), r"class numbers\. Received: dtype str.*numpy\.unique"),
        (NAMES.astype(object), r"class numbers\. Received: dtype object.*numpy\.unique"),
        (NAMES.astype(bytes), r"class numbers\. Received: dtype bytes.*numpy\.unique"),
        (None, r"Received: None\. Give fit the labels"),
        (LABELS + 0.5, r"whole numbers below 2\*\*24 in float32\. Received: 0\.5\. Give"),
        (np.float32([1, 2, np.nan, 0]), r"Received: nan"),
        (np.float32([1, 2, 2**24, 0]), r"Received: 16777216"),
        (LABELS.astype("float16"), r"float32 or float64\. Received: dtype float16\. .*rounds"),
        (LABELS > 1, r"must be integers, .*Received: dtype bool"),
        (np.eye(5, dtype="int32")[LABELS], r"shape \(4, 5\)\. Turn one-hot rows .*argmax"),
        (np.eye(5, dtype="float32")[LABELS], r"shape \(4, 5\)\. Turn one-hot rows .*class_mode"),
    ],
)
def test_labels_that_every_loss_refuses(similarities, labels, message):
    for loss in (ProxyGMLLoss(0.5), lambda *given: proxy_gml(*given, k=5)):
        with pytest.raises(ValueError, match=message):
            loss(labels, similarities)
    with pytest.raises(ValueError, match=message):
        TripletHardLoss()(labels, similarities[:, 0])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 5, 1, 1], r"must be from 0 to 4, .* Received: 5 \(1 of 4 .* count from 1, subtract 1"),
        ([0, -1, -100, 1], r"from 0 to 4, .* Received: -1 \(2 of 4 .* as many num_classes"),
        ([0.0, 5.0, 1.0, 1.0], r"from 0 to 4, .* Received: 5 \(1 of 4"),
        ([0, 2**32, 1, 1], r"Received: 4294967296"),
    ],
)
def test_labels_that_are_no_class(similarities, labels, message):
    with pytest.raises(ValueError, match=message):
        proxy_gml(np.array(labels), similarities, 5)


@pytest.mark.tensorflow
def test_fractions_in_a_graph():
    """Where XLA compiles it nothing can be raised: the loss is NaN."""
    import tensorflow as tf

    similarities = tf.zeros((1, 5, 2))
    for dtype in ("float32", "float64"):
        one, fraction = tf.constant([1.0], dtype), tf.constant([1.5], dtype)
        compiled = tf.function(ProxyGMLLoss(0.5), jit_compile=True)
        assert np.isfinite(compiled(one, similarities))
        assert np.isnan(compiled(fraction, similarities))
        for loss, outputs in ((ProxyGMLLoss(0.5), similarities), (NPairsLoss(), tf.ones((1, 3)))):
            graph = tf.function(loss)
            assert np.isfinite(graph(one, outputs))
            with pytest.raises(tf.errors.InvalidArgumentError, match=r"whole numbers below 2"):
                graph(fraction, outputs)


@pytest.mark.tensorflow
def test_names_in_batches():
    import tensorflow as tf

    inputs, labels = small.data()
    names = np.array(list("abcdef"))[labels]
    batches = tf.data.Dataset.from_tensor_slices((inputs, names)).batch(16)
    with pytest.raises(ValueError, match=r"class numbers\. Received: dtype string\. .*numpy\.un"):
        small.model().fit(batches, verbose=0, shuffle=False)


def test_labels_from_one_in_fit():
    inputs, labels = small.data()
    model = small.model(run_eagerly=True) if keras.backend.backend() != "jax" else small.model()
    if keras.backend.backend() == "jax":
        assert np.isnan(model.fit(inputs, labels + 1, **QUICK).history["loss"][0])
        return
    with pytest.raises(ValueError, match=r"from 0 to 5, .* Received: 6 .*subtract 1"):
        model.fit(inputs, labels + 1, **QUICK)
