"""Where the time of a training step goes: input, backbone, head, optimizer.

    python benchmarks/step_profile.py [--cases quickstart bn_inception] [--rounds 3]
    git worktree add ../before c8f3747 && python benchmarks/step_profile.py --before ../before

The second command measures another checkout of the library beside this one.

Each part is compiled and timed alone, as `fit` compiles on this device; the whole step is what
`fit` runs, so that the parts need not add up to it. Cases run in a process of their own each, round
after round. Writes `results/step_profile.json` and the table in `README.md`. Needs TensorFlow.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))

from reporting import commit, described, environment, in_own_process, memory, write

NAME, TITLE = "step_profile", "Parts of a training step"


def quickstart(batch=128):
    """the quickstart: a small CNN, 994 × 2 proxies, D 128, batch 128"""
    import numpy as np
    from quickstart import build_model

    from keras_proxygml import ProxyGMLLoss, datasets

    images, labels = datasets.glyphs()[0]
    model = build_model(len(np.unique(labels)))
    return model, ProxyGMLLoss(ratio=0.5, scale=5), images[: 8 * batch], labels[: 8 * batch], batch


def bn_inception(batch=32):
    """the official recipe: BN-Inception, 224 px, 98 × 12 proxies, D 512, batch 32"""
    import keras
    import numpy as np

    import keras_proxygml as kp

    backbone = kp.applications.BNInception((224, 224, 3), embedding_size=512)
    kp.freeze_batch_norm(backbone)
    model = keras.Model(backbone.input, kp.ProxyGML(98, 12)(backbone.output))
    rng = np.random.default_rng(0)
    images = rng.uniform(-128, 128, (2 * batch, 224, 224, 3)).astype("float32")
    return model, kp.ProxyGMLLoss(), images, rng.integers(0, 98, 2 * batch), batch


def wide(num_classes, size, batch=32):
    """A dense layer and a head of many classes, and batches of random inputs."""
    import keras
    import numpy as np

    import keras_proxygml as kp

    rng = np.random.default_rng(0)
    inputs = keras.Input((size,))
    head = kp.ProxyGML(num_classes, 1, proxies_regularizer=None)
    model = keras.Model(inputs, head(keras.layers.Dense(size)(inputs)))
    samples = rng.standard_normal((8 * batch, size), dtype="float32")
    labels = rng.integers(0, num_classes, 8 * batch, dtype="int32")
    return model, kp.ProxyGMLLoss(scale=20), samples, labels, batch


def classes_11k():
    """a dense layer, 11,318 × 1 proxies, D 512, batch 32"""
    return wide(11_318, 512)


def classes_1m():
    """a dense layer, 1,000,000 × 1 proxies, D 128, batch 32"""
    return wide(1_000_000, 128)


CASES = {case.__name__: case for case in (quickstart, bn_inception, classes_11k, classes_1m)}


def parts_of(model, inputs, labels):
    """The parts of a step on one batch, each a function without arguments."""
    import tensorflow as tf

    from keras_proxygml import embedder_of

    embedder, head = embedder_of(model), model.layers[-1]
    weights, proxies = embedder.trainable_variables, head.trainable_variables
    embeddings = embedder(inputs)
    gradients = [tf.random.normal(w.shape, stddev=1e-3) for w in model.trainable_variables]

    def backbone():
        with tf.GradientTape() as tape:
            outputs = embedder(inputs, training=True)
        return tape.gradient(outputs, [w.value for w in weights])

    def of_head():
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            loss = model.loss(labels, head(embeddings, training=True)) + sum(head.losses)
        return tape.gradient(loss, [embeddings, *(w.value for w in proxies)])

    return {
        "backbone, forward": lambda: embedder(inputs, training=True),
        "backbone, forward and backward": backbone,
        "head and loss, forward and backward": of_head,
        "optimizer": lambda: model.optimizer.apply(gradients, model.trainable_variables),
    }


def profile(case):
    """Milliseconds of each part and of the whole step, and the peak of memory in GiB."""
    import tensorflow as tf
    from head_contenders import median_seconds

    from keras_proxygml import ProxyAdam

    model, loss, inputs, labels, batch = CASES[case]()
    model.compile(ProxyAdam(1e-3, proxy_multiplier=10), loss)
    model.optimizer.build(model.trainable_variables)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(batch).repeat()
    batches = iter(dataset.prefetch(tf.data.AUTOTUNE))
    first = [tf.constant(x[:batch]) for x in (inputs, labels)]
    found = {"input": median_seconds(lambda: next(batches))}
    for name, function in parts_of(model, *first).items():
        run = tf.function(function, jit_compile=model.jit_compile)
        found[name] = median_seconds(run)
    model.make_train_function()
    found["whole step"] = median_seconds(lambda: model.train_function(batches))
    return {"ms": {k: 1e3 * v for k, v in found.items()}, "GiB": memory("VmHWM") / 2**30}


def table(result):
    """The results as Markdown: a part for each case, with a row for each checkout."""
    runs = result["runs"]
    first = next(iter(runs["now"].values()))
    lines = [f"{described(result['environment'], len(first))} Milliseconds."]
    if "before" in runs:
        lines[0] += f" *Before* is commit {result['before']}."
    titles = ["", *first[0]["ms"], "peak memory, GiB"]
    for case, function in CASES.items():
        if case not in runs["now"]:
            continue
        lines += ["", f"**{function.__doc__}**", ""]
        lines += [f"| {' | '.join(titles)} |", "|" + " --- |" * len(titles)]
        for version, of_version in runs.items():
            found = of_version[case]
            cells = [statistics.median(x["ms"][part] for x in found) for part in first[0]["ms"]]
            cells = [f"{cell:.1f}" for cell in cells]
            cells.append(f"{statistics.median(x['GiB'] for x in found):.2f}")
            lines.append(f"| {version} | {' | '.join(cells)} |")
    return "\n".join(lines)


def measure(case, checkout):
    """One case in a process of its own, with the library of a checkout."""
    return in_own_process(__file__, "--one", case, PYTHONPATH=str(checkout))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, help="a checkout to compare with")
    parser.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(profile(args.one)))
        return
    checkouts = {"before": args.before} if args.before else {}
    checkouts["now"] = Path(__file__).parent.parent
    runs = {version: {case: [] for case in args.cases} for version in checkouts}
    for _ in range(args.rounds):
        for case in args.cases:
            for version, checkout in checkouts.items():
                found = measure(case, checkout.resolve())
                runs[version][case].append(found)
                print(case, version, found, flush=True)
    result = {"environment": environment("keras", "tensorflow_cpu"), "runs": runs}
    if args.before:
        result["before"] = commit(args.before)
    write(NAME, TITLE, result, table(result))
    print(table(result))


if __name__ == "__main__":
    main()
