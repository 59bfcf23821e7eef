"""A model with more classes: what is kept, where the new proxies start, how it trains on."""

import keras
import numpy as np
import pytest
import small
from added import TOTAL, all_items, equal_weights, fit, found, new_items, trained, values

from keras_proxygml import (
    NormalizedSoftmaxLoss,
    ProxyAdam,
    ProxyGML,
    ProxyGMLLoss,
    ProxySimilarity,
    embedder_of,
)
from keras_proxygml.models import add_classes


def test_old_classes_stay_and_new_ones_are_found_at_once():
    model = trained()
    before = model.get_weights()
    larger = add_classes(model, *new_items())
    equal_weights(model, before)
    *others, proxies = larger.get_weights()
    for ours, theirs in zip(others, before, strict=False):
        np.testing.assert_array_equal(ours, theirs)
    assert proxies.shape == (TOTAL, 2, 4)
    np.testing.assert_array_equal(proxies[: small.CLASSES], before[-1])
    inputs, _ = small.data()
    old = larger.predict(inputs, verbose=0)[:, : small.CLASSES]
    # The products of a larger matrix may be added in another order.
    np.testing.assert_allclose(old, model.predict(inputs, verbose=0), rtol=0, atol=1e-6)
    unseen, labels = new_items(60, seed=2)
    assert (found(larger, unseen) == labels).mean() > 0.8  # chance is 1 in 9


def test_the_proxies_are_the_mean_directions_of_separate_groups():
    """Two proxies a class and two groups of items: each proxy is the mean of a group's units."""
    model = keras.Sequential([keras.Input((3,)), ProxySimilarity(2, 2, name="head")])
    long = 5 * np.eye(2, 3, dtype="float32")[:, None].repeat(2, axis=1)
    model.layers[-1].proxies.assign(long)
    rng = np.random.default_rng(0)
    groups = np.array([[0, 0, 4.0], [0, -3.0, 0]])[:, None] + 0.2 * rng.normal(size=(2, 9, 3))
    larger = add_classes(model, groups.reshape(-1, 3), np.full(18, 2))
    units = groups / np.linalg.norm(groups, axis=-1, keepdims=True)
    means = units.mean(axis=1)
    expected = 5 * means / np.linalg.norm(means, axis=-1, keepdims=True)
    proxies = larger.get_weights()[0][2]
    order = proxies[:, 2].argsort()[::-1]
    np.testing.assert_allclose(proxies[order], expected, rtol=1e-5)


def test_fewer_items_than_proxies():
    """One item: it is a proxy, and the others are near it and differ."""
    model = keras.Sequential([keras.Input((8,)), ProxyGML(4, 5, name="head")])
    items = np.random.default_rng(0).normal(size=(1, 8)).repeat(3, axis=0)
    proxies = add_classes(model, items, [4, 4, 4]).get_weights()[0][4]
    units = proxies / np.linalg.norm(proxies, axis=1, keepdims=True)
    cosines = units @ (items[0] / np.linalg.norm(items[0]))
    assert cosines.max() > 1 - 1e-6
    assert np.sort(cosines)[0] > 0.99
    assert (units @ units.T)[~np.eye(5, dtype=bool)].max() < 1 - 1e-4


def test_items_that_point_everywhere():
    model = keras.Sequential([keras.Input((2,)), ProxySimilarity(2, name="head")])
    proxies = add_classes(model, np.array([[1.0, 0], [-1.0, 0]]), [2, 2]).get_weights()[0]
    assert abs(proxies[2, 0, 0]) > 0


