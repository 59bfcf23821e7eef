"""A gallery of vectors: what is added, found, changed, saved and decided."""

import numpy as np
import pytest

from keras_proxygml.metrics import nearest
from keras_proxygml.search import Gallery

CLASSES = 12


def vectors(per_class=8, dims=16, spread=0.4, seed=0):
    """Noisy copies of a few directions, and the number of each one's class."""
    rng = np.random.default_rng(seed)
    classes = np.arange(CLASSES * per_class) % CLASSES
    centers = np.random.default_rng(99).normal(size=(CLASSES, dims))
    return centers[classes] + spread * rng.normal(size=(len(classes), dims)), classes


def filled(**kwargs):
    """A gallery of 96 items: integer ids, names as labels, and two fields of metadata."""
    items, classes = vectors()
    gallery = Gallery()
    gallery.add(
        items,
        [f"class {c}" for c in classes],
        metadata={"shop": ["AB"[i % 2] for i in range(96)], "price": list(range(96))},
        **kwargs,
    )
    return gallery


def cosines(queries, items):
    """In float64, by NumPy alone."""
    queries, items = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, items))
    return queries @ items.T


def test_search_ranks_by_cosine():
    items, _ = vectors()
    queries, _ = vectors(per_class=1, seed=1)
    found = filled().search(queries, k=5)
    expected = np.argsort(-cosines(queries, items), axis=1)[:, :5]
    np.testing.assert_array_equal(found.ids, expected)
    best = np.take_along_axis(cosines(queries, items), expected, axis=1)
    np.testing.assert_allclose(found.similarities, best, atol=1e-6)
    assert found.labels[3, 0] == "class 3"
    assert found.metadata()[3][0] == {"shop": "AB"[expected[3, 0] % 2], "price": expected[3, 0]}


def test_search_finds_what_nearest_finds():
    items, _ = vectors()
    queries, _ = vectors(seed=2)
    rows, similarities = nearest(queries, 7, gallery=items)
    found = filled().search(queries, k=7)
    np.testing.assert_array_equal(found.ids, rows)
    np.testing.assert_array_equal(found.similarities, similarities)


def test_results_do_not_depend_on_the_batch():
    queries, _ = vectors(seed=3)
    gallery = filled()
    together = gallery.search(queries, k=4)
    for place in (0, 50, 95):
        alone = gallery.search(queries[place : place + 1], k=4)
        np.testing.assert_array_equal(alone.ids[0], together.ids[place])
        np.testing.assert_array_equal(alone.similarities[0], together.similarities[place])


def test_ties_go_by_order_of_insertion():
    gallery = Gallery()
    gallery.add(np.ones((5, 3)), ids=["e", "d", "c", "b", "a"])
    gallery.add(2 * np.ones((2, 3)), ids=["z", "y"])
    assert gallery.search(np.ones((1, 3)), k=7).ids[0].tolist() == list("edcbazy")
    gallery.update(["d"], np.ones((1, 3)))
    assert gallery.search(np.ones((1, 3)), k=7).ids[0].tolist() == list("ecbazyd")


def test_a_filter_comes_before_the_search():
    queries, _ = vectors(per_class=1, seed=4)
    gallery, (items, _) = filled(), vectors()
    found = gallery.search(queries, k=48, where={"shop": "B"})
    allowed = np.arange(1, 96, 2)
    order = np.argsort(-cosines(queries, items[allowed]), axis=1)
    np.testing.assert_array_equal(found.ids, allowed[order])
    few = gallery.search(queries[:1], k=5, where={"shop": "A", "price": [4, 8, 9]})
    assert sorted(few.ids[0, :2]) == [4, 8]
    assert few.ids[0, 2:].tolist() == [None] * 3
    assert few.labels[0, 2:].tolist() == [None] * 3
    assert np.isnan(few.similarities[0, 2:]).all()
    assert few.metadata()[0][2:] == [None] * 3


def test_ids_and_labels_come_back_as_they_were_given():
    gallery = Gallery()
    given = gallery.add(np.eye(3), labels=np.array([7, 8, 9]), ids=np.array(["x", "y", "z"]))
    assert given == ["x", "y", "z"]
    found = gallery.search(np.eye(3), k=1)
    assert [type(x) for x in found.ids[:, 0]] == [str] * 3
    assert found.labels[:, 0].tolist() == [7, 8, 9]
    assert type(found.labels[0, 0]) is int


