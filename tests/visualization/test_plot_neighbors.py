"""The picture of neighbors: what is in it."""

import itertools

import matplotlib.colors
import numpy as np
import pytest
from font_files import hide_installed, install
from PIL import Image

from keras_proxygml import visualization
from keras_proxygml.visualization.palette import RIGHT, WRONG

GREEN, RED = RIGHT, WRONG


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


def test_neighbors_of_random_queries_in_color():
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


def captions(figure, columns):
    return [axes.get_xlabel() for axes in figure.axes[:columns]]


def test_similarities_and_names_are_under_the_images(tmp_path):
    images = np.zeros((4, 2, 2, 3), "uint8")
    vectors = [[1, 0], [3, 4], [0, 1], [-1, 0]]
    labels = np.array([5, 7, 5, 7])
    plot = visualization.plot_neighbors
    without = plot(images, vectors, labels, queries=[0], neighbors=3)
    assert captions(without, 4) == ["", "0.60 ✗", "0.00 ✓", "-1.00 ✗"]
    expected = ["bed\n", "lamp\n0.60 ✗", "bed\n0.00 ✓", "lamp\n-1.00 ✗"]
    names = {5: "bed", 7: "lamp"}
    named = plot(images, vectors, labels, class_names=names, queries=[0], neighbors=3)
    assert captions(named, 4) == expected
    texts = np.array([names[label] for label in labels.tolist()])
    assert captions(plot(images, vectors, texts, queries=[0], neighbors=3), 4) == expected
    named.savefig(tmp_path / "neighbors.png")
    with pytest.raises(ValueError, match="`class_names` must have a name for each label"):
        plot(images, vectors, labels, class_names=["bed", "lamp"], queries=[0], neighbors=3)


def test_names_may_be_long_japanese_or_full_of_dollars(monkeypatch, tmp_path):
    hide_installed(monkeypatch)
    install(tmp_path, "Japanese", "椅子")
    names = [
        "Chevrolet Silverado 1500 Classic Extended Cab 2007",
        "椅子",
        "$_{5}$ \\frac $",
        "_hidden",
    ]
    figure = visualization.plot_neighbors(
        np.zeros((4, 2, 2)), np.eye(4), np.arange(4), class_names=names, queries=4, neighbors=3
    )
    figure.savefig(tmp_path / "neighbors.png")  # a missing character would be a warning
    cells = np.array(figure.axes).reshape(4, 4)
    for row in cells:
        boxes = [axes.xaxis.label.get_window_extent() for axes in row]
        assert all(one.x1 <= other.x0 for one, other in itertools.pairwise(boxes))
    titles = [axes.title.get_window_extent() for axes in cells[0, :2]]
    assert max(box.y1 for box in titles) <= figure.bbox.y1
    lowest = min(axes.xaxis.label.get_window_extent().y0 for axes in cells[-1])
    assert lowest >= 0
    for above, below in itertools.pairwise(cells):
        bottom = min(axes.xaxis.label.get_window_extent().y0 for axes in above)
        assert bottom > max(axes.get_window_extent().y1 for axes in below)


@pytest.mark.parametrize("kind", [str, lambda path: path, np.array, "column"])
def test_image_files_are_drawn_upright_in_rgb(tmp_path, kind):
    wide, tall = np.zeros((20, 40, 3), "uint8"), np.zeros((40, 20), "uint8")
    wide[:, :20], tall[:10] = (200, 0, 0), 100
    Image.fromarray(wide).save(tmp_path / "0.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned clockwise
    Image.fromarray(wide).save(tmp_path / "1.png", exif=turned)
    Image.fromarray(tall).save(tmp_path / "2.png")
    Image.fromarray(np.full((600, 900, 3), 255, "uint8")).save(tmp_path / "3.png")
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    if kind == "column":
        images = Column(paths)
    elif kind is np.array:
        images = np.array(list(map(str, paths)))
    else:
        images = list(map(kind, paths))
    figure = visualization.plot_neighbors(
        images, [[9, 0], [9, 1], [9, 2], [9, 3]], [0, 0, 1, 1], queries=[0], neighbors=3
    )
    red = [200 / 255, 0, 0]
    first, second, third, last = (np.asarray(axes.images[0].get_array()) for axes in figure.axes)
    assert [first.shape, second.shape, third.shape] == [(20, 40, 3), (40, 20, 3), (40, 20, 3)]
    np.testing.assert_allclose(first[:, :20], np.broadcast_to(red, (20, 20, 3)), rtol=1e-6)
    np.testing.assert_allclose(second[:20], np.broadcast_to(red, (20, 20, 3)), rtol=1e-6)
    np.testing.assert_allclose(third[0, 0], [100 / 255] * 3, rtol=1e-6)
    assert max(last.shape) <= 256  # many photographs fit into memory
    figure.savefig(tmp_path / "neighbors.png")


class Column:
    """What a filtered column of a pandas table is here: its keys are no places."""

    def __init__(self, values):
        self._values = values

    def __len__(self):
        return len(self._values)

    def __getitem__(self, key):
        raise KeyError(key)

    def to_numpy(self):
        return np.array(self._values, object)


def test_neighbors_need_equally_many_of_each():
    with pytest.raises(ValueError, match=r"`embeddings` must have 3 items.* Received: 2 items"):
        visualization.plot_neighbors(np.zeros((3, 2, 2, 1)), np.zeros((2, 2)), [0, 1, 0])


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"neighbors": 5}, "Received: neighbors=5 and 5 images"),
        ({"neighbors": 0}, "neighbors=0"),
        ({"queries": 6}, "Received: queries=6 of 5 images"),
        ({"queries": 0}, "queries=0"),
        ({"queries": [0, 5]}, r"Received: queries=\[0, 5\] of 5 images"),
        ({"queries": [-6]}, r"Received: queries=\[-6\] of 5 images"),
        ({"queries": []}, r"Received: queries=\[\] of 5 images"),
    ],
)
def test_more_than_there_are_is_refused(arguments, received):
    images = np.zeros((5, 2, 2, 1))
    with pytest.raises(ValueError, match=received):
        visualization.plot_neighbors(
            images, np.eye(5), np.arange(5), **{"queries": 1, "neighbors": 2} | arguments
        )
