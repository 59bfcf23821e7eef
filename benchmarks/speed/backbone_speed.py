"""Images per second of a training step of the paper's official recipe, ours and PyTorch's.

    python -m benchmarks.speed.backbone_speed           # 3 rounds, some 6 minutes on two cores
    python -m benchmarks.speed.backbone_speed --contenders ours pytorch --rounds 5

BN-Inception at 224 pixels, batch normalization frozen, embeddings of 512, 98 classes of 12 proxies,
λ 0.3, ratio 0.05, batches of 32, Adam with two rates, L2 and epsilon. All start from the same
weights and take the same steps on the same random images, and must arrive at the same losses.

Each contender runs in its own process, one after the other, round after round. Some steps warm up
before the clock starts. Writes `results/backbone_speed.json`, and the table between the markers in
`README.md`. `pip install tensorflow torch` adds the contenders.
"""

import argparse
import functools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import available, in_own_process, in_rounds, median, nested
from benchmarks.reporting import described, environment, markdown, publish, read
from benchmarks.speed import backbone_contenders as contenders

NAME = "benchmarks.speed.backbone_speed"
# The contenders, and the Keras backend that each runs on; PyTorch's own take only the table of
# BN-Inception from the library.
BACKENDS = {
    "ours": "tensorflow",
    "ours_with_onednn": "tensorflow",
    "pytorch": "torch",
    "pytorch_channels_last": "torch",
}
# In PyTorch's faster layout.
DEFAULT = ("ours", "ours_with_onednn", "pytorch_channels_last")
TOLERANCE = 1e-4  # of a loss, relative


def run_one(contender, folder, warm_up, steps):
    """Times one contender in this process; prints a line of JSON."""
    step = getattr(contenders, contender)(folder)
    losses = [step() for _ in range(warm_up)]
    seconds, start_cpu = [], time.process_time()
    for _ in range(steps):
        start = time.perf_counter()
        losses.append(step())
        seconds.append(time.perf_counter() - start)
    cpu = (time.process_time() - start_cpu) / steps
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "losses": losses}))


def measure(contender, folder, options):
    """One run in its own process."""
    arguments = ["--one", contender, "--folder", folder]
    arguments += ["--warm-up", options.warm_up, "--steps", options.steps]
    variables = {"KERAS_BACKEND": BACKENDS[contender]}
    if contender == "ours_with_onednn":  # TensorFlow turns it on by itself on some CPUs only
        variables["TF_ENABLE_ONEDNN_OPTS"] = "1"
    return in_own_process(NAME, *arguments, **variables)


def run_all(options):
    """All runs: contender → list of runs."""
    problems = [(contender,) for contender in options.contenders]
    problems = available(problems, lambda contender: [BACKENDS[contender]])
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--prepare", "--folder", folder]
        arguments += ["--batch", options.batch, "--size", options.size]
        in_own_process(NAME, *arguments, KERAS_BACKEND="torch")
        one = functools.partial(measure, folder=folder, options=options)
        runs = nested(in_rounds(problems, options.rounds, one))
    check_losses(runs)
    return runs


def check_losses(runs):
    """Stops unless all contenders took the same steps."""
    losses = {name: found["losses"] for name, of_one in runs.items() for found in of_one}
    for i, of_step in enumerate(zip(*losses.values(), strict=True)):
        if max(of_step) - min(of_step) > TOLERANCE * abs(min(of_step)):
            sys.exit(f"The contenders do not do the same: losses of step {i} in {losses}")


def table(result):
    """The results as Markdown."""
    batch, runs = result["batch"], result["runs"]
    middle = {
        name: statistics.median(statistics.median(x["seconds"]) for x in found)
        for name, found in runs.items()
    }
    rates = {name: batch / seconds for name, seconds in middle.items()}
    rivals = [rate for name, rate in rates.items() if name.startswith("pytorch")]
    rounds = max(map(len, runs.values()))
    above = (
        f"{described(result['environment'], rounds)} *Of PyTorch* compares images per second with "
        "the faster PyTorch. CPU seconds are those of all cores together."
    )
    titles = ("contender", "what it is", "images/s", "of PyTorch", "slowest to fastest round")
    rows = []
    for name, found in runs.items():
        each = sorted(batch / statistics.median(x["seconds"]) for x in found)
        cells = (
            name.replace("_", " "),
            getattr(contenders, name).__doc__.splitlines()[0],
            f"{rates[name]:.2f}",
            f"{rates[name] / max(rivals):.2f}" if rivals else "",
            f"{each[0]:.2f} to {each[-1]:.2f}",
            f"{median(found, 'cpu_seconds'):.2f}",
        )
        rows.append(cells)
    return "\n".join([above, "", *markdown((*titles, "CPU seconds a step"), rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contenders", nargs="+", choices=BACKENDS, default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=1, help="steps before the clock starts")
    parser.add_argument("--steps", type=int, default=2, help="timed in each round")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--table", action="store_true", help="only write the table again")
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        contenders.prepare(Path(options.folder), options.batch, options.size)
        print("{}")  # `in_own_process` reads a dict
        return
    if options.one:
        run_one(options.one, options.folder, options.warm_up, options.steps)
        return
    if options.table:
        result = read(NAME)
    else:
        where = environment(NAME, "keras", "tensorflow", "tensorflow_cpu", "torch")
        result = {"environment": where, "batch": options.batch, "runs": run_all(options)}
    publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
