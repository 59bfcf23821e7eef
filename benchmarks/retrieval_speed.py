"""How long exact retrieval metrics take, and how much memory, against the alternatives.

    python benchmarks/retrieval_speed.py                       # every case, 3 rounds
    python benchmarks/retrieval_speed.py --cases sop --rounds 5

Each contender runs in a process of its own, one after the other, round after round. Time and added
memory are those of the contender alone: data are loaded, libraries imported and warmed up before.
Writes `results/retrieval_speed.json`, and the table between the markers in `README.md`.
`pip install torch pytorch-metric-learning` adds those contenders; without, they are skipped.
"""

import argparse
import importlib.util
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import retrieval_contenders as contenders
from reporting import described, environment, in_own_process, memory, results_path, write

HERE = Path(__file__).parent
NAME, TITLE = "retrieval_speed", "Retrieval speed"
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
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = memory("VmRSS")
    start, start_cpu = time.perf_counter(), time.process_time()
    values = function(vectors, labels)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    added = memory("VmHWM") - before
    values = {name: float(value) for name, value in values.items()}
    found = {"seconds": seconds, "cpu_seconds": cpu, "added_bytes": added, "values": values}
    print(json.dumps(found))


def missing(contender):
    """The package a contender lacks here, if any."""
    needs = {"pytorch": ("torch", "pytorch_metric_learning"), "faiss": ("faiss",)}
    for package in needs.get(contender.split("_")[0], ()):
        if importlib.util.find_spec(package) is None:
            return package
    return None


def measure(case, contender, folder):
    """One run in a process of its own."""
    backend = next(b for b in ("tensorflow", "jax", "torch") if importlib.util.find_spec(b))
    backend = os.environ.get("KERAS_BACKEND", backend)
    arguments = "--one", contender, "--folder", folder
    found = in_own_process(__file__, *arguments, KERAS_BACKEND=backend)
    print(
        f"{case:5} {contender:33} {found['seconds']:8.2f} s {found['added_bytes'] / 2**20:8.0f} MiB"
        f"   load before {found['load_before']:.1f}",
        flush=True,
    )
    return found


def run_cases(cases, rounds):
    """All runs: case → contender → list of runs."""
    runs = {case: {} for case in cases}
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            (Path(folder) / case).mkdir()
            for name, x in zip(
                ("vectors", "labels"), contenders.make_data(*DATA[case]), strict=True
            ):
                np.save(Path(folder) / case / f"{name}.npy", x)
        for _ in range(rounds):
            for case in cases:
                for contender in CASES[case]:
                    if missing(contender):
                        print(f"{case:5} {contender}: skipped, {missing(contender)} is missing")
                        continue
                    found = measure(case, contender, str(Path(folder) / case))
                    runs[case].setdefault(contender, []).append(found)
    return runs


def medians(runs):
    """Seconds, CPU seconds, MiB and values of each case and contender."""
    return {
        (case, contender): (
            statistics.median(x["seconds"] for x in found),
            statistics.median(x["cpu_seconds"] for x in found),
            statistics.median(x["added_bytes"] for x in found) / 2**20,
            found[0]["values"],
        )
        for case, of_case in runs.items()
        for contender, found in of_case.items()
    }


def table(result):
    """The results as Markdown."""
    middle = medians(result["runs"])
    rounds = max(len(found) for case in result["runs"].values() for found in case.values())
    lines = [
        f"{described(result['environment'], rounds)} *Times ours* compares seconds with the first "
        "of each case. CPU seconds are those of all cores together.",
        "",
        "| case | contender | what it computes | Recall@1 | seconds | CPU seconds | times ours "
        "| added MiB |",
        "|" + " --- |" * 8,
    ]
    for case, of_case in result["runs"].items():
        items, dims, classes, _ = DATA[case]
        for contender in of_case:
            seconds, cpu, added, values = middle[case, contender]
            recall = values.get("recall@1", values.get("precision_at_1", ""))
            cells = (
                f"{items:,} × {dims}, {classes:,} classes",
                contender.replace("_", " "),
                getattr(contenders, contender).__doc__.splitlines()[0],
                recall and f"{recall:.3f}",
                f"{seconds:.2f}",
                f"{cpu:.1f}",
                f"{seconds / middle[case, CASES[case][0]][0]:.2f}",
                f"{added:.0f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="only write the table anew")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one, arguments.folder)
    elif arguments.table:
        result = json.loads(results_path(NAME).read_text())
        write(NAME, TITLE, result, table(result))
    else:
        result = {
            "environment": environment("numpy", "faiss-cpu", "scikit-learn", "torch"),
            "runs": run_cases(arguments.cases, arguments.rounds),
        }
        write(NAME, TITLE, result, table(result))
        print(table(result))


if __name__ == "__main__":
    main()
