"""How long exact retrieval metrics take, and how much memory, against the alternatives.

    python -m benchmarks.speed.retrieval_speed                       # every case, 3 rounds
    python -m benchmarks.speed.retrieval_speed --cases sop --rounds 5

Each contender runs in its own process, one after the other, round after round. Time and added
memory are those of the contender alone: data are loaded, libraries imported and warmed up before.
Writes `results/retrieval_speed.json`, and the table between the markers in `README.md`.
`pip install torch pytorch-metric-learning` adds those contenders. Without it, they are skipped.
"""

import argparse
import functools
import importlib.util
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measuring import (
    available,
    in_own_process,
    in_rounds,
    median,
    memory,
    nested,
    reset_peak_memory,
)
from benchmarks.reporting import described, environment, markdown, publish, read
from benchmarks.speed import retrieval_contenders as contenders

NAME = "benchmarks.speed.retrieval_speed"
# items, dims, classes, noise: chosen for a Recall@1 between 0.5 and 0.9.
DATA = {
    "sop": (60_502, 512, 11_316, 2.4),
    "cars": (8_131, 512, 98, 3.4),
    "125k": (125_000, 128, 25_000, 1.4),
    "250k": (250_000, 128, 50_000, 1.4),
    "500k": (500_000, 128, 100_000, 1.4),
}
CASES = {
    "sop": ("ours", "numpy_product", "faiss_search", "pytorch_metric_learning"),
    "cars": ("ours_with_nmi", "official_code", "pytorch_metric_learning_with_nmi", "least_work"),
    "125k": ("ours_in_2_gib",),
    "250k": ("ours_in_2_gib",),
    "500k": ("ours_in_2_gib",),
}


def run_one(contender, folder):
    """Times one contender in this process; prints a line of JSON."""
    function = getattr(contenders, contender)
    vectors, labels = (np.load(f"{folder}/{name}.npy") for name in ("vectors", "labels"))
    some = np.flatnonzero(labels < 20)[:400]
    function(vectors[some], labels[some])  # imports and warms up
    reset_peak_memory()
    before = memory("VmRSS")
    start, start_cpu = time.perf_counter(), time.process_time()
    values = function(vectors, labels)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    added = memory("VmHWM") - before
    values = {name: float(value) for name, value in values.items()}
    found = {"seconds": seconds, "cpu_seconds": cpu, "added_bytes": added, "values": values}
    print(json.dumps(found))


def packages_of(case, contender):
    """The packages that a contender imports, except ours."""
    needs = {"pytorch": ("torch", "pytorch_metric_learning"), "faiss": ("faiss",)}
    return needs.get(contender.split("_")[0], ())


def measure(case, contender, folder):
    """One run in its own process."""
    backend = next(b for b in ("tensorflow", "jax", "torch") if importlib.util.find_spec(b))
    backend = os.environ.get("KERAS_BACKEND", backend)
    arguments = "--one", contender, "--folder", folder / case
    return in_own_process(NAME, *arguments, KERAS_BACKEND=backend)


def run_cases(cases, rounds):
    """All runs: case → contender → list of runs."""
    problems = [(case, contender) for case in cases for contender in CASES[case]]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for case in cases:
            (folder / case).mkdir()
            vectors, labels = contenders.make_data(*DATA[case])
            np.save(folder / case / "vectors.npy", vectors)
            np.save(folder / case / "labels.npy", labels)
        problems = available(problems, packages_of)
        return nested(in_rounds(problems, rounds, functools.partial(measure, folder=folder)))


def table(result):
    """The results as Markdown."""
    rounds = max(len(found) for case in result["runs"].values() for found in case.values())
    above = (
        f"{described(result['environment'], rounds)} *Times ours* compares seconds with the first "
        "of each case. CPU seconds are those of all cores together."
    )
    titles = ("case", "contender", "what it computes", "Recall@1", "seconds", "CPU seconds")
    rows = []
    for case, of_case in result["runs"].items():
        items, dims, classes, _ = DATA[case]
        first = median(of_case[CASES[case][0]], "seconds")
        for contender, found in of_case.items():
            values, seconds = found[0]["values"], median(found, "seconds")
            recall = values.get("recall@1", values.get("precision_at_1", ""))
            cells = (
                f"{items:,} × {dims}, {classes:,} classes",
                contender.replace("_", " "),
                getattr(contenders, contender).__doc__.splitlines()[0],
                recall and f"{recall:.3f}",
                f"{seconds:.2f}",
                f"{median(found, 'cpu_seconds'):.1f}",
                f"{seconds / first:.2f}",
                f"{median(found, 'added_bytes') / 2**20:.0f}",
            )
            rows.append(cells)
    return "\n".join([above, "", *markdown((*titles, "times ours", "added MiB"), rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="only write the table again")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one, arguments.folder)
        return
    if arguments.table:
        result = read(NAME)
    else:
        result = {
            "environment": environment(NAME, "numpy", "faiss-cpu", "scikit-learn", "torch"),
            "runs": run_cases(arguments.cases, arguments.rounds),
        }
    publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
