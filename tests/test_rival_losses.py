"""The losses beside ProxyGML's: other programs' numbers, their definitions' properties, edges."""

import inspect
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import small
from gradients import MODES, value_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

import keras_proxygml
from keras_proxygml import (
    ArcFaceLoss,
    CosFaceLoss,
    LiftedStructureLoss,
    NormalizedSoftmaxLoss,
    NPairsLoss,
    ProxyAnchorLoss,
    ProxyMerging,
    ProxyNCALoss,
    ProxySimilarity,
    SoftTripleLoss,
    TripletHardLoss,
    TripletSemiHardLoss,
    losses,
)
from keras_proxygml.graph import similarity_graph
from keras_proxygml.losses.distances import DISTANCES

GOLDEN = Path(__file__).parent / "golden"
MODES = [m for m in MODES if (keras.backend.backend(), m) != ("torch", "compiled")]  # it is slow

PER_SAMPLE = [ProxyNCALoss, NormalizedSoftmaxLoss, CosFaceLoss, ArcFaceLoss, SoftTripleLoss]
ON_PROXIES = [*PER_SAMPLE, ProxyAnchorLoss]
ON_EMBEDDINGS = [TripletSemiHardLoss, TripletHardLoss, NPairsLoss, LiftedStructureLoss]
ALL = [*ON_PROXIES, *ON_EMBEDDINGS]
LABELS = np.array([0, 3, 4, 1, 3, 0], "int32")


