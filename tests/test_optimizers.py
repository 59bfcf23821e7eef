"""ProxyAdam: Adam, but for the proxies' rate and L2."""

import warnings

import keras
import numpy as np
import pytest

from keras_proxygml import ProxyAdam, ProxyGML, ProxyGMLLoss

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(24, 6)).astype("float32")
LABELS = RNG.integers(0, 5, 24).astype("int32")


def model_with(optimizer, **compile_arguments):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(4, name="dense"), ProxyGML(5, 2, name="head")]
    )
    model.compile(optimizer, ProxyGMLLoss(0.5), **compile_arguments)
    return model


def fit(model, epochs=2, **arguments):
    model.fit(INPUTS, LABELS, batch_size=8, epochs=epochs, shuffle=False, verbose=0, **arguments)
    return model.get_weights()


def fit_one_step(model):
    return fit(model, 1, steps_per_epoch=1)


def equal(ours, theirs, tolerance=1e-6):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


VARIANTS = {
    "plain": {},
    "schedule": {"learning_rate": lambda: keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)},
    "accumulation": {"gradient_accumulation_steps": 3},
    "clipnorm": {"clipnorm": 0.01},
    "global_clipnorm": {"global_clipnorm": 0.01},
    "clipvalue": {"clipvalue": 1e-3},
    "ema": {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    "weight_decay": {"weight_decay": 0.1},
    "amsgrad": {"amsgrad": True},
}


def arguments_of(variant):
    # A schedule belongs to one optimizer: each gets its own.
    arguments = {"learning_rate": 0.01, **VARIANTS[variant]}
    if callable(arguments["learning_rate"]):
        arguments["learning_rate"] = arguments["learning_rate"]()
    return arguments


@pytest.mark.parametrize(
    "variant",
    [
        v if v in ("plain", "schedule") else pytest.param(v, marks=pytest.mark.slow)
        for v in VARIANTS
    ],
)
def test_is_adam_where_nothing_differs(variant):
    ours = fit(model_with(ProxyAdam(**arguments_of(variant))))
    adams = fit(model_with(keras.optimizers.Adam(**arguments_of(variant))))
    equal(ours, adams)


def first_step(multiplier, situation):
    """How far the weights move in one step, in the situation given."""
    arguments = arguments_of(situation) if situation in VARIANTS else {"learning_rate": 0.01}
    if situation == "weight_decay":
        arguments["weight_decay"] = 0.0  # it shrinks the proxies at the plain rate
    callbacks, accumulated = [], 3 if situation == "accumulation" else 1
    if situation == "scheduler":
        arguments["learning_rate"] = 0.5
        callbacks = [keras.callbacks.LearningRateScheduler(lambda epoch: 0.01)]
    optimizer = ProxyAdam(**arguments, proxy_multiplier=multiplier)
    if situation == "loss_scale":
        model = model_with(keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=128.0))
    else:
        model = model_with(optimizer)
    if situation in ("frozen", "unfrozen"):
        model.layers[0].trainable = False
        model.compile(optimizer, ProxyGMLLoss(0.5))
        optimizer.build(model.weights)  # so that it knows what will be unfrozen
    if situation == "unfrozen":
        model.layers[0].trainable = True
        model.compile(optimizer, ProxyGMLLoss(0.5))
    before = model.get_weights()
    rows = 8 * accumulated
    model.fit(
        INPUTS[:rows], LABELS[:rows], batch_size=8, shuffle=False, verbose=0, callbacks=callbacks
    )
    return [a - b for a, b in zip(model.get_weights(), before, strict=True)]


@pytest.mark.parametrize("situation", [*VARIANTS, "scheduler", "loss_scale", "frozen", "unfrozen"])
@pytest.mark.slow
def test_the_ratio_holds(situation):
    if situation == "frozen" and keras.backend.backend() == "jax":
        pytest.skip("Keras on JAX needs a new optimizer")
    *others, proxies = zip(first_step(1, situation), first_step(7, situation), strict=True)
    for single, multiplied in others:
        np.testing.assert_allclose(multiplied, single, rtol=1e-4, atol=1e-7)
    assert np.abs(proxies[0]).max() > 1e-4
    np.testing.assert_allclose(proxies[1], 7 * proxies[0], rtol=1e-3, atol=1e-6)


