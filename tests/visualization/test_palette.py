"""Colors and markers that can be told apart."""

import itertools

import numpy as np
from matplotlib.colors import to_rgb

from keras_proxygml.visualization import palette

# sRGB seen without the red or the green cones: Machado, Oliveira and Fernandes, 2009, table 1.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}


def lab(color):
    """CIELAB of linear RGB, D65."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.maximum(xyz @ color / [0.9505, 1.0, 1.089], 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distances(colors, blindness):
    """How different each two colors look, as distances in CIELAB; 2 is just noticeable."""
    rgb = np.array([to_rgb(color) for color in colors])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(BLINDNESS[blindness]), 0, 1)
    points = np.array([lab(color) for color in seen])
    return np.linalg.norm(points[:, None] - points, axis=-1)[np.triu_indices(len(points), 1)]


def test_signs_differ():
    signs = [tuple(palette.sign(i).values()) for i in range(palette.NUMBER_OF_SIGNS)]
    assert len(set(signs)) == len(signs) == 56
    for one, following in itertools.pairwise(signs):
        assert one[0] != following[0]
        assert one[1] != following[1]


def test_colors_differ_with_color_blindness_too():
    for blindness in BLINDNESS:
        assert distances(palette.COLORS, blindness).min() > 10
        assert distances((palette.RIGHT, palette.WRONG), blindness).min() > 30
