"""Where the time of a training step goes: input, backbone, head, optimizer.

    python benchmarks/step_profile.py                            # the quickstart's model
    python benchmarks/step_profile.py --classes 11318 --size 512
    python benchmarks/step_profile.py --classes 1000000 --size 128 --batch 32

With `--classes`, the model is one dense layer and a head of one proxy a class, so that the head and
its optimizer show. Each part is compiled and timed alone; the whole step is what `fit` runs. Prints
a Markdown table and the peak memory of the process. `--no-xla` compiles without XLA. Needs
TensorFlow.
"""

import argparse
import os
import resource
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "examples"))

import keras
import numpy as np
import tensorflow as tf
from head_contenders import median_seconds

from keras_proxygml import ProxyAdam, ProxyGML, ProxyGMLLoss, embedder_of


def quickstart_model(batch):
    """The quickstart's model, and batches of its images."""
    import quickstart

    from keras_proxygml.datasets import glyphs

    images, labels = glyphs()[0]
    model = quickstart.build_model(len(np.unique(labels)))
    return model, ProxyGMLLoss(ratio=0.05), images[: 8 * batch], labels[: 8 * batch]


def wide_model(num_classes, size, batch):
    """A dense layer and a head of many classes, and batches of random inputs."""
    rng = np.random.default_rng(0)
    inputs = keras.Input((size,))
    head = ProxyGML(num_classes, 1, proxies_regularizer=None)
    model = keras.Model(inputs, head(keras.layers.Dense(size)(inputs)))
    samples = rng.standard_normal((8 * batch, size), dtype="float32")
    labels = rng.integers(0, num_classes, 8 * batch, dtype="int32")
    return model, ProxyGMLLoss(ratio=0.05, scale=20), samples, labels


def parts_of(model, inputs, labels):
    """The parts of a step on one batch, each a function without arguments."""
    embedder, head = embedder_of(model), model.layers[-1]
    weights, proxies = embedder.trainable_variables, head.trainable_variables
    embeddings = embedder(inputs)

    def backbone():
        with tf.GradientTape() as tape:
            outputs = embedder(inputs, training=True)
        return tape.gradient(outputs, [w.value for w in weights])

    def of_head():
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            loss = model.loss(labels, head(embeddings, training=True)) + sum(head.losses)
        return tape.gradient(loss, [embeddings, *(w.value for w in proxies)])

    def update(variables):
        gradients = [tf.random.normal(w.shape, stddev=1e-3) for w in variables]
        return lambda: model.optimizer.apply(gradients, model.trainable_variables)

    return {
        "backbone, forward": lambda: embedder(inputs, training=True),
        "backbone, forward and backward": backbone,
        "head and loss, forward and backward": of_head,
        "optimizer": update(model.trainable_variables),
    }


def profile(model, loss, inputs, labels, batch, xla):
    """Milliseconds of each part, and of the whole step."""
    model.compile(ProxyAdam(1e-3, proxy_multiplier=10), loss, jit_compile=xla)
    model.optimizer.build(model.trainable_variables)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(batch).repeat()
    batches = iter(dataset.prefetch(tf.data.AUTOTUNE))
    first = [tf.constant(x[:batch]) for x in (inputs, labels)]
    found = {"input": median_seconds(lambda: next(batches))}
    for name, function in parts_of(model, *first).items():
        found[name] = median_seconds(tf.function(function, jit_compile=xla))
    model.make_train_function()
    found["whole step"] = median_seconds(lambda: model.train_function(batches))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, default=0, help="0 is the quickstart's model")
    parser.add_argument("--size", type=int, default=128, help="D, with --classes")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--no-xla", dest="xla", action="store_false")
    arguments = parser.parse_args()
    if arguments.classes:
        problem = wide_model(arguments.classes, arguments.size, arguments.batch)
    else:
        problem = quickstart_model(arguments.batch)
    found = profile(*problem, arguments.batch, arguments.xla)
    print("| part | ms | share of the step |\n| --- | --- | --- |")
    for name, seconds in found.items():
        print(f"| {name} | {1000 * seconds:.1f} | {seconds / found['whole step']:.0%} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nPeak memory of the process: {peak:.1f} GiB.")


if __name__ == "__main__":
    main()
