"""How long verification over all pairs takes, and how much memory, against scikit-learn.

    python -m benchmarks.speed.verification_speed                       # both cases, 3 rounds
    python -m benchmarks.speed.verification_speed --cases cars --rounds 5
    python -m benchmarks.speed.verification_speed --table               # only write the table again

The data are those of `retrieval_speed`: as many items and classes as Cars196 and Stanford Online
Products have. Each contender runs in its own process, one after the other, round after round.
scikit-learn gets the same unit vectors, so that its numbers must equal ours. Writes
`results/verification_speed.json`, and the table between the markers in `README.md`.
"""

import argparse
import json
import time

import numpy as np

from benchmarks.measuring import (
    in_own_process,
    in_rounds,
    median,
    memory,
    nested,
    reset_peak_memory,
)
from benchmarks.reporting import described, environment, markdown, publish, read
from benchmarks.speed.retrieval_contenders import make_data
from benchmarks.speed.retrieval_speed import DATA

NAME = "benchmarks.speed.verification_speed"
CASES = {"cars": ("ours", "scikit_learn"), "sop": ("ours",)}
RATES = (1e-2, 1e-3, 1e-4)


def ours(vectors, labels):
    """`verification_metrics`"""
    from keras_proxygml.metrics import verification_metrics

    return verification_metrics(vectors, labels, false_accept_rates=RATES)


def scikit_learn(vectors, labels):
    """All products in float64, `roc_curve`, `roc_auc_score`, and `brentq` for the EER"""
    from scipy.optimize import brentq
    from sklearn.metrics import roc_auc_score, roc_curve

    from keras_proxygml.metrics._exact.grid import unit_vectors

    points = unit_vectors(vectors).astype("float64")
    rows, columns = np.triu_indices(len(points), 1)
    scores = (points @ points.T)[rows, columns]
    genuine = labels[rows] == labels[columns]
    false_accepts, accepts, thresholds = roc_curve(genuine, scores, drop_intermediate=False)
    found = {}
    for rate in RATES:
        last = np.searchsorted(false_accepts, rate, "right") - 1
        found[f"tar@far={rate:g}"] = accepts[last]
        found[f"threshold@far={rate:g}"] = thresholds[last]
    found["eer"] = brentq(lambda x: 1 - x - np.interp(x, false_accepts, accepts), 0, 1, xtol=1e-13)
    return found | {"roc_auc": roc_auc_score(genuine, scores)}


def run_one(contender, case):
    """Times one contender in this process; prints a line of JSON."""
    vectors, labels = make_data(*DATA[case])
    function = globals()[contender]
    function(vectors[:400], labels[:400] % 9)  # imports and warms up
    reset_peak_memory()
    before = memory("VmRSS")
    start, start_cpu = time.perf_counter(), time.process_time()
    values = function(vectors, labels)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    added = memory("VmHWM") - before
    values = {name: float(value) for name, value in values.items()}
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "added_bytes": added} | values))


def measure(case, contender):
    """One run in its own process."""
    return in_own_process(NAME, "--one", contender, "--case", case)


def table(result):
    """The results as Markdown."""
    rounds = max(len(found) for case in result["runs"].values() for found in case.values())
    titles = ("case", "contender", "TAR at FAR 0.001", "EER", "ROC AUC", "seconds")
    titles = (*titles, "CPU seconds", "times ours", "added MiB", "greatest difference")
    rows = []
    for case, of_case in result["runs"].items():
        items, dims, *_ = DATA[case]
        for contender, found in of_case.items():
            run, first = found[0], of_case["ours"][0]
            names = [name for name in run if name in ("eer", "roc_auc") or "@" in name]
            seconds = median(found, "seconds")
            cells = (
                f"{items:,} × {dims}, {items * (items - 1) // 2:,} pairs",
                globals()[contender].__doc__,
                *(f"{run[name]:.4f}" for name in ("tar@far=0.001", "eer", "roc_auc")),
                f"{seconds:.1f}",
                f"{median(found, 'cpu_seconds'):.1f}",
                f"{seconds / median(of_case['ours'], 'seconds'):.1f}",
                f"{median(found, 'added_bytes') / 2**20:.0f}",
                f"{max(abs(run[name] - first[name]) for name in names):.0e}",
            )
            rows.append(cells)
    return "\n".join([described(result["environment"], rounds), "", *markdown(titles, rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="only write the table again")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one, arguments.case)
        return
    if arguments.table:
        result = read(NAME)
    else:
        problems = [(case, contender) for case in arguments.cases for contender in CASES[case]]
        result = {
            "environment": environment(NAME, "numpy", "scikit-learn", "scipy"),
            "runs": nested(in_rounds(problems, arguments.rounds, measure)),
        }
    publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
