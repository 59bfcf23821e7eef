"""How long the first training step takes, and the steps after it, in the quickstart's model.

    python -m benchmarks.speed.first_step [--rounds 3]

Each contender builds and compiles the model in its own process and trains on batches of 128. The
first step traces and compiles. The ragged step is a last batch of another size.
"""

import argparse
import importlib.util
import json
import statistics
import time

import keras
import numpy as np

from benchmarks.measuring import ROOT, in_own_process, in_rounds, median
from benchmarks.reporting import described, environment, markdown, publish

NAME = "benchmarks.speed.first_step"
CONTENDERS = {
    "ours": "the quickstart: 994 × 2 proxies, λ 0.3, a ratio of 0.5",
    "without_regularizer": "the same with λ 0",
    "normalized_softmax": "the same proxies with `NormalizedSoftmaxLoss`, λ 0",
    "plain": "a dense layer of 1,988 numbers instead, softmax cross-entropy and Adam",
}


def model_of(contender):
    """The quickstart's model, compiled, with the contender's head."""
    from keras_proxygml import NormalizedSoftmaxLoss, ProxyAdam, ProxyGML, ProxyGMLLoss

    path = ROOT / "examples" / "quickstart.py"
    specification = importlib.util.spec_from_file_location("quickstart", path)
    quickstart = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(quickstart)
    model = quickstart.build_model(994)
    embeddings = model.layers[-1].input
    if contender == "plain":
        model = keras.Model(model.input, keras.layers.Dense(1988)(embeddings))
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model
    if contender != "ours":
        head = ProxyGML(994, 2, proxies_regularizer=None)
        model = keras.Model(model.input, head(embeddings))
    is_softmax = contender == "normalized_softmax"
    loss = NormalizedSoftmaxLoss() if is_softmax else ProxyGMLLoss(ratio=0.5, scale=5)
    model.compile(ProxyAdam(1e-3, proxy_multiplier=10), loss)
    return model


def run_one(contender):
    """Times one contender in this process; prints a line of JSON."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (128, 32, 32, 1)).astype("float32")
    labels = rng.integers(0, 994, 128)
    model = model_of(contender)

    def seconds(size=128):
        start = time.perf_counter()
        model.train_on_batch(images[:size], labels[:size])
        return time.perf_counter() - start

    first, steps = seconds(), [seconds() for _ in range(20)]
    found = {"first": first, "step": statistics.median(steps), "ragged": seconds(77)}
    print(json.dumps(found))


def table(result):
    rows = []
    plain = median(result["runs"]["plain"], "first")
    for name, runs in result["runs"].items():
        first, step, ragged = (median(runs, x) for x in ("first", "step", "ragged"))
        cells = f"{first:.1f}", f"{first / plain:.2f}", f"{1000 * step:.0f}", f"{ragged:.1f}"
        rows.append([name.replace("_", " "), CONTENDERS[name], *cells])
    titles = ["contender", "what it is", "first step, s", "of plain", "then, ms", "ragged step, s"]
    rounds = len(result["runs"]["plain"])
    return "\n".join([described(result["environment"], rounds), "", *markdown(titles, rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one)
        return

    def measure(contender):
        return in_own_process(NAME, "--one", contender, KERAS_BACKEND="tensorflow")

    runs = in_rounds([(name,) for name in CONTENDERS], arguments.rounds, measure)
    result = {
        "environment": environment(NAME, "keras", "tensorflow_cpu"),
        "runs": {name: found for (name,), found in runs.items()},
    }
    publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
