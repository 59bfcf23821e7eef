"""Suspicious labels, near duplicates and confused classes, against plain loops."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from keras_proxygml.inspection import (
    confused_classes,
    label_suspects,
    near_duplicates,
)
from keras_proxygml.inspection import duplicates as duplicates_module
from keras_proxygml.inspection import suspects as suspects_module
from keras_proxygml.metrics import nearest, query_results


def clusters(classes=8, each=12, dims=16, noise=0.6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    return rng.normal(size=(classes, dims))[labels] + noise * rng.normal(
        size=(len(labels), dims)
    ), labels


def flipped(labels, count, seed=1):
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(labels), count, replace=False)
    wrong = labels.copy()
    wrong[rows] = (wrong[rows] + rng.integers(1, labels.max() + 1, count)) % (labels.max() + 1)
    return wrong, np.isin(np.arange(len(labels)), rows)


def margins(embeddings, labels, k, gallery=None, gallery_labels=None):
    """Scores and suggestions by loops."""
    items, names = (embeddings, labels) if gallery is None else (gallery, gallery_labels)
    scores, suggested = [], []
    for i, item in enumerate(embeddings):
        own, others = [], []
        for j, other in enumerate(items):
            cosine = item @ other / np.linalg.norm(item) / np.linalg.norm(other)
            if names[j] != labels[i]:
                others.append((cosine, names[j]))
            elif gallery is not None or i != j:
                own.append(cosine)
        own, others = sorted(own)[::-1][:k], sorted(others)[::-1][:k]
        scores.append(np.mean([cosine for cosine, _ in others]) - (np.mean(own) if own else 0))
        votes = {}
        for cosine, name in others:
            votes[name] = votes.get(name, 0) + 1 + cosine
        suggested.append(max(votes, key=votes.get))
    return np.array(scores), np.array(suggested)


@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("with_gallery", [False, True])
@pytest.mark.parametrize(("k", "blocks"), [(1, (16, 8)), (4, (256, 4096)), (20, (16, 8))])
def test_suspects_against_loops(monkeypatch, names, with_gallery, k, blocks):
    monkeypatch.setattr(suspects_module, "HEIGHT", blocks[0])
    monkeypatch.setattr(suspects_module, "WIDTH", blocks[1])
    embeddings, labels = clusters(noise=1.2)
    labels, _ = flipped(labels, 9)
    labels[5] = 8  # a class of one
    gallery = {}
    if with_gallery:
        others, other_labels = clusters(noise=1.2, seed=5)
        gallery = {"gallery": others, "gallery_labels": other_labels}
    if names:
        labels = np.array([f"class {label}" for label in labels])
        if gallery:
            gallery["gallery_labels"] = np.array([f"class {x}" for x in other_labels])
    suspects = label_suspects(embeddings, labels, k=k, **gallery)
    scores, suggested = margins(embeddings, labels, k, *gallery.values())
    assert sorted(suspects.rows) == list(range(len(labels)))
    assert (np.diff(suspects.scores) <= 0).all()
    np.testing.assert_allclose(suspects.scores, scores[suspects.rows], atol=1e-6)
    np.testing.assert_array_equal(suspects.labels, labels[suspects.rows])
    np.testing.assert_array_equal(suspects.suggested, suggested[suspects.rows])


def test_wrong_labels_are_on_top_by_neighbors_and_by_proxies():
    embeddings, labels = clusters(each=20, noise=0.5)
    wrong, is_wrong = flipped(labels, 8)
    centers = np.stack([embeddings[labels == c].mean(axis=0) for c in range(8)])
    proxies = np.stack([centers, centers + 0.1], axis=1)
    for suspects in (
        label_suspects(embeddings, wrong),
        label_suspects(embeddings, wrong, proxies=proxies),
    ):
        assert average_precision_score(is_wrong[suspects.rows], suspects.scores) > 0.99
        top = suspects[:8]
        np.testing.assert_array_equal(top.suggested, labels[top.rows])
        np.testing.assert_array_equal(top.labels, wrong[top.rows])
        assert (top.scores > 0).all()


def test_suspects_by_proxies_against_loops():
    embeddings, labels = clusters(noise=1.5)
    proxies = np.random.default_rng(3).normal(size=(8, 3, 16))
    suspects = label_suspects(embeddings, labels, proxies=proxies)
    for row, score, suggested in zip(
        suspects.rows, suspects.scores, suspects.suggested, strict=True
    ):
        best = [
            max(x @ embeddings[row] / np.linalg.norm(x) for x in proxies[c])
            / np.linalg.norm(embeddings[row])
            for c in range(8)
        ]
        own = best[labels[row]]
        best[labels[row]] = -9
        assert score == pytest.approx(max(best) - own, abs=1e-5)
        assert suggested == np.argmax(best)


def test_a_layers_proxies_are_taken():
    keras = pytest.importorskip("keras")
    from keras_proxygml import ProxySimilarity

    layer = ProxySimilarity(8, 2)
    layer.build((None, 16))
    embeddings, labels = clusters()
    expected = label_suspects(embeddings, labels, proxies=layer.get_weights()[0])
    suspects = label_suspects(embeddings, labels, proxies=layer.proxies)
    np.testing.assert_array_equal(suspects.rows, expected.rows)
    assert keras.ops.shape(layer.proxies) == (8, 2, 16)


def with_copies(seed=0):
    """Items of which some are near others and some are copies."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(90, 6))
    embeddings[40:50] = 3 * embeddings[:10]
    embeddings[60:80] = embeddings[10:30] + 0.15 * rng.normal(size=(20, 6))
    return embeddings.astype("float32"), np.where(np.arange(90) < 45, "train", "test")


