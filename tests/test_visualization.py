"""Pictures: what is in them."""

import matplotlib.colors
import numpy as np
import pytest

from keras_proxygml import visualization

GREEN, RED = visualization.RIGHT, visualization.WRONG


def frames(axes):
    return matplotlib.colors.to_hex(axes.spines["top"].get_edgecolor())


def test_neighbors_are_sorted_framed_and_without_the_query(tmp_path):
    images = np.arange(5, dtype="uint8")[:, None, None, None] * np.ones((1, 4, 4, 1), "uint8")
    angles = np.radians([0, 10, 20, 40, 90])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.array([0, 1, 0, 1, 0])
    figure = visualization.plot_neighbors(images, embeddings, labels, queries=[0, 4], neighbors=3)
    grid = np.array(figure.axes).reshape(2, 4)
    shown = [[round(255 * axes.images[0].get_array()[0, 0]) for axes in row] for row in grid]
    assert shown == [[0, 1, 2, 3], [4, 3, 2, 1]]
    colors = [[frames(axes) for axes in row[1:]] for row in grid]
    assert colors == [[RED, GREEN, RED], [RED, GREEN, RED]]
    figure.savefig(tmp_path / "neighbors.png")


def test_queries_may_be_any_sequence_and_count_from_the_end():
    images = np.arange(5, dtype="uint8")[:, None, None, None] * np.ones((1, 2, 2, 1), "uint8")
    figure = visualization.plot_neighbors(
        images, np.eye(5), np.arange(5), queries=(0, -1), neighbors=4
    )
    shown = [round(255 * axes.images[0].get_array()[0, 0]) for axes in figure.axes]
    assert (shown[0], shown[5]) == (0, 4)
    assert sorted(shown[:5]) == sorted(shown[5:]) == [0, 1, 2, 3, 4]  # no query finds itself


def test_neighbors_of_random_queries_in_colour():
    images = np.random.default_rng(0).random((20, 4, 4, 3))
    labels = np.arange(20) % 4
    picture = visualization.plot_neighbors(images, images.reshape(20, -1), labels, queries=3)
    assert len(picture.axes) == 3 * 9
    again = visualization.plot_neighbors(images, images.reshape(20, -1), labels, queries=3)
    np.testing.assert_array_equal(
        picture.axes[0].images[0].get_array(), again.axes[0].images[0].get_array()
    )


def test_floats_up_to_255_are_drawn_like_bytes():
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3)).astype("uint8")
    drawn = [
        visualization.plot_neighbors(x, images.reshape(9, -1), np.arange(9), neighbors=3)
        for x in (images, images.astype("float32"), images / 255)
    ]
    pixels = [[axes.images[0].get_array() for axes in figure.axes] for figure in drawn]
    np.testing.assert_allclose(pixels[1], pixels[0], rtol=1e-6)
    np.testing.assert_allclose(pixels[2], pixels[0], rtol=1e-6)


def test_neighbors_need_equally_many_of_each():
    with pytest.raises(ValueError, match=r"3 images, 2 embeddings and 3 labels came"):
        visualization.plot_neighbors(np.zeros((3, 2, 2, 1)), np.zeros((2, 2)), [0, 1, 0])


def offsets_by_name(axes):
    return {points.get_label(): np.asarray(points.get_offsets()) for points in axes.collections}


def test_embeddings_of_a_class_lie_together(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 4
    vectors = 5 * np.eye(4, 8)[labels] + 0.1 * rng.standard_normal((60, 8))
    names = ["a", "b", "c", "d"]
    figure = visualization.plot_embeddings(vectors, labels, classes=[0, 2, 3], class_names=names)
    points = offsets_by_name(figure.axes[0])
    assert {name: len(x) for name, x in points.items()} == {"a": 15, "c": 15, "d": 15}
    centers = {name: x.mean(axis=0) for name, x in points.items()}
    for name, own in points.items():
        for other in points.keys() - {name}:
            to_own = np.linalg.norm(own - centers[name], axis=1)
            assert (to_own < np.linalg.norm(own - centers[other], axis=1)).all()
    figure.savefig(tmp_path / "embeddings.png")


def test_embeddings_of_random_classes_are_the_same_each_time():
    vectors, labels = np.random.default_rng(0).standard_normal((90, 4)), np.arange(90) // 3
    drawn = [
        offsets_by_name(visualization.plot_embeddings(vectors, labels, classes=12).axes[0])
        for _ in range(2)
    ]
    assert len(drawn[0]) == 12
    np.testing.assert_equal(drawn[0], drawn[1])
    with pytest.raises(ValueError, match="90 embeddings and 90 labels came, 2 of them of the cla"):
        visualization.plot_embeddings(vectors, np.arange(90), classes=2)


def test_a_subgraph_shows_what_is_kept(tmp_path):
    similarities = np.array([[[0.9, 0.1], [0.8, -0.5], [0.3, 0.2]]], "float32")
    figure = visualization.plot_subgraph(similarities, [0], k=4)
    points = offsets_by_name(figure.axes[0])
    np.testing.assert_allclose(points["kept, own class"], [[1, 0.9], [5, 0.1]], rtol=1e-6)
    np.testing.assert_allclose(points["kept"], [[2, 0.8], [3, 0.3]], rtol=1e-6)
    np.testing.assert_allclose(points["left out"], [[6, -0.5], [4, 0.2]], rtol=1e-6)
    figure.savefig(tmp_path / "subgraph.png")
    with pytest.raises(ValueError, match="k=2 of 6 proxies"):
        visualization.plot_subgraph(similarities, [0], k=2)


def test_history_draws_what_was_measured():
    history = {"loss": [3, 2, 1, 0.5], "val_recall@1": [0.4, 0.8], "val_seconds": [1, 1]}
    figure = visualization.plot_history(history, baseline={"recall@1": 0.1, "nmi": 0.3}, every=2)
    loss, metrics = figure.axes
    assert list(loss.lines[0].get_ydata()) == [3, 2, 1, 0.5]
    (line,) = metrics.lines
    assert list(line.get_xdata()) == [0, 2, 4]
    assert list(line.get_ydata()) == [0.1, 0.4, 0.8]
    with pytest.raises(ValueError, match=r"None of .* is in the history, which has \('loss',\)"):
        visualization.plot_history({"loss": [1]})
