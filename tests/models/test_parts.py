"""Parts of a model: embedders cut out, saved, loaded, resumed, exported."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import small

from keras_proxygml import ProxyGML, ProxyGMLLoss, ProxySimilarity, embedder_of


def run_python(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": "."}
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_embedder_ends_where_the_proxies_begin():
    model = small.model()
    embedder = embedder_of(model)
    assert embedder.output_shape == (None, 4)
    inputs, labels = small.data()
    before = embedder.predict(inputs, verbose=0)
    model.fit(inputs, labels, verbose=0)
    after = embedder.predict(inputs, verbose=0)
    assert not np.allclose(before, after)  # it shares the weights
    similarities = keras.ops.convert_to_numpy(model.layers[-1](after))
    np.testing.assert_allclose(similarities, model.predict(inputs, verbose=0), rtol=1e-5, atol=1e-6)


def test_embedder_of_a_sequential_model():
    layers = [keras.Input((8,)), keras.layers.Dense(3), ProxySimilarity(4)]
    assert embedder_of(keras.Sequential(layers)).output_shape == (None, 3)


def test_embedder_keeps_the_structure_of_the_inputs():
    inputs = {name: keras.Input((8,), name=name) for name in ("left", "right")}
    both = keras.layers.Concatenate()([inputs["left"], inputs["right"]])
    embedder = embedder_of(keras.Model(inputs, ProxyGML(3)(both)))
    values = {name: np.ones((2, 8), "float32") for name in inputs}
    assert embedder(values).shape == (2, 16)


def test_a_head_shared_by_models():
    inputs, head = keras.Input((8,)), ProxyGML(3)
    layers = [keras.layers.Dense(4), keras.layers.Dense(4)]
    first, second = (keras.Model(inputs, head(layer(inputs))) for layer in layers)
    assert layers[0] in embedder_of(first).layers
    other = keras.Input((8,))
    third = keras.Model(other, head(layers[0](other)))
    for model in (second, third):
        with pytest.raises(ValueError, match=r"was called in another model before"):
            embedder_of(model)


def test_models_without_one_proxy_layer():
    inputs = keras.Input((8,))
    none = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    two = keras.Model(inputs, [ProxyGML(3, name="a")(inputs), ProxyGML(4, name="b")(inputs)])
    with pytest.raises(ValueError, match=r"one proxy layer. Received: .*, which has 0 \(none"):
        embedder_of(none)
    with pytest.raises(ValueError, match=r"which has 2 \(a, b\)"):
        embedder_of(two)

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = ProxyGML(3)

    with pytest.raises(
        ValueError, match=r"a Subclassed without inputs\. .*embedder=model.backbone"
    ):
        embedder_of(Subclassed())


def test_resumed_training_equals_training_in_one_go(tmp_path):
    inputs, labels = small.data()
    arguments = {"batch_size": 16, "shuffle": False, "verbose": 0}
    straight = small.model()
    expected = straight.fit(inputs, labels, epochs=4, **arguments).history["loss"]

    model = small.model()
    model.fit(inputs, labels, epochs=2, **arguments)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.loss, ProxyGMLLoss)
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.array(a), np.array(b))
    history = loaded.fit(inputs, labels, epochs=4, initial_epoch=2, **arguments)
    np.testing.assert_allclose(history.history["loss"], expected[2:], rtol=1e-6)
    for ours, theirs in zip(loaded.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_loads_in_a_fresh_process(tmp_path):
    model = small.model()
    inputs, labels = small.data()
    model.fit(inputs, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    plain = keras.Sequential([keras.Input((8,)), ProxySimilarity(4, name="plain")])
    plain.save(tmp_path / "plain.keras")
    np.save(tmp_path / "inputs.npy", inputs)
    code = """
import sys, keras, numpy as np, keras_proxygml
folder = sys.argv[1]
assert keras.models.load_model(folder + "/plain.keras").layers[-1].num_classes == 4
model = keras.models.load_model(folder + "/model.keras")
np.save(folder + "/outputs.npy", model.predict(np.load(folder + "/inputs.npy"), verbose=0))
print(model.loss.get_config()["ratio"], model.optimizer.proxy_multiplier, model.optimizer.l2)
print(model.layers[-1].proxies_regularizer.weight)
"""
    assert run_python(code, tmp_path).split()[-4:] == ["0.5", "5", "0.001", "0.3"]
    outputs = np.load(tmp_path / "outputs.npy")
    np.testing.assert_allclose(outputs, model.predict(inputs, verbose=0), rtol=1e-5, atol=1e-6)


def test_clone_of_a_model_is_untrained_and_alike():
    model = small.model()
    clone = keras.models.clone_model(model)
    assert clone.layers[-1].get_config() == model.layers[-1].get_config()
    assert not np.array_equal(clone.layers[-1].get_weights()[0], model.layers[-1].get_weights()[0])


@pytest.mark.tensorflow
@pytest.mark.slow
def test_saved_model_serves_without_this_library(tmp_path):
    model = small.model()
    inputs, _ = small.data()
    embedder = embedder_of(model)
    embedder.export(tmp_path / "saved_model", verbose=False)
    np.save(tmp_path / "inputs.npy", inputs)
    code = """
import sys, numpy as np
sys.modules["keras_proxygml"] = None  # an import of it would fail
sys.modules["keras"] = None
import tensorflow as tf
folder = sys.argv[1]
serve = tf.saved_model.load(folder + "/saved_model").signatures["serving_default"]
(name,) = serve.structured_input_signature[1]
(outputs,) = serve(**{name: tf.constant(np.load(folder + "/inputs.npy"))}).values()
np.save(folder + "/outputs.npy", outputs.numpy())
"""
    run_python(code, tmp_path)
    outputs = np.load(tmp_path / "outputs.npy")
    np.testing.assert_allclose(outputs, embedder.predict(inputs, verbose=0), rtol=1e-5, atol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
def test_embedder_exports_to_onnx_at_once(tmp_path):
    embedder = embedder_of(small.model())
    assert embedder._called  # what Keras asks for
    pytest.importorskip("tf2onnx")
    embedder.export(tmp_path / "embedder.onnx", format="onnx", verbose=False)
    assert (tmp_path / "embedder.onnx").stat().st_size > 0
