"""The picture of embeddings: what is in it."""

import numpy as np
import planes
import pytest
from offsets import offsets_by_name

from keras_proxygml import visualization


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
    with pytest.raises(ValueError, match=r"of the classes to draw\. Received: 2 of 90"):
        visualization.plot_embeddings(vectors, np.arange(90), classes=2)


def signs_by_name(axes):
    return {
        points.get_label(): (
            tuple(points.get_facecolor()[0]),
            points.get_paths()[0].vertices.tobytes(),
        )
        for points in axes.collections
    }


def test_many_classes_can_be_told_apart(tmp_path, monkeypatch):
    planes.use(monkeypatch)
    vectors, labels = np.random.default_rng(0).standard_normal((150, 4)), np.arange(150) % 50
    figure = visualization.plot_embeddings(vectors, labels, classes=50)
    signs = list(signs_by_name(figure.axes[0]).values())
    assert len(signs) == len(set(signs)) == 50
    figure.savefig(tmp_path / "embeddings.png")
    legend = figure.legends[0].get_window_extent()
    assert legend.y0 > 0
    assert legend.x1 <= figure.bbox.x1
    assert legend.y1 < figure.bbox.y1
    assert figure.axes[0].get_window_extent().width > 400  # the legend leaves room
    with pytest.warns(UserWarning, match="Of 75 classes, some look alike: there are 56 pairs"):
        visualization.plot_embeddings(vectors, np.arange(150) % 75, classes=75)


def test_labels_may_be_names(tmp_path, monkeypatch):
    planes.use(monkeypatch)
    vectors = np.random.default_rng(0).standard_normal((12, 4))
    labels = np.array(["lamp", "_bed", "$x"] * 4)
    figure = visualization.plot_embeddings(vectors, labels)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["$x", "_bed", "lamp"]
    figure.savefig(tmp_path / "embeddings.png")
    numbers = visualization.plot_embeddings(
        vectors, [2, 1, 0] * 4, class_names=["$x", "_bed", "lamp"]
    )
    np.testing.assert_equal(offsets_by_name(numbers.axes[0]), offsets_by_name(figure.axes[0]))
    some = visualization.plot_embeddings(vectors, labels, classes=["lamp", "_bed"])
    assert list(offsets_by_name(some.axes[0])) == ["_bed", "lamp"]


@pytest.mark.parametrize(
    ("classes", "received"),
    [([0, 7], "Received: 7, which"), (["lamp"], "Received: 'lamp', which"), (0, "classes=0")],
)
def test_classes_must_be_among_the_labels(classes, received):
    with pytest.raises(ValueError, match=received):
        visualization.plot_embeddings(np.eye(4), [0, 0, 1, 1], classes=classes)