def test_items_are_numbered_from_the_greatest_id_on():
    gallery = Gallery()
    assert gallery.add(np.eye(2)) == [0, 1]
    assert gallery.add(np.eye(2), ids=[10, 5]) == [10, 5]
    gallery.remove([10])
    assert gallery.add(np.eye(2)) == [11, 12]


def test_removed_items_are_not_found():
    queries, _ = vectors(per_class=1, seed=5)
    gallery = filled()
    best = gallery.search(queries[:1], k=1).ids[0, 0]
    second = gallery.search(queries[:1], k=2).ids[0, 1]
    gallery.remove([best])
    assert len(gallery) == 95
    assert gallery.search(queries[:1], k=1).ids[0, 0] == second
    gallery.add(vectors()[0][best : best + 1], ids=[best])
    assert gallery.search(queries[:1], k=1).ids[0, 0] == best


def test_update_keeps_what_is_not_given():
    gallery = filled()
    new = -vectors()[0][:2]
    gallery.update([0, 1], new)
    found = gallery.search(new, k=1)
    assert found.ids[:, 0].tolist() == [0, 1]
    assert found.labels[:, 0].tolist() == ["class 0", "class 1"]
    assert found.metadata()[1] == [{"shop": "B", "price": 1}]
    gallery.update([1], new[1:], ["other"], metadata=[{"shop": "C"}])
    found = gallery.search(new[1:], k=1)
    assert (found.labels[0, 0], found.metadata()[0][0]) == ("other", {"shop": "C"})
    assert len(gallery) == 96


def test_a_query_that_is_an_item_can_be_left_out():
    items, _ = vectors()
    gallery = filled()
    found = gallery.search(items, k=3, own_ids=range(96))
    rows, _ = nearest(items, 3)
    np.testing.assert_array_equal(found.ids, rows)
    partly = gallery.search(items[:2], k=1, own_ids=[None, 1])
    assert partly.ids[0, 0] == 0
    assert partly.ids[1, 0] != 1


def test_identify_names_the_class_or_nothing():
    gallery = filled()
    queries, classes = vectors(per_class=2, spread=0.1, seed=6)
    strangers = np.random.default_rng(7).normal(size=(20, 16))
    found = gallery.identify(queries, threshold=0.8)
    assert found.labels.tolist() == [f"class {c}" for c in classes]
    unknown = gallery.identify(strangers, threshold=0.8)
    nearest_item = cosines(strangers, vectors()[0]).max(axis=1)
    assert [x is None for x in unknown.labels] == (nearest_item < 0.8).tolist()
    assert None not in unknown.nearest_labels
    np.testing.assert_allclose(unknown.similarities, nearest_item, atol=1e-6)


def test_the_runner_up_is_the_best_of_another_class():
    """Also where more items of the first class are nearer than are listed at first."""
    items, classes = vectors(per_class=40, spread=0.05)
    gallery = Gallery()
    gallery.add(items, [f"class {c}" for c in classes])
    gallery.add(items[:50] + 0.01)  # which have no label and no say
    queries, own = vectors(per_class=1, spread=0.05, seed=8)
    found = gallery.identify(queries, threshold=0.5)
    similarity = cosines(queries, items)
    similarity[own[:, None] == classes] = -2
    expected = classes[similarity.argmax(axis=1)]
    assert found.runner_up_labels.tolist() == [f"class {c}" for c in expected]
    np.testing.assert_allclose(found.runner_up_similarities, similarity.max(axis=1), atol=1e-6)


def test_one_class_has_no_runner_up():
    gallery = Gallery()
    gallery.add(np.eye(4), ["a"] * 4)
    found = gallery.identify(np.eye(4)[:1], threshold=0.0)
    assert found.runner_up_labels.tolist() == [None]
    assert np.isnan(found.runner_up_similarities[0])


