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


@pytest.fixture(
    params=["cpu:0", pytest.param("gpu:0", marks=pytest.mark.slow)], autouse=True, scope="module"
)
def device(request):
    """On a single CPU the numbers are counted in lanes, elsewhere not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.distribution, "list_devices", lambda: [request.param])
        patch.setattr(selection, "is_worth_compiling", lambda numbers: True)
        yield request.param


def marked(rows, k, starts, width):
    starts = np.array(starts, "int32")[:, None]
    marks = greatest(ops.convert_to_tensor(rows), k, ops.convert_to_tensor(starts), width)
    return ops.convert_to_numpy(marks)


def ranked(rows, k, starts, width):
    """The same by sorting, of equals the first."""
    marks = np.zeros(rows.shape, bool)
    for row, start, mark in zip(rows, starts, marks, strict=True):
        others = np.delete(np.arange(len(row)), range(start, start + width))
        mark[others[np.argsort(-row[others], kind="stable")[:k]]] = True
        mark[start : start + width] = True
    return marks


@given(
    st.lists(NUMBERS, min_size=18, max_size=18),
    st.integers(1, 16),
    st.lists(st.integers(0, 16), min_size=2, max_size=2),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_exactly_k_and_of_equals_the_first(row, k, starts):
    rows = np.array([row, row[::-1]], "float32")
    np.testing.assert_array_equal(marked(rows, k, starts, 2), ranked(rows, k, starts, 2))


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
    starts = 39 * np.arange(len(rows))
    np.testing.assert_array_equal(marked(rows, k, starts, 1), ranked(rows, k, starts, 1))


def test_long_rows():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4, 5000)).astype("float32")
    rows[1] = np.round(rows[1], 1)
    rows[2, ::16] += 3  # the sample is not like the rest
    rows[3, ::16] = np.inf
    starts = [0, 4990, 7, 16]
    np.testing.assert_array_equal(marked(rows, 250, starts, 10), ranked(rows, 250, starts, 10))


@pytest.mark.tensorflow
def test_compiled_by_xla_for_batches_of_any_size():
    import tensorflow as tf

    kinds = tf.TensorSpec((None, 5000), "float32"), tf.TensorSpec((None, 1), "int32")
    select = tf.function(lambda x, y: greatest(x, 250, y, 3), kinds, jit_compile=True)
    rows = np.random.default_rng(0).standard_normal((6, 5000)).astype("float32").round(2)
    for size in (2, 6):
        starts = np.arange(size, dtype="int32")
        marks = select(rows[:size], starts[:, None]).numpy()
        np.testing.assert_array_equal(marks, ranked(rows[:size], 250, starts, 3))


def _while_loop(condition, body, values):
    while bool(condition(*values)):
        values = body(*values)
    return values


@pytest.fixture
def counted(monkeypatch):
    """As many items as there were passes over the numbers."""
    count, passes = selection._Others.count, []
    counting = lambda others, condition: passes.append(0) or count(others, condition)  # noqa: E731
    monkeypatch.setattr(selection._Others, "count", counting)
    monkeypatch.setattr(ops, "while_loop", _while_loop)  # in Python, so that each pass counts
    monkeypatch.setattr(ops, "cond", lambda which, yes, no: yes() if which else no())
    return passes


def test_equals_far_apart_take_one_pass(counted):
    row = np.zeros((1, 5000), "float32")
    row[0, [100, 4000]] = 0.5
    column = lambda number: ops.convert_to_tensor(np.array([[number]]))  # noqa: E731
    first = column(np.int32(0))
    row = ops.convert_to_tensor(row)
    others = selection._Others(selection._in_lanes(row), row[:, :1], first)
    limits = column(np.float32(0.5)), column(np.float32(0.6))
    end = selection._end_of_first(others, *limits, column(np.int32(1)), column(np.int32(2)))
    assert 100 < int(end[0, 0]) <= 4000
    assert len(counted) == 1


def test_similarities_take_few_passes(counted):
    rng = np.random.default_rng(0)
    samples, proxies = rng.standard_normal((16, 32)), rng.standard_normal((5000, 32))
    similarities = samples @ proxies.T / np.linalg.norm(samples, axis=1)[:, None]
    similarities = (similarities / np.linalg.norm(proxies, axis=1)).astype("float32")
    selected = marked(similarities, 250, [0] * 16, 1)
    assert (selected.sum(axis=1) == 251).all()
    assert 3 < len(counted) < 20


def test_not_a_number_ends_the_search():
    row = np.full((2, 16), np.nan, "float32")
    row[0, [2, 5, 9, 15]] = 0.5, 0.25, -0.5, -np.inf
    selected = marked(row, 3, [3, 3], 1)
    assert list(np.flatnonzero(selected[0])) == [2, 3, 5, 9]
    assert list(np.flatnonzero(selected[1])) == [3]
    selected = marked(row, 8, [3, 3], 1)  # of which there are fewer
    assert list(np.flatnonzero(selected[0])) == [2, 3, 5, 9, 15]


def _compiled_with_sharded_columns(size):
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    columns = NamedSharding(Mesh(np.array(jax.devices()), ["model"]), PartitionSpec(None, "model"))
    numbers = jax.device_put(np.zeros((4, size), "float32"), columns)
    starts = np.zeros((4, 1), "int32")
    compiled = jax.jit(greatest, static_argnums=(1, 3)).lower(numbers, 100, starts, 4).compile()
    return compiled.as_text()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the others shard nothing")
@pytest.mark.parametrize("size", [4096, 4104])  # 4104: no multiple of 16
def test_sharded_columns_are_not_gathered(size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            text = pool.apply(_compiled_with_sharded_columns, (size,))
    assert "all-reduce" in text  # of the counts
    assert "all-gather" not in text
