"""Copies of a callback, as tools that tune make them for each trial."""

import copy
import pickle

import keras
import numpy as np
import pytest
import small

import keras_proxygml as library
from keras_proxygml import ProxyAdam, ProxyGML, ProxyGMLLoss, RetrievalEvaluation, embedder_of
from keras_proxygml.regularizers import ProxyMerging, ProxySeparation

TEST = small.data(60, seed=1)
QUICK = {"epochs": 1, "batch_size": 16, "verbose": 0}


def dataset(data=TEST):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(data).batch(17)


@pytest.mark.tensorflow
def test_a_copy_evaluates_the_model_that_it_is_given_to():
    evaluation = RetrievalEvaluation(
        dataset(), gallery=dataset(small.data(60, seed=2)), clustering=False
    )
    found = []
    for _ in range(2):
        twin = copy.deepcopy([evaluation])[0]
        assert twin is not evaluation
        model = small.model()
        found.append(model.fit(*small.data(), callbacks=[twin], **QUICK).history["val_map@r"])
        evaluation = twin  # and a copy of one that was used
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_a_copy_shares_arrays_and_the_embedder_in_training():
    model = small.model()
    twin = copy.deepcopy(RetrievalEvaluation(TEST, embedder_of(model)))
    assert np.shares_memory(twin._data[0], TEST[0])
    history = model.fit(*small.data(), callbacks=[twin], **QUICK).history
    assert history["val_map@r"][0] == twin.evaluate()["map@r"]


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["arrays", "dataset"])
def test_keras_tuner(tmp_path, form):
    tuners = pytest.importorskip("keras_tuner")
    evaluation = RetrievalEvaluation(TEST if form == "arrays" else dataset())
    tuner = tuners.RandomSearch(
        lambda values: small.model(ProxyAdam(values.Float("rate", 1e-4, 1e-2))),
        tuners.Objective("val_map@r", "max"),
        max_trials=2,
        directory=tmp_path,
    )
    tuner.search(*small.data(), callbacks=[evaluation], **QUICK)
    scores = [trial.score for trial in tuner.oracle.get_best_trials(2)]
    assert 0 < scores[1] <= scores[0] <= 1


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_what_a_model_is_compiled_of(duplicate):
    losses = [getattr(library, name) for name in dir(library) if name.endswith("Loss")]
    assert len(losses) > 10
    made = [kind() for kind in losses if kind is not ProxyGMLLoss]
    made += [ProxyGMLLoss(0.5, 2), ProxyAdam(1e-3, 7, 1e-4), ProxyGML(4, 2)]
    for one in made:
        twin = duplicate(one)
        assert type(twin) is type(one)
        assert twin.get_config() == one.get_config()
    for one in (ProxySeparation(0.2), ProxyMerging(0.1)):
        twin = duplicate(one)
        proxies = np.random.default_rng(0).normal(size=(3, 2, 4)).astype("float32")
        assert float(twin(proxies)) == float(one(proxies)) > 0


def test_a_copied_model_trains_as_the_original():
    inputs, labels = small.data()
    quick = {**QUICK, "shuffle": False}
    model = small.model("sgd")
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    twin.compile(copy.deepcopy(model.optimizer), copy.deepcopy(model.loss))
    expected = model.fit(inputs, labels, **quick).history["loss"]
    assert twin.fit(inputs, labels, **quick).history["loss"] == pytest.approx(expected, rel=1e-5)
