"""What a training step takes on each of eight devices, in memory and in traffic, as XLA plans it.

    python -m benchmarks.memory.sharded_memory [--quick]

Compiles, and does not run, one step of Adam on a model of one dense layer and the proxies: once
with the proxies copied to every device, once sharded by class. Every device feeds an eighth of the
batch. Writes `results/sharded_memory.json` and the table in `README.md`, in MB of 10⁶ bytes per
device, beside the formulas of `docs/scaling.md`.

- *held*: the weights and Adam's two moments, as held between steps;
- *on top*: what XLA reserves while a step runs, the gradient included;
- *traffic*: the results of all collective operations, summed; those in a loop count once.
"""

import argparse
import os
import re
from typing import NamedTuple

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import keras
import numpy as np

from benchmarks.reporting import environment, markdown, publish
from keras_proxygml import (
    NormalizedSoftmaxLoss,
    ProxyAdam,
    ProxyGMLLoss,
    ProxySeparation,
    ProxySimilarity,
    proxy_layout,
)

NAME = "benchmarks.memory.sharded_memory"
DEVICES = 8
COLLECTIVES = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
COLLECTIVE = re.compile(rf" = (.+?) ({COLLECTIVES})(?:-start)?\(")
ARRAY = re.compile(r"\b[a-z]+(\d+)\[([\d,]*)\]")  # such as f32[64,8000]
LOSSES = {
    "NormalizedSoftmaxLoss": (NormalizedSoftmaxLoss, None),
    "ProxyGMLLoss": (lambda: ProxyGMLLoss(0.05, scale=20), None),
    "ProxyGMLLoss, ProxySeparation": (lambda: ProxyGMLLoss(0.05), ProxySeparation(0.3)),
}


class Sizes(NamedTuple):
    """Classes C, proxies per class N, embedding size D, batch B of all devices together."""

    classes: int
    proxies: int
    size: int
    batch: int


CASES = (
    Sizes(80_000, 1, 128, 256),
    Sizes(320_000, 1, 128, 256),
    Sizes(80_000, 1, 512, 256),
    Sizes(80_000, 1, 128, 1024),
    Sizes(20_000, 4, 128, 256),
)


def distributions():
    mesh = keras.distribution.DeviceMesh((DEVICES,), ["batch"])
    yield "copied", keras.distribution.DataParallel(mesh)
    layout = proxy_layout(mesh, "batch")
    yield "sharded", keras.distribution.ModelParallel(layout_map=layout)


def compiled_step(loss, regularizer, distribution, sizes):
    """One training step as XLA compiles it, as Keras's trainer would."""
    keras.distribution.set_distribution(distribution)
    inputs = keras.Input((sizes.size,))
    head = ProxySimilarity(sizes.classes, sizes.proxies, proxies_regularizer=regularizer)
    model = keras.Model(inputs, head(keras.layers.Dense(sizes.size)(inputs)))
    model.compile(ProxyAdam(1e-3), loss)
    batch = np.zeros((sizes.batch, sizes.size), "float32"), np.zeros(sizes.batch, "int32")
    model._symbolic_build(data_batch=batch)
    layouts = [distribution.get_data_layout(part.shape).backend_layout for part in batch]
    batch = tuple(jax.device_put(part, layout) for part, layout in zip(batch, layouts, strict=True))
    state = model._get_jax_state(
        trainable_variables=True,
        non_trainable_variables=True,
        optimizer_variables=True,
        metrics_variables=True,
    )
    shardings = (None, model._get_state_sharding_spec())
    step = jax.jit(model.train_step, donate_argnums=0, out_shardings=shardings)
    return step.lower(state, batch).compile()


def bytes_of(shape):
    """The bytes of an array, or of a tuple of arrays, in XLA's notation."""
    return sum(
        int(bits) // 8 * int(np.prod([int(n) for n in sizes.split(",") if n]))
        for bits, sizes in ARRAY.findall(shape)
    )


def measure(loss, regularizer, distribution, sizes):
    """The bytes of a step on each device."""
    step = compiled_step(loss(), regularizer, distribution, sizes)
    memory = step.memory_analysis()
    moved = [bytes_of(shape) for shape, _ in COLLECTIVE.findall(step.as_text())]
    return {
        "held": memory.alias_size_in_bytes,  # donated arguments live on from step to step
        "on top": memory.temp_size_in_bytes,
        "traffic": sum(moved),
        "largest": max(moved),
    }


def formulas(layout, sizes):
    """The same by the formulas of `docs/scaling.md`, with the dense layer's D²."""
    total, batch, size = sizes.classes * sizes.proxies, sizes.batch, sizes.size
    w, s = 4 * total * size, 4 * batch * total / DEVICES
    if layout == "copied":
        return {"held": 3 * w, "on top": max(3 * s + w, 2 * w), "traffic": w + 4 * size**2}
    w /= DEVICES
    traffic = 8 * batch * size + 4 * batch * (8 + 1) + 4 * size**2
    return {"held": 3 * w, "on top": max(3 * s + w, 2 * s + 2 * w), "traffic": traffic}


def table(result):
    """The results as Markdown, formulas in brackets."""
    where = result["environment"]
    above = (
        f"MB of 10⁶ bytes on each of {DEVICES} devices, as planned by XLA for CPUs (by formula); "
        f"operations in a loop count once. "
        f"JAX {where['versions']['jax']}, {where['date']}, commit {where['commit']}, "
        f"`{where['command']}`."
    )
    titles = ("C", "N", "D", "B", "loss", "proxies", "held", "on top", "traffic")
    rows = []
    for row in result["rows"]:
        separation = "ProxySeparation" in row["loss"]  # which adds blocks of scores
        expected = {} if separation else formulas(row["layout"], Sizes(*row["sizes"]))
        cells = [f"{n:,}" for n in row["sizes"]] + [row["loss"], row["layout"]]
        for name, value in row["bytes"].items():
            formula = f" ({expected[name] / 1e6:.2f})" if name in expected else ""
            cells.append(f"{value / 1e6:.2f}{formula}")
        rows.append(cells)
    return "\n".join([above, "", *markdown((*titles, "largest operation"), rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the first sizes only, write nothing")
    args = parser.parse_args()
    rows = []
    for sizes in CASES[:1] if args.quick else CASES:
        for name, (loss, regularizer) in LOSSES.items():
            if regularizer and sizes != CASES[0]:
                continue
            for layout, distribution in distributions():
                found = measure(loss, regularizer, distribution, sizes)
                rows.append({"sizes": sizes, "loss": name, "layout": layout, "bytes": found})
    result = {"environment": environment(NAME, "keras", "jax"), "rows": rows}
    if args.quick:
        print(table(result))
    else:
        publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
