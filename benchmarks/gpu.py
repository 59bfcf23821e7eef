"""The heads of `head_speed.py` on whatever Keras runs on, for instance a GPU.

    KERAS_BACKEND=jax python benchmarks/gpu.py
    KERAS_BACKEND=jax python benchmarks/gpu.py --cases 11k 1M --batches 128 512

Needs no TensorFlow. Each contender runs in a process of its own, round after round. Time is the
median of its steps after the first; memory is the peak that the device's allocator counted, and
is left out where it does not count. Prints a Markdown table.
"""

import argparse
import json
import statistics
import subprocess
import sys

import keras
from head_contenders import CASES, SMALL, fits_literally, make_arrays, median_seconds
from reporting import in_own_process

CASES = {"small": SMALL} | CASES
CONTENDERS = ("ours", "normalized_softmax", "bare_products", "literal")


def peak_bytes():
    """Peak memory on the device, or None where nothing counts it."""
    if keras.backend.backend() == "jax":
        import jax

        return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


def device():
    """What the backend computes on, in words."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()[0].device_kind
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else "CPU"


def run_one(name, case, batch):
    """Times one contender in this process; prints a line of JSON."""
    import head_contenders

    step = getattr(head_contenders, name)(CASES[case], make_arrays(CASES[case], batch))
    seconds = median_seconds(step)
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes(), "device": device()}))


def measure(name, case, batch):
    """One run in a process of its own, or None where it failed, out of memory mostly."""
    arguments = "--one", name, "--cases", case, "--batches", batch
    try:
        return in_own_process(__file__, *arguments, XLA_PYTHON_CLIENT_PREALLOCATE="false")
    except subprocess.CalledProcessError:
        return None


def row(case, batch, name, found):
    """The medians of one contender as a row of the table."""
    if not found:
        return f"| {case} | {batch} | {name.replace('_', ' ')} | failed | |"
    seconds = statistics.median(x["seconds"] for x in found)
    peaks = [x["peak_bytes"] for x in found if x["peak_bytes"]]
    peak = f"{statistics.median(peaks) / 2**20:.0f}" if peaks else ""
    return f"| {case} | {batch} | {name.replace('_', ' ')} | {1000 * seconds:.2f} | {peak} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES)[1:])
    parser.add_argument("--batches", nargs="+", type=int, default=[32, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one, arguments.cases[0], arguments.batches[0])
        return
    problems = [(c, b, n) for c in arguments.cases for b in arguments.batches for n in CONTENDERS]
    problems = [p for p in problems if p[2] != "literal" or fits_literally(CASES[p[0]])]
    runs = {problem: [] for problem in problems}
    for _ in range(arguments.rounds):
        for case, batch, name in problems:
            found = measure(name, case, batch)
            print(case, batch, name, found, file=sys.stderr, flush=True)
            runs[case, batch, name] += [found] if found else []
    devices = {x["device"] for found in runs.values() for x in found}
    print(
        f"Keras {keras.__version__} on {keras.backend.backend()}, {', '.join(sorted(devices))}.\n"
    )
    print("| case | batch | contender | ms | peak MiB |\n| --- | --- | --- | --- | --- |")
    for (case, batch, name), found in runs.items():
        print(row(case, batch, name, found))


if __name__ == "__main__":
    main()
