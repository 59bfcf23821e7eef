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
