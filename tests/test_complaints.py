"""What users of other libraries stumbled over, tried on models, losses and callbacks.

Each test names the issue that it tries. Where none is named, it is a question of several trackers.
"""

import json
import pickle

import keras
import numpy as np
import pytest
import small
from rivals import ALL, EMBEDDINGS, ON_EMBEDDINGS, ON_PROXIES

from keras_proxygml import (
    ProxyAdam,
    ProxyGML,
    ProxyGMLLoss,
    ProxySeparation,
    RetrievalEvaluation,
    TripletHardLoss,
    embedder_of,
    losses,
    retrieval_metrics,
)

INPUTS, LABELS = small.data()
ONE_BATCH = {"batch_size": len(LABELS), "shuffle": False, "verbose": 0}


# Half precision.


@pytest.fixture
def _half_floatx():
    keras.config.set_floatx("bfloat16")
    keras.config.set_dtype_policy("bfloat16")
    yield
    keras.config.set_floatx("float32")


@pytest.mark.usefixtures("_half_floatx")
def test_training_where_every_float_is_half():
    """keras #9582."""
    inputs = keras.Input((8,))
    embeddings = keras.layers.Dense(4)(inputs)
    model = keras.Model(inputs, [ProxyGML(6, 2)(embeddings), embeddings])
    model.compile(ProxyAdam(0.01, 5), [ProxyGMLLoss(0.5), TripletHardLoss()])
    history = model.fit(INPUTS, [LABELS] * 2, **ONE_BATCH).history
    assert np.isfinite([float(values[0]) for values in history.values()]).all()


@pytest.mark.usefixtures("_half_floatx")
def test_classes_beyond_16_bits_where_every_float_is_half():
    """gluon-face #28: there Keras counts in 16 bits too, if not told otherwise."""
    labels = np.array([5, 39_999])
    similarities = np.zeros((2, 40_000, 1), "float32")
    similarities[[0, 1], labels] = 1
    for kind in ON_PROXIES:
        first, last = keras.ops.convert_to_numpy(kind(reduction="none")(labels, similarities))
        assert first == pytest.approx(last, rel=0.1), kind


