"""The losses beside ProxyGML's as Keras losses: reduction, dtypes, configuration, replicas."""

import inspect

import keras
import numpy as np
import pytest
import small
from keras import ops
from loss_cases import (
    ALL,
    EMBEDDINGS,
    LABELS,
    ON_EMBEDDINGS,
    PER_SAMPLE,
    each,
    predictions,
    uniform,
)

from keras_proxygml import (
    ArcFaceLoss,
    CosFaceLoss,
    LiftedStructureLoss,
    NormalizedSoftmaxLoss,
    NPairsLoss,
    ProxyAnchorLoss,
    ProxyMerging,
    ProxyNCALoss,
    ProxySimilarity,
    SoftTripleLoss,
    TripletHardLoss,
    TripletSemiHardLoss,
    losses,
)


def test_one_loss_per_sample_and_their_mean():
    weights = np.array([2, 0, 0, 1, 0, 1])
    for kind in ALL:
        values = each(kind(), LABELS, predictions(kind))
        assert values.shape == (6,), kind
        mean = kind()(LABELS[:, None], predictions(kind))
        assert float(mean) == pytest.approx(values.mean(), rel=1e-5), kind
        weighted = kind()(LABELS, predictions(kind), weights)
        assert float(weighted) == pytest.approx((values * weights).mean(), rel=1e-5), kind


def test_is_computed_in_float32():
    for kind in ALL:
        narrow = ops.cast(predictions(kind), "bfloat16")
        function = getattr(losses, kind().name)
        values = function(LABELS, narrow)
        assert keras.backend.standardize_dtype(values.dtype) == "float32", kind
        same = ops.convert_to_numpy(function(LABELS, ops.cast(narrow, "float32")))
        np.testing.assert_allclose(ops.convert_to_numpy(values), same, rtol=1e-5)
        with pytest.raises(ValueError, match="Received: dtype='float16', which would round labels"):
            kind(dtype="float16")


def test_configuration_round_trip():
    for loss in (
        ProxyNCALoss(2.0, reduction="sum", name="mine", dtype="float64"),
        NormalizedSoftmaxLoss(0.1),
        CosFaceLoss(0.2, 30.0),
        ArcFaceLoss(15.0, 30.0),
        SoftTripleLoss(10.0, 0.2, 0.03),
        ProxyAnchorLoss(0.2, 16.0),
        TripletSemiHardLoss(0.3, "angular"),
        TripletHardLoss(0.3, True, "squared-L2"),
        NPairsLoss(reduction="sum"),
        LiftedStructureLoss(0.5),
    ):
        twin = keras.losses.deserialize(keras.losses.serialize(loss))
        assert type(twin) is type(loss)
        assert twin.get_config() == loss.get_config()
        arguments = set(inspect.signature(type(loss)).parameters) - {"kwargs"}
        arguments |= {"reduction", "dtype"}
        assert set(loss.get_config()) == arguments, loss.name
        default = type(loss)().get_config()
        own = arguments - {"reduction", "name", "dtype"}
        assert all(loss.get_config()[argument] != default[argument] for argument in own)


def test_embedders_train_without_proxies():
    inputs = keras.Input((4,))
    embeddings = keras.layers.Dense(3)(inputs)
    model = keras.Model(inputs, [embeddings] * len(ON_EMBEDDINGS))
    model.compile(keras.optimizers.Adam(0.02), [kind() for kind in ON_EMBEDDINGS])
    labels = [LABELS] * len(ON_EMBEDDINGS)
    history = model.fit(EMBEDDINGS, labels, epochs=12, verbose=0, batch_size=6)
    assert history.history["loss"][-1] < 0.9 * history.history["loss"][0]


@pytest.mark.tensorflow
@pytest.mark.slow
def test_two_replicas_train_as_one_device_does():
    """Five heads, each with its own per-sample loss, on one embedder."""
    import tensorflow as tf

    def trained(strategy):
        keras.utils.set_random_seed(3)
        with strategy.scope():
            inputs = keras.Input((8,))
            embeddings = keras.layers.Dense(4)(inputs)
            heads = [
                ProxySimilarity(5, 2, proxies_regularizer=ProxyMerging(), name=kind().name)
                for kind in PER_SAMPLE
            ]
            model = keras.Model(inputs, [head(embeddings) for head in heads])
            model.compile(keras.optimizers.SGD(1e-3), [kind() for kind in PER_SAMPLE])
        labels = [np.arange(24) % 5] * len(PER_SAMPLE)
        history = model.fit(
            uniform(24, 8), labels, batch_size=12, epochs=2, shuffle=False, verbose=0
        )
        return model.get_weights(), history.history["loss"]

    weights, values = trained(tf.distribute.get_strategy())
    same, same_values = trained(small.mirrored(2))
    np.testing.assert_allclose(same_values, values, rtol=1e-5)
    for ours, expected in zip(same, weights, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.tensorflow
@pytest.mark.slow
def test_two_replicas_average_the_values_of_their_shares():

    kinds, labels = [ProxyAnchorLoss, *ON_EMBEDDINGS], np.array([0, 1, 0, 2, 2, 1])
    strategy = small.mirrored(2)
    with strategy.scope():
        names = {kind().name: predictions(kind) for kind in kinds}
        inputs = {name: keras.Input(p.shape[1:], name=name) for name, p in names.items()}
        outputs = {name: keras.layers.Identity()(x) for name, x in inputs.items()}
        model = keras.Model(inputs, outputs)
        model.compile(loss={kind().name: kind() for kind in kinds})
    targets = dict.fromkeys(names, labels)
    values = model.evaluate(names, targets, batch_size=6, verbose=0, return_dict=True)
    for kind in kinds:
        halves = [kind()(labels[half], predictions(kind)[half]) for half in (slice(3), slice(3, 6))]
        value, expected = values[f"{kind().name}_loss"], np.mean([float(half) for half in halves])
        assert value == pytest.approx(expected, rel=1e-5), kind
        whole = float(kind()(labels, predictions(kind)))
        assert value != pytest.approx(whole, rel=1e-3), kind


@pytest.mark.tensorflow
@pytest.mark.slow
def test_a_replica_without_samples_adds_nothing():
    """Of a last batch of one sample, a second replica gets none."""
    with small.mirrored(2).scope():
        inputs = keras.Input((4,))
        embeddings = keras.layers.Dense(3)(inputs)
        outputs = [
            embeddings if kind in ON_EMBEDDINGS else ProxySimilarity(5, 2)(embeddings)
            for kind in ALL
        ]
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.SGD(1e-3), [kind() for kind in ALL])
    labels = [np.arange(7) % 5] * len(ALL)
    history = model.fit(uniform(7, 4), labels, batch_size=6, epochs=1, verbose=0)
    assert all(np.isfinite(values).all() for values in history.history.values())
    assert all(np.isfinite(w).all() for w in model.get_weights())
