"""How much memory each further model leaves behind, as a search over models makes them.

    python -m benchmarks.memory.model_growth [--fits 20]

Each contender builds, compiles and fits a small model on 60 × 8 numbers, clears the session and
collects the garbage, again and again in one process. Growth is the resident memory per model after
the first quarter of the fits.
"""

import argparse
import gc
import json

import keras
import numpy as np

from benchmarks.measuring import available, in_own_process, in_rounds, median, memory, nested
from benchmarks.reporting import described, environment, markdown, publish

NAME = "benchmarks.memory.model_growth"
PACKAGES = ("keras", "tensorflow_cpu", "jax")
CONTENDERS = {
    "ours": "6 classes × 2, `ProxyGML`, `ProxyGMLLoss` and `ProxyAdam`",
    "ours_many": "3,000 classes × 2, whose parts XLA compiles; another scale in each model",
    "plain": "a dense layer of 12 numbers instead, softmax cross-entropy and Adam",
    "plain_xla": "the same with `jit_compile=True`",
    "plain_many_xla": "the same with 6,000 numbers",
}
# Keras compiles everything on JAX, where one plain contender is enough.
PROBLEMS = [("tensorflow", x) for x in CONTENDERS]
PROBLEMS += [("jax", x) for x in CONTENDERS if x != "plain_xla"]


def model_of(contender, number):
    """A compiled model; `number` counts the models."""
    inputs = keras.Input((8,))
    embeddings = keras.layers.Dense(16)(inputs)
    if contender.startswith("plain"):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model = keras.Model(
            inputs, keras.layers.Dense(6000 if "many" in contender else 12)(embeddings)
        )
        model.compile("adam", loss, jit_compile="xla" in contender or "auto")
        return model
    from keras_proxygml import ProxyAdam, ProxyGML, ProxyGMLLoss

    is_many = contender == "ours_many"
    similarities = ProxyGML(3000 if is_many else 6, 2)(embeddings)
    loss = ProxyGMLLoss(0.5, scale=1 + number if is_many else 1)
    model = keras.Model(inputs, similarities)
    model.compile(ProxyAdam(1e-3, proxy_multiplier=10), loss)
    return model


def run_one(contender, fits):
    """Fits the models in this process; prints a line of JSON."""
    inputs = np.random.default_rng(0).standard_normal((60, 8), dtype="float32")
    labels = np.arange(60) % 6
    resident = []
    for number in range(fits):
        model_of(contender, number).fit(inputs, labels, verbose=0)
        keras.utils.clear_session()
        gc.collect()
        resident.append(memory("VmRSS"))
    start = fits // 4
    growth = (resident[-1] - resident[start]) / (fits - 1 - start)
    print(json.dumps({"bytes_per_model": growth, "bytes_at_the_end": resident[-1]}))


def table(result):
    rows = []
    for backend, contenders in result["runs"].items():
        for name, runs in contenders.items():
            mebibytes = [median(runs, x) / 2**20 for x in ("bytes_per_model", "bytes_at_the_end")]
            cells = f"{mebibytes[0]:.1f}", f"{mebibytes[1]:.0f}"
            rows.append([backend, name.replace("_", " "), CONTENDERS[name], *cells])
    titles = ["backend", "contender", "what each model is", "MiB a model", "MiB at the end"]
    return "\n".join([described(result["environment"], 1), "", *markdown(titles, rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fits", type=int, default=20)
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one, arguments.fits)
        return

    def measure(backend, contender):
        options = "--one", contender, "--fits", arguments.fits
        return in_own_process(NAME, *options, KERAS_BACKEND=backend)

    problems = available(PROBLEMS, lambda backend, _: [backend])
    runs = in_rounds(problems, 1, measure)
    result = {"environment": environment(NAME, *PACKAGES), "runs": nested(runs)}
    publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
