"""A page beside an embedder that says what it is."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_proxygml.checks import refuse
from keras_proxygml.metrics.confidence import Interval
from keras_proxygml.visualization._report.page import check_installed, fill

USE = (
    "Search: find the images of a collection that show the same thing as a query, also for things "
    "that the embedder was not trained on."
)
LIMITS = (
    "The metrics are those of the test images. Images of another kind, camera or background may "
    "give other numbers. Test the embedder on images of your own.",
    "Similarities are no probabilities. Calibrate a threshold on the gallery that is searched.",
    "The embedder keeps what it learned from its training images, their errors included.",
)


def model_card(
    path: str | os.PathLike[str],
    embedder: Any,
    *,
    name: str = "An image embedder",
    file: str = "embedder.keras",
    data: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    scores: Mapping[str, Mapping[str, Any]] | None = None,
    intended_use: str = USE,
    limits: Sequence[str] = LIMITS,
    license: str | None = None,
) -> Path:
    """Writes a model card, the README.md beside an embedder.

    Args:
        path: The file to write, such as "run/README.md".
        embedder: The `keras.Model` from images to vectors.
        name: What to call it.
        file: The embedder's file, as seen from the card.
        data: What it was trained and tested on, such as `{"training images": 4650}`.
        recipe: How it was trained, such as `{"epochs": 3}`.
        scores: Metrics: a name, such as "trained" → a dict of a metric's name → a number, or an
            `Interval` of `confidence_intervals`. Each name is a column.
        intended_use: What it is for.
        limits: What to know before using it, sentences.
        license: The license of the embedder, such as "apache-2.0".

    Returns:
        The path.

    Raises:
        ValueError: If `embedder` is no model from one input to vectors.
        ImportError: If Jinja2 is missing, which the extra `report` installs.
    """
    check_installed()
    shapes: list[Any] = [getattr(embedder, f"{end}_shape", None) for end in ("input", "output")]
    if not all(isinstance(shape, tuple) for shape in shapes) or len(shapes[1]) != 2:
        hint = "Give embedder_of(model)."
        received = f"{type(embedder).__name__} of shapes {shapes[0]} and {shapes[1]}"
        refuse("embedder", "be a model from images to vectors [B, D]", received, hint)
    columns = {str(who): dict(values) for who, values in (scores or {}).items()}
    metrics = list(dict.fromkeys(metric for values in columns.values() for metric in values))
    table = [[_score(values.get(metric)) for values in columns.values()] for metric in metrics]
    card = fill(
        "model_card.md.jinja",
        False,
        name=_cell(name),
        file=file,
        sizes=[_shape(shape) for shape in shapes],
        parameters=f"{embedder.count_params():,}",
        backbone=_cell(embedder.name),
        data=_rows(data),
        recipe=_rows(recipe),
        columns=list(map(_cell, columns)),
        rows=list(zip(map(_cell, metrics), table, strict=True)),
        has_intervals=any(isinstance(x, Interval) for v in columns.values() for x in v.values()),
        intended_use=intended_use,
        limits=limits,
        license=license,
        version=_version(),
    )
    Path(path).write_text(card, encoding="utf-8", newline="\n")
    return Path(path)


def _version():
    from keras_proxygml import __version__

    return __version__


def _cell(text):
    """A text that is no Markdown and no HTML, in one line."""
    text = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join("\\" + letter if letter in r"\|`*_[]#" else letter for letter in text)


def _rows(values):
    return [(_cell(name), _cell(value)) for name, value in (values or {}).items()]


def _shape(shape):
    return f"[N, {', '.join('any' if size is None else str(size) for size in shape[1:])}]"


def _score(score):
    if score is None:
        return "–"
    if isinstance(score, Interval):
        return f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})"
    return f"{score:.3f}" if isinstance(score, float) else _cell(score)
