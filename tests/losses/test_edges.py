"""The losses beside ProxyGML's are finite at the edges, and say what they refuse."""

import inspect

import keras
import numpy as np
import pytest
from gradients import FAST_MODES, finite
from keras import ops
from loss_cases import (
    ALL,
    EMBEDDINGS,
    LABELS,
    ON_EMBEDDINGS,
    ON_PROXIES,
    SIMILARITIES,
    predictions,
)

from keras_proxygml import (
    ArcFaceLoss,
    ContrastiveLoss,
    CosFaceLoss,
    NormalizedSoftmaxLoss,
    NPairsLoss,
    ProxyAnchorLoss,
    ProxyNCALoss,
    SoftTripleLoss,
    SupConLoss,
    TripletHardLoss,
    TripletSemiHardLoss,
    losses,
)
from keras_proxygml.graph import similarity_graph


def summed(kinds, labels, prediction):
    values = [kind()(labels, prediction) for kind in kinds]
    return sum(values), *values


@pytest.mark.parametrize("mode", FAST_MODES)
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


@pytest.mark.parametrize("mode", FAST_MODES)
def test_batches_that_lack_positives_or_negatives(mode):
    lacking, enough = [np.arange(6), np.full(6, 2)], np.array([0, 0, 1, 1, 2, 3])

    def total(e):
        sums, *values = zip(*(summed(ON_EMBEDDINGS, y, e) for y in (*lacking, enough)), strict=True)
        return sum(sums), *(value for losses in values for value in losses)

    (_, *values), _ = finite(total, [EMBEDDINGS], mode)
    is_zero = np.array([value == 0 for value in values]).reshape(len(ON_EMBEDDINGS), 3)
    # Some losses need positives only, or negatives only.
    needs_both = {NPairsLoss: [False, False], ContrastiveLoss: [False, False]}
    needs_both[SupConLoss] = [True, False]
    for kind, zero in zip(ON_EMBEDDINGS, is_zero, strict=True):
        assert list(zero) == [*needs_both.get(kind, [True, True]), False], kind


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
        with pytest.raises(ValueError, match=r"from 0 to 4, .*Received: 5"):
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


@pytest.mark.parametrize("kind", ON_EMBEDDINGS)
def test_labels_that_differ_beyond_32_bits(kind):
    expected = ops.convert_to_numpy(kind()(LABELS, EMBEDDINGS))
    # JAX would cut the first ones to zeros.
    wide = LABELS.astype("int64")
    for labels in (wide * 2**32, np.iinfo("int64").max - wide, wide.astype("uint64") + 2**63):
        found = ops.convert_to_numpy(kind()(labels, EMBEDDINGS))
        assert found == pytest.approx(expected)
        per_sample = getattr(losses, kind().name)(labels[:, None], EMBEDDINGS)
        assert ops.convert_to_numpy(per_sample).mean() == pytest.approx(expected)


# What is refused.


def test_labels_that_are_no_classes():
    for kind in ALL:
        for labels in (LABELS + 0.5, np.eye(5, dtype="int32")[LABELS]):
            for function in (kind(), getattr(losses, kind().name)):
                with pytest.raises(ValueError, match=r"Received: (\d\.5|shape \(6, 5\))"):
                    function(labels, predictions(kind))


def test_predictions_of_another_rank():
    for refused in (CosFaceLoss(), losses.cosface):
        message = r"`similarities` must be \[B, C, N\]\. Received: shape \(6, 4\)"
        with pytest.raises(ValueError, match=message):
            refused(LABELS, EMBEDDINGS)
    for refused in (NPairsLoss(), losses.npairs):
        message = r"`embeddings` must be \[B, D\]\. Received: shape \(6, 5, 2\)"
        with pytest.raises(ValueError, match=message):
            refused(LABELS, SIMILARITIES)


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
        with pytest.raises(
            ValueError, match=rf"`{name}` must be .*\. Received: {name}={value!r}\."
        ):
            kind(**{name: value})
