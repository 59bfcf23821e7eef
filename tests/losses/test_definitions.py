"""What the definitions of the losses beside ProxyGML's imply, and what examples of them cost."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import EMBEDDINGS, LABELS, ON_EMBEDDINGS, ON_PROXIES, SIMILARITIES, close, each

from keras_proxygml import (
    ArcFaceLoss,
    CosFaceLoss,
    NormalizedSoftmaxLoss,
    ProxyAnchorLoss,
    ProxyNCALoss,
    SoftTripleLoss,
    TripletHardLoss,
    TripletSemiHardLoss,
)


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
