"""The losses beside ProxyGML's, and what several tests hold them to."""

import numpy as np
from gradients import uniform
from keras import ops

from keras_proxygml import (
    ArcFaceLoss,
    ContrastiveLoss,
    CosFaceLoss,
    LiftedStructureLoss,
    MultiSimilarityLoss,
    NormalizedSoftmaxLoss,
    NPairsLoss,
    ProxyAnchorLoss,
    ProxyNCALoss,
    SoftTripleLoss,
    SupConLoss,
    TripletHardLoss,
    TripletSemiHardLoss,
)

PER_SAMPLE = [ProxyNCALoss, NormalizedSoftmaxLoss, CosFaceLoss, ArcFaceLoss, SoftTripleLoss]
ON_PROXIES = [*PER_SAMPLE, ProxyAnchorLoss]
ON_EMBEDDINGS = [
    TripletSemiHardLoss,
    TripletHardLoss,
    NPairsLoss,
    LiftedStructureLoss,
    ContrastiveLoss,
    MultiSimilarityLoss,
    SupConLoss,
]
ALL = [*ON_PROXIES, *ON_EMBEDDINGS]
LABELS = np.array([0, 3, 4, 1, 3, 0], "int32")
SIMILARITIES = uniform(6, 5, 2)
EMBEDDINGS = uniform(6, 4, seed=1)


def predictions(kind):
    return EMBEDDINGS if kind in ON_EMBEDDINGS else SIMILARITIES


def each(loss, labels, prediction):
    """The loss of each sample, NumPy."""
    loss = type(loss).from_config({**loss.get_config(), "reduction": None})
    return ops.convert_to_numpy(loss(labels, prediction))


def close(ours, theirs, what=""):
    """Agreement to 1e-5 of the largest number of the array."""
    assert np.shape(ours) == np.shape(theirs), what
    assert np.max(np.abs(ours - theirs)) <= 1e-5 * np.max(np.abs(theirs)), what
