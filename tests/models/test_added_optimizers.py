"""The optimizer of a model with more classes goes on where the old one stopped."""

import keras
import numpy as np
import pytest
import small
from added import NEW, all_items, fit, new_items, trained, values

from keras_proxygml import ProxyAdam, ProxyGMLLoss
from keras_proxygml.models import add_classes

OPTIMIZERS = {
    "proxy_adam": lambda: ProxyAdam(0.01, 5, l2=1e-3),
    "lean": lambda: ProxyAdam(0.01, 5, lean_proxies=True),
    "adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "adagrad": lambda: keras.optimizers.Adagrad(0.05),
    "adafactor": lambda: keras.optimizers.Adafactor(0.05),
    "schedule": lambda: ProxyAdam(keras.optimizers.schedules.CosineDecay(0.01, 100)),
    "average": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.5),
    "accumulation": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
}


# On JAX, Keras frees the averages when a model predicts after `fit`. Saving it then fails, too.
KEEPS_AVERAGES = keras.backend.backend() != "jax"


@pytest.mark.parametrize("name", [x for x in OPTIMIZERS if x != "average" or KEEPS_AVERAGES])
@pytest.mark.slow
def test_slots_of_the_optimizer(name):
    model = trained(optimizer=OPTIMIZERS[name]())
    larger = add_classes(model, *new_items())
    assert type(larger.optimizer) is type(model.optimizer)
    assert larger.optimizer.get_config() == model.optimizer.get_config()
    fresh = type(model.optimizer).from_config(model.optimizer.get_config())
    fresh.build(larger.trainable_variables)
    trios = zip(model.optimizer.variables, larger.optimizer.variables, fresh.variables, strict=True)
    grown = 0
    for old, new, initial in trios:
        old, new, rows = values(old), values(new), values(initial)
        if old.shape != new.shape:
            grown += 1
            if name == "average":
                continue
            np.testing.assert_array_equal(new[small.CLASSES :], rows[small.CLASSES :])
            new = new[: small.CLASSES]
        np.testing.assert_array_equal(new, old)
    assert grown >= 1
    assert int(values(larger.optimizer.iterations)) == int(values(model.optimizer.iterations)) > 0
    before = larger.get_weights()
    fit(larger, all_items())
    assert all(np.abs(a - b).max() > 0 for a, b in zip(larger.get_weights(), before, strict=True))


@pytest.mark.skipif(not KEEPS_AVERAGES, reason="Keras on JAX frees the averages")
def test_averages_of_new_proxies_start_at_the_proxies():
    larger = add_classes(trained(optimizer=OPTIMIZERS["average"]()), *new_items())
    average = values(larger.optimizer._model_variables_moving_average[-1])
    np.testing.assert_array_equal(average[small.CLASSES :], larger.get_weights()[-1][-NEW:])


def test_an_optimizer_of_other_weights():
    model, other = small.model(), keras.layers.Dense(3)
    other.build((2, 2))
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build([*model.trainable_variables, *other.trainable_variables])
    model.compile(optimizer, ProxyGMLLoss(0.5))
    with pytest.raises(ValueError, match=r"of its own weights only. .* new optimizer first"):
        add_classes(model, *new_items())
