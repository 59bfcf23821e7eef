"""What `compare_losses` compares: each loss, the head that it needs, and the settings to search."""

import dataclasses
import functools
from collections.abc import Callable

import keras
from scipy.stats import qmc

import keras_proxygml as kp
from benchmarks.comparison.axes import Choice, Linear, Log
from benchmarks.comparison.variants import ProxyGMLVariant
from keras_proxygml import losses


@dataclasses.dataclass(frozen=True)
class Contender:
    """A loss.

    Attributes:
        loss: From settings to a Keras loss.
        head: From settings and a number of classes to the layer on the embeddings.
        defaults: Settings of its paper or its reference implementation, which are tried too.
        space: The axis of each of its own settings.
        on_pairs: Whether it is a loss on pairs or triplets of a batch, and has no proxies.
    """

    loss: Callable
    head: Callable
    defaults: dict
    space: dict
    on_pairs: bool = False

    def axes(self, rates):
        """The axis of each setting. `images_per_class` is how many images of a class a batch has.

        Args:
            rates: The axis of the learning rate.
        """
        if self.on_pairs:  # nothing is learned from a batch without a pair
            return {"learning_rate": rates, "images_per_class": Choice((2, 4, 8)), **self.space}
        both = {"learning_rate": rates, "proxy_multiplier": MULTIPLIER}
        return {**both, "images_per_class": Choice((1, 4)), **self.space}


MULTIPLIER = Log(1, 100)
SETTINGS = 8  # of a Sobol sequence, beside the defaults


def settings_to_search(name, task, seed=0):
    """The defaults of a loss, and points of a Sobol sequence over its axes: as many for each loss.

    Args:
        name: Of a contender.
        task: Whose `learning_rate` the defaults get, because that of a paper fits its network, and
            whose `rates` are searched.
        seed: Of the sequence.
    """
    contender = CONTENDERS[name]
    axes = contender.axes(task.rates)
    rest = {"images_per_class": 4} if contender.on_pairs else {"images_per_class": 1}
    if not contender.on_pairs:
        rest["proxy_multiplier"] = 10
    drawn = [
        {key: axis.at(share) for (key, axis), share in zip(axes.items(), point, strict=True)}
        for point in qmc.Sobol(len(axes), seed=seed).random(SETTINGS)
    ]
    return [{"learning_rate": task.learning_rate, **rest, **contender.defaults}, *drawn]


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


def from_settings(loss, *names):
    """A maker of a loss from the settings of these names."""
    return lambda settings: loss(**{name: settings[name] for name in names})


def proxy_gml(settings):
    """ProxyGML. A score sums N cosines, so N · scale is one axis, called sharpness.

    Settings that `ProxyGMLLoss` lacks make it a `ProxyGMLVariant`.
    """
    changes = {"margin", "unreached", "positives", "push"}
    given = {name: settings[name] for name in settings.keys() & changes}
    loss = functools.partial(ProxyGMLVariant, **given) if given else kp.ProxyGMLLoss
    scale = settings["sharpness"] / settings["num_proxies"]
    return loss(settings["ratio"], scale, masked=settings.get("masked", True))


GML_SPACE = {
    "sharpness": Log(1, 64),
    "num_proxies": Choice((1, 2, 4, 12)),
    "ratio": Log(0.02, 1),
    "separation": Choice((0.0, 0.3)),
}
UNMASKED = {"masked": False}
GML_DEFAULTS = {"sharpness": 12.0, "num_proxies": 12, "ratio": 0.05, "separation": 0.3}
CONTENDERS = {
    "ProxyGML": Contender(proxy_gml, proxy_gml_head, GML_DEFAULTS, GML_SPACE),
    "ProxyGMLUnmasked": Contender(
        proxy_gml, proxy_gml_head, GML_DEFAULTS | UNMASKED, GML_SPACE | {"masked": Choice((False,))}
    ),
    "ProxyNCA": Contender(
        from_settings(kp.ProxyNCALoss, "scale"), single, {"scale": 9.0}, {"scale": Log(3, 40)}
    ),
    "ProxyAnchor": Contender(
        from_settings(kp.ProxyAnchorLoss, "margin", "alpha"),
        single,
        {"margin": 0.1, "alpha": 32.0},
        {"margin": Linear(0, 0.4), "alpha": Log(4, 64)},
    ),
    "NormalizedSoftmax": Contender(
        from_settings(kp.NormalizedSoftmaxLoss, "temperature"),
        single,
        {"temperature": 0.05},
        {"temperature": Log(0.02, 0.5)},
    ),
    "CosFace": Contender(
        from_settings(kp.CosFaceLoss, "margin", "scale"),
        single,
        {"margin": 0.35, "scale": 64.0},
        {"margin": Linear(0.05, 0.5), "scale": Log(6, 64)},
    ),
    "ArcFace": Contender(
        from_settings(kp.ArcFaceLoss, "margin", "scale"),
        single,
        {"margin": 28.6, "scale": 64.0},
        {"margin": Linear(5, 40), "scale": Log(6, 64)},
    ),
    "SubCenterArcFace": Contender(
        from_settings(kp.ArcFaceLoss, "margin", "scale"),
        single,
        {"margin": 28.6, "scale": 64.0, "num_proxies": 3},
        {"margin": Linear(5, 40), "scale": Log(6, 64), "num_proxies": Choice((2, 3))},
    ),
    "SoftTriple": Contender(
        from_settings(kp.SoftTripleLoss, "scale", "gamma", "margin"),
        soft_triple_head,
        {"scale": 20.0, "gamma": 0.1, "margin": 0.01, "num_proxies": 10, "tau": 0.2},
        {
            "scale": Log(5, 40),
            "gamma": Log(0.05, 0.2),
            "margin": Linear(0, 0.2),
            "num_proxies": Choice((2, 4, 10)),
            "tau": Choice((0.0, 0.2)),
        },
    ),
    "TripletSemiHard": Contender(
        from_settings(kp.TripletSemiHardLoss, "margin"),
        unit_vectors,
        {"margin": 1.0},
        {"margin": Log(0.05, 1.5)},
        on_pairs=True,
    ),
    "Contrastive": Contender(
        from_settings(losses.ContrastiveLoss, "pos_margin", "neg_margin"),
        unit_vectors,
        {"pos_margin": 0.0, "neg_margin": 1.0},
        {"pos_margin": Linear(0, 0.5), "neg_margin": Linear(0.5, 1.4)},
        on_pairs=True,
    ),
    "MultiSimilarity": Contender(
        from_settings(losses.MultiSimilarityLoss, "alpha", "beta", "base"),
        unit_vectors,
        {"alpha": 2.0, "beta": 50.0, "base": 0.5},
        {"alpha": Log(1, 20), "beta": Log(5, 80), "base": Linear(0, 0.8)},
        on_pairs=True,
    ),
    "SupCon": Contender(
        from_settings(losses.SupConLoss, "temperature"),
        unit_vectors,
        {"temperature": 0.1},
        {"temperature": Log(0.03, 0.5)},
        on_pairs=True,
    ),
}
