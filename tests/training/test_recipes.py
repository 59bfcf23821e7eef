"""The recipes, their learning rates and the models that they make."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_proxygml.training import RECIPES, Recipe, compile_for, learning_rate, make_model
from keras_proxygml.training.recipes import as_recipe


def test_the_papers_numbers():
    paper, sop = RECIPES["paper"], RECIPES["paper_sop"]
    numbers = (paper.num_proxies, paper.ratio, paper.separation, paper.l2, paper.epsilon)
    assert numbers == (12, 0.05, 0.3, 1e-4, 0.01)
    assert paper.learning_rate * paper.proxy_multiplier == pytest.approx(0.03)
    assert (sop.num_proxies, sop.separation, sop.freeze_batch_norm) == (1, 0, False)
    assert sop.learning_rate * sop.proxy_multiplier == pytest.approx(0.3)
    assert Recipe().replace(name="paper", image_size=224) == paper
    assert all(recipe.name == name for name, recipe in RECIPES.items())


def test_a_recipe_by_its_name_and_with_other_numbers():
    assert as_recipe("paper-sop") is RECIPES["paper_sop"]
    changed = as_recipe("fine_tune").replace(epochs=3, decay_epochs=[2])
    assert (changed.epochs, changed.decay_epochs, changed.ratio) == (3, (2,), 0.5)
    assert RECIPES["fine_tune"].epochs == 12
    assert as_recipe(changed) is changed


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"ratio": 0}, r"`ratio` must be in \(0, 1\]. Received: ratio=0"),
        ({"crop_area": 2}, r"`crop_area` must be in \(0, 1\]. Received: crop_area=2"),
        ({"epochs": 0}, "`epochs` must be an integer of 1 or more. Received: epochs=0"),
        ({"warm_up": -1}, "`warm_up` must be an integer of 0 or more"),
        ({"image_size": 0}, "`image_size` must be an integer of 1 or more"),
        ({"schedule": "linear"}, "`schedule` must be 'constant', 'step' or 'cosine'"),
        ({"l2": -1}, r"`l2` must be in \[0, inf\)"),
        ({"decay_epochs": 20}, r"`decay_epochs` must hold integers .* decay_epochs=20. Give for"),
        ({"decay_epochs": (2.5,)}, "`decay_epochs` must hold integers of 1 or more"),
        ({"decay_epochs": (0, 5)}, "`decay_epochs` must hold integers of 1 or more"),
        ({"epoch": 3}, "`changes` must be 'name', .* Received: changes='epoch'"),
    ],
)
def test_numbers_that_are_not_allowed(numbers, message):
    with pytest.raises(ValueError, match=message):
        RECIPES["paper"].replace(**numbers)


def test_numpy_numbers_become_those_of_python():
    recipe = RECIPES["paper"].replace(
        epochs=np.int64(2),
        image_size=np.array(12),
        scale=np.float32(2),
        crop_area=np.float32(0.5),
        flip=np.bool_(False),
        decay_epochs=np.array([1, 2]),
    )
    written = json.loads(json.dumps(dataclasses.asdict(recipe)))
    assert (written["epochs"], written["image_size"], written["scale"]) == (2, 12, 2)
    assert (written["crop_area"], written["flip"]) == (0.5, False)
    assert written["decay_epochs"] == [1, 2]


def test_an_unknown_recipe_is_named():
    with pytest.raises(ValueError, match=r"one of paper, .*demo. Received: 'papers'. Check"):
        as_recipe("papers")


@pytest.mark.parametrize("warm_up", [0, 2])
def test_the_papers_rate_falls_to_a_tenth_from_epochs_20_and_40_on(warm_up):
    rate = learning_rate(RECIPES["paper"].replace(warm_up=warm_up), steps=7)
    first_steps = {epoch: 7 * (epoch - 1 - warm_up) for epoch in (19, 20, 39, 40, 50)}
    rates = {epoch: float(rate(first)) for epoch, first in first_steps.items()}
    expected = {19: 1e-4, 20: 1e-5, 39: 1e-5, 40: 1e-6, 50: 1e-6}
    assert rates == pytest.approx(expected, rel=1e-6)
    assert float(rate(first_steps[20] - 1)) == pytest.approx(1e-4)  # the last step of epoch 19


@pytest.mark.parametrize(
    ("warm_up", "decay_epochs", "expected"),
    [
        (0, (1, 3), [0.1, 0.1, 0.01, 0.01]),
        (1, (2, 4), [0.1, 0.1, 0.01]),
        (2, (2, 4), [0.1, 0.01]),
        (0, (4, 2), [1, 0.1, 0.1, 0.01]),
        (2, (1, 2), [0.01, 0.01]),
        (0, (), [1, 1, 1, 1]),
    ],
)
def test_decays_may_be_of_the_first_epochs_and_in_any_order(warm_up, decay_epochs, expected):
    numbers = {"learning_rate": 1.0, "warm_up": warm_up, "decay_epochs": decay_epochs}
    rate = learning_rate(RECIPES["paper"].replace(**numbers), steps=5)
    epochs = range(4 - warm_up)
    rates = [float(rate(5 * epoch) if callable(rate) else rate) for epoch in epochs]
    assert rates == pytest.approx(expected)


def test_other_schedules():
    cosine = RECIPES["fine_tune"].replace(epochs=5, warm_up=1)
    assert float(learning_rate(cosine, 10)(20)) == pytest.approx(3e-4 / 2)  # half of 4 epochs
    assert float(learning_rate(cosine, 10)(40)) == pytest.approx(0, abs=1e-9)
    assert learning_rate(RECIPES["demo"], 10) == 1e-3
    all_warm = RECIPES["fine_tune"].replace(epochs=1, warm_up=1)
    assert float(learning_rate(all_warm, 10)(0)) == pytest.approx(3e-4)


@pytest.mark.parametrize(("recipe", "limit"), [("paper", 1 / 32), ("fine_tune", 1 / 16)])
def test_only_the_papers_embedding_starts_as_in_pytorch(recipe, limit):
    pixels = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1024)]
    model = make_model(keras.Sequential(pixels), 30, RECIPES[recipe], image_size=8)
    largest = np.abs(model.get_layer("embedding").get_weights()[0]).max()
    assert 0.99 * limit < largest <= limit


def network():
    layers = [keras.layers.Dense(4, name=f"dense_{n}") for n in range(3)]
    return keras.Sequential(
        [keras.Input((2, 2, 3)), keras.layers.Flatten(), *layers, keras.layers.BatchNormalization()]
    )


def test_what_learns_in_each_phase():
    inner, recipe = network(), RECIPES["fine_tune"]
    model = make_model(inner, 30, recipe)
    compile_for("warm_up", model, inner, recipe, steps=7)
    assert len(model.trainable_weights) == 3  # kernel and bias of the embedding, and the proxies
    assert float(model.optimizer.learning_rate) == pytest.approx(3e-4)
    compile_for("training", model, inner, recipe, steps=7, frozen_until="dense_1")
    names = {w.path.split("/")[-2] for w in inner.trainable_weights}
    assert names == {"dense_1", "dense_2"}  # and no batch normalization
    assert (model.loss.ratio, model.loss.masked) == (0.5, True)
    changed = recipe.replace(freeze_batch_norm=False, masked=False)
    compile_for("training", model, inner, changed, steps=7)
    assert not model.loss.masked
    assert len(inner.trainable_weights) == 8
    with pytest.raises(ValueError, match=r"`frozen_until` must name a layer of .*dense_"):
        compile_for("training", model, inner, recipe, steps=7, frozen_until="dense_9")
    with pytest.raises(ValueError, match="`phase` must be 'warm_up' or 'training'"):
        compile_for("fit", model, inner, recipe, steps=7)
