"""Proxies sharded by class over devices give the weights of one device."""

import multiprocessing
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import small

from keras_proxygml import ProxyAdam, proxy_layout

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX is the subject")
CLASSES = 16
# Axes of the mesh: the batch and the proxies along one, or each along its own.
MESHES = {"one axis": {"batch": 8}, "two axes": {"batch": 2, "model": 4}}


def mesh_of(axes):
    # Names suffice: Keras looks for the devices when a weight is placed.
    devices = [f"cpu:{i}" for i in range(8)]
    return keras.distribution.DeviceMesh(tuple(axes.values()), list(axes), devices)


def trained(distribution=None, **optimizer):
    """Losses, and each variable's value and the shapes of its parts on the devices."""
    small.CLASSES = CLASSES
    keras.distribution.set_distribution(distribution)
    model = small.model(ProxyAdam(0.01, proxy_multiplier=5, l2=1e-3, **optimizer))
    history = model.fit(*small.data(48), batch_size=16, epochs=2, shuffle=False, verbose=0)
    variables = {}
    for variable in (*model.variables, *model.optimizer.variables):
        parts = [part.data.shape for part in variable.value.addressable_shards]
        variables[variable.path] = np.array(variable.value), parts
    return history.history["loss"], variables


def _trained_on_all():
    layouts = {
        name: proxy_layout(mesh_of(axes), list(axes)[-1], num_classes=CLASSES)
        for name, axes in MESHES.items()
    }
    runs = {
        name: trained(keras.distribution.ModelParallel(layout_map=layout))
        for name, layout in layouts.items()
    }
    lean = keras.distribution.ModelParallel(layout_map=layouts["one axis"])
    runs["lean"] = trained(lean, lean_proxies=True)
    return {"alone": trained(), "lean alone": trained(lean_proxies=True), **runs}


@pytest.fixture(scope="module")
def runs():
    """All runs, in one process of its own: XLA reads how many devices to make only once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_trained_on_all)


@on_jax
@pytest.mark.parametrize("mesh", [*MESHES, "lean"])
def test_sharded_equals_alone(runs, mesh):
    expected_losses, expected = runs["lean alone" if mesh == "lean" else "alone"]
    losses, variables = runs[mesh]
    assert losses[1] < losses[0]
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    assert variables.keys() == expected.keys()
    for path, (value, _) in variables.items():  # Adam's moments are the gradients' history
        np.testing.assert_allclose(value, expected[path][0], atol=1e-5, err_msg=path)


@on_jax
@pytest.mark.parametrize(("mesh", "share"), [("one axis", 8), ("two axes", 4)])
def test_proxies_and_moments_are_sharded(runs, mesh, share):
    sharded = set()
    for path, (value, parts) in runs[mesh][1].items():
        if "proxies" in path:
            sharded.add(path)
            assert parts == [(CLASSES // share, 2, 4)] * 8
        else:
            assert parts == [value.shape] * 8
    moments = {f"proxy_adam/head_proxies_{moment}" for moment in ("momentum", "velocity")}
    assert sharded == {"head/proxies"} | moments


@on_jax
def test_lean_proxies_are_sharded_with_their_velocity(runs):
    shapes = {path.rpartition("proxies")[2]: parts for path, (_, parts) in runs["lean"][1].items()}
    assert shapes["_velocity"] == [(CLASSES // 8, 2, 1)] * 8


def _run_the_documents_code():
    text = (Path(__file__).parent.parent / "docs" / "scaling.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    namespace = {}
    exec(compile(block, "docs/scaling.md", "exec"), namespace)
    value = namespace["model"].layers[-1].proxies.value
    return [part.data.shape for part in value.addressable_shards]


@on_jax
def test_code_of_the_document():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(_run_the_documents_code) == [(10_000, 1, 128)] * 8


@on_jax
@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"axis": "rows"}, "must be 'batch' or 'model'. Received"), ({"num_classes": 98}, "100")],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        proxy_layout(mesh_of(MESHES["two axes"]), **arguments)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX is right")
def test_other_backends_are_refused():
    with pytest.raises(RuntimeError, match="Set KERAS_BACKEND=jax"):
        proxy_layout(None)