def test_pair_losses_in_mixed_bfloat16():
    """tensorflow/similarity #364: NaN."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [keras.layers.Dense(3)(inputs)] * len(ON_EMBEDDINGS))
    model.compile("adam", [kind() for kind in ON_EMBEDDINGS], run_eagerly=True)
    labels = [np.array([0, 0, 1, 1, 2, 2])] * len(ON_EMBEDDINGS)
    history = model.fit(EMBEDDINGS, labels, epochs=2, verbose=0).history
    assert np.isfinite(list(history.values())).all()


# Keras around the model.


def test_class_weights_are_sample_weights():
    """keras #7112, #16674: refused for outputs of three axes."""
    model = small.model(keras.optimizers.SGD(0.0), run_eagerly=True)
    each = ProxyGMLLoss(0.5, reduction="none")(LABELS, model.predict(INPUTS, verbose=0))
    weights = np.where(LABELS < 2, 3.0, 0.5)
    each, penalty = (keras.ops.convert_to_numpy(x) for x in (each, model.losses[0]))
    expected = np.mean(weights * each) + penalty
    by_class = {label: 3.0 if label < 2 else 0.5 for label in range(small.CLASSES)}
    for arguments in ({"class_weight": by_class}, {"sample_weight": weights}):
        history = model.fit(INPUTS, LABELS, **ONE_BATCH, **arguments).history
        assert history["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_a_head_beside_other_outputs():
    """keras #20701, #11735 (weights of several outputs); a history that JSON takes."""
    inputs = keras.Input((8,))
    embeddings = keras.layers.Dense(4)(inputs)
    head, logits = ProxyGML(6, 2, name="head")(embeddings), keras.layers.Dense(6)(embeddings)
    model = keras.Model(inputs, {"head": head, "logits": logits})
    kinds = ProxyGMLLoss(0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    names = "head", "logits"
    model.compile(ProxyAdam(0.01, 5), dict(zip(names, kinds, strict=True)), run_eagerly=True)
    labels, weights = (dict.fromkeys(names, x) for x in (LABELS, np.ones(48)))
    history = model.fit(
        INPUTS,
        labels,
        sample_weight=weights,
        callbacks=[RetrievalEvaluation((INPUTS, LABELS))],
        **ONE_BATCH,
    ).history
    assert json.loads(json.dumps(history)) == history
    assert {"head_loss", "logits_loss", "val_recall@1"} <= history.keys()
    assert embedder_of(model).output_shape == (None, 4)


def test_several_evaluations():
    """tensorflow #38803, keras #15757: several validation sets in one fit."""
    model = small.model(run_eagerly=True)
    few = RetrievalEvaluation((INPUTS[:12], LABELS[:12]), k=1, prefix="val_few_")
    both = [RetrievalEvaluation((INPUTS, LABELS), k=1), few]
    logs = model.fit(INPUTS, LABELS, callbacks=both, **ONE_BATCH).history
    for prefix, rows in (("val_", 48), ("val_few_", 12)):
        vectors = embedder_of(model).predict(INPUTS[:rows], verbose=0)
        expected = retrieval_metrics(vectors, LABELS[:rows])["mrr"]
        assert logs[f"{prefix}mrr"] == pytest.approx([expected])
    both = [RetrievalEvaluation((INPUTS, LABELS), clustering=False) for _ in range(2)]
    message = r"prefix='val_', which overwrites val_map@r, .*Give each evaluation its own"
    with pytest.warns(UserWarning, match=message):
        model.fit(INPUTS, LABELS, callbacks=both, **ONE_BATCH)


@pytest.mark.filterwarnings("ignore:.*(could not be loaded|Skipping nested container)")
def test_weights_of_a_model_for_other_classes(tmp_path):
    """keras #8462: all but the proxies."""
    model = small.model()
    other = keras.models.clone_model(model, clone_function=_nine_classes)
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match=r"ProxyGML name=head"):
        other.load_weights(tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5", skip_mismatch=True)
    *ours, proxies = other.get_weights()
    assert proxies.shape == (9, 2, 4)
    for a, b in zip(ours, model.get_weights(), strict=False):
        np.testing.assert_array_equal(a, b)


def _nine_classes(layer):
    config = layer.get_config()
    if isinstance(layer, ProxyGML):
        config["num_classes"] = 9
    return type(layer).from_config(config)


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedder = keras.Sequential([keras.layers.Dense(4)])
        self.head = ProxyGML(6, 2)

    def call(self, inputs):
        return self.head(self.embedder(inputs))


def test_a_subclassed_model(tmp_path):
    """tensorflow/similarity #188, #181: saved, and loaded as what it was."""
    model = Subclassed()
    model.compile(ProxyAdam(0.01, 5), ProxyGMLLoss(0.5), run_eagerly=True)
    evaluation = RetrievalEvaluation((INPUTS, LABELS), embedder=model.embedder)
    assert model.fit(INPUTS, LABELS, callbacks=[evaluation], **ONE_BATCH).history["val_mrr"][0] > 0
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = model.predict(INPUTS, verbose=0)
    np.testing.assert_allclose(loaded.predict(INPUTS, verbose=0), expected, atol=1e-6)
    assert loaded.optimizer.proxy_multiplier == 5


def test_pickled_objects():
    layer = ProxyGML(5, 2)
    layer.build((None, 4))
    twin = pickle.loads(pickle.dumps(layer))
    np.testing.assert_array_equal(twin.get_weights()[0], layer.get_weights()[0])
    for thing in (ProxyGMLLoss(0.3), ProxyAdam(0.1, 7, l2=0.1), ProxySeparation(0.4)):
        assert pickle.loads(pickle.dumps(thing)).get_config() == thing.get_config()


def test_pure_losses_are_known_to_keras():
    """tensorflow/addons #295: a model compiled with the function instead of the class."""
    for kind in ALL:
        function = getattr(losses, kind().name)
        config = keras.saving.serialize_keras_object(function)
        assert keras.saving.deserialize_keras_object(config) is function
