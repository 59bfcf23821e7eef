"""Pictures of training, of embeddings and subgraphs, and of what an embedder finds."""

import matplotlib
import numpy as np
from keras import ops
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from keras_proxygml.graph import knn_subgraph
from keras_proxygml.metrics import nearest
from keras_proxygml.metrics.vectors import unit_vectors

RIGHT, WRONG = "#2a9d4e", "#d1343a"


def plot_neighbors(images, embeddings, labels, *, queries=8, neighbors=8, seed=0):
    """Draws queries, each with its nearest neighbours framed green (its class) or red (not).

    Args:
        images: `[M, height, width, channels]`, uint8, or floats from 0 to 1 or from 0 to 255 (if
            any that is drawn is above 2); one channel is grey, three are RGB.
        embeddings: Vectors of the images, compared by cosine. `[M, D]`.
        labels: Class of each image. `[M]`, integers.
        queries: How many random images to query, or their indices.
        neighbors: How many neighbours to show of each.
        seed: Seed of the random queries.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("neighbors.png")`.

    Raises:
        ValueError: If images, embeddings and labels are not equally many, or fewer than the
            neighbours asked for.
    """
    labels, embeddings = np.asarray(labels).reshape(-1), np.asarray(embeddings, "float32")
    if not len(images) == len(embeddings) == len(labels) > max(neighbors, np.max(queries)):
        raise ValueError(
            f"{len(images)} images, {len(embeddings)} embeddings and {len(labels)} labels came, "
            f"allowed are equally many, more than the {neighbors} neighbours and {queries} "
            f"queries to show. Give all of them, or show fewer."
        )
    if np.ndim(queries) == 0:
        queries = np.random.default_rng(seed).choice(len(images), queries, replace=False)
    queries = np.arange(len(images))[np.asarray(queries)]
    found, _ = nearest(embeddings[queries], neighbors + 1, gallery=embeddings)
    figure = Figure(figsize=(neighbors + 1.4, len(queries) + 0.3), layout="constrained")
    grid = figure.subplots(len(queries), neighbors + 1, squeeze=False)
    drawn = np.asarray([images[place] for place in [*queries, *found.ravel()]])
    brightest = 255 if drawn.dtype == np.uint8 or drawn.max() > 2 else 1
    for row, query, places in zip(grid, queries, found, strict=True):
        others = places[places != query][:neighbors]
        _draw(row[0], images[query] / brightest, "black")
        for axes, place in zip(row[1:], others, strict=True):
            color = RIGHT if labels[place] == labels[query] else WRONG
            _draw(axes, images[place] / brightest, color)
    grid[0, 0].set_title("query", fontsize=9)
    grid[0, 1].set_title("nearest →", fontsize=9)
    return figure


def plot_embeddings(embeddings, labels, *, classes=10, class_names=None, seed=0):
    """Draws the embeddings of some classes in the plane, near those of a small cosine distance.

    The plane is a t-SNE: what is near is meant, distances between far groups say nothing.

    Args:
        embeddings: Vectors, compared by cosine. `[M, D]`.
        labels: Class of each. `[M]`, integers.
        classes: How many random classes to draw, or which.
        class_names: Name of each class, `class_names[label]`, for the legend; or `None`.
        seed: Seed of the random classes and of the t-SNE.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If embeddings and labels are not equally many, or fewer than 3 of the classes
            to draw.
    """
    embeddings, labels = np.asarray(embeddings, "float32"), np.asarray(labels).reshape(-1)
    present = np.unique(labels)
    if np.ndim(classes) == 0:
        number = min(classes, len(present))
        classes = np.random.default_rng(seed).choice(present, number, replace=False)
    places = np.flatnonzero(np.isin(labels, classes))
    if len(embeddings) != len(labels) or len(places) < 3:
        raise ValueError(
            f"{len(embeddings)} embeddings and {len(labels)} labels came, {len(places)} of them of "
            f"the classes to draw. Allowed are equally many, and 3 or more to draw: give all of "
            f"them, or more classes."
        )
    perplexity = min(30, (len(places) - 1) / 3)  # neighbours that count; scikit-learn's default
    vectors = unit_vectors(embeddings[places])
    # Where they spread in no two directions there is no plane to start from, and scikit-learn
    # crashes: its issues 28368 and 29127.
    spreads = np.linalg.matrix_rank(vectors - vectors[0]) > 1
    init = "pca" if spreads else "random"
    plane = TSNE(metric="cosine", perplexity=perplexity, random_state=seed, init=init)
    points = plane.fit_transform(vectors)
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    colors = matplotlib.colormaps["tab10" if len(classes) <= 10 else "turbo"]
    for i, label in enumerate(sorted(classes)):
        color = colors(i if len(classes) <= 10 else i / (len(classes) - 1))
        name = label if class_names is None else class_names[label]
        axes.scatter(*points[labels[places] == label].T, s=14, color=color, label=str(name))
    axes.set(xticks=[], yticks=[], title="embeddings, by t-SNE")
    figure.legend(loc="outside right center", fontsize=8)
    return figure


