"""Tables and plots of `compare_losses`, from its runs into the documents.

    python -m benchmarks.comparison.report

Writes what stands between the markers of `docs/results.md` and `docs/measurements.md`, and the
plots `docs/claims.png`, `docs/losses.png` and `docs/comparison_TASK.png`.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import t as student

from benchmarks.comparison.axes import Log
from benchmarks.comparison.losses import CONTENDERS
from benchmarks.comparison.stages import (
    BASES,
    CANDIDATES,
    CLAIMS,
    LENGTHS,
    MASKS,
    OF_LENGTH,
    PARTS,
    RECIPE,
    SEEDS,
    SHARED,
    WITHOUT_MASK,
    best_settings,
    score,
)
from benchmarks.comparison.store import read
from benchmarks.comparison.tasks import TASKS
from benchmarks.reporting import insert, markdown

DOCS = Path(__file__).parents[2] / "docs"
FIXED = {
    "advised": "as advised",
    "longer": "192 epochs, embedding of 512, judged over shifts",
    "as_from_scratch": "as advised from scratch",
    "as_from_scratch_unmasked": "as advised from scratch, without the mask",
    "unmasked_shifted": "without the mask",
    "unmasked": "without the mask and shifts",
    "before": "as advised before",
    "before_long": "as advised before, 64 epochs",
    "before_longer": "as advised before, 192 epochs",
}
HELD_OUT = "One run each on held-out training classes, so not comparable with the test half:"
SHOWN = {"recall@1": "Recall@1", "map@r": "MAP@R", "nmi": "NMI"}


def interval(values):
    """Mean of the seeds and half the width of its 95 % interval by Student's t.

    NaN for fewer than three seeds, which say nothing about the spread.
    """
    values = np.asarray(values, float)
    if len(values) < 3:
        return values.mean(), np.nan
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean(), half


def written(mean, half, form):
    """A mean and its interval, which fewer than three seeds do not have."""
    return f"{mean:{form}}" + ("" if np.isnan(half) else f" ± {half:{form.strip('+')}}")


def finished(task, name):
    """The runs of a loss in the final stage that ended."""
    return [r for r in read(task, "final", f"{name}-[0-9]").values() if "history" in r]


def epochs_to(values, share=0.95):
    """Epochs until a metric first reached a share of its best."""
    return int(np.argmax(np.asarray(values) >= share * max(values))) + 1


def comparison(task, names=CONTENDERS):
    """Each loss at its best settings, the best MAP@R first."""
    rows = []
    for name in names:
        results = finished(task, name)
        if not results:
            continue
        histories = [r["history"] for r in results]
        shares = [epochs_to(h["val_map@r"]) / len(h["val_map@r"]) for h in histories]
        cells = (
            name,
            *with_intervals(histories),
            f"{np.median(shares):.0%}",
            len(results),
        )
        rows.append((-np.mean([score(r) for r in results]), cells))
    titles = ("loss", *SHOWN.values(), "training to 95 %", "seeds")
    return markdown(titles, [cells for _, cells in sorted(rows)])


def with_intervals(histories):
    """The metrics of the last epoch: their mean over the seeds and its interval."""
    values = [[history[f"val_{metric}"][-1] for history in histories] for metric in SHOWN]
    return [written(*interval(of_metric), ".4f") for of_metric in values]


def fixed(task):
    """ProxyGML at the settings that are advised and at those that were advised before."""
    rows = [
        (
            title,
            *with_intervals([run["history"] for run in runs]),
            len(runs),
            listed(runs[0]["settings"]),
        )
        for title, runs in of_fixed(task).items()
    ]
    return markdown(("setting", *SHOWN.values(), "seeds", "what it is"), rows)


def choice(task):
    """ProxyGML at settings that may become the advice, on held-out training classes."""
    gains = differences(task, "choice", CANDIDATES)
    rows = []
    for label in CANDIDATES:
        found = [score(run) for run in read(task, "choice", f"{label}-[0-9]*").values()]
        gain = written(*gains[label], "+.4f") if label in gains else ""
        rows.append((label, f"{np.mean(found):.4f}" if found else "", gain, len(found)))
    return markdown(("settings", "MAP@R", "difference", "runs"), rows)


def scores(task, stage, label):
    """MAP@R of a setting, by the quarter of the classes and the seed."""
    runs = read(task, stage, f"{label}-[0-9]*").values()
    return {(run["settings"].get("quarter"), run["seed"]): score(run) for run in runs}


def differences(task, stage, labels):
    """What other settings gain in MAP@R over the first: the mean and its interval.

    Quarters of the classes differ more than settings do. So differences are between runs of the
    same quarter and seed. Seeds of one quarter are no independent samples of classes: where there
    are several quarters, each counts once, with the mean of its seeds.
    """
    base, *others = (scores(task, stage, label) for label in labels)
    gains = {}
    for label, of in zip(list(labels)[1:], others, strict=True):
        samples = {}
        for quarter, seed in sorted(of.keys() & base.keys(), key=str):
            gain = of[quarter, seed] - base[quarter, seed]
            samples.setdefault(seed if quarter is None else quarter, []).append(gain)
        if samples:
            gains[label] = interval([np.mean(values) for values in samples.values()])
    return gains


def of_fixed(task):
    """The runs of `fixed`, by the titles of their settings."""
    found = {title: list(read(task, "fixed", f"{x}-*").values()) for x, title in FIXED.items()}
    return {title: runs for title, runs in found.items() if runs}


def listed(settings):
    """Settings in words."""
    return ", ".join(
        f"{key} {value}" if isinstance(value, (bool, str)) else f"{key} {value:g}"
        for key, value in settings.items()
    )


def searched(task):
    """What the search of each loss found, the best first."""
    rows = []
    for name in CONTENDERS:
        best = best_settings(task, name)
        if best is None:
            continue
        found = [score(r) for r in read(task, "search", f"{name}-*").values()]
        default = score(read(task, "search", f"{name}-0")[f"{name}-0"])
        cells = (
            name,
            f"{max(found):.3f}",
            f"{np.median(found):.3f}",
            f"{default:.3f}",
            f"{place(TASKS[task].rates, best['learning_rate']):.2f}",
            listed(best),
        )
        rows.append((-max(found), cells))
    titles = ("loss", "best", "median", "defaults", "place of the rate", "the best settings")
    return markdown(titles, [cells for _, cells in sorted(rows)])


def place(axis: Log, value):
    """Where a value is on a logarithmic axis, from 0 to 1."""
    return np.log(value / axis.low) / np.log(axis.high / axis.low)


def lengths(task):
    """MAP@R of trainings of several lengths."""
    found = read(task, "length")
    rows = []
    for name in OF_LENGTH:
        cells = [found.get(f"{name}-{length}") for length in LENGTHS]
        rows.append((name, *(f"{score(cell):.3f}" if cell else "" for cell in cells)))
    return markdown(("loss", *(f"{length} epochs" for length in LENGTHS)), rows)


def changes(task, stage, labels):
    """MAP@R of ProxyGML on held-out training classes with changes, and the difference."""
    found = read(task, stage)
    base = score(found["as it is"])
    rows = [
        (label, f"{score(found[label]):.3f}", f"{score(found[label]) - base:+.3f}")
        for label in labels
        if label in found
    ]
    return markdown(("ProxyGML", "MAP@R", "difference"), rows)


def claims():
    """What MAP@R gains or loses without each idea of the paper, as Markdown lines."""
    found = {task: differences(task, "claims", CLAIMS) for task in TASKS}
    rows = []
    for label in list(CLAIMS)[1:]:
        gains = [of.get(label) for of in found.values()]
        rows.append((label, *(written(*gain, "+.3f") if gain else "" for gain in gains)))
    return markdown(("ProxyGML", *found), rows)


def masks(task):
    """What the gradient does to the scores in trainings with and without the mask."""
    rows = [
        (
            label if number == 0 else "",
            row["epoch"],
            f"{row['reached']:.0f}",
            *(f"{row[key]:.2f}" for key in ("pull", "push")),
            f"{row['push'] * row['share_of_nearest']:.2f}",
            *(f"{row[key]:.3f}" for key in ("own", "nearest")),
        )
        for label in MASKS
        if (run := read(task, "mask", label).get(label))
        for number, row in enumerate(run["gradients"])
    ]
    columns = "other classes reached", "pull", "push", "push on the ten nearest"
    columns += "cosine of the own proxies", "cosine of the nearest other class"
    return markdown(("ProxyGML", "epoch", *columns), rows)


def plot_claims():
    """Draws the table of `claims`."""
    figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
    axes.axvline(0, color="black", lw=1)
    labels = list(CLAIMS)[1:]
    for number, task in enumerate(TASKS):
        found = differences(task, "claims", CLAIMS)
        rows = [labels.index(label) + (number - 1) / 5 for label in found]
        means, halves = zip(*found.values(), strict=True) if found else ((), ())
        axes.errorbar(means, rows, xerr=halves, fmt="o", label=task)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("change of MAP@R on held-out classes")
    figure.legend(loc="outside right upper")
    figure.savefig(DOCS / "claims.png", dpi=110)
    plt.close(figure)


def plot_losses():
    """Draws MAP@R on the test half: each loss at its best settings, and ProxyGML as advised."""
    figure, panels = plt.subplots(1, len(TASKS), figsize=(11, 4), layout="constrained")
    for axes, task in zip(panels, TASKS, strict=True):
        runs = {name: found for name in CONTENDERS if (found := finished(task, name))}
        if "as advised" in of_fixed(task):
            runs["ProxyGML, as advised"] = of_fixed(task)["as advised"]
        values = {name: interval([score(run) for run in found]) for name, found in runs.items()}
        names = sorted(values, key=lambda name: values[name][0])
        for row, name in enumerate(names):
            mean, half = values[name]
            color = "tab:blue" if name.startswith("ProxyGML") else "gray"
            axes.errorbar(mean, row, xerr=half, fmt="o", color=color)
        axes.set_yticks(range(len(names)), names)
        axes.set_title(task)
    figure.supxlabel("MAP@R on unseen classes")
    figure.savefig(DOCS / "losses.png", dpi=110)
    plt.close(figure)


def plot(task):
    """MAP@R on the test half over the training, the mean of the seeds. The best come first."""
    curves = {f"ProxyGML, {title}": runs for title, runs in of_fixed(task).items()}
    curves |= {name: runs for name in CONTENDERS if (runs := finished(task, name))}
    means = {
        name: np.mean([run["history"]["val_map@r"] for run in runs], axis=0)
        for name, runs in curves.items()
    }
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    axes.set_prop_cycle(color=plt.get_cmap("tab20").colors)
    for name in sorted(means, key=lambda name: -means[name][-1]):
        steps = len(means[name])
        epochs = np.arange(1, steps + 1) * (curves[name][0]["epochs"] // steps)
        axes.plot(epochs, means[name], label=name, lw=3 if "ProxyGML" in name else 1.5)
    axes.set(xlabel="epoch", ylabel="MAP@R on unseen classes", title=task)
    figure.legend(fontsize=8, loc="outside right upper")
    figure.savefig(DOCS / f"comparison_{task}.png", dpi=110)
    plt.close(figure)


def sections(task):
    """Everything there is of a task, as Markdown lines."""
    lines = []
    if any(finished(task, name) for name in CONTENDERS):
        text = f"At its best settings, mean and 95 % interval of up to {SEEDS} seeds, best first:"
        lines += [text, "", *comparison(task), ""]
    if of_fixed(task):
        lines += ["ProxyGML on the test half, mean and 95 % interval of the seeds:", ""]
        lines += [*fixed(task), ""]
    if lines:
        lines += [f"![MAP@R over the epochs](comparison_{task}.png)", ""]
    if any(best_settings(task, name) for name in CONTENDERS):
        lines += ["The search, MAP@R on held-out training classes:", "", *searched(task), ""]
    if read(task, "choice"):
        text = "ProxyGML on each quarter of the training classes, held out once. The difference is "
        text += "that of the same quarter and seed, with the 95 % interval of the quarters:"
        lines += [text, "", *choice(task), ""]
    if read(task, "parts"):
        lines += [f"ProxyGML at {listed(BASES[task])}, and changes of it. {HELD_OUT}", ""]
        lines += [*changes(task, "parts", PARTS), ""]
    if read(task, "recipe"):
        base = listed(SHARED | WITHOUT_MASK)
        lines += [f"ProxyGML at {base}, and changes of the recipe. {HELD_OUT}", ""]
        lines += [*changes(task, "recipe", RECIPE), ""]
    if read(task, "mask"):
        lines += ["The gradient of the class scores, on training images:", "", *masks(task), ""]
    if read(task, "length"):
        lines += [
            "Length of the training, at the defaults of the losses, on held-out training classes:",
            "",
        ]
        lines += [*lengths(task), ""]
    return lines


def earlier():
    """What the comparison before this one found on the products, with 8 settings of each loss."""
    return comparison("earlier_products", [*CONTENDERS, "ProxyGMLTuned"])


def main():
    for task in TASKS:
        plot(task)
        insert(DOCS / "measurements.md", task, "\n".join(sections(task)))
    insert(DOCS / "measurements.md", "earlier", "\n".join(earlier()))
    plot_claims()
    plot_losses()
    insert(DOCS / "results.md", "claims", "\n".join(claims()))


if __name__ == "__main__":
    main()