@pytest.mark.parametrize("blocks", [(1024, 4096), (16, 32)])
@pytest.mark.parametrize("threshold", [0.8, 0.97, 1.0])
def test_duplicates_against_loops(monkeypatch, blocks, threshold):
    monkeypatch.setattr(duplicates_module, "HEIGHT", blocks[0])
    monkeypatch.setattr(duplicates_module, "WIDTH", blocks[1])
    embeddings, splits = with_copies()
    units = embeddings.astype("float64")
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    expected = {
        (i, j): units[i] @ units[j]
        for i in range(90)
        for j in range(i + 1, 90)
        if units[i] @ units[j] >= threshold - 1e-9
    }
    found = near_duplicates(embeddings, threshold, splits=splits)
    assert set(zip(found.first, found.second, strict=True)) == set(expected)
    for i, j, similarity, exact, across in zip(*vars(found).values(), strict=True):
        assert similarity == pytest.approx(expected[i, j], abs=1e-6)
        assert exact == (i < 10 and j == i + 40)
        assert across == (splits[i] != splits[j])
    keys = list(zip(~found.across, -found.similarities, found.first, found.second, strict=True))
    assert keys == sorted(keys)
    assert found.exact.sum() == 10
    assert 0 < found.across.sum() < len(found) or threshold == 1


def test_groups_connect_pairs():
    embeddings = np.eye(9)[[0, 1, 0, 2, 1, 0, 3, 4, 5]]
    groups = near_duplicates(embeddings, 1.0).groups()
    assert [list(group) for group in groups] == [[0, 2, 5], [1, 4]]
    assert near_duplicates(np.eye(4)).groups() == []
    chain = np.array([[1, 0], [np.cos(0.3), np.sin(0.3)], [np.cos(0.6), np.sin(0.6)]])
    found = near_duplicates(chain, 0.9)
    assert len(found) == 2
    assert [list(group) for group in found.groups()] == [[0, 1, 2]]


def test_all_copies_are_found_in_many_dimensions():
    rng = np.random.default_rng(0)
    once = rng.normal(size=(300, 512)).astype("float32")
    found = near_duplicates(np.concatenate([once, 7.5 * once]), 1.0)
    np.testing.assert_array_equal(found.second - found.first, 300)
    assert len(found) == 300


def test_a_zero_vector_is_no_duplicate():
    assert len(near_duplicates(np.array([[0.0, 0], [0, 0], [1, 0]]), 0.5)) == 0


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("names", [False, True])
def test_confusion_against_loops(k, names):
    embeddings, labels = clusters(noise=2.0)
    if names:
        labels = np.array(list("abcdefgh"))[labels]
    places, _ = nearest(embeddings, k)
    counts, totals = {}, dict.fromkeys(labels, 0)
    for label, row in zip(labels, labels[places], strict=True):
        for other in row:
            totals[label] += 1
            if other != label:
                counts[label, other] = counts.get((label, other), 0) + 1
    by_search = confused_classes(embeddings, labels, k=k)
    by_labels = confused_classes(labels[places], labels)
    for confused in (by_search, by_labels):
        assert confused.counts.sum() == sum(counts.values()) > 10
        assert (np.diff(confused.counts) <= 0).all()
        for a, b, count, share, there, back in zip(*vars(confused).values(), strict=True):
            assert a < b
            assert (there, back) == (counts.get((a, b), 0), counts.get((b, a), 0))
            assert count == there + back
            assert share == pytest.approx(count / (totals[a] + totals[b]))


def test_confusion_with_a_gallery_and_the_query_in_it():
    embeddings, labels = clusters(noise=2.0)
    rows = np.arange(0, 96, 2)
    confused = confused_classes(
        embeddings[rows], labels[rows], gallery=embeddings, gallery_labels=labels, itself=rows
    )
    places = nearest(embeddings[rows], 1, gallery=embeddings, itself=rows)[0]
    assert confused.counts.sum() == (labels[places[:, 0]] != labels[rows]).sum()


