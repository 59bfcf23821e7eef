"""Mixed precision trains to the losses of float32."""

import keras
import numpy as np
import pytest
import small

from keras_proxygml import ProxyAdam


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.slow
def test_losses_are_within_two_percent_of_float32(policy, jit_compile):
    if keras.backend.backend() == "torch" and jit_compile:
        pytest.skip("PyTorch's compiler takes minutes")
    losses = {}
    for name in ("float32", policy):
        keras.config.set_dtype_policy(name)
        model = small.model(ProxyAdam(0.003, proxy_multiplier=5), jit_compile=jit_compile)
        history = model.fit(*small.data(96), batch_size=16, epochs=5, shuffle=False, verbose=0)
        losses[name] = history.history["loss"]
        assert all(np.isfinite(w).all() for w in model.get_weights())
    np.testing.assert_allclose(losses[policy], losses["float32"], rtol=0.02)
    assert losses[policy][-1] < 0.9 * losses[policy][0]


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX makes float32 of float64")
def test_layers_of_double_precision_train():
    keras.config.set_dtype_policy("float64")
    model = small.model(ProxyAdam(0.003))
    assert model.layers[-1].proxies.dtype == "float64"
    history = model.fit(*small.data(32), batch_size=16, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
