"""Fills the templates of the page and of the model card."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_proxygml.visualization._report.contents import payload
from keras_proxygml.visualization.history import curves_of

FOLDER = Path(__file__).parent
SCRIPTS = ("common.js", "charts.js", "lists.js", "map.js", "threshold.js")
LIBRARIES = {"uPlot.LICENSE": "uPlot.iife.min.js", "d3.LICENSE": "d3.min.js"}
CURVES = ("val_recall@1", "val_map@r", "val_nmi")  # as `plot_history` draws


def check_installed() -> None:
    """Raises an ImportError if Jinja2 is missing."""
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Reports and model cards take Jinja2, which is not installed. Run "
            "`pip install 'keras-proxygml[report]'`."
        ) from error


def fill(template: str, autoescape: bool, **values: Any) -> str:
    """Fills a template of the folder `templates`.

    Args:
        template: Name of its file.
        autoescape: Whether values become HTML, in which every special character is escaped.
        values: What the template names.

    Returns:
        The text.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=autoescape,
        loader=FileSystemLoader(FOLDER / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = lambda x: "–" if np.isnan(x) else f"{100 * x:.1f}"
    return environment.get_template(template).render(**values)


def render(found: dict[str, Any], *, title: str, history: Any, metrics: Any) -> str:
    """Writes the page as a string.

    Args:
        found: What `contents` returns.
        title: Title of the page.
        history: See `report`.
        metrics: See `report`.
    """
    from keras_proxygml import __version__

    charts = [] if history is None else _charts(curves_of(history))
    captions = found["captions"]
    index = {item: i for i, item in enumerate(found["numbers"].tolist())}
    names = captions["names"]

    def caption(item):
        return _name(names, captions["labels"][index[item]])

    return fill(
        "report.html",
        True,
        title=title,
        version=__version__,
        scores=found["scores"],
        metrics={name: _number(value) for name, value in metrics.items()},
        charts=charts,
        lists=found["lists"],
        names=names,
        caption=caption,
        index=index,
        found=found,
        classes=_class_counts(found, names),
        style=_text("vendor/uPlot.min.css") + _text("templates/report.css"),
        libraries=[
            "/*\n" + _text(f"vendor/{license}") + "*/\n" + _text(f"vendor/{code}")
            for license, code in LIBRARIES.items()
        ],
        scripts=[_text(f"templates/{name}") for name in SCRIPTS],
        data=payload(found) | {"charts": charts},
    )


def _text(name):
    from markupsafe import Markup

    return Markup((FOLDER / name).read_text(encoding="utf-8"))


def _name(names, label):
    return names[label] if label >= 0 else "training image"


def _number(value):
    number = float(value)
    return f"{int(number):,}" if number.is_integer() and abs(number) > 1 else f"{number:.4g}"


def _class_counts(found, names):
    """Name and number of queries of each class on the wall, by name."""
    labels = np.array(found["captions"]["labels"])
    rows = np.searchsorted(found["numbers"], found["wall"])
    classes, counts = np.unique(labels[rows], return_counts=True)
    listed = zip(classes.tolist(), counts.tolist(), strict=True)
    return sorted(((c, names[c], n) for c, n in listed), key=lambda row: (row[1], row[0]))


def _charts(curves):
    """The learning curves to draw: the loss, and metrics."""
    metrics = [name for name in CURVES if name in curves]
    if not metrics:
        metrics = [name for name in curves if name.startswith("val_") and name != "val_loss"]
    wanted = {
        "Loss": [name for name in ("loss", "val_loss") if name in curves],
        "Retrieval of unseen classes": metrics,
    }
    return [_chart(title, names, curves) for title, names in wanted.items() if names]


def _chart(title, names, curves):
    epochs = sorted({epoch for name in names for epoch in curves[name]})
    values = [[curves[name].get(epoch) for epoch in epochs] for name in names]
    labels = [name.removeprefix("val_") if name != "val_loss" else name for name in names]
    finite = [[x if x is None or np.isfinite(x) else None for x in row] for row in values]
    series = [{"name": label, "values": row} for label, row in zip(labels, finite, strict=True)]
    return {"title": title, "epochs": epochs, "series": series}
