"""The heads of `head_speed` on the device that Keras uses, for example a GPU.

    KERAS_BACKEND=jax python -m benchmarks.speed.gpu
    KERAS_BACKEND=jax python -m benchmarks.speed.gpu --cases 11k 1M --batches 128 512

Needs no TensorFlow. Each contender runs in its own process, round after round. Time is the median
of its steps after the first. Memory is the peak that the device's allocator counted. It is left out
where the allocator does not count. Prints a Markdown table.
"""

import argparse
import json
import statistics
import subprocess

import keras

from benchmarks.measuring import in_own_process, in_rounds, median, median_seconds
from benchmarks.reporting import markdown
from benchmarks.speed import head_contenders as contenders
from benchmarks.speed.head_contenders import fits_literally, make_arrays

NAME = "benchmarks.speed.gpu"
CASES = {"small": contenders.SMALL} | contenders.CASES
CONTENDERS = ("ours", "ours_by_top_k", "ours_by_bisection")
CONTENDERS += ("normalized_softmax", "bare_products", "literal")


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
    step = getattr(contenders, name)(CASES[case], make_arrays(CASES[case], batch))
    seconds = median_seconds(step)
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes(), "device": device()}))


def measure(case, batch, name):
    """One run in its own process, or None if it failed, mostly out of memory."""
    arguments = "--one", name, "--cases", case, "--batches", batch
    try:
        return in_own_process(NAME, *arguments, XLA_PYTHON_CLIENT_PREALLOCATE="false")
    except subprocess.CalledProcessError:
        return None


def row(case, batch, name, found):
    """The medians of one contender as the cells of a row."""
    name = name.replace("_", " ")
    if not found:
        return case, batch, name, "failed", ""
    peaks = [x["peak_bytes"] for x in found if x["peak_bytes"]]
    peak = f"{statistics.median(peaks) / 2**20:.0f}" if peaks else ""
    return case, batch, name, f"{1000 * median(found, 'seconds'):.2f}", peak


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
    runs = in_rounds(problems, arguments.rounds, measure)
    devices = {x["device"] for found in runs.values() for x in found}
    print(
        f"Keras {keras.__version__} on {keras.backend.backend()}, {', '.join(sorted(devices))}.\n"
    )
    rows = [row(*problem, found) for problem, found in runs.items()]
    print("\n".join(markdown(("case", "batch", "contender", "ms", "peak MiB"), rows)))


if __name__ == "__main__":
    main()
