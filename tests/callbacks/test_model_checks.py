"""Models that RetrievalEvaluation refuses, waits for, or warns of."""

import keras
import numpy as np
import pytest
import small

from keras_proxygml import (
    ProxyGML,
    ProxyGMLLoss,
    ProxySimilarity,
    RetrievalEvaluation,
    TripletHardLoss,
    embedder_of,
)

TEST = small.data(60, seed=1)
QUICK = {"epochs": 1, "batch_size": 16, "verbose": 0}
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3)).astype("float32")
CLASSES = np.arange(8) % 2


def dense(structure):
    inputs = keras.Input((8,))
    return keras.Model(inputs, structure(*(keras.layers.Dense(size)(inputs) for size in (4, 3))))


class Subclassed(keras.Model):
    """Its outputs are not known beforehand."""

    def __init__(self):
        super().__init__()
        self.inner = dense(lambda *outputs: outputs)

    def call(self, inputs):
        return self.inner(inputs)


@pytest.mark.parametrize(
    ("embedder", "received"),
    [
        (lambda: dense(lambda *outputs: outputs), r"a list of shapes \(None, 4\), \(None, 3\)"),
        (lambda: dense(lambda a, b: keras.ops.reshape(a, (-1, 2, 2))), r"shape \(None, 2, 2\)"),
        (lambda: dense(lambda a, b: {"embeddings": a}), r"a dict of shapes \(60, 4\)"),
        (Subclassed, r"a (list|tuple) of shapes \(60, 4\), \(60, 3\)"),
    ],
)
def test_an_embedder_that_returns_something_else(embedder, received):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return TEST

    for data in (TEST, Batches()):
        with pytest.raises(ValueError, match=rf"one array of embeddings .*Received: {received}"):
            RetrievalEvaluation(data, embedder()).evaluate()


@pytest.mark.parametrize("baseline", [False, True])
def test_a_sequential_model_that_fit_builds(baseline):
    model = keras.Sequential([keras.layers.Dense(4), ProxyGML(6, 2)])
    with pytest.raises(ValueError, match=r"known inputs\. Received: .*a Sequential .*keras\.Input"):
        embedder_of(model)
    model.compile("sgd", ProxyGMLLoss(0.5))
    evaluation = RetrievalEvaluation(TEST, baseline=baseline)
    history = model.fit(*small.data(), callbacks=[evaluation], **QUICK).history
    assert history["val_map@r"][0] == evaluation.evaluate()["map@r"]
    assert (evaluation.baseline is not None) == baseline
    assert embedder_of(model).input_shape[1:] == (8,)


def test_a_sequential_model_without_proxies_is_refused_before_training():
    model = keras.Sequential([keras.layers.Dense(4)])
    model.compile("sgd", TripletHardLoss())
    with pytest.raises(ValueError, match=r"must have one proxy layer\. Received: .*which has 0"):
        model.fit(*small.data(), callbacks=[RetrievalEvaluation(TEST)], **QUICK)


@pytest.mark.tensorflow  # on JAX and PyTorch Keras calls the metric before any callback
@pytest.mark.parametrize("metric", ["accuracy", keras.metrics.SparseCategoricalAccuracy()])
@pytest.mark.parametrize("num_proxies", [1, 2])
def test_an_accuracy_of_keras(metric, num_proxies):
    inputs = keras.Input((8,))
    model = keras.Model(inputs, ProxySimilarity(6, num_proxies)(inputs))
    model.compile("sgd", ProxyGMLLoss(0.5), metrics=[metric])
    with pytest.raises(ValueError, match=r"cosines \[B, C, N\]\. Received: '.*accuracy', which"):
        model.fit(*small.data(), callbacks=[RetrievalEvaluation(TEST)], **QUICK)


def test_the_accuracy_that_the_error_proposes():
    def accuracy(labels, cosines):
        return keras.metrics.sparse_categorical_accuracy(labels, keras.ops.max(cosines, axis=-1))

    inputs, labels = small.data()
    model = small.model(metrics=[accuracy])
    callbacks = [RetrievalEvaluation(TEST, clustering=False)]
    history = model.fit(inputs, labels, callbacks=callbacks, **QUICK).history
    assert 0 < history["accuracy"][0] < 1
    cosines = model.predict(inputs, verbose=0)
    expected = (cosines.max(axis=2).argmax(axis=1) == labels).mean()
    assert model.evaluate(inputs, labels, verbose=0)[1] == pytest.approx(expected)


def network(*first):
    inner = keras.Sequential([keras.Input((4, 4, 3)), *first, keras.layers.Flatten()])
    inputs = keras.Input((4, 4, 3))
    return keras.Model(inputs, inner(keras.layers.RandomFlip()(inputs)))


@pytest.mark.parametrize(
    ("first", "images"),
    [
        ([keras.layers.Rescaling(1 / 255)], IMAGES / 255),
        ([keras.layers.Rescaling(1 / 127.5, -1)], IMAGES / 127.5 - 1),
        ([keras.layers.Normalization(mean=120.0, variance=3600.0)], IMAGES / 255),
    ],
)
def test_images_to_one_where_the_network_divides(first, images):
    evaluation = RetrievalEvaluation((images, CLASSES), network(*first), clustering=False)
    with pytest.warns(UserWarning, match=r"from 0 to 255 for .*Received: values from .* to 1\."):
        evaluation.evaluate()
    evaluation.evaluate()  # tells it once


@pytest.mark.parametrize(
    ("first", "images"),
    [
        ([keras.layers.Rescaling(1 / 255)], IMAGES),
        ([keras.layers.Rescaling(1 / 255)], (IMAGES > 128).astype("uint8")),
        ([keras.layers.Rescaling(255), keras.layers.Rescaling(1 / 255)], IMAGES / 255),
        ([keras.layers.Normalization(mean=0.5, variance=0.05)], IMAGES / 255),
        ([], IMAGES / 255),
    ],
)
def test_images_as_the_network_wants_them(first, images):
    data = images, CLASSES
    RetrievalEvaluation(data, network(*first), clustering=False).evaluate()  # no warning


def test_a_loss_that_trains_nothing():
    inputs, labels = small.data()
    inputs_ = keras.Input((8,))
    model = keras.Model(inputs_, keras.layers.Dense(4)(inputs_))
    model.compile("sgd", TripletHardLoss())
    evaluation = RetrievalEvaluation(TEST, model, clustering=False)
    with pytest.warns(UserWarning, match=r"Received: loss=0 in the first epoch.*several classes"):
        model.fit(inputs, 0 * labels, callbacks=[evaluation], **{**QUICK, "epochs": 2})
    model.fit(inputs, labels, callbacks=[evaluation], **QUICK)  # warnings are errors