def test_calibrate_holds_classes_out():
    """Against loops over the definition."""
    items, classes = vectors(per_class=8, spread=0.8)
    gallery = Gallery()
    gallery.add(items, classes)
    calibration = gallery.calibrate(false_accept_rate=0.1)
    similarity = cosines(items, items)
    np.fill_diagonal(similarity, -2)
    other = np.where(classes[:, None] == classes, -2, similarity).max(axis=1)
    own = np.where(classes[:, None] == classes, similarity, -2).max(axis=1)
    accepted = [(other >= t).mean() for t in np.sort(np.append(other, own))]
    threshold = np.sort(np.append(other, own))[np.argmax(np.array(accepted) <= 0.1)]
    assert calibration.threshold == pytest.approx(threshold, abs=1e-6)
    assert calibration.false_accept_rate == pytest.approx((other >= threshold).mean(), abs=1e-9)
    right = (own >= threshold) & (own > other)
    assert calibration.true_identification_rate == pytest.approx(right.mean())
    assert gallery.threshold == calibration.threshold


def test_calibrate_by_queries():
    gallery = filled()
    queries, classes = vectors(seed=9, spread=0.8)
    names = [f"class {c}" for c in classes]
    by_queries = gallery.calibrate(queries, names, precision=0.9)
    assert by_queries.precision >= 0.9
    assert gallery.calibration == by_queries
    known = gallery.identify(queries).labels
    assert np.mean(known[known != None] == np.array(names)[known != None]) > 0.9  # noqa: E711


def test_calibrate_by_some_of_the_items():
    """Items of the other classes are found, but do not search."""
    items, classes = vectors(per_class=8, spread=0.8)
    gallery = Gallery()
    gallery.add(items, classes)
    own = np.flatnonzero(classes < 4)
    calibration = gallery.calibrate(own_ids=own, false_accept_rate=0.1)
    assert (calibration.queries, calibration.classes) == (len(own), 4)
    assert calibration.gallery_items == len(items)
    assert calibration == gallery.calibrate(
        items[own], classes[own], own_ids=own, false_accept_rate=0.1
    )
    gallery.add(items[:1])
    with pytest.raises(ValueError, match="`own_ids` must name items that have a label"):
        gallery.calibrate(own_ids=[len(items)], f1=True)
    with pytest.raises(ValueError, match="`own_ids` must be in the gallery"):
        gallery.calibrate(own_ids=[1000], f1=True)


def test_an_outgrown_threshold_warns():
    gallery = filled()
    gallery.calibrate(false_accept_rate=0.05)
    items, classes = vectors(per_class=30, seed=10)
    gallery.add(items, [f"class {c}" for c in classes])
    with pytest.warns(UserWarning, match=r"on a gallery of 96 labeled items.*has 456 now"):
        gallery.identify(items[:1])


def test_items_without_label_do_not_outgrow_a_threshold(recwarn):
    gallery = filled()
    gallery.calibrate(false_accept_rate=0.05)
    items, _ = vectors(per_class=30, seed=10)
    gallery.add(items)
    gallery.identify(items[:1])
    assert (gallery.num_labeled, len(recwarn)) == (96, 0)


