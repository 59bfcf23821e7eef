"""A picture of embeddings in the plane."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_integer, check_same_length, refuse
from keras_proxygml.visualization.fonts import families_for
from keras_proxygml.visualization.names import columns_of, names_of, wrapped
from keras_proxygml.visualization.palette import NUMBER_OF_SIGNS, area, sign

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEGEND_ROWS = 28


def plot_embeddings(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    classes: int | Sequence[int] | Sequence[str] = 10,
    class_names: Sequence[str] | Mapping[int | str, str] | None = None,
    seed: int = 0,
) -> "Figure":
    """Draws the embeddings of some classes in the plane, those of a small cosine distance together.

    The plane is a t-SNE. Points that are close together have similar embeddings. The distance
    between groups that are far apart means nothing. Up to 56 classes have a color and a marker of
    their own.

    Args:
        embeddings: Vectors, compared by cosine. `[M, D]`.
        labels: Class of each. `[M]`, integers or strings.
        classes: How many random classes to draw, or their labels.
        class_names: Name of each class, `class_names[label]`, for the legend, or `None`.
        seed: Seed of the random classes and of the t-SNE.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If the numbers of embeddings and labels differ, if fewer than 3 embeddings are
            of the classes to draw, if a class does not occur, or if a label has no name.
    """
    from sklearn.preprocessing import normalize

    embeddings, labels = np.asarray(embeddings, "float32"), np.asarray(labels).reshape(-1)
    check_same_length("labels", labels, "embeddings", embeddings, "Give one label per embedding.")
    drawn = _chosen(classes, labels, seed)
    places = np.flatnonzero(np.isin(labels, drawn))
    if len(places) < 3:
        received = f"{len(places)} of {len(labels)}"
        hint = "Draw more classes."
        refuse("embeddings", "be 3 or more of the classes to draw", received, hint)
    names = names_of(drawn, class_names) or [str(label) for label in drawn]
    names = [wrapped(name, columns=46, lines=1) for name in names]
    if len(drawn) > NUMBER_OF_SIGNS:
        warnings.warn(
            f"Of {len(drawn)} classes, some look alike: there are {NUMBER_OF_SIGNS} pairs of a "
            f"color and a marker. Draw fewer `classes` to tell them apart.",
            stacklevel=2,
        )
    families = families_for(names)
    points = tsne(normalize(embeddings[places]), seed)
    return _scatter([points[labels[places] == label] for label in drawn], names, families)


def tsne(units: np.ndarray, seed: int) -> np.ndarray:
    """Places unit vectors in the plane by t-SNE.

    Args:
        units: Unit vectors. `[n, D]`, n of 3 or more.
        seed: Seed of the t-SNE.

    Returns:
        Points, `[n, 2]`, float32.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30, (len(units) - 1) / 3)  # neighbors that count; scikit-learn's default
    # Vectors on one line have no plane to start from. scikit-learn crashes on them: its issues
    # 28368 and 29127.
    spreads = np.linalg.matrix_rank(units - units[0]) > 1
    init = "pca" if spreads else "random"
    plane = TSNE(metric="cosine", perplexity=perplexity, random_state=seed, init=init)
    # The threads of scikit-learn's t-SNE wait for each other. On a busy machine, it takes ten times
    # as long with two as with one.
    with threadpool_limits(1):
        return plane.fit_transform(units)


def _chosen(classes, labels, seed):
    """The classes to draw, sorted."""
    present = np.unique(labels)
    if np.ndim(classes) == 0:
        check_integer("classes", classes, minimum=1)
        number = min(classes, len(present))
        return np.sort(np.random.default_rng(seed).choice(present, number, replace=False))
    absent = [label for label in np.asarray(classes).tolist() if label not in present]
    if absent:
        received = f"{absent[0]!r}, which no embedding has"
        hint = "Name classes of `labels`, or give their number."
        refuse("classes", "be among the labels", received, hint)
    return np.unique(classes)


def _scatter(groups, names, families):
    """Draws the points `[n, 2]` of each class, and their names as a legend."""
    from matplotlib.figure import Figure

    columns = math.ceil(len(names) / LEGEND_ROWS)
    width = 6 + columns * (0.5 + 0.066 * max(map(columns_of, names)))
    figure = Figure(figsize=(width, 6), layout="constrained")
    axes = figure.subplots()
    edge = {"edgecolors": "white", "linewidths": 0.5}  # shapes show where points lie close together
    drawn = [
        axes.scatter(*points.T, s=1.2 * area(i), label=name, **edge, **sign(i))
        for i, (points, name) in enumerate(zip(groups, names, strict=True))
    ]
    axes.set(xticks=[], yticks=[], title="embeddings, by t-SNE")
    axes.set_aspect("equal", adjustable="datalim")
    font = {"family": families, "size": 8}
    legend = figure.legend(drawn, names, loc="outside right center", prop=font, ncols=columns)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may hold dollars
    return figure