def uniform(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


SIMILARITIES = uniform(6, 5, 2)
EMBEDDINGS = uniform(6, 4, seed=1)


def predictions(kind):
    return EMBEDDINGS if kind in ON_EMBEDDINGS else SIMILARITIES


def each(loss, labels, prediction):
    """The loss of each sample, NumPy."""
    loss = type(loss).from_config({**loss.get_config(), "reduction": None})
    return ops.convert_to_numpy(loss(labels, prediction))


def golden(file):
    with np.load(GOLDEN / file) as data:
        return {key: data[key] for key in data.files}


def config(data, case):
    return json.loads(str(data.get(f"{case}/config", "{}")))


def close(ours, theirs, what=""):
    """Agreement to 1e-5 of the largest number of the array."""
    assert np.shape(ours) == np.shape(theirs), what
    assert np.max(np.abs(ours - theirs)) <= 1e-5 * np.max(np.abs(theirs)), what


# What other programs printed: pytorch-metric-learning 2.9.0 and tensorflow-addons 0.23.0.
# Each loss gets its own copy of the inputs, so that one gradient of the sum holds them all.

PEERS = {
    "proxy_nca": lambda c: ProxyNCALoss(c["softmax_scale"]),
    "proxy_anchor": lambda c: ProxyAnchorLoss(c["margin"], c["alpha"]),
    "normalized_softmax": lambda c: NormalizedSoftmaxLoss(c["temperature"]),
    "cosface": lambda c: CosFaceLoss(c["margin"], c["scale"]),
    "arcface": lambda c: ArcFaceLoss(c["margin_degrees"], c["scale"]),
    "subcenter_arcface": lambda c: ArcFaceLoss(c["margin_degrees"], c["scale"]),
    "soft_triple": lambda c: SoftTripleLoss(c["la"], c["gamma"], c["margin"]),
}


@pytest.mark.parametrize("mode", MODES)
def test_pytorch_metric_learning(mode):
    data = golden("peers_public.npz")
    kinds = [make(config(data, case)) for case, make in PEERS.items()]
    many = [data[f"{case}/grad_proxies"].shape[1] > 1 for case in PEERS]
    proxies = [data["proxies_k" if several else "proxies_1"] for several in many]

    def total(*inputs):
        graphs = [similarity_graph(e, p) for e, p in zip(inputs[:7], inputs[7:], strict=True)]
        values = [loss(data["labels"], graph) for loss, graph in zip(kinds, graphs, strict=True)]
        return sum(values), *values

    inputs = [data["embeddings"]] * 7 + proxies
    (_, *values), gradients = value_and_gradients(total, inputs, mode)
    for i, case in enumerate(PEERS):
        close(values[i], data[f"{case}/loss"], case)
        close(gradients[i], data[f"{case}/grad_embeddings"], case)
        close(gradients[7 + i], data[f"{case}/grad_proxies"], case)


def triplet(kind):
    return lambda c: kind(**{"distance" if k == "distance_metric" else k: c[k] for k in c})


ADDONS = {f"triplet_semihard_{d}": triplet(TripletSemiHardLoss) for d in DISTANCES}
ADDONS |= {f"triplet_hard_{d}": triplet(TripletHardLoss) for d in (*DISTANCES, "soft")}
ADDONS |= {"lifted_struct": lambda c: LiftedStructureLoss(**c), "npairs": lambda c: NPairsLoss()}


@pytest.mark.parametrize("mode", MODES)
def test_tensorflow_addons(mode):
    data = golden("tfa_public.npz")
    kinds = [make(config(data, case)) for case, make in ADDONS.items()]

    def total(*inputs):
        values = [loss(data["labels"], e) for loss, e in zip(kinds, inputs, strict=True)]
        return sum(values), *values

    inputs = [data["embeddings"]] * len(kinds)
    (_, *values), gradients = value_and_gradients(total, inputs, mode)
    for i, case in enumerate(ADDONS):
        close(values[i], data[f"{case}/loss"], case)
        close(gradients[i], data[f"{case}/grad_embeddings"], case)


# As Keras losses.


def test_one_loss_per_sample_and_their_mean():
    weights = np.array([2, 0, 0, 1, 0, 1])
    for kind in ALL:
        values = each(kind(), LABELS, predictions(kind))
        assert values.shape == (6,), kind
        mean = kind()(LABELS[:, None], predictions(kind))
        assert float(mean) == pytest.approx(values.mean(), rel=1e-5), kind
        weighted = kind()(LABELS, predictions(kind), weights)
        assert float(weighted) == pytest.approx((values * weights).mean(), rel=1e-5), kind


def test_is_computed_in_float32():
    for kind in ALL:
        narrow = ops.cast(predictions(kind), "bfloat16")
        function = getattr(losses, kind().name)
        values = function(LABELS, narrow)
        assert keras.backend.standardize_dtype(values.dtype) == "float32", kind
        same = ops.convert_to_numpy(function(LABELS, ops.cast(narrow, "float32")))
        np.testing.assert_allclose(ops.convert_to_numpy(values), same, rtol=1e-5)
        with pytest.raises(ValueError, match="dtype='float16' would round labels"):
            kind(dtype="float16")


def test_configuration_round_trip():
    for loss in (
        ProxyNCALoss(2.0, reduction="sum", name="mine", dtype="float64"),
        NormalizedSoftmaxLoss(0.1),
        CosFaceLoss(0.2, 30.0),
        ArcFaceLoss(15.0, 30.0),
        SoftTripleLoss(10.0, 0.2, 0.03),
        ProxyAnchorLoss(0.2, 16.0),
        TripletSemiHardLoss(0.3, "angular"),
        TripletHardLoss(0.3, True, "squared-L2"),
        NPairsLoss(reduction="sum"),
        LiftedStructureLoss(0.5),
    ):
        twin = keras.losses.deserialize(keras.losses.serialize(loss))
        assert type(twin) is type(loss)
        assert twin.get_config() == loss.get_config()
        arguments = set(inspect.signature(type(loss)).parameters)
        assert set(loss.get_config()) == arguments, loss.name
        default = type(loss)().get_config()
        own = arguments - {"reduction", "name", "dtype"}
        assert all(loss.get_config()[argument] != default[argument] for argument in own)


def test_embedders_train_without_proxies():
    inputs = keras.Input((4,))
    embeddings = keras.layers.Dense(3)(inputs)
    model = keras.Model(inputs, [embeddings] * len(ON_EMBEDDINGS))
    model.compile(keras.optimizers.Adam(0.02), [kind() for kind in ON_EMBEDDINGS])
    labels = [LABELS] * len(ON_EMBEDDINGS)
    history = model.fit(EMBEDDINGS, labels, epochs=12, verbose=0, batch_size=6)
    assert history.history["loss"][-1] < 0.9 * history.history["loss"][0]


# What the definitions imply.


def test_losses_that_are_one_softmax():
    expected = each(NormalizedSoftmaxLoss(1 / 16), LABELS, SIMILARITIES)
    for loss in (ProxyNCALoss(8), CosFaceLoss(0, 16), ArcFaceLoss(0, 16)):
        np.testing.assert_allclose(each(loss, LABELS, SIMILARITIES), expected, rtol=1e-5)
    one_proxy = SIMILARITIES[..., :1]
    np.testing.assert_allclose(
        each(SoftTripleLoss(16, 0.1, 0.2), LABELS, one_proxy),
        each(CosFaceLoss(0.2, 16), LABELS, one_proxy),
        rtol=1e-5,
    )


def test_nearest_proxy_stands_for_its_class():
    nearest = SIMILARITIES.max(axis=-1, keepdims=True)
    equal = np.repeat(nearest, 3, axis=-1)
    # SoftTriple's proxies all count, the nearest alone as gamma goes to 0.
    for loss in (*(kind() for kind in ON_PROXIES), SoftTripleLoss(gamma=1e-3)):
        expected = each(loss, LABELS, nearest)
        np.testing.assert_allclose(each(loss, LABELS, equal), expected, rtol=1e-4)
        is_nearest = np.allclose(each(loss, LABELS, SIMILARITIES), expected, rtol=1e-4)
        assert is_nearest == (loss.get_config().get("gamma") != 0.1), loss.name


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_permuting_samples_classes_or_proxies(seed):
    rng = np.random.default_rng(seed)
    samples, classes, proxies = rng.permutation(6), rng.permutation(5), rng.permutation(2)
    for kind in ON_PROXIES:
        expected = each(kind(), LABELS, SIMILARITIES)[samples]
        moved = SIMILARITIES[samples][:, np.argsort(classes)][..., proxies]
        np.testing.assert_allclose(each(kind(), classes[LABELS][samples], moved), expected, 1e-4)
    # Any integers name classes; float32, to which Keras casts labels, does not tell these apart.
    names = np.array([16_777_216, -7, 0, 16_777_217, 16_777_218], "int32")[classes]
    for kind in ON_EMBEDDINGS:
        expected = each(kind(), LABELS, EMBEDDINGS)[samples]
        moved = each(kind(), names[LABELS][samples], EMBEDDINGS[samples])
        np.testing.assert_allclose(moved, expected, 1e-4)


def test_a_wider_angle_always_costs_more_in_arcface():
    own = np.linspace(1, -1, 2001, dtype="float32")
    similarities = np.stack([own, np.zeros_like(own)], axis=1)[..., None]
    values = each(ArcFaceLoss(60, 8), np.zeros(2001, "int32"), similarities)
    assert (np.diff(values) > 0).all()


def test_proxy_anchor_is_its_definition():
    """In loops and float64; class 2 has no sample."""
    cosines = SIMILARITIES.max(axis=-1).astype("float64")
    pulls, pushes = [], []
    for c in range(5):
        own = [cosines[i, c] for i in range(6) if LABELS[i] == c]
        others = [cosines[i, c] for i in range(6) if LABELS[i] != c]
        if own:
            pulls.append(np.log(1 + sum(np.exp(-32 * (s - 0.1)) for s in own)))
        pushes.append(np.log(1 + sum(np.exp(32 * (s + 0.1)) for s in others)))
    assert len(pulls) == 4
    expected = np.mean(pulls) + np.mean(pushes)
    np.testing.assert_allclose(each(ProxyAnchorLoss(), LABELS, SIMILARITIES), expected, rtol=1e-5)


def test_triplets_of_an_example():
    """On a line: a class at 0 and 2, other classes at 3 and 0.5."""
    labels, embeddings = np.array([7, 7, 8, 9]), np.array([[0.0], [2.0], [3.0], [0.5]], "float32")
    # From 0 the nearest negative beyond 2 is 3. From 2 none is beyond 2, the farthest is 1.5 away.
    semi_hard = np.array([1.5 + 2 - 3, 1.5 + 2 - 1.5, 0, 0])
    close(each(TripletSemiHardLoss(1.5), labels, embeddings), 4 / 2 * semi_hard)
    # From 0 the nearest negative is 0.5 away, from 2 it is 1; those at 3 and 0.5 have no positive.
    close(each(TripletHardLoss(1.5), labels, embeddings), np.array([3, 2.5, 0, 0]))
    soft = np.log1p(np.exp([2 - 0.5, 2 - 1]))
    close(each(TripletHardLoss(soft=True), labels, embeddings), np.array([*soft, 0, 0]))


# Edges.


def finite(total, arrays, mode="eager"):
    """Value, gradients; `total` returns (sum, each value)."""
    outputs, gradients = value_and_gradients(total, arrays, mode)
    assert np.isfinite(outputs).all(), outputs
    assert all(np.isfinite(gradient).all() for gradient in gradients), outputs
    return outputs, gradients


def summed(kinds, labels, prediction):
    values = [kind()(labels, prediction) for kind in kinds]
    return sum(values), *values


@pytest.mark.parametrize("mode", MODES)
def test_cosines_of_one_and_minus_one(mode):
    ends = np.array([[1, -1, 1], [-1, 1, -1]], "float32")[..., None]  # own class first
    finite(lambda s: summed(ON_PROXIES, np.array([0, 0]), s), [ends], mode)
    vectors = EMBEDDINGS[:3]
    proxies = np.stack([vectors[:1], -vectors[:1], vectors[:1]])
    graph, labels = similarity_graph, np.array([0, 1, 2])
    finite(lambda e, p: summed(ON_PROXIES, labels, graph(e, p)), [vectors, proxies], mode)


def test_one_class_in_the_batch():
    labels = np.full(6, 3)
    for kind in ON_PROXIES:
        _, (gradient,) = finite(lambda s, k=kind: summed([k], labels, s), [SIMILARITIES])
        assert (gradient[:, 3].sum(axis=-1) < 0).any(), kind  # pulled to their class,
        nearest = SIMILARITIES.argmax(axis=-1)[..., None]
        others = np.take_along_axis(gradient, nearest, axis=-1)[:, [0, 1, 2, 4]]
        assert (others > 0).any(), kind  # pushed from classes without a sample
        assert (others >= 0).all(), kind


@pytest.mark.parametrize("mode", MODES)
def test_batches_that_lack_positives_or_negatives(mode):
    lacking, enough = [np.arange(6), np.full(6, 2)], np.array([0, 0, 1, 1, 2, 3])

    def total(e):
        sums, *values = zip(*(summed(ON_EMBEDDINGS, y, e) for y in (*lacking, enough)), strict=True)
        return sum(sums), *(value for losses in values for value in losses)

    (_, *values), _ = finite(total, [EMBEDDINGS], mode)
    is_zero = np.array([value == 0 for value in values]).reshape(len(ON_EMBEDDINGS), 3)
    for kind, zero in zip(ON_EMBEDDINGS, is_zero, strict=True):
        assert list(zero) == [kind is not NPairsLoss] * 2 + [False], kind


def test_equal_embeddings_and_a_single_one():
    def total(e):
        soft = TripletHardLoss(soft=True)(LABELS[: len(e)], e)
        angular = TripletHardLoss(distance="angular")(LABELS[: len(e)], e)
        return sum(summed(ON_EMBEDDINGS, LABELS[: len(e)], e)) + soft + angular, soft

    equal = np.repeat(EMBEDDINGS[:1], 6, axis=0)
    for embeddings in (equal, np.zeros_like(equal), equal[:1]):
        finite(total, [embeddings])


def test_label_out_of_range():
    for kind in ON_PROXIES:
        with pytest.raises(ValueError, match=r"Label 5 came .* allowed are 0 to 4"):
            kind()(LABELS + 2, SIMILARITIES)
    if keras.backend.backend() == "torch":
        return
    inputs = keras.Input((5, 2))
    outputs = [keras.layers.Identity(name=kind().name)(inputs) for kind in ON_PROXIES]
    model = keras.Model(inputs, outputs)
    model.compile(loss=[kind() for kind in ON_PROXIES], jit_compile=True)  # XLA can't raise
    labels = [LABELS + 2] * len(ON_PROXIES)
    results = model.evaluate(SIMILARITIES, labels, verbose=0, return_dict=True)
    assert len(results) == 1 + len(ON_PROXIES)
    assert np.isnan(list(results.values())).all()


# What is refused.


def test_labels_that_are_no_classes():
    for kind in ALL:
        for labels in (LABELS.astype("float32"), np.eye(5, dtype="int32")[LABELS]):
            for function in (kind(), getattr(losses, kind().name)):
                with pytest.raises(
                    ValueError, match=r"Labels of (dtype float|shape \(6, 5\)).* came"
                ):
                    function(labels, predictions(kind))


def test_predictions_of_another_rank():
    with pytest.raises(ValueError, match=r"Similarities of shape \(6, 4\) came"):
        CosFaceLoss()(LABELS, EMBEDDINGS)
    with pytest.raises(
        ValueError, match=r"Embeddings of shape \(6, 5, 2\) came, allowed is \[B, D"
    ):
        NPairsLoss()(LABELS, SIMILARITIES)
    with pytest.raises(ValueError, match=r"Similarities of shape \(6, 4\) came"):
        losses.cosface(LABELS, EMBEDDINGS)
    with pytest.raises(ValueError, match=r"Embeddings of shape \(6, 5, 2\) came"):
        losses.npairs(LABELS, SIMILARITIES)


def test_arguments_out_of_range():
    above_zero = {
        ProxyNCALoss: ["scale"],
        NormalizedSoftmaxLoss: ["temperature"],
        CosFaceLoss: ["scale"],
        ArcFaceLoss: ["scale"],
        SoftTripleLoss: ["scale", "gamma"],
        ProxyAnchorLoss: ["alpha"],
    }
    margins = [kind for kind in ALL if "margin" in inspect.signature(kind).parameters]
    bad = [(kind, "margin", value) for kind in margins for value in (-0.1, np.nan, np.inf)]
    for kind, names in above_zero.items():
        bad += [(kind, name, value) for name in names for value in (0, -1, np.nan, np.inf)]
    bad += [(ArcFaceLoss, "margin", 180)]
    bad += [(kind, "distance", "cosine") for kind in (TripletSemiHardLoss, TripletHardLoss)]
    assert len(bad) == 7 * 3 + 7 * 4 + 3
    for kind, name, value in bad:
        with pytest.raises(ValueError, match=rf"{name}={value!r} is not allowed\. Give "):
            kind(**{name: value})


# The documentation.


def test_every_counterpart_in_the_migration_tables_exists():
    text = (Path(__file__).parent.parent / "docs" / "migration.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 20
    for row in rows:
        for code in re.findall(r"`(.+?)`", row[1]):
            eval(code, {"keras": keras, **vars(keras_proxygml)})


# SoftTriple's regularizer.


@pytest.mark.parametrize("mode", MODES)
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
    with pytest.raises(ValueError, match=r"weight=-1 is not allowed"):
        ProxyMerging(-1)
    with pytest.raises(ValueError, match=r"shape \(2, 3\) came.*ProxyMerging"):
        ProxyMerging()(np.zeros((2, 3)))


# Replicas.


@pytest.mark.tensorflow
def test_two_replicas_train_as_one_device_does():
    """Five heads, each with its own per-sample loss, on one embedder."""
    import tensorflow as tf

    def trained(strategy):
        keras.utils.set_random_seed(3)
        with strategy.scope():
            inputs = keras.Input((8,))
            embeddings = keras.layers.Dense(4)(inputs)
            heads = [
                ProxySimilarity(5, 2, proxies_regularizer=ProxyMerging(), name=kind().name)
                for kind in PER_SAMPLE
            ]
            model = keras.Model(inputs, [head(embeddings) for head in heads])
            model.compile(keras.optimizers.SGD(1e-3), [kind() for kind in PER_SAMPLE])
        labels = [np.arange(24) % 5] * len(PER_SAMPLE)
        history = model.fit(
            uniform(24, 8), labels, batch_size=12, epochs=2, shuffle=False, verbose=0
        )
        return model.get_weights(), history.history["loss"]

    weights, values = trained(tf.distribute.get_strategy())
    same, same_values = trained(small.mirrored(2))
    np.testing.assert_allclose(same_values, values, rtol=1e-5)
    for ours, expected in zip(same, weights, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.tensorflow
def test_two_replicas_average_the_values_of_their_shares():

    kinds, labels = [ProxyAnchorLoss, *ON_EMBEDDINGS], np.array([0, 1, 0, 2, 2, 1])
    strategy = small.mirrored(2)
    with strategy.scope():
        names = {kind().name: predictions(kind) for kind in kinds}
        inputs = {name: keras.Input(p.shape[1:], name=name) for name, p in names.items()}
        outputs = {name: keras.layers.Identity()(x) for name, x in inputs.items()}
        model = keras.Model(inputs, outputs)
        model.compile(loss={kind().name: kind() for kind in kinds})
    targets = dict.fromkeys(names, labels)
    values = model.evaluate(names, targets, batch_size=6, verbose=0, return_dict=True)
    for kind in kinds:
        halves = [kind()(labels[half], predictions(kind)[half]) for half in (slice(3), slice(3, 6))]
        value, expected = values[f"{kind().name}_loss"], np.mean([float(half) for half in halves])
        assert value == pytest.approx(expected, rel=1e-5), kind
        whole = float(kind()(labels, predictions(kind)))
        assert value != pytest.approx(whole, rel=1e-3), kind
