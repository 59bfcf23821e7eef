"""Tables and plots of `compare_losses`, from its runs into `docs/results.md`.

    python -m benchmarks.comparison.report

Writes what stands between the markers of the document, and `docs/comparison_TASK.png`.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import t as student

from benchmarks.comparison.compare_losses import (
    SEEDS,
    TUNED,
    VARIANTS,
    best_settings,
    score,
    tuned_settings,
)
from benchmarks.comparison.losses import CONTENDERS
from benchmarks.comparison.store import read
from benchmarks.comparison.tasks import TASKS
from benchmarks.reporting import insert, markdown

DOCS = Path(__file__).parents[2] / "docs"
SHOWN = {"recall@1": "Recall@1", "map@r": "MAP@R", "nmi": "NMI"}


def interval(values):
    """Mean of the seeds and half the width of its 95 % interval by Student's t."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return values.mean(), np.nan
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean(), half


def finished(task, name):
    """The runs of a loss in the final stage that ended."""
    return [r for r in read(task, "final", f"{name}-[0-9]").values() if "history" in r]


def epochs_to(values, share=0.95):
    """Epochs until a metric first reached a share of its best."""
    return int(np.argmax(np.asarray(values) >= share * max(values))) + 1


def comparison(task):
    """Each loss at its best settings, the best MAP@R first."""
    rows = []
    for name in (*CONTENDERS, TUNED):
        results = finished(task, name)
        if not results:
            continue
        histories = [r["history"] for r in results]
        cells = [name]
        for metric in SHOWN:
            mean, half = interval([h[f"val_{metric}"][-1] for h in histories])
            cells.append(f"{mean:.4f}" + (f" ± {half:.4f}" if len(histories) > 1 else ""))
        cells.append(f"{1000 * np.median([r['seconds_per_step'] for r in results]):.0f}")
        cells.append(f"{np.median([epochs_to(h['val_map@r']) for h in histories]):.0f}")
        cells.append(f"{np.mean([h['val_map@r'][0] for h in histories]):.3f}")
        cells.append(len(results))
        rows.append((-np.mean([score(r) for r in results]), cells))
    titles = ("loss", *SHOWN.values(), "ms a step", "epochs to 95 %", "MAP@R, 1 epoch", "seeds")
    return markdown(titles, [cells for _, cells in sorted(rows)])


def chosen(task):
    """The settings that the search chose, and how far the search went."""
    rows = []
    for name in CONTENDERS:
        best = best_settings(task, name)
        if best is None:
            continue
        found = read(task, "search", f"{name}-*")
        text = ", ".join(f"{key} {value:g}" for key, value in best.items())
        top = max(map(score, found.values()))
        rows.append((name, f"{score(found[f'{name}-0']):.3f}", f"{top:.3f}", text))
    tuned = tuned_settings(task, "final")
    if tuned:
        text = ", ".join(f"{key} {value:g}" for key, value in tuned.items())
        rows.append((TUNED, "", "", text))
    titles = ("loss", "MAP@R on held-out classes: defaults", "best", "the best settings")
    return markdown(titles, rows)


def grid(task):
    """MAP@R of ProxyGML by N and ratio."""
    found = read(task, "grid")
    counts = sorted({v["num_proxies"] for v in VARIANTS["grid"].values()})
    ratios = sorted({v["ratio"] for v in VARIANTS["grid"].values()})
    rows = []
    for n in counts:
        cells = [found.get(f"N{n}-ratio{ratio}") for ratio in ratios]
        rows.append((n, *(f"{score(c):.3f}" if c else "" for c in cells)))
    return markdown(("N", *(f"ratio {ratio:g}" for ratio in ratios)), rows)


def variants(task, stage):
    """The last epoch of each variant of a stage."""
    rows = []
    for label, result in read(task, stage).items():
        if "history" in result:
            last = [f"{result['history'][f'val_{m}'][-1]:.3f}" for m in SHOWN]
            rows.append((label.replace("-", ", "), *last))
    return markdown(("ProxyGML with", *SHOWN.values()), rows)


def plot(task):
    """MAP@R over the epochs, the mean of the seeds."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for i, name in enumerate((*CONTENDERS, TUNED)):
        curves = [r["history"]["val_map@r"] for r in finished(task, name)]
        if curves:
            mean = np.mean(curves, axis=0)
            style = {"lw": 3} if "ProxyGML" in name else {"ls": ("-", "--", ":")[i % 3]}
            color = "black" if name == TUNED else f"C{i}"
            axes.plot(np.arange(1, len(mean) + 1), mean, label=name, color=color, **style)
    axes.set(xlabel="epoch", ylabel="MAP@R on unseen classes", title=task)
    axes.legend(fontsize=8)
    figure.savefig(DOCS / f"comparison_{task}.png", dpi=110)
    plt.close(figure)


def sections(task):
    """Everything there is of a task, as Markdown lines."""
    lines = []
    if any(finished(task, name) for name in CONTENDERS):
        plot(task)
        text = f"At its best settings, mean and 95 % interval of up to {SEEDS} seeds, best first:"
        picture = f"![MAP@R over the epochs](comparison_{task}.png)"
        lines += [text, "", *comparison(task), "", picture, ""]
    if read(task, "search"):
        lines += ["What the search chose:", "", *chosen(task), ""]
    if read(task, "grid"):
        lines += ["MAP@R on the held-out classes, by proxies per class and ratio:", ""]
        lines += [*grid(task), ""]
    titles = {
        "scale": "Scale of the scores",
        "rates": "Rates of the best so far",
        "ablation": "Parts of the method left in",
    }
    for stage, title in titles.items():
        if read(task, stage):
            lines += [f"{title}, on the held-out classes:", ""]
            lines += [*variants(task, stage), ""]
    return lines


def main():
    for task in TASKS:
        insert(DOCS / "results.md", task, "\n".join(sections(task)))


if __name__ == "__main__":
    main()