def test_reduced_rates_reach_the_proxies():
    model = model_with(ProxyAdam(0.01, proxy_multiplier=3))
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=1e-9, patience=1, min_delta=100)
    fit(model, 2, callbacks=[plateau])
    assert float(model.optimizer.learning_rate) < 1e-9
    before = model.get_weights()
    equal(fit(model, 1), before, 1e-7)


def test_l2_is_added_to_the_gradient_of_every_weight():
    """Against Adam on the loss plus l2/2 · |w|², whose gradient is l2 · w."""
    ours = fit(model_with(ProxyAdam(0.01, l2=0.3)))
    model = model_with(keras.optimizers.Adam(0.01))
    for layer, name in ((model.layers[0], "kernel"), (model.layers[0], "bias")):
        getattr(layer, name).regularizer = keras.regularizers.L2(0.15)
    of_proxies = model.layers[1].proxies.regularizer
    model.layers[1].proxies.regularizer = lambda w: of_proxies(w) + keras.regularizers.L2(0.15)(w)
    equal(ours, fit(model), 1e-5)
    assert not np.allclose(ours[0], fit(model_with(ProxyAdam(0.01)))[0], atol=1e-4)


def test_lean_proxies_follow_one_second_moment_each():
    """Two steps of the proxies, in NumPy from the gradients that SGD at a rate of 1 shows."""
    model = model_with(ProxyAdam(0.01, 3, lean_proxies=True, epsilon=0.01))
    shows = model_with(keras.optimizers.SGD(1.0))
    velocity = 0.0
    for step in (1, 2):
        shows.set_weights(model.get_weights())
        before = model.get_weights()[-1].astype("float64")
        gradient = before - fit_one_step(shows)[-1]
        velocity = 0.999 * velocity + 0.001 * np.mean(gradient**2, axis=-1, keepdims=True)
        rate = 0.03 * np.sqrt(1 - 0.999**step)  # as in Keras's Adam, before epsilon is added
        expected = before - rate * gradient / (np.sqrt(velocity) + 0.01)
        np.testing.assert_allclose(fit_one_step(model)[-1], expected, atol=1e-4)
    shapes = {
        variable.path.rpartition("_head_")[2]: tuple(variable.shape)
        for variable in model.optimizer.variables
    }
    assert shapes["proxies_velocity"] == shapes["proxies_momentum"] == (5, 2, 1)


@pytest.mark.slow
def test_lean_proxies_change_no_other_weight():
    lean = fit_one_step(model_with(ProxyAdam(0.01, 3, l2=0.1, lean_proxies=True)))
    adams = fit_one_step(model_with(ProxyAdam(0.01, 3, l2=0.1)))
    equal(lean[:-1], adams[:-1])
    assert not np.allclose(lean[-1], adams[-1], atol=1e-3)


# On JAX, Keras asks for a new optimizer where the weights to train change, for Adam as for ours.
same_optimizer = pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="Keras on JAX needs a new optimizer"
)


@same_optimizer
@pytest.mark.slow
def test_freezing_and_unfreezing_a_layer():
    optimizers = ProxyAdam(0.01, proxy_multiplier=1.0), keras.optimizers.Adam(0.01)
    results = []
    for optimizer in optimizers:
        model = model_with(optimizer)
        fit(model)
        model.layers[0].trainable = False
        model.compile(optimizer, ProxyGMLLoss(0.5))
        before = model.layers[0].get_weights()
        fit(model)
        equal(model.layers[0].get_weights(), before, 0)
        model.layers[0].trainable = True
        model.compile(optimizer, ProxyGMLLoss(0.5))
        results.append(fit(model))
    equal(*results)