def plot_subgraph(similarities, labels, k):
    """Draws how similar the proxies are to samples, and which of them their subgraphs keep.

    Each sample is a panel with all proxies from the most similar on: those of its class green,
    the others kept black, those left out grey.

    Args:
        similarities: Cosines, as a proxy layer gives them, of few samples. `[B, C, N]`.
        labels: Class of each sample. `[B]`, integers in `[0, C)`.
        k: How many proxies each sample keeps, ⌈ratio · C · N⌉. N < k ≤ C·N.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If k is out of its range.
    """
    labels = np.asarray(labels).reshape(-1)
    kept = ops.convert_to_numpy(knn_subgraph(ops.convert_to_tensor(similarities), labels, k))
    similarities = ops.convert_to_numpy(similarities)
    figure = Figure(figsize=(9, 2 * len(labels) + 0.4), layout="constrained")
    panels = figure.subplots(len(labels), squeeze=False, sharex=True)[:, 0]
    for axes, of_sample, is_kept, label in zip(panels, similarities, kept, labels, strict=True):
        is_own = np.zeros(of_sample.shape, bool)
        is_own[label] = True
        ranks = np.empty(of_sample.size, int)
        ranks[np.argsort(-of_sample, axis=None, kind="stable")] = np.arange(of_sample.size) + 1
        ranks = ranks.reshape(of_sample.shape)
        groups = (
            ("left out", ~is_kept, "#c8c8c8"),
            ("kept", is_kept & ~is_own, "black"),
            ("kept, own class", is_own, RIGHT),
        )
        for name, chosen, color in groups:
            axes.scatter(ranks[chosen], of_sample[chosen], s=9, color=color, label=name)
        axes.set(ylabel=f"class {label}")
        axes.grid(alpha=0.3)
    panels[0].set_title("similarity of each proxy, from the most similar on")
    panels[0].legend(fontsize=8)
    return figure


def plot_history(
    history, metrics=("val_recall@1", "val_map@r", "val_nmi"), *, baseline=None, every=1
):
    """Draws the loss and retrieval metrics over the epochs.

    Args:
        history: A `keras.callbacks.History`, as `fit` returns it, or its dict.
        metrics: Names in the history to draw beside the loss.
        baseline: Metrics before training, such as `RetrievalEvaluation.baseline`, drawn as
            epoch 0; or `None`.
        every: After how many epochs each the metrics were measured, as in `RetrievalEvaluation`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If none of the metrics is in the history.
    """
    history = getattr(history, "history", history)
    drawn = [name for name in metrics if name in history]
    if not drawn:
        raise ValueError(
            f"None of {tuple(metrics)} is in the history, which has {tuple(history)}. Name "
            f"metrics of the history, or train with RetrievalEvaluation among the callbacks."
        )
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    loss_axes, metric_axes = figure.subplots(1, 2)
    loss_axes.plot(range(1, len(history["loss"]) + 1), history["loss"], marker="o", color="black")
    loss_axes.set(xlabel="epoch", title="training loss")
    for name in drawn:
        values = history[name]
        epochs = [every * (i + 1) for i in range(len(values))]
        before = (baseline or {}).get(name.removeprefix("val_"))
        if before is not None:
            epochs, values = [0, *epochs], [before, *values]
        metric_axes.plot(epochs, values, marker="o", label=name.removeprefix("val_"))
    metric_axes.set(xlabel="epoch", title="retrieval of unseen classes", ylim=(0, 1))
    metric_axes.legend()
    for axes in (loss_axes, metric_axes):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _draw(axes, image, color):
    image = np.asarray(image)
    if image.shape[-1] == 1:
        image = image[..., 0]
    axes.imshow(image.clip(0, 1), cmap="gray", vmin=0, vmax=1)  # RGB needs no map
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=color, linewidth=3)
