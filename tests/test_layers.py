"""ProxySimilarity, ProxyGML and ProxySeparation as Keras objects."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_proxygml import ProxyGML, ProxySeparation, ProxySimilarity


def test_cosines_of_embeddings_and_proxies():
    layer = ProxySimilarity(3, 2)
    embeddings = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    similarities = ops.convert_to_numpy(layer(embeddings))
    assert similarities.shape == (4, 3, 2)
    assert [w.name for w in layer.weights] == ["proxies"]
    proxies = layer.get_weights()[0]
    assert proxies.shape == (3, 2, 5)
    lengths = np.linalg.norm(embeddings, axis=1)[:, None, None] * np.linalg.norm(proxies, axis=-1)
    np.testing.assert_allclose(
        similarities, np.einsum("bd,cnd->bcn", embeddings, proxies) / lengths, atol=1e-6
    )


def test_official_initialiser_is_uniform_within_one_over_root_of_proxies():
    layer = ProxyGML(98)
    layer.build((None, 64))
    proxies = layer.get_weights()[0]
    bound = 1 / np.sqrt(98 * 12)
    assert proxies.shape == (98, 12, 64)
    assert np.abs(proxies).max() == pytest.approx(bound, rel=1e-3)
    assert proxies.std() == pytest.approx(bound / np.sqrt(3), rel=0.01)


def test_initial_proxies_follow_the_seed():
    def proxies(seed):
        keras.utils.set_random_seed(seed)
        layers = ProxyGML(4), ProxyGML(4)
        return [layer.build((None, 3)) or layer.get_weights()[0] for layer in layers]

    first, second = proxies(1), proxies(1)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first, proxies(2))


def test_paper_defaults_and_how_to_leave_them():
    layer = ProxyGML(5)
    layer.build((None, 3))
    expected = ProxySeparation(0.3)(layer.get_weights()[0])
    np.testing.assert_allclose(ops.convert_to_numpy(layer.losses[0]), expected, rtol=1e-6)
    plain = ProxyGML(5, 1, proxies_regularizer=None, proxies_initializer="ones")
    plain.build((None, 3))
    assert plain.losses == []
    np.testing.assert_array_equal(plain.get_weights()[0], np.ones((5, 1, 3)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    layer = ProxyGML(5, dtype=policy)
    embeddings = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    similarities = layer(embeddings)
    dtype = policy.removeprefix("mixed_")
    assert keras.backend.standardize_dtype(similarities.dtype) == dtype
    assert layer.proxies.dtype == "float32"
    layer.proxies.assign(layer.proxies * 1e-6)  # too short for half precision
    again = ops.convert_to_numpy(ops.cast(layer(embeddings), "float32"))
    np.testing.assert_allclose(again, ops.convert_to_numpy(ops.cast(similarities, "float32")), 0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, r"integer of 2 or more. Received: num_classes=1\."),
        ({"num_classes": 2.5}, r"Received: num_classes=2.5"),
        ({"num_classes": True}, r"Received: num_classes=True"),
        ({"num_classes": 3, "num_proxies": 0}, r"1 or more. Received: num_proxies=0"),
    ],
)
def test_bad_sizes(arguments, message):
    for layer in (ProxySimilarity, ProxyGML):
        with pytest.raises(ValueError, match=message):
            layer(**arguments)


@pytest.mark.parametrize("shape", [(None, 4, 4, 8), (None,), (None, None)])
def test_embeddings_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"`embeddings` must be \[B, D\] .* Received: shape"):
        ProxyGML(3).build(shape)


def test_embeddings_of_another_shape_or_dtype_after_building():
    layer = ProxyGML(3)
    layer(np.ones((2, 8), "float32"))
    for shape in ((2, 5, 8), (8,), (2, 7)):
        with pytest.raises(ValueError, match=r"expected (min_)?ndim|expected axis -1"):
            layer(np.ones(shape, "float32"))
    with pytest.raises(ValueError, match=r"must be floats .* Received: .*int32"):
        layer(np.ones((2, 8), "int32"))


@pytest.mark.parametrize(
    "layer",
    [
        ProxySimilarity(3, 2, proxies_initializer="zeros", name="mine"),
        ProxyGML(np.int64(3), proxies_regularizer=ProxySeparation(0.1)),
        ProxyGML(3, proxies_regularizer=None, dtype="mixed_float16"),
    ],
)
def test_configuration_round_trip(layer):
    twin = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(twin) is type(layer)
    assert twin.get_config() == layer.get_config()
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_separation_round_trip_and_its_weight_is_fixed():
    separation = ProxySeparation(0.7)
    twin = keras.regularizers.deserialize(keras.regularizers.serialize(separation))
    assert isinstance(twin, ProxySeparation)
    assert twin.weight == 0.7
    with pytest.raises(AttributeError):  # layers share it
        separation.weight = 1.0


@pytest.mark.parametrize("weight", [0, 0.3])
def test_penalties_have_the_dtype_of_keras_losses(weight):
    if keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless asked for")
    layer = ProxyGML(3, proxies_regularizer=ProxySeparation(weight), dtype="float64")
    layer(np.ones((2, 4)))
    assert keras.backend.standardize_dtype(layer.losses[0].dtype) == keras.config.floatx()


def test_separation_checks_its_input():
    with pytest.raises(ValueError, match=r"Received: weight=-1"):
        ProxySeparation(-1)
    with pytest.raises(ValueError, match=r"be \[C, N, D\]. Received: weights of shape \(3, 4\)"):
        ProxySeparation()(np.zeros((3, 4), "float32"))
    assert float(ProxySeparation(0)(np.ones((3, 1, 4), "float32"))) == 0
