"""A picture of training."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_proxygml.checks import check_integer, refuse
from keras_proxygml.visualization.palette import sign

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_history(
    history: Any,
    metrics: str | Sequence[str] = ("val_recall@1", "val_map@r", "val_nmi"),
    *,
    baseline: Mapping[str, float] | None = None,
    every: int | None = None,
) -> "Figure":
    """Draws the loss and retrieval metrics over the epochs.

    Args:
        history: The `keras.callbacks.History` that `fit` returns, or its dict, or the path of a
            file that `keras.callbacks.CSVLogger` wrote. A list of these becomes one curve. A
            history that begins at epoch 1 follows the one before it. If an epoch was trained twice,
            the later values are drawn.
        metrics: Names in the history to draw beside the loss, or one name.
        baseline: Metrics before training, such as `RetrievalEvaluation.baseline`, or `None`. They
            are drawn before the first epoch.
        every: The metrics were measured after each `every` epochs, as by
            `RetrievalEvaluation(every=…)` or `fit(validation_freq=…)`. By default it follows from
            the number of values. A file contains the epochs.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If none of the metrics is in the history, if the epochs of a metric are unknown,
            or if a file was not written by `CSVLogger`.
    """
    from matplotlib.figure import Figure

    metrics = (metrics,) if isinstance(metrics, str) else metrics
    curves = curves_of(history, every)
    drawn = [name for name in metrics if name in curves]
    if not drawn:
        refuse(
            "metrics",
            "name some metrics of the history",
            f"{tuple(metrics)} and a history of {tuple(curves)}",
            "Name others, or train with RetrievalEvaluation among the callbacks.",
        )
    start = min(min(points) for points in curves.values()) - 1
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    loss_axes, metric_axes = figure.subplots(1, 2)
    _draw(loss_axes, curves.get("loss", {}), color="black", marker="o")
    for i, name in enumerate(drawn):
        title = name.removeprefix("val_")
        before = {start: baseline[title]} if baseline and title in baseline else {}
        _draw(metric_axes, before | curves[name], label=title, **sign(i))
    loss_axes.set(xlabel="epoch", title="training loss")
    metric_axes.set(xlabel="epoch", title="retrieval of unseen classes")
    if all(0 <= y <= 1 for line in metric_axes.lines for y in line.get_ydata()):
        metric_axes.set_ylim(0, 1)
    metric_axes.legend()
    for axes in (loss_axes, metric_axes):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _draw(axes, points, **look):
    epochs = sorted(points)
    axes.plot(epochs, [points[epoch] for epoch in epochs], **look)


def curves_of(history: Any, every: int | None = None) -> dict[str, dict[int, float]]:
    """Each name's values by epoch, `{name: {epoch: value}}`, of one or several histories."""
    if every is not None:
        check_integer("every", every, minimum=1)
    curves: dict[str, dict[int, float]] = {}
    last = shift = 0
    for one in history if isinstance(history, (list, tuple)) else [history]:
        is_file = isinstance(one, (str, os.PathLike))
        for epochs, values in _parts_of_file(one) if is_file else [_part(one, every)]:
            if not epochs:
                continue  # training had ended before
            shift = last if epochs[0] == 1 else shift
            last = epochs[-1] + shift
            for name, points in values.items():
                shifted = {epoch + shift: value for epoch, value in points.items()}
                curves.setdefault(name, {}).update(shifted)
    return curves


def _part(history, every):
    """The epochs, from 1 on, and the values by epoch of a `History` or its dict."""
    values = getattr(history, "history", history)
    epochs = getattr(history, "epoch", range(max(map(len, values.values()), default=0)))
    epochs = [epoch + 1 for epoch in epochs]
    curves = {}
    for name, numbers in values.items():
        at = _measured(name, epochs, len(numbers), every)
        curves[name] = dict(zip(at, numbers, strict=True))
    return epochs, curves


def _measured(name, epochs, count, every):
    """The epochs of a metric's values: all, or every second one, or every third, and so on."""
    if count == len(epochs):
        return epochs
    steps = [every] if every else range(2, epochs[-1] + 1)
    fitting = {tuple(epoch for epoch in epochs if epoch % step == 0) for step in steps}
    fitting = [at for at in fitting if len(at) == count]
    if len(fitting) != 1:
        refuse(
            "every",
            f"say at which epochs {name} was measured",
            f"every={every} for {count} values in the epochs {epochs[0]} to {epochs[-1]}",
            "Give the `every` of RetrievalEvaluation, or the file of a CSVLogger, which contains "
            "the epochs.",
        )
    return fitting[0]


def _parts_of_file(path):
    """What `_part` returns, for each run in a file. `CSVLogger` may append to older runs."""
    parts = []
    for epoch, values in _rows(path):
        if epoch == 1 or not parts:
            parts.append(([], {}))
        epochs, curves = parts[-1]
        epochs.append(epoch)
        for name, value in values.items():
            curves.setdefault(name, {})[epoch] = value
    return parts


def _rows(path):
    """The epoch, from 1 on, and a dict of the numbers in each line of a file of `CSVLogger`."""
    head, *lines = Path(path).read_text().splitlines() or [""]
    if not head.startswith("epoch") or len(head) == len("epoch"):
        allowed = "be a file of keras.callbacks.CSVLogger, with the column epoch first"
        refuse("history", allowed, f"{path}, which begins with {head[:60]!r}")
    separator = head[len("epoch")]
    names, *rows = csv.reader([head, *lines], delimiter=separator)
    for cells in rows:
        if len(cells) != len(names):
            refuse(
                "history",
                "be a file in which each line has as many columns as its head",
                f"the line {separator.join(cells)!r} of {path}",
                "A later training logged other metrics. Let it write a file of its own.",
            )
        numbers = zip(names[1:], cells[1:], strict=True)
        yield int(cells[0]) + 1, {name: float(text) for name, text in numbers if _is_number(text)}


def _is_number(text):
    try:
        float(text)
    except ValueError:  # NA, or a list of numbers
        return False
    return True
