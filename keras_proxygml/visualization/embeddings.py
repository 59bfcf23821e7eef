"""A picture of embeddings in the plane."""

import math
import warnings

import numpy as np

from keras_proxygml.checks import check_integer
from keras_proxygml.visualization.fonts import families_for
from keras_proxygml.visualization.names import columns_of, names_of, wrapped
from keras_proxygml.visualization.palette import NUMBER_OF_SIGNS, area, sign

LEGEND_ROWS = 28


def plot_embeddings(embeddings, labels, *, classes=10, class_names=None, seed=0):
    """Draws the embeddings of some classes in the plane, near those of a small cosine distance.

    The plane is a t-SNE: what is near is meant, distances between far groups say nothing. Up to 56
    classes have a color and a marker of their own.

    Args:
        embeddings: Vectors, compared by cosine. `[M, D]`.
        labels: Class of each. `[M]`, integers or strings.
        classes: How many random classes to draw, or which.
        class_names: Name of each class, `class_names[label]`, for the legend; or `None`.
        seed: Seed of the random classes and of the t-SNE.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If embeddings and labels are not equally many, if fewer than 3 are of the
            classes to draw, if a class does not occur, or if a label has no name.
    """
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import normalize

    embeddings, labels = np.asarray(embeddings, "float32"), np.asarray(labels).reshape(-1)
    classes = _chosen(classes, labels, seed)
    places = np.flatnonzero(np.isin(labels, classes))
    if len(embeddings) != len(labels) or len(places) < 3:
        raise ValueError(
            f"`embeddings` and `labels` must be equally many, and 3 or more of the classes to "
            f"draw. Received: {len(embeddings)} embeddings and {len(labels)} labels, "
            f"{len(places)} of these classes. Give one label per embedding, or draw more classes."
        )
    names = names_of(classes, class_names) or [str(label) for label in classes]
    names = [wrapped(name, columns=46, lines=1) for name in names]
    if len(classes) > NUMBER_OF_SIGNS:
        warnings.warn(
            f"Of {len(classes)} classes, some look alike: there are {NUMBER_OF_SIGNS} pairs of a "
            f"color and a marker. Draw fewer `classes` to tell them apart.",
            stacklevel=2,
        )
    families = families_for(names)
    perplexity = min(30, (len(places) - 1) / 3)  # neighbors that count; scikit-learn's default
    vectors = normalize(embeddings[places])
    # Vectors that differ in one direction at most have no plane to start from. There, scikit-learn
    # crashes: its issues 28368 and 29127.
    spreads = np.linalg.matrix_rank(vectors - vectors[0]) > 1
    init = "pca" if spreads else "random"
    plane = TSNE(metric="cosine", perplexity=perplexity, random_state=seed, init=init)
    points = plane.fit_transform(vectors)
    return _scatter([points[labels[places] == label] for label in classes], names, families)


def _chosen(classes, labels, seed):
    """The classes to draw, sorted."""
    present = np.unique(labels)
    if np.ndim(classes) == 0:
        check_integer("classes", classes, minimum=1)
        number = min(classes, len(present))
        return np.sort(np.random.default_rng(seed).choice(present, number, replace=False))
    absent = [label for label in np.asarray(classes).tolist() if label not in present]
    if absent:
        raise ValueError(
            f"`classes` must be among the labels. Received: {absent[0]!r}, which no embedding has. "
            f"Name classes of `labels`, or give their number."
        )
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
