"""ProxyGML loop by loop in float64 NumPy, written from the paper; imports nothing of ours."""

import math

import numpy as np


def proxy_gml(embeddings, proxies, labels, k, scale=1.0, prefer=None, masked=True):
    """Loss of each sample [B], subgraph [B, C, N], or with `prefer` the subgraph is given."""
    num_classes, num_proxies, _ = proxies.shape
    losses, subgraphs = [], np.zeros((len(labels), num_classes, num_proxies), bool)
    for b, label in enumerate(labels):
        cosines = np.zeros((num_classes, num_proxies))
        for c in range(num_classes):
            for n in range(num_proxies):
                cosines[c, n] = cosine(embeddings[b], proxies[c, n])
        if prefer is None:
            nodes = [(c, n) for c in range(num_classes) for n in range(num_proxies)]
            nodes.sort(key=lambda node: (node[0] != label, -cosines[node]))
            for node in nodes[:k]:
                subgraphs[b][node] = True
        else:
            subgraphs[b] = prefer[b]
        scores = {}
        for c in range(num_classes):
            kept = [cosines[c, n] for n in range(num_proxies) if subgraphs[b, c, n]]
            if kept or not masked:
                scores[c] = scale * sum(kept)
        top = max(scores.values())
        total = sum(math.exp(score - top) for score in scores.values())
        losses.append(math.log(total) + top - scores[label])
    return np.array(losses), subgraphs


def separation(proxies):
    """Mean cross-entropy of the proxies that classify each other."""
    num_classes, num_proxies, _ = proxies.shape
    losses = []
    for c in range(num_classes):
        for n in range(num_proxies):
            logits = [
                sum(cosine(proxies[c, n], proxies[d, m]) for m in range(num_proxies))
                for d in range(num_classes)
            ]
            losses.append(math.log(sum(math.exp(logit) for logit in logits)) - logits[c])
    return sum(losses) / len(losses)


def cosine(a, b):
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))
