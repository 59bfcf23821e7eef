"""What version 0.1 saved loads, predicts and trains on to the same numbers."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_proxygml  # noqa: F401  registers what is loaded

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def values():
    with np.load(GOLDEN / "saved_values.npz") as file:
        return dict(file)


def test_a_model_predicts_and_trains_on(values):
    model = keras.models.load_model(GOLDEN / "saved_model.keras")
    similarities = model.predict(values["inputs"], verbose=0)
    np.testing.assert_allclose(similarities, values["similarities"], atol=1e-6)
    assert model.evaluate(values["inputs"], values["labels"], verbose=0) == pytest.approx(
        float(values["loss"]), rel=1e-6
    )
    model.fit(values["inputs"], values["labels"], batch_size=12, epochs=1, shuffle=False, verbose=0)
    for i, weight in enumerate(model.get_weights()):  # needs the optimizer's state
        np.testing.assert_allclose(weight, values[f"weight_{i}"], atol=1e-6)


def test_an_embedder(values):
    embedder = keras.models.load_model(GOLDEN / "saved_embedder.keras")
    embeddings = embedder.predict(values["inputs"], verbose=0)
    np.testing.assert_allclose(embeddings, values["embeddings"], atol=1e-6)


def test_configurations_of_everything_that_is_registered():
    saved = json.loads((GOLDEN / "saved_configs.json").read_text())
    assert len(saved) == 16
    for config in saved:
        loaded = keras.saving.deserialize_keras_object(config)
        again = keras.saving.serialize_keras_object(loaded)
        assert again["registered_name"] == config["registered_name"]
        own = {k: v for k, v in config["config"].items() if isinstance(v, (int, float, str))}
        assert own == {name: again["config"][name] for name in own}
