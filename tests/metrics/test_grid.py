import numpy as np
import pytest

from keras_proxygml.metrics._exact.grid import LEVEL, rounding_slack, unit_vectors


def whole_products(left, right):
    """Products in Python's whole numbers, in units of 2**-48."""
    left, right = ((x.astype("float64") * 2.0**24).astype("int64").tolist() for x in (left, right))
    return [[sum(a * b for a, b in zip(x, y, strict=True)) for y in right] for x in left]


@pytest.mark.parametrize("dims", [1, 2, 37, 1000])
def test_float64_products_are_exact_in_any_order(dims):
    x = unit_vectors(np.random.default_rng(dims).normal(size=(20, dims)))
    exact = whole_products(x, x)
    order = np.random.default_rng(1).permutation(dims)
    for wide in (x.astype("float64"), x[:, order].astype("float64")):
        assert (wide @ wide.T * LEVEL).astype("int64").tolist() == exact


@pytest.mark.parametrize("dims", [1, 3, 512, 4096])
def test_float32_products_are_within_the_slack(dims):
    # All of one sign and alike, so that rounding errors are large and add up.
    x = unit_vectors(1 + 0.01 * np.random.default_rng(dims).normal(size=(50, dims)))
    running = np.cumsum(x[:, None] * x[None], axis=2, dtype="float32")[..., -1]
    exact = x.astype("float64") @ x.astype("float64").T
    for product in (running, x @ x.T):
        assert np.abs(product - exact).max() <= rounding_slack(dims)


def test_unit_vectors_have_unit_length_whatever_their_scale():
    x = np.random.default_rng(0).normal(size=(9, 5))
    scale = 10.0 ** np.array([-300, -40, -5, 0, 1, 5, 40, 150, 300])[:, None]
    units = unit_vectors(x * scale)
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(units, unit_vectors(x), atol=2.0**-24)
    assert not unit_vectors(np.zeros((2, 3))).any()
