"""How long a head takes, forward and backward, and how much memory, against the alternatives.

    python benchmarks/head_speed.py                              # every case, 3 rounds
    python benchmarks/head_speed.py --cases 11k 100k --rounds 5  # some; the others are kept

Each contender runs in a process of its own, one after the other, round after round; its time is
the median of its steps after the first. Added memory is what its weights, gradients and temporary
tensors need at the peak of a step, above a process that holds the data and has run a small case.
Writes `results/head_speed.json`, and the table between the markers in `README.md`.
`pip install torch pytorch-metric-learning jax` adds those contenders; without, they are skipped.
"""

import argparse
import importlib.util
import json
import statistics
from pathlib import Path

from head_contenders import CASES, SMALL, fits_literally, make_arrays, median_seconds
from reporting import described, environment, in_own_process, memory, results_path, write

HERE = Path(__file__).parent
NAME, TITLE = "head_speed", "Head speed"
BATCHES = (32, 128)
PACKAGES = ("keras", "tensorflow", "tensorflow_cpu", "jax", "torch", "pytorch-metric-learning")
KERAS = ("ours", "ours_xla", "normalized_softmax", "normalized_softmax_xla")
KERAS += ("bare_products", "bare_products_xla")
KERAS += ("ours_jax", "normalized_softmax_jax", "bare_products_jax")
PYTORCH = ("pytorch_soft_triple", "pytorch_proxy_anchor")
LITERAL = ("literal", "literal_xla", "literal_jax", "pytorch_literal")
CONTENDERS = {
    name: KERAS + PYTORCH + (LITERAL if fits_literally(case) else ())
    for name, case in CASES.items()
}


def contender_of(name):
    """A contender by its name; those in PyTorch import it."""
    module = "pytorch_heads" if name.startswith("pytorch") else "head_contenders"
    return getattr(__import__(module), name.removesuffix("_jax"))


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
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    seconds = median_seconds(step)
    print(json.dumps({"seconds": seconds, "added_bytes": memory("VmHWM") - before}))


def missing(name):
    """The package a contender lacks here, if any."""
    packages = [backend_of(name)] + ["pytorch_metric_learning"] * name.startswith("pytorch")
    return next((x for x in packages if importlib.util.find_spec(x) is None), None)


def measure(case, batch, name):
    """One run in a process of its own."""
    arguments = "--one", name, "--cases", case, "--batches", batch
    found = in_own_process(__file__, *arguments, KERAS_BACKEND=backend_of(name))
    print(
        f"{case:14} {batch:4} {name:24} {1000 * found['seconds']:9.2f} ms "
        f"{found['added_bytes'] / 2**20:7.0f} MiB   load before {found['load_before']:.1f}",
        flush=True,
    )
    return found


def run_cases(cases, batches, rounds):
    """All runs: case → batch → contender → list of runs."""
    runs = {case: {str(batch): {} for batch in batches} for case in cases}
    for _ in range(rounds):
        for case in cases:
            for batch in batches:
                for name in CONTENDERS[case]:
                    if missing(name):
                        print(f"{name}: skipped, {missing(name)} is missing")
                        continue
                    found = measure(case, batch, name)
                    runs[case][str(batch)].setdefault(name, []).append(found)
    return runs


def medians(found):
    """Milliseconds and MiB of one contender's runs."""
    return (
        1000 * statistics.median(x["seconds"] for x in found),
        statistics.median(x["added_bytes"] for x in found) / 2**20,
    )


def table(result):
    """The results as Markdown: contenders down, batches across, a part for each case."""
    lines = ["*Times products* compares with `bare_products`, compiled alike."]
    for case, of_case in result["runs"].items():
        batches = list(of_case)
        rounds = len(next(iter(of_case[batches[0]].values())))
        where = described(result["environments"][case], rounds)
        lines += ["", f"**{title(CASES[case])}**", "", where, ""]
        lines.append(
            "| contender |"
            + "".join(f" ms, batch {b} | times products | added MiB |" for b in batches)
        )
        lines.append("|" + " --- |" * (1 + 3 * len(batches)))
        for name in of_case[batches[0]]:
            cells = [name.replace("_", " ")]
            for batch in batches:
                milliseconds, added = medians(of_case[batch][name])
                ending = next((x for x in ("_xla", "_jax") if name.endswith(x)), "")
                bare = f"bare_products{ending}"
                ratio = milliseconds / medians(of_case[batch][bare])[0]
                cells += [f"{milliseconds:.1f}", f"{ratio:.2f}", f"{added:.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def title(case):
    """A case in words."""
    separation = f", λ {case.separation}" if case.separation else ""
    return f"{case.num_classes:,} classes × {case.num_proxies}, D {case.size}{separation}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="only write the table anew")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one, arguments.cases[0], arguments.batches[0])
        return
    path = results_path(NAME)
    result = {"environments": {}, "runs": {}}
    if path.exists():
        result = json.loads(path.read_text())
    if not arguments.table:
        runs = result["runs"] | run_cases(arguments.cases, arguments.batches, arguments.rounds)
        where = dict.fromkeys(arguments.cases, environment(*PACKAGES))
        # In the order of CASES, whatever was run when.
        result = {
            "environments": result["environments"] | where,
            "runs": {case: runs[case] for case in CASES if case in runs},
        }
    write(NAME, TITLE, result, table(result))
    print(table(result))


if __name__ == "__main__":
    main()
