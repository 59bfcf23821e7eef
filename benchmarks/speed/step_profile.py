"""Where the time of a training step goes: input, backbone, head, optimizer.

    python -m benchmarks.speed.step_profile [--cases quickstart bn_inception] [--rounds 3]
    git worktree add ../before c8f3747
    python -m benchmarks.speed.step_profile --before ../before

The last command measures another checkout of the library beside this one.

Each part is compiled and timed alone, as `fit` compiles on this device. The whole step is what
`fit` runs, so the parts need not add up to it. Each case runs in its own process, round after
round. Writes `results/step_profile.json` and the table in `README.md`. Needs TensorFlow.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.measuring import (
    ROOT,
    in_own_process,
    in_rounds,
    median,
    median_seconds,
    memory,
    nested,
)
from benchmarks.reporting import commit, described, environment, markdown, publish

NAME = "benchmarks.speed.step_profile"


def quickstart(batch=128):
    """the quickstart: a small CNN, 994 × 2 proxies, D 128, batch 128"""
    sys.path.insert(0, str(ROOT / "examples"))
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


def classes_11k(num_classes=11_318, size=512, batch=32):
    """a dense layer, 11,318 × 1 proxies, D 512, batch 32"""
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


CASES = {case.__name__: case for case in (quickstart, bn_inception, classes_11k)}


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
    parts = list(first[0]["ms"])
    for case, function in CASES.items():
        if case not in runs["now"]:
            continue
        rows = []
        for version, of_version in runs.items():
            found = of_version[case]
            cells = [f"{median([x['ms'] for x in found], part):.1f}" for part in parts]
            rows.append((version, *cells, f"{median(found, 'GiB'):.2f}"))
        lines += ["", f"**{function.__doc__}**", ""]
        lines += markdown(["", *parts, "peak memory, GiB"], rows)
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, help="a checkout to compare with")
    parser.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--library", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        sys.path.insert(0, args.library)  # whose keras_proxygml is imported from here on
        print(json.dumps(profile(args.one)))
        return
    checkouts = {"before": args.before} if args.before else {}
    checkouts["now"] = ROOT

    def measure(version, case):
        return in_own_process(NAME, "--one", case, "--library", checkouts[version].resolve())

    problems = [(version, case) for case in args.cases for version in checkouts]
    runs = nested(in_rounds(problems, args.rounds, measure))
    result = {"environment": environment(NAME, "keras", "tensorflow_cpu"), "runs": runs}
    if args.before:
        result["before"] = commit(args.before)
    publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
