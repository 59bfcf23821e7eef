"""The losses beside ProxyGML's print other programs' numbers, and each documented one exists."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from gradients import FAST_MODES, value_and_gradients
from loss_cases import close

import keras_proxygml
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
from keras_proxygml.graph import similarity_graph
from keras_proxygml.losses.pairs import DISTANCES

GOLDEN = Path(__file__).parent.parent / "golden"


def golden(file):
    with np.load(GOLDEN / file) as data:
        return {key: data[key] for key in data.files}


def config(data, case):
    return json.loads(str(data.get(f"{case}/config", "{}")))


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


@pytest.mark.parametrize("mode", FAST_MODES)
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


PAIRS = {f"contrastive{end}": ContrastiveLoss for end in ("", "_margins")}
PAIRS |= {f"multi_similarity{end}": MultiSimilarityLoss for end in ("", "_unmined")}
PAIRS |= {f"sup_con{end}": SupConLoss for end in ("", "_warm")}
PAIRS = {case: lambda c, kind=kind: kind(**c) for case, kind in PAIRS.items()}


# The second file holds what pytorch-metric-learning 2.9.0 prints for losses on pairs.
@pytest.mark.parametrize(("file", "cases"), [("tfa", ADDONS), ("pairs", PAIRS)])
@pytest.mark.parametrize("mode", FAST_MODES)
def test_losses_on_embeddings(mode, file, cases):
    data = golden(f"{file}_public.npz")
    kinds = [make(config(data, case)) for case, make in cases.items()]

    def total(*inputs):
        values = [loss(data["labels"], e) for loss, e in zip(kinds, inputs, strict=True)]
        return sum(values), *values

    inputs = [data["embeddings"]] * len(kinds)
    (_, *values), gradients = value_and_gradients(total, inputs, mode)
    for i, case in enumerate(cases):
        close(values[i], data[f"{case}/loss"], case)
        close(gradients[i], data[f"{case}/grad_embeddings"], case)


def test_every_counterpart_in_the_migration_tables_exists():
    text = (Path(__file__).parent.parent.parent / "docs" / "migration.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 20
    for row in rows:
        for code in re.findall(r"`(.+?)`", row[1]):
            eval(code, {"keras": keras, **vars(keras_proxygml)})
