"""What `compare_losses` compares: each loss, the settings to search, and the head it needs."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

import keras_proxygml as kp
from keras_proxygml import graph
from keras_proxygml.losses import ProxyLoss
from keras_proxygml.losses.inputs import check_similarities


@dataclasses.dataclass
class Contender:
    """A loss.

    Attributes:
        loss: From settings to a Keras loss.
        head: From settings and a number of classes to the layer on the embeddings.
        defaults: Settings of its paper or its reference implementation, tried first.
        space: For each of its own settings, the values to search.
        per_class: Images of a class that come together in a batch.
    """

    loss: Callable
    head: Callable
    defaults: dict
    space: dict
    per_class: int = 1


# The rates of all losses: of the network, and how many times as fast the proxies learn.
RATES = {"learning_rate": (2e-4, 5e-4, 1e-3, 2e-3), "proxy_multiplier": (1, 10, 100)}
DEFAULT_RATES = {"learning_rate": 5e-4, "proxy_multiplier": 10}


def single(settings, num_classes):
    """One proxy per class, or as many as the settings say."""
    return kp.ProxySimilarity(num_classes, settings.get("num_proxies", 1))


def proxy_gml_head(settings, num_classes):
    return kp.ProxyGML(
        num_classes,
        settings["num_proxies"],
        proxies_regularizer=kp.ProxySeparation(settings["separation"]),
    )


def soft_triple_head(settings, num_classes):
    return kp.ProxySimilarity(
        num_classes, settings["num_proxies"], proxies_regularizer=kp.ProxyMerging(settings["tau"])
    )


def unit_vectors(settings, num_classes):
    return keras.layers.UnitNormalization()


def own(loss, *names):
    """A maker of a loss from the settings of these names."""
    return lambda settings: loss(**{name: settings[name] for name in names})


PROXY_GML_DEFAULTS = {"num_proxies": 12, "ratio": 0.05, "scale": 1.0, "separation": 0.3}
PROXY_GML_SPACE = {
    "num_proxies": (1, 4, 12),
    "ratio": (0.02, 0.05, 0.2, 1.0),
    "scale": (1.0, 4.0, 16.0),
    "separation": (0.0, 0.3),
}
CONTENDERS = {
    "ProxyGML": Contender(
        lambda s: AblatedProxyGML(s["ratio"], s["scale"], s.get("without", ())),
        proxy_gml_head,
        PROXY_GML_DEFAULTS,
        PROXY_GML_SPACE,
    ),
    "ProxyGMLUnmasked": Contender(
        lambda s: AblatedProxyGML(s["ratio"], s["scale"], ("mask",)),
        proxy_gml_head,
        PROXY_GML_DEFAULTS,
        PROXY_GML_SPACE,
    ),
    "ProxyNCA": Contender(
        own(kp.ProxyNCALoss, "scale"), single, {"scale": 9.0}, {"scale": (3.0, 9.0, 16.0, 32.0)}
    ),
    "ProxyAnchor": Contender(
        own(kp.ProxyAnchorLoss, "margin", "alpha"),
        single,
        {"margin": 0.1, "alpha": 32.0},
        {"margin": (0.0, 0.1, 0.2), "alpha": (8.0, 16.0, 32.0)},
    ),
    "NormalizedSoftmax": Contender(
        own(kp.NormalizedSoftmaxLoss, "temperature"),
        single,
        {"temperature": 0.05},
        {"temperature": (0.03, 0.05, 0.1, 0.2)},
    ),
    "CosFace": Contender(
        own(kp.CosFaceLoss, "margin", "scale"),
        single,
        {"margin": 0.35, "scale": 64.0},
        {"margin": (0.1, 0.2, 0.35), "scale": (16.0, 32.0, 64.0)},
    ),
    "ArcFace": Contender(
        own(kp.ArcFaceLoss, "margin", "scale"),
        single,
        {"margin": 28.6, "scale": 64.0},
        {"margin": (6.0, 15.0, 28.6), "scale": (16.0, 32.0, 64.0)},
    ),
    "SubCenterArcFace": Contender(
        own(kp.ArcFaceLoss, "margin", "scale"),
        single,
        {"margin": 28.6, "scale": 64.0, "num_proxies": 3},
        {"margin": (6.0, 15.0, 28.6), "scale": (16.0, 32.0, 64.0), "num_proxies": (2, 3)},
    ),
    "SoftTriple": Contender(
        own(kp.SoftTripleLoss, "scale", "gamma", "margin"),
        soft_triple_head,
        {"scale": 20.0, "gamma": 0.1, "margin": 0.01, "num_proxies": 10, "tau": 0.2},
        {
            "scale": (10.0, 20.0, 40.0),
            "gamma": (0.05, 0.1, 0.2),
            "margin": (0.01, 0.1),
            "num_proxies": (2, 4, 10),
            "tau": (0.0, 0.2),
        },
    ),
    "TripletSemiHard": Contender(
        own(kp.TripletSemiHardLoss, "margin"),
        unit_vectors,
        {"margin": 1.0},
        {"margin": (0.1, 0.2, 0.5, 1.0)},
        per_class=4,
    ),
}


def settings_to_search(name, number=8, seed=0):
    """The defaults, and settings drawn at random: as many for every loss."""
    contender = CONTENDERS[name]
    rng = np.random.default_rng(seed)
    found, space = [DEFAULT_RATES | contender.defaults], RATES | contender.space
    if contender.head is unit_vectors:  # there is no proxy to learn at a rate of its own
        space["proxy_multiplier"] = (1,)
        found[0]["proxy_multiplier"] = 1
    while len(found) < number:
        drawn = {key: values[rng.integers(len(values))] for key, values in space.items()}
        if drawn not in found:
            found.append(drawn)
    return found


class AblatedProxyGML(ProxyLoss):
    """ProxyGML's loss with parts of the method left out; with none, `ProxyGMLLoss`.

    Args:
        ratio, scale: As in `ProxyGMLLoss`.
        without: Of `"positives"` (a sample keeps its k nearest proxies, its own class's only if
            they are among them) and `"mask"` (classes that were not reached take part in the
            softmax, with a score of 0).
    """

    def __init__(self, ratio, scale, without=()):
        super().__init__(name="ablated_proxy_gml")
        self.loss, self.ratio, self.scale = kp.ProxyGMLLoss(ratio, scale), ratio, scale
        self.without = without

    def per_sample(self, labels, similarities):
        if not self.without:
            return self.loss.per_sample(labels, similarities)
        labels, similarities = check_similarities(labels, similarities)
        _, num_classes, num_proxies = similarities.shape
        k = int(np.ceil(self.ratio * num_classes * num_proxies))
        subgraph = graph.knn_subgraph(similarities, labels, k)
        if "positives" in self.without:
            flat = ops.reshape(ops.stop_gradient(similarities), (-1, num_classes * num_proxies))
            limit = ops.top_k(flat, k)[0][:, -1]
            subgraph = similarities >= limit[:, None, None]
        scores, reached = graph.reverse_label_propagation(similarities, subgraph)
        # The true class takes part, reached or not: without it there is no cross-entropy.
        reached = reached | ops.equal(labels[:, None], ops.arange(num_classes))
        if "mask" in self.without:
            reached = ops.ones_like(reached)
        return graph.masked_softmax_loss(self.scale * scores, reached, labels)
