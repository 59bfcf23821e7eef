"""ProxyMerging, SoftTriple's regularizer: its definition, its edges, its place in a layer."""

import numpy as np
import pytest
from gradients import FAST_MODES, finite, uniform
from keras import ops

from keras_proxygml import ProxyMerging, ProxySimilarity


@pytest.mark.parametrize("mode", FAST_MODES)
def test_proxy_merging_is_its_definition(mode):
    proxies = uniform(3, 4, 5)
    units = proxies.astype("float64") / np.linalg.norm(proxies, axis=-1, keepdims=True)
    pairs = [(c, s, t) for c in range(3) for s in range(4) for t in range(s)]
    expected = sum(np.linalg.norm(units[c, t] - units[c, s]) for c, s, t in pairs)
    (value,), (gradient,) = finite(lambda p: (ProxyMerging(0.5)(p),), [proxies], mode)
    assert float(value) == pytest.approx(0.5 * expected / (3 * 4 * 3), rel=1e-5)
    moved = ops.convert_to_numpy(ProxyMerging(0.5)(proxies - 0.1 * gradient))
    assert moved < value


def test_proxy_merging_of_equal_or_single_proxies():
    equal = np.repeat(uniform(3, 1, 5), 4, axis=1)
    (value,), (gradient,) = finite(lambda p: (ProxyMerging()(p),), [equal])
    assert value == pytest.approx(0, abs=1e-3)
    assert np.abs(gradient).max() < 1e-3
    assert float(ProxyMerging()(equal[:, :1])) == 0
    assert float(ProxyMerging(0)(uniform(3, 4, 5))) == 0


def test_proxy_merging_in_a_layer():
    layer = ProxySimilarity(3, 4, proxies_regularizer=ProxyMerging(0.7))
    twin = ProxySimilarity.from_config(layer.get_config())
    assert twin.proxies_regularizer.get_config() == {"weight": 0.7}
    with pytest.raises(ValueError, match=r"Received: weight=-1"):
        ProxyMerging(-1)
    with pytest.raises(ValueError, match=r"Received: weights of shape \(2, 3\).*ProxyMerging"):
        ProxyMerging()(np.zeros((2, 3)))