def test_nothing_found_and_nothing_confused():
    found = np.array([["a", None], [None, None], ["b", "a"]], object)
    confused = confused_classes(found, ["a", "a", "a"])
    assert list(confused.first) == ["a"]
    assert list(confused.second) == ["b"]
    assert list(confused.shares) == [1 / 3]
    assert len(confused_classes([None, None], ["a", "b"])) == 0
    assert str(confused_classes([1, 2], [1, 2])).split() == list(vars(confused))


def test_tables_print_slice_and_become_data_frames():
    embeddings, labels = clusters()
    suspects = label_suspects(embeddings, labels)
    lines = str(suspects).splitlines()
    assert lines[0].split() == ["rows", "scores", "labels", "suggested"]
    assert len(lines) == 12
    assert lines[-1] == "... and 86 more"
    assert repr(suspects[:3]).count("\n") == 3
    assert len(suspects[suspects.scores > 9]) == 0
    assert len(suspects[-1]) == 1
    assert suspects[-1].rows[0] == suspects.rows[-1]
    assert [row.rows[0] for row in suspects] == suspects.rows.tolist()
    with pytest.raises(IndexError, match=r"`rows` must be from -96 to 95\. Received: rows=96"):
        suspects[96]
    assert {len(column) for column in vars(suspects).values()} == {96}


E, L = clusters(3, 4)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (label_suspects, (E, L[:5]), "`labels` must have 12 items"),
        (label_suspects, (E, L * 0), "`labels` must be of at least two classes"),
        (label_suspects, (E, L, {"k": 12}), "`k` must be an integer of 1 to 11.*has 11 neighbors"),
        (label_suspects, (E * np.nan, L), "`embeddings` must be finite"),
        (label_suspects, (E, L * 0.5), "`labels` must be integers or strings"),
        (label_suspects, (E, L, {"gallery": E}), "`gallery_labels` must be given if `gallery` is"),
        (label_suspects, (E, L, {"gallery_labels": L}), "`gallery` must be given"),
        (
            label_suspects,
            (E, L, {"gallery": E, "gallery_labels": L.astype(str)}),
            "`gallery_labels` must be integers or strings, as",
        ),
        (
            label_suspects,
            (E, L, {"gallery": E[:, :3], "gallery_labels": L}),
            r"`gallery` must be \[N, 16\]",
        ),
        (label_suspects, (E, L, {"proxies": E}), r"`proxies` must be \[C, N, D\]"),
        (label_suspects, (E, L, {"proxies": E[:, None, :5]}), r"`proxies` must be \[N, 16\]"),
        (
            label_suspects,
            (E, L + 10, {"proxies": E[:, None]}),
            "from 0 to 11.* 10 to 12",
        ),
        (label_suspects, (E, L.astype(str), {"proxies": E[:, None]}), "Received: names"),
        (
            label_suspects,
            (E, L, {"proxies": E[:, None], "gallery": E}),
            "`proxies` must be None if a gallery is given",
        ),
        (near_duplicates, (E, 0.0), r"`threshold` must be in \(0, 1\]"),
        (near_duplicates, (E, 1.1), r"`threshold` must be in \(0, 1\]"),
        (near_duplicates, (E, 0.9, {"splits": ["a"]}), "`splits` must have 12 items"),
        (near_duplicates, (E, 0.9, {"splits": L * 0.5}), "`splits` must be integers or strings"),
        (near_duplicates, (E * 0 + 1, 0.9, {"max_pairs": 9}), "at most max_pairs=9 pairs"),
        (near_duplicates, (E, 0.9, {"max_pairs": 0}), "`max_pairs` must be an integer"),
        (near_duplicates, (E[0],), r"`embeddings` must be \[N, D\]"),
        (confused_classes, (L, L[:5]), "`results` must have 5 items, as `labels` has"),
        (confused_classes, (L.astype(str), L), "`results` must be integers or strings, as"),
        (confused_classes, (L, L, {"gallery": E}), "`gallery` must be None unless"),
        (confused_classes, (L, L, {"itself": L}), "`itself` must be None unless"),
        (confused_classes, (L[None, None], L), r"`results` must be \[Q\], \[Q, k\] or"),
        (confused_classes, (E, L, {"k": 0}), "`k` must be an integer of 1 to 11"),
        (confused_classes, (query_results(E, L), L), "Received: a QueryResults. Give the embed"),
    ],
)
def test_bad_arguments(function, arguments, message):
    named = arguments[-1] if isinstance(arguments[-1], dict) else {}
    with pytest.raises(ValueError, match=message):
        function(*[x for x in arguments if x is not named], **named)
