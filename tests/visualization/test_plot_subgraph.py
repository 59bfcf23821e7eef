"""The picture of subgraphs: what is in it."""

import numpy as np
import pytest
from offsets import offsets_by_name

from keras_proxygml import visualization


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
    for label in (-1, 3):
        with pytest.raises(ValueError, match=rf"`labels` must be integers from 0 to 2.*{label}"):
            visualization.plot_subgraph(similarities, [label], k=4)


def test_a_sample_is_called_by_its_class():
    similarities = np.linspace(-1, 1, 12, dtype="float32").reshape(2, 3, 2)
    figure = visualization.plot_subgraph(similarities, [2, 0], k=4)
    assert [axes.get_ylabel() for axes in figure.axes] == ["class 2", "class 0"]
    names = ["bed", "chair", "lamp"]
    figure = visualization.plot_subgraph(similarities, [2, 0], k=4, class_names=names)
    assert [axes.get_ylabel() for axes in figure.axes] == ["lamp", "bed"]
