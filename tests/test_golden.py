"""The official code's numbers: its loss and gradients, and 30 steps of its training."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from gradients import MODES, value_and_gradients

from keras_proxygml import ProxyAdam, ProxyGML, ProxyGMLLoss, ProxySeparation
from keras_proxygml.graph import similarity_graph

GOLDEN = Path(__file__).parent / "golden"
CASES = ["cars", "cub_no_reg", "sop_like", "tiny", "full_graph", "one_sample", "clustered"]
COMPILED_ON_TORCH = ["cars", "sop_like"]  # with and without the regularizer, N = 12 and N = 1


def close(ours, theirs, tolerance):
    """Agreement relative to the largest number of the array."""
    assert np.shape(ours) == np.shape(theirs)
    assert np.max(np.abs(ours - theirs)) <= tolerance * np.max(np.abs(theirs))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_official_loss_and_gradients(case, mode):
    if keras.backend.backend() == "torch" and mode == "compiled" and case not in COMPILED_ON_TORCH:
        pytest.skip("PyTorch's compiler takes half a minute a case")
    with np.load(GOLDEN / "proxygml_official.npz") as file:
        golden = {key.split("/")[1]: file[key] for key in file.files if key.startswith(f"{case}/")}
    config = json.loads(str(golden["config"]))
    loss, separation = ProxyGMLLoss(config["r"]), ProxySeparation(config["lam"])

    def total(embeddings, proxies):
        similarities = similarity_graph(embeddings, proxies)
        classification = loss(golden["labels"], similarities)
        return classification + separation(proxies), classification, similarities

    (loss_total, classification, similarities), (of_embeddings, of_proxies) = value_and_gradients(
        total, [golden["embeddings"], golden["proxies"]], mode
    )
    close(similarities, golden["similarities"], 1e-5)
    close(loss_total, golden["loss_total"], 1e-5)
    close(classification, golden["loss_classification"], 1e-5)
    close(of_proxies, golden["grad_proxies"], 1e-5)
    # The official loss does not normalise: ours sees what is tangent to the sphere.
    x, g = golden["embeddings"], golden["grad_embeddings"]
    close(of_embeddings, g - np.sum(g * x, axis=1, keepdims=True) * x, 1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_official_training_through_fit(jit_compile):
    if keras.backend.backend() == "torch" and jit_compile:
        pytest.skip("PyTorch's compiler takes minutes")
    golden = np.load(GOLDEN / "proxygml_official_trajectory.npz")
    config = json.loads(str(golden["config"]))
    inputs = keras.Input((32,))
    dense = keras.layers.Dense(16)
    head = ProxyGML(config["C"], config["N"], proxies_regularizer=ProxySeparation(config["lam"]))
    model = keras.Model(inputs, head(dense(inputs)))
    dense.set_weights([golden["kernel_init"], golden["bias_init"]])
    head.set_weights([golden["proxies_init"]])
    model.compile(
        optimizer=ProxyAdam(
            config["lr_embedder"],
            proxy_multiplier=config["lr_proxies"] / config["lr_embedder"],
            l2=config["l2_coupled_weight_decay"],
            epsilon=config["adam_eps"],
        ),
        loss=ProxyGMLLoss(config["r"]),
        jit_compile=jit_compile,
    )
    rows = np.concatenate([np.arange(i % 4 * 10, i % 4 * 10 + 10) for i in range(config["steps"])])
    history = model.fit(
        golden["inputs"][rows],
        golden["labels"][rows],
        batch_size=config["batch"],
        shuffle=False,
        verbose=0,
        steps_per_epoch=1,  # each epoch's loss is one step's
        epochs=config["steps"],
    )
    np.testing.assert_allclose(history.history["loss"], golden["losses"], rtol=1e-4)
    close(dense.get_weights()[0], golden["kernel_final"], 1e-4)
    close(dense.get_weights()[1], golden["bias_final"], 1e-4)
    close(head.get_weights()[0], golden["proxies_final"], 1e-4)
