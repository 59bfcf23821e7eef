"""All that a page contains, before it is written as HTML."""

from typing import Any, NamedTuple

import numpy as np

from keras_proxygml.visualization._report import findings
from keras_proxygml.visualization._report.plane import places_on_map
from keras_proxygml.visualization._report.thumbnails import (
    Images,
    read_thumbnails,
    warn_of_unreadable,
)

LISTED = 24  # entries of each list
LARGE = 0.25  # share of the bytes for larger pictures of what the lists show
LARGE_QUERIES = 40  # queries that have larger pictures
ENOUGH = 96  # side of pictures that need no larger ones
PER_ITEM, FIXED = 250, 700_000  # bytes of the page besides the pictures, about
GRID = 10_000  # similarities of the threshold are multiples of 1 / GRID
STRANGERS = 0.01  # share of them that the first threshold accepts


class Shown(NamedTuple):
    """Which items a page shows.

    Attributes:
        sample: Those of the map and the threshold's curve, rising: all if there is room.
        wall: The queries of the wall, the worst first.
        focus: Those that lists and the first queries show, in larger pictures.
        items: All that are named anywhere, those that need a picture first.
    """

    sample: np.ndarray
    wall: np.ndarray
    focus: np.ndarray
    items: np.ndarray


def contents(tested, trained, others, *, neighbors, max_images, num_bytes, threshold, seed):
    """Collects everything that a page shows.

    Args:
        tested, trained: `Examples` of both halves. `trained` may be None.
        others: Vectors of other embedders and their places among the test images, by name.
        neighbors, max_images, num_bytes, threshold, seed: See `report`.

    Returns:
        A dict of what the template and the script need.
    """
    classes, count = tested.labels, len(tested.labels)
    found = findings.search(tested.vectors, classes, neighbors)
    lists = _lists(tested, trained, found)
    shown = _shown(found, lists, count, max_images, seed)
    images = Images(tested.images, *([trained.images] if trained else []))
    pictures = _pictures(images, shown, max_images, num_bytes)
    small = pictures[0]
    raw = findings.pixel_vectors(small.pixels) if len(small.items) else np.zeros((0, 1))
    lists |= _with_pixels(lists.pop("pairs"), small.items, raw)
    points, how = places_on_map(tested.vectors[shown.sample], seed)
    items = np.sort(shown.items)
    return {
        "scores": _scores(tested, others, raw, small.items, seed),
        "lists": lists,
        "numbers": items,
        "captions": _captions(tested, trained, items),
        "found": found,
        "wall": shown.wall,
        "sample": shown.sample,
        "points": points,
        "how": how,
        "right": (classes[found.places[:, 0]] == classes)[shown.sample],
        "threshold": _threshold(threshold, found.best[1]),
        "pictures": pictures,
        "unreadable": _unreadable(tested, trained, small.unreadable, images),
        "count": count,
        "classes_tested": len(tested.names),
        "side": small.pixels.shape[1],
        "trained": len(trained.titles) if trained else 0,
        "pictured": len(small.items),
    }


