"""What `ProxyAdam(lean_proxies=True)` saves at a million classes, and what it costs on glyphs.

    python -m benchmarks.memory.lean_proxies [--classes 1000000] [--size 128] [--seeds 3]

Each optimizer first trains for some steps of `fit` on random inputs with very many classes. That
gives the peak of resident memory and the time of a step. Then it trains on the glyphs of
`benchmarks.comparison.tasks`, once for each seed, which gives retrieval on unseen characters. Each
run has its own process. Writes `results/lean_proxies.json` and the table in `README.md`.
"""

import argparse
import itertools
import json
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks.measuring import in_own_process, memory
from benchmarks.reporting import environment, markdown, publish

NAME = "benchmarks.memory.lean_proxies"
BATCH, STEPS, RATE, EPOCHS = 32, 12, 1e-3, 8
# Whether lean, and the multiplier of the proxies' rate.
OPTIMIZERS = {
    "Adam's moments, multiplier 10": (False, 10),
    "lean, multiplier 10": (True, 10),
    "lean, multiplier 100": (True, 100),
}


def many_classes(lean, multiplier, num_classes, size):
    """Peak memory in GiB and milliseconds a step of `fit`, where the proxies are nearly all."""
    import keras
    import numpy as np

    import keras_proxygml as kp

    inputs = keras.Input((size,))
    embeddings = keras.layers.Dense(size)(inputs)
    head = kp.ProxyGML(num_classes, 1, proxies_regularizer=None)
    model = keras.Model(inputs, head(embeddings))
    optimizer = kp.ProxyAdam(RATE, multiplier, lean_proxies=lean)
    model.compile(optimizer, kp.ProxyGMLLoss(scale=20), jit_compile=False)
    times = []
    ends = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: times.append(time.perf_counter())
    )
    rng = np.random.default_rng(0)
    data = rng.standard_normal((BATCH * STEPS, size), dtype="float32")
    labels = rng.integers(0, num_classes, BATCH * STEPS, dtype="int32")
    model.fit(data, labels, batch_size=BATCH, verbose=0, callbacks=[ends])
    seconds = statistics.median(b - a for a, b in itertools.pairwise(times[1:]))
    return {"GiB": memory("VmHWM") / 2**30, "ms": 1e3 * seconds}


def glyphs(lean, multiplier, seed):
    """MAP@R and Recall@1 on unseen characters after training on the others."""
    import keras

    import keras_proxygml as kp
    from benchmarks.comparison.tasks import Batches, Glyphs

    keras.utils.set_random_seed(seed)
    task = Glyphs()
    embedder = task.embedder()
    head = kp.ProxyGML(task.num_classes, 4)
    model = keras.Model(embedder.input, head(embedder.output))
    model.compile(kp.ProxyAdam(RATE, multiplier, lean_proxies=lean), kp.ProxyGMLLoss(scale=4))
    model.fit(Batches(task.train, BATCH, seed), epochs=EPOCHS, verbose=0)
    embeddings = embedder.predict(task.test.inputs[0], verbose=0)
    found = kp.retrieval_metrics(embeddings, task.test.labels)
    return {name: found[name] for name in ("recall@1", "map@r")}


def measure(function, lean, *arguments):
    """One run in its own process."""
    return in_own_process(NAME, "--one", function, int(lean), *arguments)


def table(result):
    """The results as Markdown."""
    where, size = result["environment"], result["size"]
    above = (
        f"{result['classes']:,} classes × 1, D {size}, batch {BATCH}: one run of {STEPS} steps of "
        f"`fit` without XLA. Glyphs: mean of {len(result['seeds'])} seeds (lowest to highest). "
        f"{where['cores']} cores of {where['cpu']}, {where['date']}, commit {where['commit']}, "
        f"`{where['command']}`."
    )
    titles = ("proxies with", "peak memory, GiB", "ms a step", "glyphs: Recall@1", "MAP@R")
    rows = []
    for name, found in result["runs"].items():
        cells = [name, f"{found['many']['GiB']:.2f}", f"{found['many']['ms']:.0f}"]
        for metric in ("recall@1", "map@r"):
            values = [x[metric] for x in found["glyphs"]]
            low, high = min(values), max(values)
            cells.append(f"{statistics.mean(values):.3f} ({low:.3f} to {high:.3f})")
        rows.append(cells)
    return "\n".join([above, "", *markdown(titles, rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--classes", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        function, *values = args.one
        print(json.dumps(globals()[function](*map(int, values))))
        return
    runs, seeds = {name: {"glyphs": []} for name in OPTIMIZERS}, list(range(args.seeds))
    for name, (lean, multiplier) in OPTIMIZERS.items():
        sizes = args.classes, args.size
        runs[name]["many"] = measure("many_classes", lean, multiplier, *sizes)
        print(name, runs[name]["many"], flush=True)
    for seed in seeds:
        for name, (lean, multiplier) in OPTIMIZERS.items():
            runs[name]["glyphs"].append(measure("glyphs", lean, multiplier, seed))
            print(name, seed, runs[name]["glyphs"][-1], flush=True)
    where = environment(NAME, "keras", "tensorflow_cpu")
    result = {"environment": where, "classes": args.classes, "size": args.size, "seeds": seeds}
    result["runs"] = runs
    publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
