"""How long a head takes, forward and backward, and how much memory, against the alternatives.

    python -m benchmarks.speed.head_speed                              # every case, 3 rounds
    python -m benchmarks.speed.head_speed --cases 11k 100k --rounds 5  # some; the others are kept

Each contender runs in its own process, one after the other, round after round. Its time is the
median of its steps after the first. Added memory is what its weights, gradients and temporary
tensors need at the peak of a step, above a process that holds the data and has run a small case.
Writes `results/head_speed.json`, and the table between the markers in `README.md`.
`pip install torch pytorch-metric-learning jax` adds those contenders. Without it, they are skipped.
"""

import argparse
import importlib
import json

from benchmarks.measuring import (
    available,
    in_own_process,
    in_rounds,
    median,
    median_seconds,
    memory,
    nested,
    reset_peak_memory,
)
from benchmarks.reporting import described, environment, markdown, publish, read, results_path
from benchmarks.speed.head_contenders import CASES, SMALL, fits_literally, make_arrays

NAME = "benchmarks.speed.head_speed"
BATCHES = (32, 128)
PACKAGES = ("keras", "tensorflow", "tensorflow_cpu", "jax", "torch", "pytorch-metric-learning")
WAYS = ("ours", "ours_by_top_k", "ours_by_bisection", "normalized_softmax", "bare_products")
KERAS = tuple(name + ending for ending in ("", "_xla", "_jax") for name in WAYS)
PYTORCH = ("pytorch_soft_triple", "pytorch_proxy_anchor")
LITERAL = ("literal", "literal_xla", "literal_jax", "pytorch_literal")
CONTENDERS = {
    name: KERAS + PYTORCH + (LITERAL if fits_literally(case) else ())
    for name, case in CASES.items()
}


def contender_of(name):
    """A contender by its name; those in PyTorch import it."""
    module = "pytorch_heads" if name.startswith("pytorch") else "head_contenders"
    module = importlib.import_module(f"benchmarks.speed.{module}")
    return getattr(module, name.removesuffix("_jax"))


def backend_of(name):
    """The backend that Keras has for a contender; PyTorch's own need none but get theirs."""
    return (
        "torch" if name.startswith("pytorch") else "jax" if name.endswith("_jax") else "tensorflow"
    )


def run_one(name, case, batch):
    """Times one contender in this process; prints a line of JSON."""
    contender = contender_of(name)
    contender(SMALL, make_arrays(SMALL, batch))()  # imports and warms up
    arrays = make_arrays(CASES[case], batch)
    before = memory("VmRSS")
    step = contender(CASES[case], arrays)
    del arrays
    step()
    reset_peak_memory()
    seconds = median_seconds(step)
    print(json.dumps({"seconds": seconds, "added_bytes": memory("VmHWM") - before}))


def packages_of(case, batch, name):
    """The packages that a contender imports."""
    return [backend_of(name)] + ["pytorch_metric_learning"] * name.startswith("pytorch")


def measure(case, batch, name):
    """One run in its own process."""
    arguments = "--one", name, "--cases", case, "--batches", batch
    return in_own_process(NAME, *arguments, KERAS_BACKEND=backend_of(name))


def run_cases(cases, batches, rounds):
    """All runs: case → batch → contender → list of runs."""
    problems = [(c, batch, name) for c in cases for batch in batches for name in CONTENDERS[c]]
    return nested(in_rounds(available(problems, packages_of), rounds, measure))


def table(result):
    """The results as Markdown: contenders down, batches across, a part for each case."""
    lines = ["*Times products* compares with `bare_products`, compiled alike."]
    for case, of_case in result["runs"].items():
        batches = list(of_case)
        rounds = len(next(iter(of_case[batches[0]].values())))
        where = described(result["environments"][case], rounds)
        titles = ["contender"]
        for batch in batches:
            titles += [f"ms, batch {batch}", "times products", "added MiB"]
        rows = [row(name, of_case) for name in of_case[batches[0]]]
        lines += ["", f"**{title(CASES[case])}**", "", where, "", *markdown(titles, rows)]
    return "\n".join(lines)


def row(name, of_case):
    """The cells of a contender, for each batch size."""
    ending = next((x for x in ("_xla", "_jax") if name.endswith(x)), "")
    cells = [name.replace("_", " ")]
    for runs in of_case.values():
        seconds, added = median(runs[name], "seconds"), median(runs[name], "added_bytes")
        times = seconds / median(runs[f"bare_products{ending}"], "seconds")
        cells += [f"{1000 * seconds:.1f}", f"{times:.2f}", f"{added / 2**20:.0f}"]
    return cells


def title(case):
    """A case in words."""
    separation = f", λ {case.separation}" if case.separation else ""
    return f"{case.num_classes:,} classes × {case.num_proxies}, D {case.size}{separation}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="only write the table again")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one, arguments.cases[0], arguments.batches[0])
        return
    result = {"environments": {}, "runs": {}}
    if results_path(NAME).exists():
        result = read(NAME)
    if not arguments.table:
        runs = result["runs"] | run_cases(arguments.cases, arguments.batches, arguments.rounds)
        where = dict.fromkeys(arguments.cases, environment(NAME, *PACKAGES))
        # In the order of CASES, not of the runs.
        result = {
            "environments": result["environments"] | where,
            "runs": {case: runs[case] for case in CASES if case in runs},
        }
    publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