def test_prototypes_are_means():
    items, classes = vectors()
    prototypes = filled().prototypes()
    units = items / np.linalg.norm(items, axis=1, keepdims=True)
    means = np.array([units[classes == c].mean(axis=0) for c in range(CLASSES)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    found = {item.id: item for item in prototypes.items()}
    assert sorted(found) == sorted(f"class {c}" for c in range(CLASSES))
    for c in range(CLASSES):
        np.testing.assert_allclose(found[f"class {c}"].vector, means[c], atol=1e-6)
        assert found[f"class {c}"].label == f"class {c}"


def test_items_give_all_back():
    gallery = filled()
    gallery.remove([5])
    copy = Gallery()
    ids, stored, labels, metadata = zip(*gallery.items(batch_size=7), strict=True)
    copy.add(np.array(stored), labels, ids=ids, metadata=metadata)
    assert ids == tuple(i for i in range(96) if i != 5)
    queries, _ = vectors(seed=11)
    np.testing.assert_array_equal(copy.search(queries, 9).ids, gallery.search(queries, 9).ids)


def test_a_saved_gallery_is_the_same(tmp_path):
    gallery = filled()
    gallery.remove([3])
    calibration = gallery.calibrate(f1=True)
    queries, _ = vectors(seed=12)
    before = gallery.search(queries, k=5, where={"shop": "A"})
    gallery.save(tmp_path / "products.gallery")
    gallery.close()
    with Gallery.load(tmp_path / "products.gallery") as loaded:
        assert len(loaded) == 95
        assert loaded.calibration == calibration
        after = loaded.search(queries, k=5, where={"shop": "A"})
    for name in ("ids", "labels", "similarities"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_changes_after_saving_are_in_the_folder(tmp_path):
    gallery = filled()
    gallery.save(tmp_path / "a")
    reader = Gallery.load(tmp_path / "a")
    gallery.add(np.ones((1, 16)), ["new"])
    assert reader.search(np.ones((1, 16)), k=1).labels[0, 0] != "new"
    reader.reload()
    assert reader.search(np.ones((1, 16)), k=1).labels[0, 0] == "new"
    with pytest.raises(ValueError, match="nothing else writes"):
        reader.add(np.ones((1, 16)), ["newer"])
    gallery.close()
    reader.reload()
    reader.add(np.ones((1, 16)), ["newer"])
    reader.compact()
    reader.close()
    with Gallery.load(tmp_path / "a") as last:
        assert len(last) == 98


def test_save_elsewhere_leaves_the_first_folder(tmp_path):
    gallery = filled()
    gallery.save(tmp_path / "a")
    gallery.save(tmp_path / "b")
    gallery.remove([0])
    gallery.save(tmp_path / "b")  # where it is already
    gallery.close()
    with Gallery.load(tmp_path / "a") as first, Gallery.load(tmp_path / "b") as second:
        assert (len(first), len(second)) == (96, 95)


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_folder_that_is_gone_is_not_saved_to(tmp_path, is_replaced):
    gallery = filled()
    gallery.save(tmp_path / "a")
    gallery.save(tmp_path / "a")  # has all changes already
    (tmp_path / "a").rename(tmp_path / "old")
    if is_replaced:
        with filled() as other:
            other.save(tmp_path / "a")
    with pytest.raises(ValueError, match="has been replaced or deleted since"):
        gallery.save(tmp_path / "a")
    gallery.close()


def test_prints_its_size(tmp_path):
    gallery = filled()
    assert repr(gallery) == "<Gallery of 96 items>"
    gallery.save(tmp_path / "a")
    assert repr(gallery) == f"<Gallery of 96 items in {tmp_path / 'a'}>"
    assert repr(gallery.search(np.ones((2, 16)), k=3)) == "Hits of 2 queries, k=3"
    assert "2 of 2 queries" in repr(gallery.identify(np.ones((2, 16)), threshold=-1))


def test_metadata_may_have_no_fields():
    gallery = Gallery()
    gallery.add(np.eye(3), metadata={})
    assert gallery.search(np.eye(3), k=1).metadata() == [[{}]] * 3


def test_metadata_are_those_of_the_hits_after_rows_have_changed(tmp_path):
    gallery = Gallery()
    names = list("abcde")
    gallery.add(np.eye(5), ids=names, metadata=[{"name": name} for name in names])
    hits = gallery.search(np.eye(5)[2:], k=1)
    expected = [[{"name": name}] for name in "cde"]
    gallery.remove(["a"])
    assert hits.metadata() == expected
    gallery.compact()
    assert hits.metadata() == expected
    gallery.save(tmp_path / "a")
    assert hits.metadata() == expected
    gallery.remove(["d"])
    gallery.update(["e"], np.eye(5)[:1], metadata=[{"name": "new"}])
    now = [[{"name": "c"}], [None], [{"name": "new"}]]
    assert hits.metadata() == now
    gallery.compact()
    assert hits.metadata() == now
    gallery.close()


def test_an_id_is_not_given_twice():
    gallery = Gallery()
    gallery.add(np.eye(5))
    gallery.remove([3, 4])
    gallery.compact()
    assert gallery.add(np.eye(5)[:1]) == [5]
    gallery.remove([5])
    gallery.compact()
    assert gallery.add(np.eye(5)[:1]) == [6]
