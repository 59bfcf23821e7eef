"""Reads points out of a picture."""

import numpy as np


def offsets_by_name(axes):
    return {points.get_label(): np.asarray(points.get_offsets()) for points in axes.collections}