@same_optimizer
def test_proxies_may_be_frozen_after_the_optimizer_knew_them():
    model = model_with(ProxyAdam(0.01, proxy_multiplier=10))
    fit(model)
    model.layers[1].trainable = False
    model.compile(model.optimizer, ProxyGMLLoss(0.5))
    before = model.layers[1].get_weights()
    fit(model)
    equal(model.layers[1].get_weights(), before, 0)


@pytest.mark.slow
def test_loss_scaling():
    keras.config.set_dtype_policy("mixed_float16")
    results = []
    for adam in (ProxyAdam(0.01, l2=0.01), ProxyAdam(0.01, l2=0.01, loss_scale_factor=128.0)):
        model = model_with(keras.optimizers.LossScaleOptimizer(adam, initial_scale=128.0))
        results.append(fit(model))
        assert all(np.isfinite(w).all() for w in results[-1])
    plain = model_with("sgd")
    assert not np.allclose(results[0][-1], plain.get_weights()[-1])
    keras.config.set_dtype_policy("float32")
    equal(results[0], fit(model_with(ProxyAdam(0.01, l2=0.01))), 0.02)


def test_a_multiplier_without_proxies_is_an_error():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5)])
    model.compile(ProxyAdam(0.01, proxy_multiplier=10), "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"be 1 where no weight .* 'proxies'. Received: proxy_mul"):
        fit(model)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5)])
    model.compile(ProxyAdam(0.01), "sparse_categorical_crossentropy")
    fit(model)


@pytest.mark.parametrize("file", ["model.keras", "model.h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_model_with_frozen_proxies_loads(tmp_path, file):
    model = model_with(ProxyAdam(0.01, proxy_multiplier=10))
    fit(model)
    model.layers[1].trainable = False
    model.compile(model.optimizer, ProxyGMLLoss(0.5))
    model.save(tmp_path / file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's, that fewer weights train than before
        loaded = keras.models.load_model(tmp_path / file)
    equal(loaded.get_weights(), model.get_weights(), 0)


@pytest.mark.parametrize(
    "arguments",
    [{"proxy_multiplier": x} for x in (0, -1, np.inf)] + [{"l2": x} for x in (-0.1, None)],
)
def test_bad_arguments(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=rf"`{name}` must be in .* Received: {name}="):
        ProxyAdam(0.01, **arguments)


def test_lean_proxies_and_amsgrad_exclude_each_other():
    with pytest.raises(ValueError, match="Received: lean_proxies=True and amsgrad=True"):
        ProxyAdam(lean_proxies=True, amsgrad=True)


def test_configuration_round_trip():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    for rate in (0.01, schedule):
        optimizer = ProxyAdam(
            rate, proxy_multiplier=300, l2=1e-4, lean_proxies=True, epsilon=0.01, clipnorm=1.0
        )
        twin = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
        assert isinstance(twin, ProxyAdam)
        assert twin.get_config() == optimizer.get_config()
        assert (twin.proxy_multiplier, twin.l2, twin.epsilon) == (300, 1e-4, 0.01)


@pytest.mark.tensorflow
@pytest.mark.parametrize("lean", [False, True])
def test_the_variables_of_a_gradient_tape_are_known_too(lean):
    """They are TensorFlow's own: `tape.watched_variables()` gives no Keras variables."""
    import tensorflow as tf

    def stepped(variables_of):
        optimizer = ProxyAdam(0.01, proxy_multiplier=10, lean_proxies=lean)
        model = model_with(optimizer)
        with tf.GradientTape() as tape:
            loss = ProxyGMLLoss(0.5)(LABELS, model(INPUTS))
        variables = variables_of(model, tape)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return model.get_weights(), sum(v.value.shape.num_elements() for v in optimizer.variables)

    raw, held_raw = stepped(lambda model, tape: tape.watched_variables())
    keras_own, held = stepped(lambda model, tape: model.trainable_variables)
    equal(raw, keras_own)
    assert held_raw == held
