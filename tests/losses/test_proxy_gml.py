"""ProxyGMLLoss as a Keras loss: reduction, dtypes, configuration, bad input."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_proxygml import ProxyGML, ProxyGMLLoss, proxy_gml


@pytest.fixture
def similarities():
    return np.random.default_rng(0).uniform(-1, 1, (4, 5, 2)).astype("float32")


LABELS = np.array([0, 3, 4, 1], "int32")


def test_one_loss_per_sample_and_their_mean(similarities):
    each = ProxyGMLLoss(0.5, reduction=None)(LABELS, similarities)
    assert tuple(each.shape) == (4,)
    mean = ProxyGMLLoss(0.5)(LABELS[:, None], similarities)
    assert float(mean) == pytest.approx(float(ops.mean(each)), rel=1e-6)
    weighted = ProxyGMLLoss(0.5)(LABELS, similarities, np.array([2.0, 0.0, 0.0, 2.0]))
    each = ops.convert_to_numpy(each)
    assert float(weighted) == pytest.approx((each[0] + each[3]) / 2, rel=1e-6)


def test_scale_multiplies_the_scores(similarities):
    scaled = ProxyGMLLoss(0.5, scale=3.0)(LABELS, similarities)
    # The subgraph ranks alike whatever the factor, so this is the loss of similarities times 3.
    assert float(scaled) == pytest.approx(float(ProxyGMLLoss(0.5)(LABELS, 3 * similarities)), 1e-6)
    assert float(scaled) != pytest.approx(float(ProxyGMLLoss(0.5)(LABELS, similarities)), 1e-2)


@pytest.mark.parametrize("num_classes", [6, 6000])  # 6000 are enough for XLA
def test_without_the_mask_other_classes_count_with_a_score_of_0(num_classes):
    similarities = np.full((1, num_classes, 1), -0.9, "float32")
    similarities[0, :3, 0] = 0.8, 0.5, 0.4
    labels = np.zeros(1, "int32")
    compiled = keras.Model(inputs := keras.Input((num_classes, 1)), inputs)
    for masked, others in ((True, 0), (False, num_classes - 3)):
        loss = ProxyGMLLoss(2.5 / num_classes, 2.0, masked)  # k = 3
        expected = np.log(np.exp([1.6, 1.0, 0.8]).sum() + others) - 1.6
        assert float(loss(labels, similarities)) == pytest.approx(expected, rel=1e-5)
        compiled.compile("sgd", loss)
        found = compiled.evaluate(similarities, labels, verbose=0)
        assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_is_computed_in_float32_or_wider(similarities, dtype):
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless asked for")
    narrow = ops.cast(similarities, dtype)
    losses = proxy_gml(LABELS, narrow, 5)
    expected = "float64" if dtype == "float64" else "float32"
    assert keras.backend.standardize_dtype(losses.dtype) == expected
    same = proxy_gml(LABELS, ops.cast(narrow, "float32"), 5)
    np.testing.assert_allclose(ops.convert_to_numpy(losses), ops.convert_to_numpy(same), rtol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_labels_up_to_20000_are_not_rounded(policy):
    keras.config.set_dtype_policy(policy)
    labels = np.array([257, 2049, 19_999], "int32")
    similarities = np.zeros((3, 20_000, 1), "float32")
    similarities[np.arange(3), labels] = 1.0
    losses = ProxyGMLLoss(2e-4, scale=30, reduction=None)(labels, similarities)  # k = 4
    # Three unrelated proxies at 0 against the own one at 1.
    np.testing.assert_allclose(ops.convert_to_numpy(losses), np.log1p(3 * np.exp(-30)), atol=1e-6)


def test_more_classes_than_float32_can_number_are_refused():
    with pytest.raises(ValueError, match=r"Received: 16777217 classes.*dtype='float64'"):
        ProxyGMLLoss(0.5)(np.array([0], "int32"), np.zeros((1, 2**24 + 1, 1), "float32"))


def test_half_precision_dtype_is_refused():
    with pytest.raises(ValueError, match=r"Received: dtype='bfloat16', which would round labels"):
        ProxyGMLLoss(dtype="bfloat16")


def test_ratio_that_leaves_no_negative_is_refused():
    similarities = np.zeros((1, 5, 12), "float32")
    message = r"than the 12 proxies .* ratio=0.05, which keeps k=3 of 60.*raise ratio above 0.2,"
    with pytest.raises(ValueError, match=message):
        ProxyGMLLoss(0.05)(LABELS[:1], similarities)
    assert np.isfinite(float(ProxyGMLLoss(0.201)(LABELS[:1], similarities)))


@pytest.mark.parametrize("ratio", [0, -0.1, 1.01, float("nan")])
def test_ratio_outside_its_range(ratio):
    with pytest.raises(ValueError, match=r"`ratio` must be in \(0, 1\]\. Received: ratio="):
        ProxyGMLLoss(ratio)


@pytest.mark.parametrize("scale", [0, -1, float("inf"), float("nan"), None])
def test_scale_outside_its_range(scale):
    with pytest.raises(ValueError, match=r"`scale` must be in \(0, inf\)\. Received: scale="):
        ProxyGMLLoss(scale=scale)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 2, 1)])
def test_similarities_of_another_rank(shape):
    similarities = np.zeros(shape, "float32")
    for loss in (ProxyGMLLoss(0.5), lambda *given: proxy_gml(*given, k=5)):
        with pytest.raises(ValueError, match=r"must be \[B, C, N\]. Received: shape \(4, 5"):
            loss(LABELS, similarities)


def test_labels_as_a_list(similarities):
    expected = ops.convert_to_numpy(proxy_gml(LABELS, similarities, 5))
    ours = ops.convert_to_numpy(proxy_gml(LABELS.tolist(), similarities.tolist(), 5))
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"Received: 7 \(1 of 4"):
        proxy_gml([7, 0, 0, 0], similarities, 5)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(("label", "num_proxies"), [(-1, 2), (5, 2), (-100, 2), (-1, 1), (5, 1)])
def test_label_out_of_range_in_fit_raises_or_gives_nan(label, num_proxies, jit_compile):
    if keras.backend.backend() == "torch" and jit_compile:
        pytest.skip("PyTorch's compiler takes minutes")
    head = ProxyGML(5, num_proxies, proxies_regularizer=None)
    model = keras.Sequential([keras.Input((3,)), head])
    model.compile("sgd", ProxyGMLLoss(0.5), jit_compile=jit_compile)
    data = np.ones((4, 3), "float32"), np.array([3, 1, label, 2], "int32")
    if jit_compile:  # XLA cannot raise
        assert np.isnan(model.fit(*data, verbose=0).history["loss"][0])
    else:
        ends = rf"\[{min(label, 1)} {max(label, 3)}\]"
        message = rf"(?s)from 0 to 4.* Received(: {label} |, .* largest:\]? {ends})"
        with pytest.raises(Exception, match=message):
            model.fit(*data, verbose=0)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("in_tensor", [False, True])
def test_labels_in_few_bits_for_more_classes_than_these_count(dtype, in_tensor):
    labels = np.array([0, 1, 100], dtype)
    similarities = np.random.default_rng(0).uniform(-1, 1, (3, 300, 2)).astype("float32")
    expected = keras.ops.convert_to_numpy(proxy_gml(labels.astype("int32"), similarities, 30))
    given = keras.ops.convert_to_tensor(labels) if in_tensor else labels
    found = keras.ops.convert_to_numpy(proxy_gml(given, similarities, 30))
    np.testing.assert_array_equal(found, expected)


def test_configuration_round_trip():
    loss = ProxyGMLLoss(0.2, 4.0, False, reduction="sum", name="mine", dtype="float64")
    twin = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(twin, ProxyGMLLoss)
    assert twin.get_config() == loss.get_config()
    arguments = {"ratio": 0.2, "scale": 4.0, "masked": False}
    expected = arguments | {"reduction": "sum", "name": "mine", "dtype": "float64"}
    assert loss.get_config() == expected