def test_training_goes_on_as_if_nothing_had_happened():
    """New proxies that are far from all items take no part in the softmax."""
    inputs = keras.Input((8,))
    positive = keras.layers.Dense(4, activation="softplus")(inputs)
    model = keras.Model(inputs, ProxySimilarity(6, name="head")(positive))
    model.compile(ProxyAdam(1e-3, 3), NormalizedSoftmaxLoss(0.01))
    items, _ = small.data()
    data = items, model.predict(items, verbose=0)[..., 0].argmax(axis=1)
    fit(model, data)
    larger = add_classes(model, *new_items())
    weights = larger.get_weights()
    weights[-1][6:] = -1
    larger.set_weights(weights)
    np.testing.assert_allclose(fit(larger, data, 2), fit(model, data, 2), rtol=1e-4)
    for ours, theirs in zip(larger.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours[: len(theirs)], theirs, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(larger.get_weights()[-1][6:], -1, atol=1e-3)


@pytest.mark.slow
def test_resumed_training_of_the_larger_model_equals_training_in_one_go(tmp_path):
    larger = add_classes(trained(), *new_items())
    twin = add_classes(trained(), *new_items())
    expected = fit(twin, all_items(), 3)
    larger.save(tmp_path / "larger.keras")
    loaded = keras.models.load_model(tmp_path / "larger.keras")
    assert loaded.layers[-1].num_classes == TOTAL
    np.testing.assert_allclose(fit(loaded, all_items(), 3), expected, rtol=1e-5)
    inputs, _ = small.data()
    vectors = embedder_of(twin).predict(inputs, verbose=0)
    np.testing.assert_allclose(
        embedder_of(loaded).predict(inputs, verbose=0), vectors, rtol=1e-4, atol=1e-5
    )


@pytest.mark.slow
def test_training_improves_with_and_without_the_embedder():
    model = trained()
    for frozen in (True, False):
        larger = add_classes(model, *new_items())
        if frozen:
            embedder_of(larger).trainable = False
            larger.compile(ProxyAdam(0.01, 5), larger.loss)
        before = embedder_of(larger).get_weights()
        losses = fit(larger, all_items(), 8)
        assert losses[-1] < losses[0]
        same = [np.array_equal(*pair) for pair in zip(before, larger.get_weights(), strict=False)]
        assert all(same) is frozen


class Block(keras.layers.Layer):
    """A layer whose configuration does not say which of its layers train."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm, self.dense = keras.layers.BatchNormalization(), keras.layers.Dense(5)

    def build(self, shape):
        self.norm.build(shape)
        self.dense.build(shape)

    def call(self, inputs):
        return self.dense(self.norm(inputs))


def test_layers_that_do_not_train_and_random_states():
    inputs = keras.Input((8,))
    inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(5), keras.layers.Dropout(0.5)])
    inner.layers[0].trainable = False
    block = Block()
    hidden = block(keras.layers.BatchNormalization(trainable=False)(inner(inputs)))
    block.norm.trainable = False
    hidden = keras.layers.Lambda(lambda x: 2 * keras.ops.tanh(x), name="twice")(hidden)
    model = keras.Model(inputs, ProxyGML(6, 2, name="head")(hidden))
    model.compile("sgd", ProxyGMLLoss(0.5))
    fit(model, small.data())
    larger = add_classes(model, *new_items())
    flags = [[layer.trainable for layer in x._flatten_layers()] for x in (model, larger)]
    assert flags[0] == flags[1]
    random = [x.layers[1].layers[-1].seed_generator.state for x in (model, larger)]
    np.testing.assert_array_equal(values(random[0]), values(random[1]))
    old = larger.predict(small.data()[0], verbose=0)[:, : small.CLASSES]
    np.testing.assert_allclose(old, model.predict(small.data()[0], verbose=0), rtol=0, atol=1e-6)


def test_the_head_keeps_its_arguments():
    model = small.model()
    (larger, head) = (add_classes(model, *new_items()), model.layers[-1])
    expected = {**head.get_config(), "num_classes": TOTAL}
    assert larger.layers[-1].get_config() == expected
    assert type(larger.layers[-1]) is ProxyGML
    assert larger.name == model.name
    assert [x.name for x in larger.layers] == [x.name for x in model.layers]
    assert larger.loss.get_config() == model.loss.get_config()


class CountingLoss(keras.losses.Loss):
    """A loss that knows the number of classes."""

    def __init__(self, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes

    def call(self, y_true, y_pred):
        logits = keras.ops.max(y_pred, axis=-1)
        hot = keras.ops.one_hot(keras.ops.cast(y_true, "int32"), self.num_classes)
        return keras.ops.sum(hot * -keras.ops.log_softmax(logits), axis=-1)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


class MeanSimilarity(keras.metrics.Mean):
    """A metric that has a state."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_pred)


def greatest(y_true, y_pred):
    return keras.ops.max(y_pred)


def test_losses_and_metrics_that_know_the_number_of_classes():
    model = small.model()
    model.compile("adam", CountingLoss(6), metrics=[MeanSimilarity("mean"), greatest])
    fit(model, small.data())
    larger = add_classes(model, *new_items())
    assert (larger.loss.num_classes, model.loss.num_classes) == (TOTAL, 6)
    history = larger.fit(*all_items(), verbose=0).history
    assert set(history) == {"loss", "mean", "greatest"}
    assert np.isfinite(list(history.values())).all()
    states = [float(values(x.metrics[1].metrics[0].total)) for x in (model, larger)]
    assert states[0] != states[1]  # it is another object


def test_a_model_that_is_not_compiled_or_was_not_trained():
    inputs = keras.Input((8,))
    model = keras.Model(inputs, ProxyGML(6, 2)(inputs))
    assert not add_classes(model, *new_items()).compiled
    model.compile(ProxyAdam(0.01, 2), ProxyGMLLoss(0.5))
    larger = add_classes(model, *new_items())
    assert larger.compiled
    assert np.isfinite(fit(larger, all_items())).all()


def test_sequential_models_and_dicts_of_inputs():
    model = keras.Sequential([keras.layers.Dense(4), ProxyGML(6, 2)])  # fit builds it
    model.compile("adam", ProxyGMLLoss(0.5))
    fit(model, small.data())
    larger = add_classes(model, *new_items())
    assert type(larger) is keras.Sequential
    assert embedder_of(larger).output_shape == (None, 4)
    assert np.isfinite(fit(larger, all_items())).all()

    inputs = {name: keras.Input((8,), name=name) for name in ("left", "right")}
    both = keras.layers.Concatenate()([inputs["left"], inputs["right"]])
    model = keras.Model(inputs, [ProxyGML(6, 2)(both), both])
    items, labels = new_items()
    larger = add_classes(model, {"left": items, "right": items}, labels)
    similarities, _ = larger.predict({"left": items, "right": items}, verbose=0)
    assert (similarities.max(axis=-1).argmax(axis=-1) == labels).mean() > 0.9


class OwnModel(keras.Model):
    pass


class OtherModel(keras.Model):
    def __init__(self, inputs, outputs, width):
        super().__init__(inputs, outputs)


def test_models_of_own_classes():
    model = small.model()
    assert type(add_classes(OwnModel(model.input, model.output), *new_items())) is OwnModel
    with pytest.raises(ValueError, match=r"made as \(inputs, outputs\). Received: .* OtherModel"):
        add_classes(OtherModel(model.input, model.output, 3), *new_items())


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.slow
def test_other_precisions(policy):
    keras.config.set_dtype_policy(policy)
    model = trained()
    larger = add_classes(model, *new_items())
    assert larger.layers[-1].dtype_policy.name == policy
    assert type(larger.optimizer) is type(model.optimizer)
    fit(larger, all_items())
    assert (found(larger, new_items()[0]) == new_items()[1]).mean() > 0.6


@pytest.mark.tensorflow
@pytest.mark.slow
def test_vocabularies_and_replicas():
    text = keras.layers.TextVectorization(output_sequence_length=4)
    text.adapt(["a b c d", "d e f"])
    model = keras.Sequential(
        [
            keras.Input((), dtype="string"),
            text,
            keras.layers.Embedding(9, 4),
            keras.layers.GlobalAveragePooling1D(),
            ProxySimilarity(2, name="head"),
        ]
    )
    larger = add_classes(model, ["a b", "a b c"], [2, 2])
    assert larger.layers[0].get_vocabulary() == text.get_vocabulary()
    with small.mirrored(2).scope():
        model = small.model()
    fit(model, small.data())
    larger = add_classes(model, *new_items())
    assert larger.distribute_strategy is model.distribute_strategy
    assert np.isfinite(fit(larger, all_items())).all()
