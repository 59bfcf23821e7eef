"""Images per second of a training step of the paper's official recipe, ours and PyTorch's.

    python benchmarks/backbone_speed.py                 # 3 rounds, some 6 minutes on two cores
    python benchmarks/backbone_speed.py --contenders ours pytorch --rounds 5

BN-Inception at 224 pixels, batch normalization frozen, embeddings of 512, 98 classes of 12 proxies,
λ 0.3, ratio 0.05, batches of 32, Adam with two rates, L2 and epsilon. All start from the same
weights and take the same steps on the same random images, and must arrive at the same losses.

Each contender runs in a process of its own, one after the other, round after round; some steps
warm up before the clock starts. Writes `results/backbone_speed.json`, and the table between the
markers in `README.md`. `pip install tensorflow torch` (and `jax`, for its contender).
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import backbone_contenders as contenders
from reporting import described, environment, in_own_process, results_path, write

HERE = Path(__file__).parent
NAME, TITLE = "backbone_speed", "Training speed"
# The contenders, and the Keras backend that each runs on; PyTorch's own take only the table of
# BN-Inception from the library.
BACKENDS = {
    "ours": "tensorflow",
    "ours_with_onednn": "tensorflow",
    "ours_with_xla": "tensorflow",
    "ours_on_jax": "jax",
    "ours_on_torch": "torch",
    "pytorch": "torch",
    "pytorch_channels_last": "torch",
    "pytorch_compiled": "torch",
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
    """One run in a process of its own."""
    arguments = ["--one", contender, "--folder", folder]
    arguments += ["--warm-up", options.warm_up, "--steps", options.steps]
    variables = {"KERAS_BACKEND": BACKENDS[contender]}
    if contender == "ours_with_onednn":  # TensorFlow turns it on by itself on some CPUs only
        variables["TF_ENABLE_ONEDNN_OPTS"] = "1"
    found = in_own_process(__file__, *arguments, **variables)
    print(
        f"{contender:22} {statistics.median(found['seconds']):7.2f} s a step, of all cores "
        f"{found['cpu_seconds']:7.2f} s   losses {found['losses'][0]:.5f} to "
        f"{found['losses'][-1]:.5f}   load before {found['load_before']:.1f}",
        flush=True,
    )
    return found


def run_all(options):
    """All runs: contender → list of runs."""
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--prepare", "--folder", folder]
        command += ["--batch", str(options.batch), "--size", str(options.size)]
        environment = {**os.environ, "KERAS_BACKEND": "torch", "PYTHONPATH": str(HERE.parent)}
        subprocess.run(command, env=environment, check=True)
        for _ in range(options.rounds):
            for contender in options.contenders:
                if importlib.util.find_spec(BACKENDS[contender]) is None:
                    print(f"{contender}: skipped, {BACKENDS[contender]} is missing")
                    continue
                runs.setdefault(contender, []).append(measure(contender, folder, options))
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
    lines = [
        f"{described(result['environment'], rounds)} *Of PyTorch* compares images per second with "
        "the faster PyTorch. CPU seconds are those of all cores together.",
        "",
        "| contender | what it is | images/s | of PyTorch | slowest to fastest round "
        "| CPU seconds a step |",
        "|" + " --- |" * 6,
    ]
    for name, found in runs.items():
        each = sorted(batch / statistics.median(x["seconds"]) for x in found)
        cells = (
            name.replace("_", " "),
            getattr(contenders, name).__doc__.splitlines()[0],
            f"{rates[name]:.2f}",
            f"{rates[name] / max(rivals):.2f}" if rivals else "",
            f"{each[0]:.2f} to {each[-1]:.2f}",
            f"{statistics.median(x['cpu_seconds'] for x in found):.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contenders", nargs="+", choices=BACKENDS, default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=1, help="steps before the clock starts")
    parser.add_argument("--steps", type=int, default=2, help="timed in each round")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--table", action="store_true", help="only write the table anew")
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        contenders.prepare(Path(options.folder), options.batch, options.size)
    elif options.one:
        run_one(options.one, options.folder, options.warm_up, options.steps)
    elif options.table:
        result = json.loads(results_path(NAME).read_text())
        write(NAME, TITLE, result, table(result))
    else:
        where = environment("keras", "tensorflow", "tensorflow_cpu", "torch", "jax")
        result = {"environment": where, "batch": options.batch, "runs": run_all(options)}
        write(NAME, TITLE, result, table(result))
        print(table(result))


if __name__ == "__main__":
    main()