def _shown(found, lists, count, max_images, seed):
    """Chooses what to show, at random where there is too much."""
    order = np.random.default_rng(seed).permutation(count)
    sample = np.sort(order[: count if count <= max_images else max_images // 2])
    wall = _wall(found, order, max_images, count)
    first = wall[:LARGE_QUERIES]
    focus = np.concatenate([_items_of(lists), first, found.places[first].ravel()])
    rows = found.rows[:, sample].ravel()
    wanted = [focus, _ends_of(lists["pairs"]), wall, found.places[wall].ravel(), sample, rows]
    return Shown(sample, wall, np.unique(focus), _first_of(wanted))


def _pictures(images, shown, max_images, num_bytes):
    """Thumbnails of the items, and larger ones of a few if those are small."""
    room = (num_bytes - FIXED - PER_ITEM * len(shown.items)) * 3 / 4  # base64 takes 4 bytes for 3
    items = np.sort(shown.items[:max_images])
    small = read_thumbnails(images, items, room * (1 - LARGE))
    warn_of_unreadable([str(images[item]) for item in small.unreadable])
    if small.pixels.shape[1] >= ENOUGH:
        return [small]
    large = read_thumbnails(images, np.intersect1d(shown.focus, small.items), room * LARGE)
    return [small, large] if large.pixels.shape[1] > small.pixels.shape[1] else [small]


def _lists(tested, trained, found):
    """Confused classes, suspects and near duplicates."""
    vectors, splits = tested.vectors, np.zeros(len(tested.labels), int)
    if trained:
        vectors = np.concatenate([vectors, trained.vectors])
        splits = np.arange(len(vectors)) >= len(tested.labels)
    rows, number = findings.suspects(tested.vectors, tested.labels, found, LISTED)
    return {
        "confusions": findings.confusions(found, tested.labels, LISTED),
        "suspects": rows,
        "number_of_suspects": number,
        "pairs": findings.duplicates(vectors, splits.astype(int)),
    }


def _wall(found, order, max_images, count):
    """The queries that the page shows, the worst first."""
    worst = found.worst_first()
    if count <= max_images:
        return worst
    kept = np.concatenate([worst[: max_images // 20], order[: max_images // 10]])
    return worst[np.isin(worst, kept)]


def _items_of(lists):
    confused = [x for row in lists["confusions"] for pair in row["examples"] for x in pair]
    suspected = [x for row in lists["suspects"] for x in [row["item"], *row["alike"]]]
    return np.array(confused + suspected, int)


def _ends_of(pairs):
    kept = pairs.compared()
    return np.concatenate([pairs.first[kept], pairs.second[kept]])


def _first_of(parts):
    """All items, each where it occurs first; without -1."""
    joined = np.concatenate([np.asarray(part, int) for part in parts])
    items, first = np.unique(joined, return_index=True)
    items = items[np.argsort(first, kind="stable")]
    return items[items >= 0]


def _with_pixels(pairs, pictured, raw):
    """The near duplicates with the most similar pixels: across both halves, and within one."""
    kept = pairs.compared()
    first, second = pairs.first[kept], pairs.second[kept]
    known = np.isin(first, pictured) & np.isin(second, pictured)
    kept, first, second = kept[known], first[known], second[known]
    rows = [np.searchsorted(pictured, x) for x in (first, second)]
    alike = findings.correlations(raw[rows[0]], raw[rows[1]]) if len(kept) else np.zeros(0)
    order = np.argsort(-alike, kind="stable")
    columns = (x[order].tolist() for x in (first, second, pairs.similarities[kept], alike))
    names = ("first", "second", "cosine", "pixels")
    listed = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    is_leak = pairs.across[kept][order].tolist()
    return {
        "leaks": [row for row, leak in zip(listed, is_leak, strict=True) if leak][:LISTED],
        "copies": [row for row, leak in zip(listed, is_leak, strict=True) if not leak][:LISTED],
        "number_of_leaks": int(pairs.across.sum()),
        "number_of_copies": int((~pairs.across).sum()),
        "least_cosine": pairs.threshold,
    }


def _scores(tested, others, raw, pictured, seed):
    """Metrics with intervals of the embedder, of the baselines and of raw pixels."""
    scores = {"This embedder": findings.metrics_of(tested.vectors, tested.given, seed)}
    for name, (vectors, places) in others.items():
        scores[name] = findings.metrics_of(vectors, tested.given[places], seed)
    count = len(tested.labels)
    if (pictured < count).sum() == count:
        scores["Raw pixels"] = findings.metrics_of(raw[pictured < count], tested.given, seed)
    return scores


def _captions(tested, trained, items):
    """Names of all classes, and the class and the title of each item; -1 without a class."""
    names, titles = list(tested.names), list(tested.titles)
    labels = tested.labels
    if trained:
        titles += trained.titles
        known = trained.labels is not None
        own = trained.labels + len(names) if known else np.full(len(trained.titles), -1)
        labels, names = np.concatenate([labels, own]), names + list(trained.names)
    return {"names": names, "labels": labels[items], "titles": [titles[i] for i in items.tolist()]}


def _threshold(threshold, strangers):
    """The threshold to begin with."""
    if threshold is not None:
        return float(threshold)
    greatest = np.sort(strangers)[::-1]
    above = greatest[int(STRANGERS * len(greatest))]  # the first that is not accepted
    return float(min(1.0, (np.floor(above * GRID) + 1) / GRID))


def _unreadable(tested, trained, found, images):
    """Path and reason of each file that can't be read."""
    left_out = tested.left_out + (trained.left_out if trained else [])
    return left_out + [(str(images[item]), reason) for item, reason in found.items()]


def payload(found: dict[str, Any]) -> dict[str, Any]:
    """What the script needs, as short JSON. Items are numbered as in `captions`.

    Args:
        found: What `contents` returns.
    """
    index = {item: i for i, item in enumerate(found["numbers"].tolist())}
    index[-1] = -1

    def numbered(items):
        flat = [index[item] for item in np.ravel(items).tolist()]
        return np.reshape(flat, np.shape(items)).astype(int).tolist()

    search, wall, sample = found["found"], found["wall"], found["sample"]
    best = np.where(np.isfinite(search.best), search.best, -2)[:, sample]
    pictures = [part.page_form() for part in found["pictures"]]
    for part in pictures:
        part["items"] = numbered(part["items"])
    return {
        "classes": found["captions"]["names"],
        "labels": found["captions"]["labels"].tolist(),
        "titles": found["captions"]["titles"],
        "halves": int((found["numbers"] < found["count"]).sum()),
        "wall": {
            "queries": numbered(wall),
            "places": numbered(search.places[wall]),
            "similarities": np.rint(1000 * search.similarities[wall]).astype(int).tolist(),
        },
        "map": {
            "items": numbered(sample),
            "x": found["points"][:, 0].tolist(),
            "y": found["points"][:, 1].tolist(),
            "right": found["right"].astype(int).tolist(),
        },
        "threshold": {
            "queries": numbered(sample),
            "best": np.floor(GRID * best).astype(int).tolist(),
            "rows": numbered(search.rows[:, sample]),
            "start": found["threshold"],
        },
        "pictures": pictures,
    }
