"""A gallery that searches by an index or by int8 codes, and one of shorter vectors."""

import keras
import numpy as np
import pytest

from keras_proxygml.metrics import compare_results, query_results
from keras_proxygml.search import Gallery, searcher


def clustered(count, dims=16, seed=0):
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(1).normal(size=(50, dims))
    return centers[np.arange(count) % 50] + 0.3 * rng.normal(size=(count, dims))


@pytest.mark.parametrize("index", ["HNSW16", "IVF16,Flat", "int8"])
def test_an_index_finds_most_and_says_how_many(index):
    items, queries = clustered(6000), clustered(20, seed=2)
    gallery, exact = Gallery(index=index), Gallery()
    for one in (gallery, exact):
        one.add(items)
    recall = gallery.index_recall(10)
    assert 0.8 < recall <= 1
    assert exact.index_recall(10) == 1
    found, true = gallery.search(queries, 10), exact.search(queries, 10)
    share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.ids, true.ids, strict=True)])
    assert share == pytest.approx(recall, abs=0.1)
    same = found.ids == true.ids
    np.testing.assert_array_equal(found.similarities[same], true.similarities[same])


@pytest.mark.parametrize("index", ["HNSW16", "int8"])
def test_an_index_never_shows_what_was_removed_or_filtered(index):
    items = clustered(6000)
    gallery = Gallery(index=index)
    gallery.add(items, metadata={"half": [i % 2 for i in range(6000)]})
    best = gallery.search(items[:5], 1).ids[:, 0]
    gallery.remove(best)
    after = gallery.search(items[:5], 3, where={"half": 1}).ids
    assert not set(after.ravel()) & set(best)
    assert all(id_ % 2 == 1 for id_ in after.ravel())
    assert gallery.add(items[:1]) == [6000]
    assert gallery.search(items[:1], 1).ids[0, 0] == 6000
    gallery.compact()
    assert gallery.search(items[:1], 1).ids[0, 0] == 6000


def test_an_index_is_built_again_when_the_gallery_has_grown(monkeypatch):
    built = []
    build = searcher.Index.build
    monkeypatch.setattr(
        searcher.Index, "build", lambda *a, **k: built.append(a[0]) or build(*a, **k)
    )
    gallery = Gallery(index="HNSW8")
    gallery.add(clustered(5000))
    gallery.search(clustered(1), 1)
    gallery.add(clustered(500))
    gallery.search(clustered(1), 1)
    assert built == ["HNSW8"]
    gallery.add(clustered(2000))
    gallery.search(clustered(1), 1)
    assert built == ["HNSW8", "HNSW8"]


def test_the_index_is_named_in_the_folder(tmp_path):
    gallery = Gallery(index="int8")
    gallery.add(clustered(100))
    gallery.save(tmp_path / "a")
    gallery.close()
    with Gallery.load(tmp_path / "a") as loaded:
        assert loaded._searcher.index == "int8"
        assert loaded.search(clustered(1), 1).ids[0, 0] == 0


def test_a_wrong_index_is_refused():
    gallery = Gallery(index="HNSW-1,Nothing")
    gallery.add(clustered(5000))
    with pytest.raises(ValueError, match="`index` must"):
        gallery.search(clustered(1), 1)


def test_pca_is_part_of_the_embedder(tmp_path):
    inputs = keras.Input((16,))
    gallery = Gallery(keras.Model(inputs, keras.layers.Dense(12)(inputs)))
    items, classes = clustered(400), np.arange(400) % 50
    gallery.add(items, classes, ids=range(1000, 1400), metadata=[{"n": i} for i in range(400)])
    short = gallery.with_pca(8)
    assert short.embedder.output_shape == (None, 8)
    found = short.search(items, k=2)
    assert (found.ids[:, 0] == np.arange(1000, 1400)).all()
    np.testing.assert_allclose(found.similarities[:, 0], 1, atol=1e-5)
    assert found.metadata()[7][0] == {"n": 7}
    short.save(tmp_path / "short")
    short.close()
    with Gallery.load(tmp_path / "short") as loaded:
        assert loaded.search(items[:3], k=1).ids[:, 0].tolist() == [1000, 1001, 1002]
    vectors = [
        query_results(model.predict(items, verbose=0), classes)
        for model in (gallery.embedder, short.embedder)
    ]
    cost = compare_results(*vectors)["recall@1"]
    assert -0.1 < cost.difference < 0.1
    with pytest.raises(ValueError, match="`gallery` must have an embedder"):
        Gallery().with_pca(2)


def test_codes_are_made_again_for_another_gallery_at_the_path(tmp_path):
    items = np.random.default_rng(0).normal(size=(60, 8))
    for name in "ab":
        with Gallery(index="int8") as gallery:
            gallery.add(items if name == "a" else items[:30:-1])
            gallery.save(tmp_path / name)
    with Gallery.load(tmp_path / "a") as reader:
        reader.search(items, k=1)
        (tmp_path / "a").rename(tmp_path / "old")
        (tmp_path / "b").rename(tmp_path / "a")
        reader.reload()
        assert reader.search(items[:30:-1], k=1).ids[:, 0].tolist() == list(range(29))
