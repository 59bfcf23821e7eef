"""Retrieval metrics in plain Python loops and whole numbers; imports nothing of ours."""

import math


def grid_points(vector):
    """A unit vector in units of 2**-24, so that products of two are exact integers."""
    vector = [float(x) for x in vector]
    length = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [round(x / length * 2**24) for x in vector]


def ranks_of_matches(query, items):
    """Ranks of the items that match, ties against them. items: (points, matches) pairs."""
    similar = [(sum(a * b for a, b in zip(query, p, strict=True)), match) for p, match in items]
    matches = sorted((s for s, match in similar if match), reverse=True)
    others = [s for s, match in similar if not match]
    return [j + sum(s >= match for s in others) for j, match in enumerate(matches, start=1)]


def per_query(embeddings, labels, gallery=None, gallery_labels=None, itself=None):
    """One list of ranks for each query, which does not find itself: by default its own row."""
    queries = [grid_points(v) for v in embeddings]
    items = queries if gallery is None else [grid_points(v) for v in gallery]
    item_labels = labels if gallery is None else gallery_labels
    if itself is None:
        itself = range(len(labels)) if gallery is None else [-1] * len(labels)
    found = []
    for q, query in enumerate(queries):
        pairs = [
            (items[i], item_labels[i] == labels[q]) for i in range(len(items)) if i != itself[q]
        ]
        found.append(ranks_of_matches(query, pairs))
    return found


def metrics(embeddings, labels, k, gallery=None, gallery_labels=None, itself=None):
    """What retrieval_metrics should return."""
    found = per_query(embeddings, labels, gallery, gallery_labels, itself)
    total = len(found)
    result = {f"recall@{n}": sum(bool(r) and r[0] <= n for r in found) / total for n in k}
    result["mrr"] = sum(1 / r[0] for r in found if r) / total
    matched = [r for r in found if r]
    result["r_precision"] = sum(sum(x <= len(r) for x in r) / len(r) for r in matched)
    result["map@r"] = sum(
        sum(j / x for j, x in enumerate(r, start=1) if x <= len(r)) / len(r) for r in matched
    )
    result["r_precision"] /= len(matched)
    result["map@r"] /= len(matched)
    result["queries_without_match"] = total - len(matched)
    return result
