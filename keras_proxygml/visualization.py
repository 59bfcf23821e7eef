"""Pictures of training and of what an embedder finds."""

import numpy as np
from matplotlib.figure import Figure

from keras_proxygml.metrics import nearest

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
