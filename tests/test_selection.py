"""The k greatest of each row, of which exactly k are marked, and no device needs the whole row."""

import multiprocessing

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_proxygml import selection
from keras_proxygml.selection import greatest

NUMBERS = st.sampled_from([-np.inf, -1.0, -0.5, -1e-30, 0.0, 1e-30, 0.25, 0.5, 1.0, np.inf])


@given(st.lists(NUMBERS, min_size=9, max_size=9), st.integers(1, 9))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_exactly_k_and_of_equals_the_first(row, k):
    row = np.array([row, row[::-1]], "float32")
    expected = np.zeros(row.shape, bool)
    np.put_along_axis(expected, np.argsort(-row, axis=1, kind="stable")[:, :k], True, axis=1)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(greatest(ops.convert_to_tensor(row), k)), expected
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", [1, 20, 399])
def test_rows_of_any_shape(dtype, k):
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has float64 only where it is asked to")
    rng = np.random.default_rng(0)
    normal = rng.standard_normal(400)
    rows = [normal, np.exp(3 * normal), -np.exp(3 * normal), 1e-30 * normal, 1e30 * normal]
    rows += [np.where(rng.random(400) < 0.04, 0.7, 0.0) + 1e-3 * normal]  # two heaps
    rows += [np.full(400, 0.5), np.full(400, -np.inf), np.full(400, np.inf)]
    rows += [np.where(rng.random(400) < 0.5, np.inf, normal)]
    rows = np.array(rows, dtype)
    expected = np.zeros(rows.shape, bool)
    np.put_along_axis(expected, np.argsort(-rows, axis=1, kind="stable")[:, :k], True, axis=1)
    selected = greatest(ops.convert_to_tensor(rows), k)
    np.testing.assert_array_equal(ops.convert_to_numpy(selected), expected)


def _while_loop(condition, body, values):
    while bool(condition(*values)):
        values = body(*values)
    return values


def test_similarities_take_few_passes(monkeypatch):
    count, counted = selection._count, []
    monkeypatch.setattr(selection, "_count", lambda marks: counted.append(0) or count(marks))
    monkeypatch.setattr(ops, "while_loop", _while_loop)  # in Python, so that each pass counts
    rng = np.random.default_rng(0)
    samples, proxies = rng.standard_normal((16, 32)), rng.standard_normal((5000, 32))
    similarities = samples @ proxies.T / np.linalg.norm(samples, axis=1)[:, None]
    similarities = (similarities / np.linalg.norm(proxies, axis=1)).astype("float32")
    selected = greatest(ops.convert_to_tensor(similarities), 250)
    assert (ops.convert_to_numpy(selected).sum(axis=1) == 250).all()
    assert len(counted) < 20


def test_not_a_number_ends_the_search():
    row = np.array([[np.nan, 0.5, 0.25, np.nan, -0.5], [np.nan] * 5], "float32")
    selected = ops.convert_to_numpy(greatest(ops.convert_to_tensor(row), 2))
    np.testing.assert_array_equal(selected[0], [False, True, True, False, False])
    assert not selected[1].any()


def _compiled_with_sharded_columns():
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    columns = NamedSharding(Mesh(np.array(jax.devices()), ["model"]), PartitionSpec(None, "model"))
    numbers = jax.device_put(np.zeros((4, 4096), "float32"), columns)
    return jax.jit(greatest, static_argnums=1).lower(numbers, 100).compile().as_text()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the others shard nothing")
def test_sharded_columns_are_not_gathered():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            text = pool.apply(_compiled_with_sharded_columns)
    assert "all-reduce" in text  # of the counts
    assert "all-gather" not in text
