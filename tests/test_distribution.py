"""One replica and several give the same weights, the proxies' regularizer included."""

import multiprocessing

import keras
import numpy as np
import pytest
import small

from keras_proxygml import ProxyAdam, ProxyGMLLoss

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def trained(replicas, samples, prepare=lambda model: model, strategy=None, **optimizer):
    import tensorflow as tf

    if strategy is None:
        strategy = small.mirrored(replicas) if replicas > 1 else tf.distribute.get_strategy()
    with strategy.scope():
        model = prepare(small.model(ProxyAdam(0.01, proxy_multiplier=5, l2=1e-3, **optimizer)))
    inputs, labels = small.data(samples)
    history = model.fit(inputs, labels, batch_size=16, epochs=2, shuffle=False, verbose=0)
    return model.get_weights(), history.history["loss"]


def trained_elsewhere(replicas, samples):
    """With TensorFlow's default strategy, in a process of its own (see `small.mirrored`)."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_in_new_process, (replicas, samples))


def _in_new_process(replicas, samples):
    import conftest  # noqa: F401, makes the virtual devices
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
    return trained(replicas, samples, strategy=strategy)


@pytest.mark.parametrize("replicas", [2, 4])
def test_replicas_equal_one_device(replicas):
    single, single_losses = trained(1, 48)
    several, losses = trained_elsewhere(replicas, 48)
    for ours, expected in zip(several, single, strict=True):
        assert np.abs(ours - expected).max() <= 1e-5
    np.testing.assert_allclose(losses, single_losses, rtol=1e-5)


def test_lean_proxies_on_replicas_equal_one_device():
    single, _ = trained(1, 48, lean_proxies=True)
    several, _ = trained(2, 48, lean_proxies=True)
    for ours, expected in zip(several, single, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_a_replica_without_samples_adds_nothing():
    """Of a last batch of one sample, a second replica gets none."""

    def prepare(model):
        model.compile(ProxyAdam(0.01), ProxyGMLLoss(ratio=0.5, scale=2))
        return model

    weights, losses = trained(2, 48 + 1, prepare)
    assert np.isfinite(losses).all()
    assert all(np.isfinite(w).all() for w in weights)


def test_an_uneven_last_batch_is_what_keras_makes_of_it():
    """With all proxies kept, ours is Keras's cross-entropy of the class sums: so on replicas."""

    def ours(model):
        model.compile(ProxyAdam(0.01), ProxyGMLLoss(ratio=1.0))
        return model

    def keras_own(model):
        sums = keras.layers.Lambda(lambda s: keras.ops.sum(s, axis=-1))(model.output)
        model = keras.Model(model.input, sums)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01), loss)
        return model

    weights, losses = trained(2, 48 + 7, ours)
    expected_weights, expected_losses = trained(2, 48 + 7, keras_own)
    for a, b in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    alone, _ = trained(1, 48 + 7, ours)
    assert np.abs(alone[-1] - weights[-1]).max() > 1e-4  # not the mean over the whole batch
